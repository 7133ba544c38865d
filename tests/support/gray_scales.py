"""Headers that say how gray values are shown, and what is made of them."""

from __future__ import annotations

import numpy as np
from pydicom.dataset import Dataset

from converters.films.pixels.grayscale import to_unit_range

WINDOW = {"WindowCenter": 2048, "WindowWidth": 4096}
FILM = (np.add.outer(np.arange(200), np.arange(150)) * 11).astype(np.uint16)
"""A ramp of 12 bits, 0 to 3828."""


def header(bits: int = 8, signed: int = 0, **elements: object) -> Dataset:
    dataset = Dataset()
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated = 8 if bits == 8 else 16
    dataset.BitsStored = bits
    dataset.PixelRepresentation = signed
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return dataset


def lut(first: int, entries: list[int], bits: int) -> Dataset:
    item = Dataset()
    item.LUTDescriptor = [len(entries), first, bits]
    item.LUTData = entries
    item["LUTDescriptor"].VR = item["LUTData"].VR = "US"
    return item


def pixels(stored: np.ndarray, dataset: Dataset) -> np.ndarray:
    return to_unit_range(stored, dataset).pixels
