"""Labels that are not true: the bytes are believed, and the film is the same."""

from __future__ import annotations

import io
import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileDataset
from pydicom.tag import Tag
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from bcd_model.errors import FilmError
from converters.dicom.bounds import MemoryStream
from converters.dicom.data_elements import parse
from converters.dicom.file import read_dicom
from converters.films.facts import facts_digest
from converters.films.read import DicomFilm, read_film, why_unusable
from converters.films.studies import find_studies
from tests.support.odd_files import LONG, Label, as_file, elements, written
from tests.support.reasons import said

MakeFilm = Callable[..., FileDataset]

STORED = (np.add.outer(np.arange(64), np.arange(96)) * 25).astype(np.uint16)
SHORT = ("AE", "AS", "AT", "CS", "DA", "DS", "DT", "FD", "FL", "IS", "LO", "LT", "PN", "SH", "SL", "SS", "ST")
VRS = (*LONG, *SHORT, "TM", "UI", "UL", "US")
NEEDED = (
    "BitsAllocated",
    "BitsStored",
    "Columns",
    "HighBit",
    "ImageLaterality",
    "ImagerPixelSpacing",
    "Modality",
    "NumberOfFrames",
    "PatientID",
    "PatientName",
    "PhotometricInterpretation",
    "PixelData",
    "PixelRepresentation",
    "RescaleIntercept",
    "RescaleSlope",
    "Rows",
    "SOPClassUID",
    "SOPInstanceUID",
    "SamplesPerPixel",
    "StudyDate",
    "StudyInstanceUID",
    "ViewCodeSequence",
    "WindowCenter",
    "WindowWidth",
)


def deep_film(make_film: MakeFilm) -> FileDataset:
    """A film that uses each of the needed elements."""
    film = make_film(STORED, BitsStored=12, NumberOfFrames=1, RescaleSlope=2, RescaleIntercept=-100)
    film.WindowCenter, film.WindowWidth = [3900.5, 2000], [8000, 4000]
    film.ImagerPixelSpacing = [0.97, 0.98]
    film.StudyDate = "20240229"
    return film


def facts(film: DicomFilm) -> tuple[object, ...]:
    header = film.header
    patient = [str(header.get(keyword, "")) for keyword in ("PatientID", "PatientName", "StudyDate")]
    shown = film.film
    return (
        shown.pixels.tobytes(), shown.spacing, shown.laterality, shown.view, shown.sop_instance_uid,
        str(header.StudyInstanceUID), *patient,
    )  # fmt: skip


def read(data: bytes, tmp_path: Path) -> DicomFilm:
    path = tmp_path / "film.dcm"
    path.write_bytes(data)
    return read_film(path)


def parsed(data: bytes) -> tuple[object, ...]:
    """All that is read of a file but its pixels, and where these are, from the file's end."""
    found = parse(MemoryStream(data))
    pixels = found.pixel_data
    assert pixels is not None
    at = (len(data) - pixels.offset, pixels.length, pixels.whole)
    return (facts_digest(found.header), at, found.transfer_syntax, why_unusable(found))


@pytest.mark.parametrize("form", ["as the VR has it", "two bytes changed"])
@pytest.mark.parametrize("keyword", NEEDED)
def test_a_needed_element_is_read_whatever_vr_its_label_claims(
    make_film: MakeFilm, keyword: str, form: str
) -> None:
    film = deep_film(make_film)
    expected = parsed(as_file(written(film)))
    tag = Tag(keyword)
    (own,) = (vr for each, vr, _ in elements(film) if each == tag)
    long = own in LONG if form == "two bytes changed" else None
    labels = {vr: Label(vr.encode(), long) for vr in VRS}
    found = {vr: parsed(as_file(written(film, {tag: label}))) for vr, label in labels.items()}
    assert [vr for vr, each in found.items() if each != expected] == []


@pytest.mark.parametrize("vr", [b"??", b"--", b"\0\0", b"\6\0", b"ZZ", b"us", b"Us", b"\xff\xff", b"  "])
@pytest.mark.parametrize("keyword", NEEDED)
def test_a_needed_element_is_read_with_two_bytes_that_are_no_vr(
    make_film: MakeFilm, keyword: str, vr: bytes
) -> None:
    film = deep_film(make_film)
    tag = Tag(keyword)
    (own,) = (each for at, each, _ in elements(film) if at == tag)
    assert parsed(as_file(written(film, {tag: Label(vr, own in LONG)}))) == parsed(as_file(written(film)))


