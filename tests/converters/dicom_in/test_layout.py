"""Rows, Columns and Bits Stored that are not those of the pixels: the file fails, no picture is sheared."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import FileDataset
from pydicom.pixels import compress
from pydicom.uid import RLELossless

from bcd_model.errors import FilmError
from converters import layout
from converters.dicom_in import read_film
from converters.pgm import read_pgm

MakeFilm = Callable[..., FileDataset]
SaveFilm = Callable[..., Path]
ROWS, COLUMNS = 240, 180


def picture(seed: int, rows: int = ROWS, columns: int = COLUMNS, top: int = 4095) -> npt.NDArray[np.uint16]:
    """A half disc of tissue on a dark ground, with structure and noise."""
    rng = np.random.default_rng(seed)
    row, column = np.mgrid[:rows, :columns]
    inside = np.hypot((row - rows / 2) / (rows / 2), column / columns) < 0.9
    structure = np.cumsum(np.cumsum(rng.normal(size=(rows, columns)), axis=0), axis=1)
    structure = (structure - structure.min()) / np.ptp(structure)
    values = np.where(inside, (0.3 + 0.6 * structure) * top, 0.01 * top) + rng.normal(
        0, top / 200, (rows, columns)
    )
    return values.clip(0, top).astype(np.uint16)


def as_if(film: FileDataset, shape: tuple[int, int]) -> FileDataset:
    film.Rows, film.Columns = shape
    return film


OTHER_SHAPES = [
    (COLUMNS, ROWS),
    (ROWS * 2, COLUMNS // 2),
    (ROWS // 2, COLUMNS * 2),
    (ROWS * 3, COLUMNS // 3),
    (ROWS // 4, COLUMNS * 4),
]


@pytest.mark.parametrize("compressed", [False, True], ids=["native", "RLE"])
@pytest.mark.parametrize("shape", OTHER_SHAPES, ids=str)
def test_kind_11_pixels_of_another_shape_are_not_sheared(
    make_film: MakeFilm, save_film: SaveFilm, tmp_path: Path, shape: tuple[int, int], compressed: bool
) -> None:
    film = make_film(picture(1), BitsStored=12, ImagerPixelSpacing=[0.4, 0.4])
    if compressed:
        compress(film, RLELossless)
    path = tmp_path / "film.dcm"
    as_if(film, shape).save_as(path)
    with pytest.raises(
        FilmError, match=f"do not lie in {shape[0]} rows of {shape[1]}.*rows of {COLUMNS}|too oblong"
    ):
        read_film(path)


@pytest.mark.parametrize("bits", [9, 10])
def test_kind_11_values_deeper_than_bits_stored_do_not_wrap_around(
    make_film: MakeFilm, tmp_path: Path, bits: int
) -> None:
    film = make_film(picture(1), BitsStored=bits, ImagerPixelSpacing=[0.4, 0.4])
    film.save_as(tmp_path / "film.dcm")
    with pytest.raises(FilmError, match=f"more than the {bits} bits of Bits Stored"):
        read_film(tmp_path / "film.dcm")


@pytest.mark.parametrize("above", ["overlay", "padding", "garbage", "all set"])
def test_what_lies_above_the_image_is_not_taken_for_it(
    make_film: MakeFilm, tmp_path: Path, above: str
) -> None:
    """Overlays lay there in former editions (retired: PS3.5 8.1.2), as do values for padding."""
    values = picture(1)
    changed = values.copy()
    if above == "overlay":
        changed[100:104, 20:90] |= 1 << 15
    elif above == "padding":
        changed[:, -20:] = 0xFFFF
    elif above == "garbage":
        changed |= np.random.default_rng(2).integers(0, 16, values.shape).astype(np.uint16) << 12
    else:
        changed |= 0xF000
    film = make_film(changed, BitsStored=12, ImagerPixelSpacing=[0.4, 0.4])
    film.save_as(tmp_path / "film.dcm")
    assert read_film(tmp_path / "film.dcm").film.shape == values.shape


@given(seed=st.integers(0, 2**32 - 1), rows=st.integers(64, 400), columns=st.integers(64, 400))
@settings(max_examples=60, deadline=None)
def test_a_picture_fits_its_own_rows_and_no_others(seed: int, rows: int, columns: int) -> None:
    values = picture(seed, rows, columns)
    assert layout.better_width(values) is None
    assert not layout.wraps(values, 12)
    if abs(rows - columns) > 2:
        assert layout.better_width(values.reshape(columns, rows)) == columns


@pytest.mark.skipif("BCD_MIAS_DIR" not in os.environ, reason="BCD_MIAS_DIR is not set: no mini-MIAS films")
def test_each_film_of_mias_fits_and_no_sheared_one_does() -> None:
    paths = sorted(Path(os.environ["BCD_MIAS_DIR"]).rglob("*.pgm"))
    assert paths
    for path in paths:
        film = read_pgm(path)[:, :816]
        rows, columns = film.shape
        assert layout.better_width(film) is None, path.name
        for shape in [(columns, rows), (rows * 2, columns // 2), (rows // 2, columns * 2)]:
            assert layout.better_width(film.reshape(shape)) == columns, path.name


@pytest.mark.parametrize("make", [np.zeros, np.ones])
def test_a_flat_picture_fits(make: Callable[..., npt.NDArray[np.uint16]]) -> None:
    flat = make((64, 128), dtype=np.uint16)
    assert layout.better_width(flat) is None
    assert not layout.wraps(flat, 8)


@given(
    seed=st.integers(0, 2**32 - 1),
    shape=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    bits=st.integers(1, 16),
    signed=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_noise_and_the_smallest_pictures_are_judged_without_an_error(
    seed: int, shape: tuple[int, int], bits: int, signed: bool
) -> None:
    values = np.random.default_rng(seed).integers(0, 1 << 16, shape).astype(np.uint16)
    stored = values.view(np.int16) if signed else values
    layout.better_width(stored)
    layout.wraps(stored, bits)
    if bits == 16:
        assert not layout.wraps(stored, bits)
