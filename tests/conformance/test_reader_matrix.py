"""The reader matrix: one known picture in every transfer syntax, read here and by another's reader."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.encaps import generate_frames
from pydicom.uid import JPEG2000, JPEG2000Lossless, JPEGBaseline8Bit, JPEGExtended12Bit

from converters.films.read import read_film
from tests.conformance.reader_matrix import DCMTK, OPENJPH, Combination, combinations, make, pixels, plain
from tests.support.codestreams import htj2k_12, low_bits, stored_in
from tests.support.mammograms import breast, encoded
from tests.support.second_decoders import by_dcmtk, by_openjph, is_there, native

MATRIX = list(combinations())
REFUSED: dict[str, str] = {}
"""Combinations that are not read, with the reason's code: none."""
_READERS = {"dcmcjpeg": "dcmdjpeg", "dcmcjpls": "dcmdjpls", "dcmcrle": "dcmdrle"}

pytestmark = pytest.mark.debian


def test_the_matrix_has_every_value_of_every_axis() -> None:
    assert len(MATRIX) >= 80
    assert len(set(map(str, MATRIX))) == len(MATRIX)
    assert len({each.syntax for each in MATRIX}) == 17
    assert {each.bits for each in MATRIX} == {8, 10, 12, 14, 16}
    for axis in ("photometric", "signed", "lut"):
        values = {getattr(each, axis) for each in MATRIX}
        for syntax in {each.syntax for each in MATRIX if not each.loss}:
            met = {getattr(each, axis) for each in MATRIX if each.syntax == syntax}
            assert met == values, (syntax.name, axis)
    assert len(REFUSED) <= len(MATRIX) // 10


@pytest.mark.parametrize("combination", MATRIX, ids=str)
def test_the_picture_comes_out_as_it_went_in(combination: Combination, tmp_path: Path) -> None:
    missing = [tool for tool in combination.tools if not is_there(tool)]
    if missing:
        pytest.skip(f"{missing[0]} is not installed")
    path = make(combination, tmp_path)
    true = pixels(combination.bits, combination.signed)
    stored = stored_in(path)
    assert stored.remarks == ()
    np.testing.assert_allclose(low_bits(stored), true, atol=combination.loss)
    plain_path = tmp_path / "plain.dcm"
    plain_path.write_bytes(encoded(plain(combination)))
    shown, plainly = read_film(path).film.pixels, read_film(plain_path).film.pixels
    if not combination.loss:
        np.testing.assert_array_equal(shown, plainly)
    elif combination.lut not in ("VOI LUT", "modality LUT"):  # those are steep at black
        np.testing.assert_allclose(shown, plainly, atol=3 * combination.loss / (1 << combination.bits))
    other = second_reading(combination, path)
    if other is not None:
        mask = (1 << combination.bits) - 1
        np.testing.assert_allclose(
            low_bits(stored) & mask, other.astype(np.int64) & mask, atol=2 if combination.loss else 0
        )


def test_the_kept_codestream_is_the_picture() -> None:
    """The one High-Throughput JPEG 2000 image that the tests have where no encoder of it is."""
    if not is_there("ojph_expand"):
        pytest.skip("ojph_expand is not installed")
    np.testing.assert_array_equal(by_openjph(htj2k_12()), breast(bits=12))


def second_reading(combination: Combination, path: Path) -> np.ndarray | None:
    """The stored values by a reader that shares no decoder with the product; None if there is none."""
    syntax = combination.syntax
    if syntax in DCMTK or syntax in (JPEGBaseline8Bit, JPEGExtended12Bit):
        return by_dcmtk(path, _READERS[DCMTK.get(syntax, ("dcmcjpeg",))[0]])
    if syntax in OPENJPH or syntax in (JPEG2000, JPEG2000Lossless):
        # OpenJPH reads JPEG 2000 of Part 15 alone.
        stream = next(generate_frames(pydicom.dcmread(path).PixelData, number_of_frames=1))
        return by_openjph(stream) if syntax in OPENJPH else None
    return native(path) if not syntax.is_encapsulated else None
