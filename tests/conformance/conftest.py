"""Results of every made-up study, written once a session, with the films they belong to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from converters.results.study_result import StudyResult
from converters.results.write import write_results
from tests.conformance import validators
from tests.support import result_builder


@dataclass(frozen=True)
class Written:
    """A study's result and the files that were written for it."""

    result: StudyResult
    folder: Path
    films: dict[str, Path]

    def files(self, pattern: str) -> list[Path]:
        return sorted(self.folder.glob(pattern))


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Written]:
    """``written(case)`` gives the result of that case."""
    known: dict[str, Written] = {}

    def write(case: str) -> Written:
        if case not in known:
            result = result_builder.CASES[case]()
            base = tmp_path_factory.mktemp("study")
            folder = base / "result"
            folder.mkdir()
            write_results(result, folder)
            films = {}
            for film in result.films:
                if film.outcome == "scanned" and film.sop_instance_uid:
                    path = base / film.file
                    result_builder.write_film(film, path)
                    films[film.sop_instance_uid] = path
            known[case] = Written(result, folder, films)
        return known[case]

    return write


@pytest.fixture
def need() -> Callable[[str], None]:
    """``need(tool)`` skips the test if the command is not installed."""

    def check(tool: str) -> None:
        if validators.tool_path(tool) is None:
            pytest.skip(f"{tool} is not installed")

    return check
