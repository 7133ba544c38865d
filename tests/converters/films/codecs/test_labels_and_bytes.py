"""Pixel Data that is not what its transfer syntax, its lengths or its High Bit say: read by its bytes."""

from __future__ import annotations

import struct
import zlib
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from pydicom.uid import (
    JPEG2000,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from bcd_model.errors import FilmError
from converters.dicom.bounds import INFLATED_BYTES
from converters.films.codecs.encoding import ENCAPSULATED_UNCOMPRESSED
from converters.films.codecs.frame import WRONG_LENGTH
from converters.films.pixels.stored import HIGH_BIT, NO_END
from converters.films.read import read_film
from converters.films.studies import find_studies
from tests.support import jpegs
from tests.support.codestreams import film_of, labelled, low_bits, picture, saved, stored_in, with_stream
from tests.support.film_tree import Element, FilmFile, encode, tree_of
from tests.support.mammograms import mammogram, recoded

BITS = 12
PIXELS = picture(BITS)
NATIVE = PIXELS.astype("<u2").tobytes()
ITEM, END = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0\0\0\0\0"
SYNTAXES = {
    "JPEG Lossless": JPEGLosslessSV1,
    "JPEG-LS": JPEGLSLossless,
    "JPEG 2000": JPEG2000Lossless,
    "RLE": RLELossless,
}


@cache
def stream(kind: str) -> bytes:
    """The picture's codestream."""
    if kind == "JPEG Lossless":
        return jpegs.lossless(PIXELS, BITS)
    if kind == "JPEG":
        return jpegs.extended(PIXELS)
    fragments = tree_of(recoded(mammogram(PIXELS.copy()), SYNTAXES[kind])).fragments
    assert fragments is not None
    return fragments[1]


def film() -> FilmFile:
    return film_of(PIXELS, BITS)


def is_read(path: Path, *remarks: str, atol: int = 0) -> None:
    """The film is the picture, and nothing is said of it but these."""
    stored = stored_in(path)
    np.testing.assert_allclose(low_bits(stored), PIXELS, atol=atol)
    assert [any(part in said for said in stored.remarks) for part in remarks] == [True] * len(remarks)
    assert len(stored.remarks) == len(remarks)
    found = find_studies([path])
    assert found.studies[0].films[0].reason is None
    assert set(stored.remarks) <= set(read_film(path).film.warnings)


# --- transfer syntax ---


@pytest.mark.parametrize("label", [ExplicitVRLittleEndian, *SYNTAXES.values(), JPEGExtended12Bit, JPEG2000])
@pytest.mark.parametrize("kind", [*SYNTAXES, "JPEG"])
def test_a_codestream_under_any_label_is_read_as_what_it_is(kind: str, label: UID, tmp_path: Path) -> None:
    path = saved(with_stream(film(), label, stream(kind)), tmp_path / "film.dcm")
    right = {SYNTAXES.get(kind, JPEGExtended12Bit), JPEG2000 if kind == "JPEG 2000" else ""}
    remarks = (
        () if label in right else (f"its pixels are {kind}, though its transfer syntax is {label.name}",)
    )
    is_read(path, *remarks, atol=3 if kind == "JPEG" else 0)


@pytest.mark.parametrize("label", [JPEGBaseline8Bit, *SYNTAXES.values(), UID("1.2.840.10008.1.2.4.100")])
@pytest.mark.parametrize("encapsulated", [False, True])
def test_uncompressed_pixels_under_the_label_of_a_codec(
    label: UID, encapsulated: bool, tmp_path: Path
) -> None:
    made = with_stream(film(), label, NATIVE) if encapsulated else labelled(film(), label)
    is_read(
        saved(made, tmp_path / "film.dcm"),
        f"its pixels are uncompressed, though its transfer syntax is {label.name}",
    )


def test_fragments_behind_a_stated_length(tmp_path: Path) -> None:
    made = with_stream(film(), JPEG2000Lossless, stream("JPEG 2000"))
    path = saved(made, tmp_path / "film.dcm")
    data = path.read_bytes()
    at = data.index(struct.pack("<HH", 0x7FE0, 0x0010)) + 8
    for label in (JPEG2000Lossless, ExplicitVRLittleEndian.ljust(len(JPEG2000Lossless), "\0")):
        again = data[:at] + struct.pack("<L", len(data) - at - 4) + data[at + 4 :]
        path.write_bytes(again.replace(JPEG2000Lossless.encode(), label.encode()))
        is_read(path, *([] if label == JPEG2000Lossless else ["its pixels are JPEG 2000"]))


@pytest.mark.parametrize("label", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGLosslessSV1])
def test_a_codestream_without_any_fragment(label: UID, tmp_path: Path) -> None:
    made = labelled(film(), label)
    made.syntax = label if label == ImplicitVRLittleEndian else ExplicitVRLittleEndian
    made.pixels = stream("JPEG Lossless")
    is_read(
        saved(made, tmp_path / "film.dcm"),
        "not encapsulated" if label == JPEGLosslessSV1 else "JPEG Lossless",
    )


