"""What of the real films is usable, by another reading of Info.txt."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from bcd_model.paper.crops import PaperCrop
from bcd_model.paper.inputs import CropSet, prepare, select
from converters.mias.collection import read_collection

pytestmark = [
    pytest.mark.films,
    pytest.mark.skipif("BCD_MIAS_DIR" not in os.environ, reason="BCD_MIAS_DIR names no mini-MIAS films"),
]


@pytest.fixture(scope="module")
def crops() -> list[PaperCrop]:
    return prepare(read_collection(Path(os.environ["BCD_MIAS_DIR"])).films, "crops", 48)


def _film(name: str) -> npt.NDArray[np.uint8]:
    """The pixels of a mini-MIAS film: the last 1024x1024 bytes of its file."""
    content = (Path(os.environ["BCD_MIAS_DIR"]) / f"{name}.pgm").read_bytes()
    return np.frombuffer(content[-1024 * 1024 :], dtype=np.uint8).reshape(1024, 1024)


def _expected() -> Counter[tuple[str, int]]:
    """Kind and class of every row whose square of side 2r has no blank row or column."""
    found: Counter[tuple[str, int]] = Counter()
    rows = set((Path(os.environ["BCD_MIAS_DIR"]) / "Info.txt").read_text(errors="replace").splitlines())
    for words in (row.split() for row in rows if row.startswith("mdb")):
        if words[2] == "NORM":
            found["NORM", 0] += 1
        elif words[4:] and words[4].isdigit():
            x, y, r = map(int, words[4:7])
            square = np.pad(_film(words[0]), 200)[1223 - y - r : 1224 - y + r, 200 + x - r : 201 + x + r]
            if max((square == 0).mean(axis=axis).max() for axis in (0, 1)) < 1:
                found[words[2], "BM".index(words[3]) + 1] += 1
    return found


def test_one_crop_of_every_usable_row(crops: list[PaperCrop]) -> None:
    assert Counter((crop.kind, crop.label) for crop in crops) == _expected()


def test_no_normal_crop_is_cut_by_the_border_of_its_film(crops: list[PaperCrop]) -> None:
    for crop in crops:
        if not crop.label:
            # A blank line within a film (mdb311) is no border.
            edges = (crop.pixels[0], crop.pixels[-1], crop.pixels[:, 0], crop.pixels[:, -1])
            assert all(edge.any() for edge in edges), crop.film


def test_calcifications_of_the_development_films(crops: list[PaperCrop]) -> None:
    if sum(crop.kind == "NORM" for crop in crops) != 164:
        pytest.skip("not the 254 development films")
    calcifications: CropSet = select(crops, "calcification")
    assert np.bincount(calcifications.labels).tolist() == [11, 8]
