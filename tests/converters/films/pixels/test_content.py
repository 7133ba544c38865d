"""What pixels alone tell: a page of text and a mask are no films, and films are none of both."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from bcd_model.reasons import Reason
from converters.films.pixels.content import MASK, PAGE, why_mask, why_page
from converters.films.pixels.stored import StoredPixels
from tests.support.mammograms import breast
from tests.support.pages import page

MIAS = os.environ.get("BCD_MIAS_DIR")


def stored(values: npt.NDArray[np.integer], bits: int = 8) -> StoredPixels:
    return StoredPixels(values, bits)


def why_no_film(pixels: StoredPixels) -> Reason | None:
    """Shown by the full range of its values."""
    low, high = int(pixels.values.min()), int(pixels.values.max())
    shown = (pixels.values.astype(np.float32) - low) / max(1, high - low)
    return why_mask(pixels) or why_page(pixels, shown)


@settings(max_examples=40, deadline=None)
@given(st.integers(11, 24), st.booleans(), st.sampled_from([8, 12, 16]))
def test_a_page_of_text_is_no_film(size: int, dark: bool, bits: int) -> None:
    pixels = page(size=size, lines=round(840 / (1.4 * size)), dark=dark)
    if bits > 8:
        pixels = (pixels.astype(np.uint16) << (bits - 8)).astype(np.uint16)
    assert why_no_film(stored(pixels, bits)) == PAGE


@given(st.integers(2, 7))
def test_a_mask_is_no_film(values: int) -> None:
    rows = np.linspace(0, values - 1, 128).round().astype(np.uint8)
    assert why_no_film(stored(np.tile(rows, (128, 1)))) == MASK


@given(st.integers(0, 60), st.sampled_from([8, 12]))
def test_a_breast_is_no_page(number: int, bits: int) -> None:
    assert why_no_film(stored(breast(256, 200, bits=bits, number=number), bits)) is None


def test_a_film_of_one_value_is_called_blank_by_others() -> None:
    assert why_no_film(stored(np.full((64, 64), 7, np.uint8))) is None


def test_a_digital_film_far_from_its_air_is_no_page() -> None:
    """Its values are 0 or far above; speckled where tissue ends. The window shows what lies between them."""
    pixels = breast(256, 200, bits=12).astype(np.int32)
    speckled = np.random.default_rng(3).random(pixels.shape) < 0.2
    values = np.where((pixels < 600) | (speckled & (pixels < 1700)), 0, 3000 + pixels // 8).astype(np.uint16)
    film = stored(values, 12)
    assert why_page(film, np.clip((values.astype(np.float32) - 3000) / 512, 0, 1)) is None


@pytest.mark.parametrize("kind", [np.uint16, np.int16])
def test_bits_above_those_of_the_image_make_no_page(kind: type[np.integer]) -> None:
    pixels = breast(256, 200, bits=12)
    striped = (pixels | np.where(np.arange(200) % 2, 0x8000, 0)).astype(np.uint16).view(kind)
    assert why_no_film(stored(striped, 12)) is None


@pytest.mark.skipif(not MIAS, reason="BCD_MIAS_DIR does not name the mini-MIAS films")
def test_no_film_of_mias_is_a_page() -> None:
    films = sorted(Path(MIAS or "").glob("*.pgm"))[::4]
    assert films
    named = {path.name: why_no_film(stored(np.asarray(Image.open(path)))) for path in films}
    assert {name for name, reason in named.items() if reason} == set()