def test_encapsulated_uncompressed(tmp_path: Path) -> None:
    is_read(saved(with_stream(film(), ENCAPSULATED_UNCOMPRESSED, NATIVE), tmp_path / "film.dcm"))
    halves = NATIVE[:5000], NATIVE[5000:]
    is_read(saved(with_stream(film(), ENCAPSULATED_UNCOMPRESSED, *halves), tmp_path / "film.dcm"))
    path = saved(with_stream(film(), ENCAPSULATED_UNCOMPRESSED, NATIVE[:-2]), tmp_path / "film.dcm")
    with pytest.raises(FilmError, match="cut short: 15358 of 15360 bytes"):
        read_film(path)


def test_what_is_none_of_these_is_named(tmp_path: Path) -> None:
    mpeg = UID("1.2.840.10008.1.2.4.100")
    path = saved(with_stream(film(), mpeg, b"\0\0\1\xb3" + bytes(200)), tmp_path / "film.dcm")
    with pytest.raises(FilmError, match="no decoder here for MPEG2"):
        read_film(path)
    progressive = stream("JPEG").replace(b"\xff\xc1", b"\xff\xc2")
    path = saved(with_stream(film(), JPEGExtended12Bit, progressive), path)
    with pytest.raises(FilmError, match="a progressive, arithmetic or hierarchical JPEG"):
        read_film(path)


# --- fragments and their end ---


def behind(made: FilmFile, end: bytes) -> bytes:
    """The file with ``end`` in place of the delimiter."""
    made.with_delimiter = False
    return encode(made) + end


@pytest.mark.parametrize(
    "end",
    [b"", bytes(4), bytes(8), bytes(512), b"\xfe\xff\x0d\xe0\0\0\0\0", b"\xfc\xff\xfc\xffOB\0\0\2\0\0\0\0\0"],
    ids=["none", "4 zeros", "8 zeros", "a block of zeros", "an item's", "padding"],
)
@pytest.mark.parametrize("kind", SYNTAXES)
def test_what_stands_in_place_of_the_delimiter(kind: str, end: bytes, tmp_path: Path) -> None:
    path = tmp_path / "film.dcm"
    path.write_bytes(behind(with_stream(film(), SYNTAXES[kind], stream(kind)), end))
    is_read(path)


@pytest.mark.parametrize("kind", ["JPEG Lossless", "JPEG-LS", "JPEG 2000"])
@pytest.mark.parametrize("wrong", [-300, -2, -1, 1, 2, 5000, 1 << 30])
def test_a_fragment_of_a_wrong_length(kind: str, wrong: int, tmp_path: Path) -> None:
    data = stream(kind) + bytes(len(stream(kind)) % 2)
    made = encode(with_stream(film(), SYNTAXES[kind], data))
    at = made.index(ITEM + struct.pack("<L", len(data)))
    path = tmp_path / "film.dcm"
    path.write_bytes(made[: at + 4] + struct.pack("<L", len(data) + wrong) + made[at + 8 :])
    is_read(path, WRONG_LENGTH)


def test_an_empty_last_fragment_and_a_missing_offset_table(tmp_path: Path) -> None:
    for kind, syntax in SYNTAXES.items():
        made = with_stream(film(), syntax, stream(kind)[:4000], stream(kind)[4000:], b"")
        is_read(saved(made, tmp_path / "film.dcm"))
    for parts in ((stream("JPEG-LS"),), (stream("JPEG-LS")[:1000], stream("JPEG-LS")[1000:])):
        made = with_stream(film(), JPEGLSLossless, *parts)
        assert made.fragments is not None
        del made.fragments[0]
        is_read(saved(made, tmp_path / "film.dcm"))


@pytest.mark.parametrize("kind", ["JPEG Lossless", "JPEG-LS", "JPEG 2000"])
def test_a_codestream_without_its_end_marker(kind: str, tmp_path: Path) -> None:
    data = stream(kind).rstrip(b"\0")
    assert data.endswith(b"\xff\xd9")
    is_read(saved(with_stream(film(), SYNTAXES[kind], data[:-2]), tmp_path / "film.dcm"), NO_END)


