"""Shared by the legs of the plugin's tests; runs in the project's environment, in Slicer's Pythons and beside
slicer-core, so nothing here imports the project's packages at the top."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import readings
from fake_gateway import FakeGateway

WRITTEN = "BCD_WRITTEN_RESULTS"
"""A folder with results and films that the project's own writers have made; see written_results.py."""


@pytest.fixture
def gateway() -> Iterator[FakeGateway]:
    server = FakeGateway().start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of made-up studies, a folder a case: ``result/`` and ``films/<UID>.dcm``."""
    given = os.environ.get(WRITTEN)
    if given:
        return Path(given)
    try:
        import written_results
    except ModuleNotFoundError as error:
        pytest.skip(f"{error.name} is missing here and {WRITTEN} is not set; make slicer-test sets it")
    folder = tmp_path_factory.mktemp("written")
    written_results.write_all(folder)
    return folder


@pytest.fixture(scope="session")
def case(written: Path) -> Callable[[str], tuple[Path, dict[str, Path]]]:
    """``case(name)`` gives the result folder and the films' files by UID."""

    def find(name: str) -> tuple[Path, dict[str, Path]]:
        folder = written / name
        films = {path.stem: path for path in (folder / "films").glob("*.dcm")}
        assert json.loads((folder / "result" / "result.json").read_bytes())["films"]
        return folder / "result", films

    return find


@pytest.fixture
def made(case: Callable[[str], tuple[Path, dict[str, Path]]]) -> tuple[Any, dict[str, Any]]:
    """A reading of the study of two films, and the films' headers by UID."""
    return readings.make(*case("two-films"))
