"""The pictures of README and tutorial show what the shipped weights find, and are as they were drawn."""

from __future__ import annotations

import hashlib
import json

import pytest
from PIL import Image

from bcd_model.weights import SHIPPED_DIGEST
from tests.docs.pictures import MADE_FROM, README_PICTURES, TUTORIAL_PICTURES

README_MOST = 300_000  # bytes


@pytest.mark.parametrize("folder", [README_PICTURES, TUTORIAL_PICTURES], ids=lambda folder: folder.name)
def test_pictures_are_of_the_weights_that_ship(folder):
    """Not so? Then they are older than the weights: ``make pictures pictures-slicer``."""
    said = json.loads((folder / MADE_FROM).read_text())
    assert said["weights"]["sha256"] == SHIPPED_DIGEST
    assert "phantom" in said["films"]
    assert said["pictures"] == {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.glob("*.png"))
    }


def test_picture_of_the_readme_is_small():
    path = README_PICTURES / "findings.png"
    assert path.stat().st_size < README_MOST
    with Image.open(path) as picture:
        assert min(picture.size) >= 600