@pytest.mark.parametrize("part", [0.2, 0.7, 0.99])
@pytest.mark.parametrize("kind", [*SYNTAXES, "JPEG"])
@pytest.mark.parametrize("whole_file", [True, False])
def test_a_codestream_that_is_cut_is_never_a_film(
    kind: str, part: float, whole_file: bool, tmp_path: Path
) -> None:
    data = stream(kind)
    cut = data[: int(part * len(data))]
    made = with_stream(film(), SYNTAXES.get(kind, JPEGExtended12Bit), cut if whole_file else data)
    path = saved(made, tmp_path / "film.dcm")
    if not whole_file:
        path.write_bytes(path.read_bytes()[: len(cut) - len(data) - len(END)])
    with pytest.raises(FilmError) as caught:
        read_film(path)
    assert caught.value.reason.code in ("cut-short", "compressed-image")
    assert "convert" not in caught.value.reason.remedy  # nothing converts what is not there


# --- High Bit ---


def moved(values: npt.NDArray[np.integer], **elements: object) -> FilmFile:
    made = film_of(PIXELS, BITS, HighBit=15, **elements)
    made.pixels = values.astype("<u2").tobytes()
    return made


def test_bits_that_begin_above_the_lowest(tmp_path: Path) -> None:
    path = saved(moved(PIXELS << 4), tmp_path / "film.dcm")
    is_read(path)
    assert read_film(path).pixel_digest == read_film(saved(film(), tmp_path / "plain.dcm")).pixel_digest
    is_read(saved(moved(PIXELS), path), HIGH_BIT)
    rle = tree_of(recoded(mammogram((PIXELS << 4).astype(np.uint16), HighBit=15), RLELossless))
    is_read(saved(rle, path))


def test_signed_bits_that_begin_above_the_lowest(tmp_path: Path) -> None:
    pixels = picture(BITS, signed=True)
    for values, remarks in ((pixels.astype(np.uint16) << 4, ()), (pixels.astype(np.uint16), (HIGH_BIT,))):
        made = film_of(pixels, BITS, HighBit=15)
        made.pixels = values.astype("<u2").tobytes()
        stored = stored_in(saved(made, tmp_path / "film.dcm"))
        np.testing.assert_array_equal(low_bits(stored), pixels)
        assert stored.remarks == remarks


# --- deflated ---


def deflated(made: FilmFile) -> FilmFile:
    made.syntax = DeflatedExplicitVRLittleEndian
    return labelled(made, DeflatedExplicitVRLittleEndian)


def test_a_deflated_data_set_is_read(tmp_path: Path) -> None:
    is_read(saved(deflated(film()), tmp_path / "film.dcm"))
    compressed = with_stream(film(), JPEGLSLossless, stream("JPEG-LS"))
    is_read(saved(deflated(compressed), tmp_path / "film.dcm"), "its pixels are JPEG-LS")


@pytest.mark.parametrize("part", [0.9, 0.5])
def test_a_deflated_data_set_that_breaks_off(part: float, tmp_path: Path) -> None:
    path = saved(deflated(film()), tmp_path / "film.dcm")
    path.write_bytes(path.read_bytes()[: int(part * path.stat().st_size)])
    with pytest.raises(FilmError, match="cannot be inflated to its end"):
        read_film(path)


def test_a_deflated_data_set_inflates_within_a_bound(tmp_path: Path) -> None:
    """Its study and its UIDs are known all the same: what stands before the bomb."""
    made = deflated(film())
    made.put(Element(0x00091010, "OB", bytes(INFLATED_BYTES)))
    path = saved(made, tmp_path / "film.dcm")
    assert path.stat().st_size < INFLATED_BYTES // 500
    with pytest.raises(FilmError, match="its deflated data set takes more than"):
        read_film(path)
    (study,) = find_studies([path]).studies
    assert study.films[0].reason is not None


def test_deflated_noise_is_no_data_set(tmp_path: Path) -> None:
    data = saved(deflated(film()), tmp_path / "film.dcm").read_bytes()
    packed = zlib.compress(b"anything", 9, -15)
    at = data.index(b"1.2.840.10008.1.2.1.99") + len("1.2.840.10008.1.2.1.99")
    (tmp_path / "film.dcm").write_bytes(data[:at] + packed + bytes(100))
    with pytest.raises(FilmError):
        read_film(tmp_path / "film.dcm")