@pytest.mark.parametrize("vr", [b"??", b"ow", b"\0\0"])
def test_pixel_data_of_any_size_is_found_behind_two_bytes_that_are_no_vr(
    make_film: MakeFilm, tmp_path: Path, vr: bytes
) -> None:
    film = make_film(np.add.outer(np.arange(300), np.arange(400)).astype(np.uint16), BitsStored=12)
    expected = facts(read(as_file(written(film)), tmp_path))
    for rows in (300, 299):  # an odd number of words, too
        film.Rows = rows
        film.PixelData = film.PixelData[: rows * 800]
        expected = facts(read(as_file(written(film)), tmp_path))
        assert facts(read(as_file(written(film, {0x7FE00010: Label(vr, True)})), tmp_path)) == expected


@pytest.mark.skipif(shutil.which("dcmdump") is None, reason="needs dcmtk's dcmdump")
@pytest.mark.parametrize("vr", [b"??", b"us", b"--"])
def test_two_bytes_that_are_no_vr_are_read_as_dcmtk_reads_them(
    make_film: MakeFilm, tmp_path: Path, vr: bytes
) -> None:
    """dcmtk: "unknown VR, assuming 2 byte length field"."""
    path = tmp_path / "film.dcm"
    path.write_bytes(as_file(written(deep_film(make_film), {0x00280010: Label(vr, False)})))
    dump = subprocess.run(["dcmdump", "+P", "0028,0011", path], capture_output=True, text=True, check=True)
    assert " 96 " in dump.stdout
    header = read_dicom(path).header
    assert (header.Rows, header.Columns) == (64, 96)


# How the data set is written against what the file says


ENCODINGS = {
    ImplicitVRLittleEndian: (True, True),
    ExplicitVRLittleEndian: (False, True),
    ExplicitVRBigEndian: (False, False),
}


def data_set(film: FileDataset, syntax: str) -> bytes:
    implicit, little = ENCODINGS[UID(syntax)]
    alone, file = Dataset(), io.BytesIO()
    alone.update(film)
    if not little:
        alone.PixelData = STORED.astype(">u2").tobytes()
    pydicom.dcmwrite(file, alone, implicit_vr=implicit, little_endian=little)
    return file.getvalue()


@pytest.mark.parametrize("stated", [*ENCODINGS, DeflatedExplicitVRLittleEndian, ""])
@pytest.mark.parametrize("syntax", ENCODINGS)
def test_a_data_set_is_read_as_it_is_written(
    make_film: MakeFilm, tmp_path: Path, syntax: str, stated: str
) -> None:
    film = deep_film(make_film)
    expected = read(as_file(written(film)), tmp_path)
    found = read(as_file(data_set(film, syntax), stated), tmp_path)
    assert facts(found) == facts(expected)
    more = set(found.film.warnings) - set(expected.film.warnings)
    if stated in ("", syntax):
        assert more == set()
    else:
        assert more == {f"is written in {UID(syntax).name}, not in {UID(stated).name} as it says"}


@pytest.mark.parametrize("syntax", ENCODINGS)
@pytest.mark.parametrize("before", [b"", b"DICM", bytes(128), bytes(128) + b"DCM ", bytes(128) + b"DICM"])
def test_a_data_set_without_meta_information_is_read_behind_whatever_is_left_of_a_preamble(
    make_film: MakeFilm, tmp_path: Path, syntax: str, before: bytes
) -> None:
    film = deep_film(make_film)
    expected = facts(read(as_file(written(film)), tmp_path))
    assert facts(read(before + data_set(film, syntax), tmp_path)) == expected
    (study,) = find_studies([tmp_path]).studies
    assert [each.reason for each in study.films] == [None]


@pytest.mark.parametrize("before", [b"", bytes(128) + b"DICM"])
@pytest.mark.parametrize("vr", [b"??", b"us", b"\0\0"])
def test_a_data_set_alone_may_begin_with_an_element_without_a_vr(
    make_film: MakeFilm, tmp_path: Path, vr: bytes, before: bytes
) -> None:
    film = deep_film(make_film)
    expected = facts(read(as_file(written(film)), tmp_path))
    first = elements(film)[0][0]
    assert facts(read(before + written(film, {first: Label(vr, False)}), tmp_path)) == expected


@pytest.mark.parametrize("length", [0, 1, 10, 100_000, 0xFFFFFFFF])
def test_a_wrong_group_length_of_the_meta_information_does_no_harm(
    make_film: MakeFilm, tmp_path: Path, length: int
) -> None:
    film = deep_film(make_film)
    expected = facts(read(as_file(written(film)), tmp_path))
    found = read(
        as_file(data_set(film, ImplicitVRLittleEndian), ImplicitVRLittleEndian, group_length=length), tmp_path
    )
    assert facts(found) == expected


