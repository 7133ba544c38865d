"""JPEG Lossless and JPEG of 12 bits: every kind of them comes out as it went in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom.uid import JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLossless, JPEGLosslessSV1

from bcd_model.errors import FilmError
from converters.films.pixels.stored import NO_END
from converters.films.read import read_film
from tests.support import jpegs
from tests.support.codestreams import film_of, low_bits, picture, saved, stored_in, with_stream


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("signed", [False, True], ids=["unsigned", "signed"])
def test_selection_value_1_of_every_depth(bits: int, signed: bool, tmp_path: Path) -> None:
    pixels = picture(bits, signed=signed)
    stream = jpegs.lossless(pixels.astype(np.int64) & ((1 << bits) - 1), bits)
    path = saved(with_stream(film_of(pixels, bits), JPEGLosslessSV1, stream), tmp_path / "film.dcm")
    stored = stored_in(path)
    np.testing.assert_array_equal(low_bits(stored), pixels)
    plain = read_film(saved(film_of(pixels, bits), tmp_path / "plain.dcm"))
    read = read_film(path)
    np.testing.assert_array_equal(read.film.pixels, plain.film.pixels)
    assert read.pixel_digest == plain.pixel_digest
    assert read.film.warnings == plain.film.warnings


@pytest.mark.parametrize("predictor", range(2, 8))
@pytest.mark.parametrize("bits", [12, 16])
def test_process_14_with_every_predictor(predictor: int, bits: int, tmp_path: Path) -> None:
    pixels = picture(bits, rows=97, columns=81)
    stream = jpegs.lossless(pixels, bits, predictor=predictor)
    path = saved(with_stream(film_of(pixels, bits), JPEGLossless, stream), tmp_path / "film.dcm")
    np.testing.assert_array_equal(low_bits(stored_in(path)), pixels)


def test_restart_markers_are_gone_over(tmp_path: Path) -> None:
    pixels = picture(12)
    stream = jpegs.lossless(pixels, 12, restart=8)
    path = saved(with_stream(film_of(pixels, 12), JPEGLosslessSV1, stream), tmp_path / "film.dcm")
    np.testing.assert_array_equal(low_bits(stored_in(path)), pixels)


def test_noise_of_all_16_bits(tmp_path: Path) -> None:
    """Differences of more than 15 bits, which wrap around."""
    pixels = np.random.default_rng(1).integers(0, 1 << 16, (64, 64)).astype(np.uint16)
    stream = jpegs.lossless(pixels, 16)
    film = with_stream(film_of(pixels, 16), JPEGLosslessSV1, stream)
    np.testing.assert_array_equal(stored_in(saved(film, tmp_path / "film.dcm")).values, pixels)


@pytest.mark.parametrize("signed", [False, True], ids=["unsigned", "signed"])
def test_jpeg_extended_of_12_bits(signed: bool, tmp_path: Path) -> None:
    pixels = picture(12, signed=signed)
    stream = jpegs.extended(pixels.astype(np.int64) & 0xFFF)
    path = saved(with_stream(film_of(pixels, 12), JPEGExtended12Bit, stream), tmp_path / "film.dcm")
    if signed:  # 0 and -1 are the ends of its range, and change places where the loss passes them
        assert np.percentile(np.abs(low_bits(stored_in(path)) - pixels), 90) <= 3
    else:
        np.testing.assert_allclose(low_bits(stored_in(path)), pixels, atol=3)


@pytest.mark.parametrize("restart", [0, 8])
@pytest.mark.parametrize("part", [0.3, 0.9, 0.99])
@pytest.mark.parametrize("end", [b"", b"\xff\xd9"], ids=["open", "closed"])
@pytest.mark.parametrize("kind", ["lossless", "extended"])
def test_what_is_cut_short_is_no_film(
    kind: str, end: bytes, part: float, restart: int, tmp_path: Path
) -> None:
    """A decoder fills in what is missing, with a constant."""
    pixels = picture(12)
    whole = jpegs.lossless(pixels, 12, restart=restart) if kind == "lossless" else jpegs.extended(pixels)
    stream = whole[: int(part * len(whole))] + end
    film = with_stream(
        film_of(pixels, 12), JPEGLosslessSV1 if kind == "lossless" else JPEGExtended12Bit, stream
    )
    with pytest.raises(FilmError) as caught:
        read_film(saved(film, tmp_path / "film.dcm"))
    assert caught.value.reason.code in ("cut-short", "compressed-image")


@pytest.mark.parametrize("kind", ["lossless", "extended", "baseline"])
def test_only_the_end_marker_is_missing(kind: str, tmp_path: Path) -> None:
    bits = 8 if kind == "baseline" else 12
    pixels = picture(bits)
    stream = jpegs.lossless(pixels, bits) if kind == "lossless" else jpegs.extended(pixels, bits)
    syntax = {"lossless": JPEGLosslessSV1, "extended": JPEGExtended12Bit, "baseline": JPEGBaseline8Bit}[kind]
    path = saved(with_stream(film_of(pixels, bits), syntax, stream[:-2]), tmp_path / "film.dcm")
    stored = stored_in(path)
    np.testing.assert_allclose(low_bits(stored), pixels, atol=3)
    assert stored.remarks == (NO_END,)


def test_pixels_of_one_depth_in_a_header_of_another(tmp_path: Path) -> None:
    """The codestream's bits are believed where the picture takes them; else those above are no tissue."""
    pixels = (20 * np.add.outer(np.arange(96), np.arange(80))).astype(np.uint16)
    stream = jpegs.lossless(pixels, 12)
    film = with_stream(film_of(pixels, 10), JPEGLosslessSV1, stream)
    stored = stored_in(saved(film, tmp_path / "film.dcm"))
    assert (stored.bits, len(stored.remarks)) == (12, 1)
    overlaid = pixels | np.where(np.indices(pixels.shape).sum(axis=0) % 9 == 0, 0x8000, 0).astype(np.uint16)
    film = with_stream(film_of(pixels, 12), JPEGLosslessSV1, jpegs.lossless(overlaid, 16))
    stored = stored_in(saved(film, tmp_path / "film.dcm"))
    assert stored.bits == 12
    np.testing.assert_array_equal(low_bits(stored), pixels)
