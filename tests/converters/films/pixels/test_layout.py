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
from pydicom.uid import UID, JPEGLSLossless, RLELossless

from bcd_model.errors import FilmError
from converters.films.pixels import layout
from converters.films.read import read_film
from converters.mias.pgm import read_graymap

MakeFilm = Callable[..., FileDataset]
ROWS, COLUMNS = 240, 180


def picture(seed: int, rows: int = ROWS, columns: int = COLUMNS, top: int = 4095) -> npt.NDArray[np.uint16]:
    """A half disc of tissue on a dark ground, with structure and noise."""
    rng = np.random.default_rng(seed)
    row, column = np.mgrid[:rows, :columns]
    inside = np.hypot((row - rows / 2) / (rows / 2), column / columns) < 0.9
    structure = np.cumsum(np.cumsum(rng.normal(size=(rows, columns)), axis=0), axis=1)
    structure = (structure - structure.min()) / np.ptp(structure)
    values = np.where(inside, (0.1 + 0.8 * structure) * top, 0.01 * top) + rng.normal(
        0, top / 200, (rows, columns)
    )
    return values.clip(0, top).astype(np.uint16)


OTHER_SHAPES = [
    (COLUMNS, ROWS),
    (ROWS * 2, COLUMNS // 2),
    (ROWS // 2, COLUMNS * 2),
    (ROWS * 3, COLUMNS // 3),
    (ROWS * 4 // 5, COLUMNS * 5 // 4),
    (ROWS * 3 // 4, COLUMNS * 4 // 3),
]


def is_refused(film: FileDataset, path: Path, why: str) -> None:
    film.save_as(path)
    with pytest.raises(FilmError, match=why):
        read_film(path)


@pytest.mark.parametrize("compressed", [False, True], ids=["native", "RLE"])
@pytest.mark.parametrize("shape", OTHER_SHAPES, ids=str)
def test_kind_11_pixels_of_another_shape_are_not_sheared(
    make_film: MakeFilm, tmp_path: Path, shape: tuple[int, int], compressed: bool
) -> None:
    film = make_film(picture(1), BitsStored=12, ImagerPixelSpacing=[0.4, 0.4])
    if compressed:
        compress(film, RLELossless)
    film.Rows, film.Columns = shape
    why = f"do not lie in {shape[0]} rows of {shape[1]}.*rows of {COLUMNS}|too oblong"
    is_refused(film, tmp_path / "film.dcm", why)


@pytest.mark.parametrize("by", [-5, -1, 1, 2, 6])
def test_kind_11_a_row_is_not_a_few_pixels_longer(make_film: MakeFilm, tmp_path: Path, by: int) -> None:
    """255 x 257 pixels take one byte less than 256 x 256, which padding hides."""
    columns = 256 + by
    rows = 256 * 256 // columns
    flat = picture(1, 256, 256, top=255).astype(np.uint8).reshape(-1)[: rows * columns]
    film = make_film(np.ascontiguousarray(flat).reshape(rows, columns), ImagerPixelSpacing=[0.4, 0.4])
    is_refused(film, tmp_path / "film.dcm", f"{rows} rows of {columns}, but rather in rows of 256")


def test_kind_11_two_pixels_are_not_taken_for_one(make_film: MakeFilm, tmp_path: Path) -> None:
    bytes_of_pixels = picture(1, 256, 256, top=255).astype(np.uint8)
    film = make_film(bytes_of_pixels.view("<u2"), ImagerPixelSpacing=[0.8, 0.4])
    is_refused(film, tmp_path / "film.dcm", "they have 8 bits and not 16")


def test_kind_11_two_bytes_are_not_taken_for_two_pixels(make_film: MakeFilm, tmp_path: Path) -> None:
    film = make_film(picture(1).view(np.uint8), ImagerPixelSpacing=[0.4, 0.4])
    is_refused(film, tmp_path / "film.dcm", "other bits than 8")


def test_kind_11_bytes_that_have_changed_places(make_film: MakeFilm, tmp_path: Path) -> None:
    film = make_film((picture(1) * 16).byteswap(), ImagerPixelSpacing=[0.4, 0.4])
    is_refused(film, tmp_path / "film.dcm", "bytes of its pixels have changed places")


@pytest.mark.parametrize("syntax", [None, JPEGLSLossless], ids=["native", "JPEG-LS"])
@pytest.mark.parametrize("stated", [0, 1], ids=["stated as unsigned", "stated as signed"])
@pytest.mark.parametrize("bits", [8, 12, 16])
def test_kind_11_pixels_of_the_other_sign(
    make_film: MakeFilm, tmp_path: Path, bits: int, stated: int, syntax: UID | None
) -> None:
    """Tissue beyond the middle of the range would be black, or the background white."""
    true = picture(2, top=(1 << bits) - 1).astype(np.uint8 if bits == 8 else np.uint16)
    if not stated:
        true = (true.astype(np.int64) - (1 << (bits - 2))).astype(true.dtype) & np.array(
            (1 << bits) - 1, true.dtype
        )
    film = make_film(true, BitsStored=bits, ImagerPixelSpacing=[0.4, 0.4])
    if syntax is not None:
        compress(film, syntax)
    film.PixelRepresentation = stated
    is_refused(film, tmp_path / "film.dcm", "Pixel Representation is not|take more than")


@pytest.mark.parametrize("bits", [9, 10])
def test_kind_11_values_deeper_than_bits_stored_do_not_wrap_around(
    make_film: MakeFilm, tmp_path: Path, bits: int
) -> None:
    film = make_film(picture(1), BitsStored=bits, ImagerPixelSpacing=[0.4, 0.4])
    is_refused(film, tmp_path / "film.dcm", f"more than the {bits} bits of Bits Stored")


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


def why(stored: npt.NDArray[np.integer], bits: int) -> str | None:
    found = layout.why_other_size(stored, bits)
    return found or ("sign" if layout.has_other_sign(stored, bits) else None)


@given(seed=st.integers(0, 2**32 - 1), rows=st.integers(64, 400), columns=st.integers(64, 400))
@settings(max_examples=60, deadline=None)
def test_a_picture_fits_its_own_rows_and_no_others(seed: int, rows: int, columns: int) -> None:
    values = picture(seed, rows, columns)
    assert why(values, 12) is None
    if abs(rows - columns) > 20:
        assert why(values.reshape(columns, rows), 12) is not None


@pytest.mark.parametrize("every", [0, 1], ids=["rows", "columns"])
def test_a_detector_whose_lines_differ_is_no_other_size(every: int) -> None:
    """Every second line is 2 % brighter, as where two amplifiers take turns."""
    values = picture(1).astype(np.float64)
    np.moveaxis(values, every, 0)[::2] *= 1.02
    assert why(values.clip(0, 4095).astype(np.uint16), 12) is None


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("offset", "gain"), [(160, 1.0), (-100, 1.0), (0, 1.04), (0, 0.92)])
def test_odd_columns_may_have_an_amplifier_of_their_own(offset: int, gain: float, seed: int) -> None:
    """As CCD digitisers have them: each pixel is then more like the next but one than like the next."""
    smooth = picture(seed).astype(float).repeat(2, axis=0).repeat(2, axis=1)
    smooth = (smooth + np.roll(smooth, 1, axis=1) + np.roll(smooth, 1, axis=0)) / 3
    smooth[:, 1::2] = smooth[:, 1::2] * gain + offset
    assert layout.why_other_size(smooth.clip(0, 4095).astype(np.uint16), 12) is None


def test_a_picture_that_runs_slantwise_is_not_sheared() -> None:
    row, column = np.mgrid[:200, :160]
    inside = np.hypot((row - 100) / 90, (column - 80) / 70) < 1
    for values in (10 * row + 10 * column, 30 * ((row * 7 + column * 7) % 41)):
        assert why(np.where(inside, values, 0).astype(np.uint16), 12) is None


def test_8_bits_scaled_to_16_are_16_bits() -> None:
    values = picture(1, top=255)
    assert why(values * 257, 16) is None


@pytest.mark.parametrize("odd", ["a border", "padding", "one less"])
def test_8_bits_scaled_to_16_with_something_else_in_the_file(odd: str) -> None:
    pixels = picture(3, top=255).astype(np.uint16) * 257
    if odd == "one less":
        pixels = pixels - (pixels > 0)
    else:
        pixels[:20] = 1 if odd == "a border" else 0x8000
    assert layout.why_other_size(pixels.astype(np.uint16), 16) is None


def test_white_on_black_is_no_other_sign() -> None:
    """Letters and a border jump from the lowest value to the highest."""
    values = picture(1, top=255).astype(np.uint8)
    values[values < 20] = 0
    values[10:30:2, 130:170] = 255
    values[:2], values[-2:] = 255, 255
    assert why(values, 8) is None


@pytest.mark.films
@pytest.mark.skipif("BCD_MIAS_DIR" not in os.environ, reason="BCD_MIAS_DIR is not set: no mini-MIAS films")
def test_each_film_of_mias_fits_and_no_false_reading_of_one_in_four_does() -> None:
    paths = sorted(Path(os.environ["BCD_MIAS_DIR"]).rglob("*.pgm"))
    assert paths
    for index, path in enumerate(paths):
        film = read_graymap(path).pixels
        assert why(film, 8) is None, path.name
        if index % 4:
            continue
        false = [film.reshape(-1)[: rows * columns].reshape(rows, columns) for rows, columns in FALSE]
        false += [film.view("<u2"), film.view(np.int8)]
        for number, each in enumerate(false):
            assert why(each, 8 * each.itemsize) is not None, (path.name, number)


FALSE = [(512, 2048), (2048, 512), (1023, 1025), (1025, 1023), (1020, 1028)]


@pytest.mark.parametrize("make", [np.zeros, np.ones])
def test_a_flat_picture_fits(make: Callable[..., npt.NDArray[np.uint16]]) -> None:
    assert why(make((64, 128), dtype=np.uint16), 8) is None


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
    why(values.view(np.int16) if signed else values, bits)
