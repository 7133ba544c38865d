"""What of the real films is usable, by another reading of Info.txt."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from bcd_model.paper.inputs import CropSet, prepare, select
from bcd_model.patches import PaperCrop
from converters.mias import read_collection

pytestmark = [
    pytest.mark.films,
    pytest.mark.skipif("BCD_MIAS_DIR" not in os.environ, reason="BCD_MIAS_DIR names no mini-MIAS films"),
]


@pytest.fixture(scope="module")
def crops() -> list[PaperCrop]:
    return prepare(read_collection(Path(os.environ["BCD_MIAS_DIR"])).films, "crops", 48)


def _expected() -> Counter[tuple[str, int]]:
    """Kind and class of every row whose square of side 2r lies in the film of 1024x1024."""
    found: Counter[tuple[str, int]] = Counter()
    rows = set((Path(os.environ["BCD_MIAS_DIR"]) / "Info.txt").read_text(errors="replace").splitlines())
    for words in (row.split() for row in rows if row.startswith("mdb")):
        if words[2] == "NORM":
            found["NORM", 0] += 1
        elif words[4:] and words[4].isdigit():
            x, y, r = map(int, words[4:7])
            if min(x, y) - r >= -0.5 and x + r <= 1023.5 and y + r <= 1023.5:
                found[words[2], "BM".index(words[3]) + 1] += 1
    return found


def test_one_crop_of_every_usable_row(crops: list[PaperCrop]) -> None:
    assert Counter((crop.kind, crop.label) for crop in crops) == _expected()


def test_calcifications_of_the_development_films(crops: list[PaperCrop]) -> None:
    if sum(crop.kind == "NORM" for crop in crops) != 164:
        pytest.skip("not the 254 development films")
    calcifications: CropSet = select(crops, "calcification")
    assert np.bincount(calcifications.labels).tolist() == [11, 8]
