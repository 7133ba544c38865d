"""The script of the trials runs, and its crops are what their names say."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from torch.nn.functional import grid_sample

from bcd_model.paper.experiment import reproduce
from bcd_model.paper.report.summary import groups
from bcd_model.paper.runs import Options, choose
from bcd_model.paper.systems import PROTOCOLS
from bcd_model.words import Lesion
from converters.mias.collection import MiasFilm, info_line, read_collection
from converters.mias.phantom import write_phantom

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


@pytest.mark.commands
def test_it_prints_a_row_a_trial(mias: Path) -> None:
    arguments = ("--mias", mias, "--only", "as-it-is", "mirrored", "--seeds", "0", "--steps", "1")
    run = subprocess.run([sys.executable, SCRIPT, *arguments], capture_output=True, text=True, check=True)
    head, _, *rows = run.stdout.splitlines()
    assert [row.split(" | ")[0] for row in rows] == ["| as-it-is", "| mirrored"]
    assert {row.count("|") for row in rows} == {head.count("|")}


@pytest.mark.commands
def test_a_folder_that_is_not_there_is_one_line() -> None:
    run = subprocess.run(
        [sys.executable, SCRIPT, "--mias", "nowhere"], capture_output=True, text=True, check=False
    )
    assert run.returncode == 2
    assert run.stderr.splitlines()[-1].endswith("error: nowhere: does not exist; check the path")


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


@pytest.mark.parametrize("radius", [10.0, 60.0])
def test_not_smoothed_interpolates_between_neighbours_alone(
    trials: ModuleType, radius: float, tmp_path: Path
) -> None:
    """On noise: what smoothing takes away is there; what grows is the same either way."""
    grey = np.random.default_rng(0).integers(50, 230, (300, 280), dtype=np.uint8)
    (tmp_path / "mdb001.pgm").write_bytes(b"P5\n280 300\n255\n" + grey.tobytes())
    line = info_line("mdb001", "F", 300, Lesion((141.0, 120.0), radius, "benign", "CIRC"))
    (tmp_path / "Info.txt").write_text(line + "\n")
    films = read_collection(tmp_path).films
    pixels = films[0].read().pixels
    (old,), (crop,) = trials.as_it_is(films), trials.not_smoothed(films)
    step = 2 * radius / 48
    places = (np.arange(48) + 0.5) * step - radius
    rows, columns = np.meshgrid((141 + places) / 149.5 - 1, (120 + places) / 139.5 - 1, indexing="ij")
    grid = torch.from_numpy(np.stack([columns, rows], axis=-1)[None].astype(np.float32))
    expected = grid_sample(torch.from_numpy(pixels)[None, None], grid, align_corners=True)[0, 0].numpy()
    assert np.allclose(crop.pixels, expected, atol=1e-4)
    assert np.allclose(crop.pixels, old.pixels, atol=1e-5) == (radius < 24)


@pytest.mark.slow
def test_a_trial_that_changes_nothing_gives_what_a_reproduction_gives(
    trials: ModuleType, films: tuple[MiasFilm, ...], tmp_path: Path
) -> None:
    # A processor without bfloat16 of its own takes minutes over it.
    options = Options(1, "float32", threads=torch.get_num_threads())
    for protocol in PROTOCOLS:
        runs = choose(("S1f",), ("all",), (protocol,), 1)
        (group,) = groups(reproduce(films, runs, options, tmp_path).outcomes)[-1:]
        made = trials.measure(trials.as_it_is(films), protocol, [0], 1, "float32")
        assert repr(made.figures) == repr(group.figures)  # a range over one seed is nan, which equals nothing
        assert made.loss() == group.loss()