@pytest.mark.parametrize("defined", [True, False])
@pytest.mark.parametrize("kind", ["implicit in explicit", "explicit in implicit", "explicit in UN"])
def test_a_private_sequence_in_the_other_kind_of_vr_is_passed_over(
    make_film: MakeFilm, tmp_path: Path, kind: str, defined: bool
) -> None:
    film = deep_film(make_film)
    expected = facts(read(as_file(written(film)), tmp_path))
    inner = Dataset()
    inner.CodeValue, inner.PatientID, inner.Rows = "1", "not hers", 7
    inner_bytes = io.BytesIO()
    implicit = kind == "implicit in explicit"
    pydicom.dcmwrite(inner_bytes, inner, implicit_vr=implicit, little_endian=True)
    body = inner_bytes.getvalue()
    undefined, item, end = 0xFFFFFFFF, (0xFFFE, 0xE000), struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)
    item_end = struct.pack("<HHL", 0xFFFE, 0xE00D, 0)
    if defined:
        body = struct.pack("<HHL", *item, len(body)) + body
    else:
        body = struct.pack("<HHL", *item, undefined) + body + item_end + end
    length = struct.pack("<L", len(body) if defined else undefined)
    vr = b"" if kind == "explicit in implicit" else b"UN\0\0" if kind == "explicit in UN" else b"SQ\0\0"
    private = struct.pack("<HH", 0x0009, 0x1010) + vr + length + body
    syntax = ImplicitVRLittleEndian if kind == "explicit in implicit" else ExplicitVRLittleEndian
    whole = data_set(film, syntax)
    at = whole.index(struct.pack("<HH", 0x0010, 0x0010))
    assert facts(read(as_file(whole[:at] + private + whole[at:], syntax), tmp_path)) == expected


def test_a_header_that_leads_nowhere_is_said_to_be_unreadable(make_film: MakeFilm, tmp_path: Path) -> None:
    """It is whole, and states all that is missed: what cannot be read is said, and where it begins."""
    film = deep_film(make_film)
    whole = written(film)
    at = whole.index(struct.pack("<HH", 0x0010, 0x0010))
    broken = whole[:at] + whole[at : at + 4] + b"??" + struct.pack("<H", 999) + whole[at + 8 :]
    path = tmp_path / "film.dcm"
    path.write_bytes(as_file(broken))
    with pytest.raises(FilmError, match=r"its header cannot be read from \(0010,0010\) on; export it again"):
        read_film(path)


# Numbers in other forms


@pytest.mark.parametrize(
    ("keyword", "vr", "value"),
    [
        *(
            ("Rows", "IS", value)
            for value in (b"64", b"64 ", b"+64", b"64.0", b"6.4E1", b"64\\", b"\\64", b"64\0\0\0\0", b"64\n")
        ),
        ("Rows", "US", b"\x40\0\0\0"),
        ("Rows", "UL", b"\x40\0\0\0"),
        ("Rows", "OB", b"\x40\0\0\0"),
        ("Rows", "FD", struct.pack("<d", 64.0)),
        ("Rows", "FL", struct.pack("<f", 64.0)),
        ("ImagerPixelSpacing", "DS", b"0,97\\0,98"),
        ("ImagerPixelSpacing", "UT", b"0.97\\0.98"),
        ("ImagerPixelSpacing", "DS", b" +.97\\9.8e-1 "),
        ("ImagerPixelSpacing", "DS", b"0.97\\\\0.98"),
        ("ImagerPixelSpacing", "FD", struct.pack("<dd", 0.97, 0.98)),
        ("ImagerPixelSpacing", "OD", struct.pack("<dd", 0.97, 0.98)),
        *(
            ("WindowCenter", "DS", value)
            for value in (
                b"3900,5", b"3900.5\\", b"3900.5\\abc", b"3.9005E+03", b"00003900.50000000000000000",
                b"3900.5\0\0\0", b"\t3900.5",
            )
        ),
        *(("RescaleSlope", "DS", value) for value in (b"2,0", b"\\2", b"NaN\\2", b"2\0x", b"2.", b"abc\\2")),
        *(("NumberOfFrames", "IS", value) for value in (b"1.0 ", b"0 ", b"", b"+1", b"1\\", b" ", b"01")),
    ],
)  # fmt: skip
def test_a_number_is_read_in_every_form_that_has_one_meaning(
    make_film: MakeFilm, tmp_path: Path, keyword: str, vr: str, value: bytes
) -> None:
    film = deep_film(make_film)
    film.WindowCenter, film.WindowWidth = 3900.5, 8000
    expected = facts(read(as_file(written(film)), tmp_path))
    tag = Tag(keyword)
    found = read(as_file(written(film, {tag: Label(vr.encode())}, {tag: value})), tmp_path)
    assert facts(found) == expected


def test_a_rows_of_more_than_32767_is_none_below_0_where_its_label_is_signed(
    make_film: MakeFilm, tmp_path: Path
) -> None:
    film = make_film(np.zeros((40_000, 48), np.uint8))
    path = tmp_path / "film.dcm"
    path.write_bytes(as_file(written(film, {0x00280010: Label(b"SS")})))
    (study,) = find_studies([path]).studies
    assert said(study.films[0].reason) == "40000 x 48 pixels: too oblong for a mammogram"
