"""The script of the trials runs, and its crops are what their names say."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from converters.mias import MiasFilm, read_collection
from converters.phantom import write_phantom

SCRIPT = Path(__file__).parents[2] / "docs" / "reproduction" / "trials.py"


@pytest.fixture(scope="module")
def mias(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trials") / "films"
    write_phantom(folder, patients=12, seed=3, shape=(256, 256))
    return folder


@pytest.fixture(scope="module")
def films(mias: Path) -> tuple[MiasFilm, ...]:
    return read_collection(mias).films


@pytest.fixture(scope="module")
def trials() -> ModuleType:
    spec = importlib.util.spec_from_file_location("trials", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["trials"] = module
    spec.loader.exec_module(module)
    return module


def test_it_prints_a_row_a_trial(mias: Path) -> None:
    arguments = ("--mias", mias, "--only", "as-it-is", "mirrored", "--seeds", "0", "--steps", "1")
    run = subprocess.run([sys.executable, SCRIPT, *arguments], capture_output=True, text=True, check=True)
    head, _, *rows = run.stdout.splitlines()
    assert [row.split(" | ")[0] for row in rows] == ["| as-it-is", "| mirrored"]
    assert {row.count("|") for row in rows} == {head.count("|")}


def test_only_the_lesions_are_moved(trials: ModuleType, films: tuple[MiasFilm, ...]) -> None:
    before = {(crop.film, crop.region.radius): crop for crop in trials.as_it_is(films)}
    moved = trials.mirrored(films)
    assert any(crop.label for crop in moved)
    for crop in moved:
        old = before[crop.film, crop.region.radius]
        if crop.label:
            assert crop.region.center[0] + old.region.center[0] == 255
        assert (crop.region.center == old.region.center) == (crop.label == 0)
        assert np.array_equal(crop.pixels, old.pixels) == (crop.label == 0)


def test_only_the_normal_windows_are_moved(trials: ModuleType, films: tuple[MiasFilm, ...]) -> None:
    for old, crop in zip(trials.as_it_is(films), trials.windows_anywhere(films), strict=True):
        assert np.array_equal(crop.pixels, old.pixels) == (crop.label > 0)


def test_not_smoothed_is_the_film_itself_where_nothing_is_resized(
    trials: ModuleType, films: tuple[MiasFilm, ...]
) -> None:
    """And elsewhere it is near to what smoothing gives, in the same place."""
    for old, crop in zip(trials.as_it_is(films), trials.not_smoothed(films), strict=True):
        assert np.abs(crop.pixels - old.pixels).mean() < 0.03
        if crop.region.radius <= 24:  # it grows: nothing is smoothed in either
            assert np.allclose(crop.pixels, old.pixels, atol=1e-5)
