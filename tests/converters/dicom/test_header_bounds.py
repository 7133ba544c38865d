"""What a header may take of memory and time; what is passed over; what a film without a prefix is."""

from __future__ import annotations

import io
import struct
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from bcd_model.errors import FilmError
from converters.dicom import elements
from converters.dicom.file import is_dicom, read_dicom
from converters.films.read import read_film, why_unusable
from converters.films.studies import find_studies
from tests.support.reasons import said

MakeFilm = Callable[..., FileDataset]
SaveFilm = Callable[..., Path]

RAMP = np.add.outer(np.arange(64), np.arange(96)).astype(np.uint8)
UNDEFINED = 0xFFFFFFFF
VRS = ["explicit", "implicit"]


class Writer:
    """Data elements in either kind of VR, little endian (PS3.5 7.1)."""

    def __init__(self, kind: str) -> None:
        self.explicit = kind == "explicit"
        self.syntax = ExplicitVRLittleEndian if self.explicit else ImplicitVRLittleEndian

    def head(self, tag: int, vr: str, length: int) -> bytes:
        both = struct.pack("<HH", tag >> 16, tag & 0xFFFF)
        if not self.explicit:
            return both + struct.pack("<L", length)
        if vr in ("OB", "OW", "SQ", "UN", "UT"):
            return both + struct.pack("<2sHL", vr.encode(), 0, length)
        return both + struct.pack("<2sH", vr.encode(), length)

    def element(self, tag: int, vr: str, value: bytes) -> bytes:
        return self.head(tag, vr, len(value)) + value

    def sequence(self, tag: int, items: list[bytes], *, defined: bool) -> bytes:
        body = b"".join(item(value, defined=defined) for value in items)
        if defined:
            return self.element(tag, "SQ", body)
        return self.head(tag, "SQ", UNDEFINED) + body + struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)

    def nested(self, tag: int, depth: int, *, defined: bool) -> bytes:
        found = b""
        for _ in range(depth):
            found = self.sequence(tag, [found], defined=defined)
        return found


def item(value: bytes, *, defined: bool) -> bytes:
    if defined:
        return struct.pack("<HHL", 0xFFFE, 0xE000, len(value)) + value
    end = struct.pack("<HHL", 0xFFFE, 0xE00D, 0)
    return struct.pack("<HHL", 0xFFFE, 0xE000, UNDEFINED) + value + end


def tag_of(film: FileDataset, keyword: str) -> int:
    return int(film[keyword].tag)


def with_elements(
    film: FileDataset, path: Path, writer: Writer, added: bytes, before: int = 0x00280002
) -> Path:
    """``film`` in a file with ``added`` before the element ``before``."""
    film.file_meta.TransferSyntaxUID = writer.syntax
    film.save_as(path, enforce_file_format=True, implicit_vr=not writer.explicit, little_endian=True)
    data = path.read_bytes()
    at = data.index(struct.pack("<HH", before >> 16, before & 0xFFFF), 132)
    path.write_bytes(data[:at] + added + data[at:])
    return path


@contextmanager
def small_and_quick(memory: int = 4 << 20, seconds: float = 5) -> Iterator[None]:
    """The time limit is for a machine that does other things as well; what is bounded takes milliseconds."""
    tracemalloc.start()
    since = time.process_time()
    try:
        yield
        peak, took = tracemalloc.get_traced_memory()[1], time.process_time() - since
    finally:
        tracemalloc.stop()
    assert peak < memory
    assert took < seconds


# Kind 15: values


@pytest.mark.parametrize(
    ("tag", "vr", "name"),
    [
        (0x00100020, "UT", "Patient ID"),
        (0x00100010, "UT", "Patient's Name"),
        (0x00080016, "UN", "SOP Class UID"),
        (0x00280030, "UN", "Pixel Spacing"),
        (0x00080005, "UN", "Specific Character Set"),
    ],
)
@pytest.mark.parametrize("kind", VRS)
def test_kind_15_a_value_of_30_mb_is_refused_by_name(
    make_film: MakeFilm, tmp_path: Path, kind: str, tag: int, vr: str, name: str
) -> None:
    writer = Writer(kind)
    path = with_elements(
        make_film(), tmp_path / "film.dcm", writer, writer.element(tag, vr, b"1" * 30_000_000)
    )
    with small_and_quick():
        (study,) = find_studies([path]).studies  # it fails inside its study: the study is known
    (film,) = study.films
    assert said(film.reason) == f"its {name} takes 30000000 bytes; 16384 are read"
    with pytest.raises(FilmError, match=f"its {name} takes 30000000 bytes; 16384 are read"):
        read_film(path)


@pytest.mark.parametrize("kind", VRS)
def test_kind_15_lut_data_is_as_long_as_65536_entries(make_film: MakeFilm, tmp_path: Path, kind: str) -> None:
    writer = Writer(kind)
    table = (np.arange(65536) & 0xFFFF).astype("<u2")

    def lut(data: bytes) -> bytes:
        descriptor = writer.element(0x00283002, "US", struct.pack("<HHH", 0, 0, 16))
        return writer.sequence(
            0x00283010, [descriptor + writer.element(0x00283006, "OW", data)], defined=True
        )

    stored = RAMP.astype(np.uint16) * 400
    path = with_elements(make_film(stored), tmp_path / "film.dcm", writer, lut(table.tobytes()), 0x7FE00010)
    np.testing.assert_allclose(read_film(path).film.pixels, stored / 65535, atol=1e-6)
    with_elements(make_film(stored), path, writer, lut(table.tobytes() + bytes(66)), 0x7FE00010)
    with pytest.raises(FilmError, match="its LUT Data takes 131138 bytes; 131136 are read"):
        read_film(path)


# Kind 15: what is passed over


@pytest.mark.parametrize("defined", [True, False])
@pytest.mark.parametrize("kind", VRS)
def test_kind_15_what_is_not_needed_is_passed_over_however_large(
    make_film: MakeFilm, tmp_path: Path, kind: str, defined: bool
) -> None:
    """Private groups of tens of MB, icons with pixels of their own, sequences within sequences."""
    writer = Writer(kind)
    frames = struct.pack("<HHLHHL4s", 0xFFFE, 0xE000, 0, 0xFFFE, 0xE000, 4, b"icon")
    icon = writer.head(0x7FE00010, "OB", UNDEFINED) + frames + struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)
    if not writer.explicit:
        icon = writer.element(0x7FE00010, "OW", b"icon")
    large = writer.element(0x00091001, "OB", bytes(20 << 20))
    added = (
        writer.sequence(0x00091010, [large, icon, b""], defined=defined)
        + writer.nested(0x00091020, 300, defined=defined)
        + writer.sequence(0x00091030, [b""] * 1000, defined=defined)
        + writer.element(0x00091040, "UN", bytes(20 << 20))
    )
    path = with_elements(make_film(), tmp_path / "film.dcm", writer, added, 0x00100010)
    with small_and_quick():
        dicom = read_dicom(path)
    assert why_unusable(dicom) is None
    np.testing.assert_allclose(read_film(path).film.pixels, RAMP / 255, atol=1e-6)


def test_kind_15_nothing_but_the_listed_elements_is_kept(save_film: SaveFilm) -> None:
    code = Dataset()
    code.CodeValue, code.CodeMeaning, code.EncapsulatedDocument = "1", "one", b"12"
    path = save_film(AcquisitionComments="no one needs them", ProcedureCodeSequence=[code])
    header = read_dicom(path).header
    assert {int(element.tag) for element in header} <= set(elements.IN_DATASET)
    assert [element.keyword for element in header.ProcedureCodeSequence[0]] == ["CodeValue", "CodeMeaning"]
    assert {int(element.tag) for element in header.file_meta} <= set(elements.IN_META)


# Kind 15: numbers of items, depth, elements


@pytest.mark.parametrize("defined", [True, False])
@pytest.mark.parametrize("kind", VRS)
@pytest.mark.parametrize("depth", [7, 70, 700, 20_000])
def test_kind_15_sequences_nested_too_deep(
    make_film: MakeFilm, tmp_path: Path, kind: str, defined: bool, depth: int
) -> None:
    if defined and depth > 1000:
        depth = 1000  # its lengths add up
    writer = Writer(kind)
    view = writer.nested(0x00540222, depth, defined=defined)  # modifiers of modifiers
    added = writer.sequence(0x00540220, [view], defined=defined)
    path = with_elements(make_film(ViewCodeSequence=None), tmp_path / "film.dcm", writer, added, 0x7FE00010)
    with small_and_quick(memory=20 << 20):
        (study,) = find_studies([path]).studies
    assert said(study.films[0].reason) in (
        f"its sequences are nested more than {elements.MOST_DEPTH} deep",
        f"its header has more than {elements.MOST_ELEMENTS} data elements",
    )
    with pytest.raises(FilmError, match=r"nested more than|more than 65536"):
        read_film(path)


@pytest.mark.parametrize("defined", [True, False])
@pytest.mark.parametrize("kind", VRS)
def test_kind_15_items_without_number(make_film: MakeFilm, tmp_path: Path, kind: str, defined: bool) -> None:
    """120,000 empty items of 8 bytes would become 120,000 objects, and be copied into five others."""
    writer = Writer(kind)
    added = writer.sequence(0x00081032, [b""] * 120_000, defined=defined)
    path = with_elements(make_film(), tmp_path / "film.dcm", writer, added, 0x00100010)
    with small_and_quick():
        dicom = read_dicom(path)
    assert said(dicom.fault) == "its Procedure Code Sequence has more than 64 items"
    assert len(dicom.header.get("ProcedureCodeSequence", ())) <= 64


@pytest.mark.parametrize("kind", VRS)
def test_kind_15_elements_without_number(make_film: MakeFilm, tmp_path: Path, kind: str) -> None:
    writer = Writer(kind)
    added = b"".join(writer.element(0x00091000 + number % 255, "LO", b"") for number in range(1 << 18))
    path = with_elements(make_film(), tmp_path / "film.dcm", writer, added, 0x00100010)
    with small_and_quick():
        dicom = read_dicom(path)
    assert said(dicom.fault) == "its header has more than 65536 data elements"
    assert dicom.header.SOPInstanceUID


@pytest.mark.parametrize("kind", VRS)
def test_kind_15_the_header_as_a_whole(make_film: MakeFilm, tmp_path: Path, kind: str) -> None:
    """Each of its values is within its bounds."""
    writer = Writer(kind)
    code = writer.element(0x00080104, "LO", b"x" * 16_000)
    sequences = b"".join(
        writer.sequence(tag, [code] * 60, defined=True) for tag in (0x00081032, 0x00120064, 0x00080051)
    )
    path = with_elements(make_film(), tmp_path / "film.dcm", writer, sequences, 0x00100010)
    with small_and_quick():
        dicom = read_dicom(path)
    assert said(dicom.fault) == "the data elements that are read take more than 1048576 bytes"
    many = b"".join(writer.element(tag, "SH", b"") for tag in (0x00080100, 0x00080102, 0x00080104))
    path = with_elements(
        make_film(),
        path,
        writer,
        b"".join(writer.sequence(tag, [many] * 64, defined=True) for tag in (0x00081032, 0x00120064) * 6),
        0x00100010,
    )
    with small_and_quick():
        dicom = read_dicom(path)
    assert (
        said(dicom.fault)
        == f"its header has more than {elements.MOST_KEPT} data elements of the kinds that are read"
    )


@pytest.mark.parametrize("length", [100, 0x7FFFFFFF, 0xFFFFFFFE])
@pytest.mark.parametrize("tag", [0x00081032, 0x00091010, 0x00100020])
def test_kind_15_lengths_that_lie(make_film: MakeFilm, tmp_path: Path, tag: int, length: int) -> None:
    """Longer than the item they are in, than the file, than anything."""
    writer = Writer("implicit")
    inner = writer.head(tag, "", length) + b"abc "
    added = writer.sequence(0x00081032, [inner], defined=True)
    path = with_elements(make_film(), tmp_path / "film.dcm", writer, added, 0x00100010)
    with small_and_quick():
        dicom = read_dicom(path)
    assert dicom.header.StudyInstanceUID == "1.2.3.4.1"  # the item ends where it ends
    path = with_elements(make_film(), path, writer, writer.head(tag, "", length) + b"abc ", 0x00100010)
    with small_and_quick():
        find_or_refuse(path)


def find_or_refuse(path: Path) -> None:
    try:
        read_film(path)
    except FilmError as error:
        assert "\n" not in str(error)


# Kind 5: files without prefix, cut short, deflated


def data_set(film: FileDataset, *, implicit: bool, little: bool) -> bytes:
    file = io.BytesIO()
    alone = Dataset()
    alone.update(film)
    pydicom.dcmwrite(file, alone, implicit_vr=implicit, little_endian=little)
    return file.getvalue()


@pytest.mark.parametrize(
    ("implicit", "little"), [(True, True), (False, True), (False, False)], ids=["implicit", "explicit", "big"]
)
@pytest.mark.parametrize("first", ["SOPClassUID", "SpecificCharacterSet", "group length"])
def test_kind_5_a_data_set_alone_is_read(
    make_film: MakeFilm, tmp_path: Path, implicit: bool, little: bool, first: str
) -> None:
    stored = RAMP.astype(np.uint16) * 16
    film = make_film(stored.astype("<u2" if little else ">u2"), BitsStored=12, ImageType=None)
    film.WindowCenter, film.WindowWidth = 2048, 4096
    if first == "SpecificCharacterSet":
        film.SpecificCharacterSet = "ISO_IR 100"
    elif first == "group length":
        film.add_new(0x00080000, "UL", 500)
    path = tmp_path / "IM1"
    path.write_bytes(data_set(film, implicit=implicit, little=little))
    assert is_dicom(path)
    np.testing.assert_allclose(read_film(path).film.pixels, stored / 4095, atol=1e-6)
    (study,) = find_studies([path]).studies
    assert [each.reason for each in study.films] == [None]


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian])
def test_kind_5_a_file_without_its_preamble_is_read_by_its_own_transfer_syntax(
    make_film: MakeFilm, tmp_path: Path, syntax: str
) -> None:
    film = make_film()
    film.file_meta.TransferSyntaxUID = syntax
    path = tmp_path / "IM1"
    pydicom.dcmwrite(
        path,
        film,
        implicit_vr=syntax == ImplicitVRLittleEndian,
        little_endian=syntax != ExplicitVRBigEndian,
        enforce_file_format=True,
    )
    path.write_bytes(path.read_bytes()[132:])
    assert is_dicom(path)
    np.testing.assert_allclose(read_film(path).film.pixels, RAMP / 255, atol=1e-6)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x08\0",
        bytes(200),
        b"\x08\0" * 100,
        b"\x02\0\0\0UL\4\0",
        b"Dear colleague,\n" * 20,
        b"\x08\0\5\0" * 50,
    ]
    + [bytes(np.random.default_rng(seed).integers(0, 256, 400, dtype=np.uint8)) for seed in range(20)],
)
def test_kind_5_what_is_no_data_set_is_no_dicom_file(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(data)
    assert not is_dicom(path)
    with pytest.raises(FilmError, match=r"file: not a DICOM file \(no DICM prefix at byte 128\)"):
        read_film(path)


@pytest.mark.parametrize("kind", VRS)
@pytest.mark.parametrize("after", [0x00280010, 0x00280100, 0x0020000E])
def test_kind_5_a_header_that_is_cut_off_fails_inside_its_study(
    make_film: MakeFilm, save_film: SaveFilm, tmp_path: Path, kind: str, after: int
) -> None:
    writer = Writer(kind)
    folder = tmp_path / "in"
    save_film("in/whole.dcm", SOPInstanceUID="1.2.3.9")
    path = with_elements(make_film(SOPInstanceUID="1.2.3.8"), folder / "cut.dcm", writer, b"")
    data = path.read_bytes()
    path.write_bytes(data[: data.index(struct.pack("<HH", after >> 16, after & 0xFFFF), 200) + 9])
    (study,) = find_studies([folder]).studies
    assert {film.sop_instance_uid: said(film.reason) for film in study.films} == {
        "1.2.3.9": None,
        "1.2.3.8": "cut short: it ends within its header",
    }


def test_kind_5_a_deflated_film_that_breaks_off_fails_inside_its_study_by_its_true_reason(
    make_film: MakeFilm, save_film: SaveFilm, tmp_path: Path
) -> None:
    save_film("in/whole.dcm", SOPInstanceUID="1.2.3.9")
    film = make_film(np.random.default_rng(1).integers(0, 255, (900, 900), dtype=np.uint8))
    film.SOPInstanceUID = film.file_meta.MediaStorageSOPInstanceUID = "1.2.3.8"
    film.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    path = tmp_path / "in" / "deflated.dcm"
    film.save_as(path, enforce_file_format=True)
    path.write_bytes(path.read_bytes()[:-10_000])
    (study,) = find_studies([tmp_path / "in"]).studies
    assert {film.sop_instance_uid: said(film.reason) for film in study.films} == {
        "1.2.3.9": None,
        "1.2.3.8": "its deflated data set cannot be inflated to its end; export it again",
    }


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("1." + "2" * 66, "its SOP Instance UID is longer than 64 characters; export it with a valid one"),
        (
            "1.2.abc",
            "its SOP Instance UID is malformed: not digits between single dots; export it with a valid one",
        ),
        (
            "1.2.3.",
            "its SOP Instance UID is malformed: not digits between single dots; export it with a valid one",
        ),
        (
            "1..2.3",
            "its SOP Instance UID is malformed: not digits between single dots; export it with a valid one",
        ),
        ("", "states no SOP Instance UID"),
        ("1.02.003", None),
        ("1.2.3 ", None),
    ],
)
def test_kind_5_why_a_uid_is_none(
    make_film: MakeFilm, tmp_path: Path, value: str, reason: str | None
) -> None:
    path = with_uid(make_film(SOPInstanceUID=None), tmp_path / "film.dcm", 0x00080018, value)
    (study,) = find_studies([path]).studies
    assert said(study.films[0].reason) == reason
    assert study.films[0].sop_instance_uid == (None if reason else value.strip())


def with_uid(film: FileDataset, path: Path, tag: int, value: str) -> Path:
    writer = Writer("explicit")
    padded = value.encode() + b"\0" * (len(value) % 2)
    return with_elements(film, path, writer, writer.element(tag, "UI", padded), 0x00080060)


def test_kind_5_why_a_study_uid_is_none(make_film: MakeFilm, save_film: SaveFilm, tmp_path: Path) -> None:
    save_film("in/good.dcm")
    film = make_film(SOPInstanceUID="1.2.3.8", StudyInstanceUID=None)
    with_uid(film, tmp_path / "in" / "long.dcm", 0x0020000D, "9." + "8" * 64)
    (study,) = find_studies([tmp_path / "in"]).studies
    reasons = {film.path.name: said(film.reason) for film in study.films}
    assert reasons == {
        "good.dcm": None,
        "long.dcm": "its Study Instance UID is longer than 64 characters; export it with a valid one",
    }


IDENTITY = b"\x10\x00\x20\x00LO\x04\x00ZZZZ"


@pytest.mark.parametrize(
    "inserted",
    [
        # private bytes of undefined length that are no items
        b"\x11\x00\x10\x10OB\0\0\xff\xff\xff\xff" + IDENTITY + b"\xfe\xff\xdd\xe0\0\0\0\0",
        # a sequence of stated length that holds no item
        b"\x10\x00\x02\x10SQ\0\0\x0c\0\0\0" + IDENTITY,
        # an item that is ended, within its length
        b"\x10\x00\x02\x10SQ\0\0\x1c\0\0\0\xfe\xff\x00\xe0\x14\0\0\0\xfe\xff\x0d\xe0\0\0\0\0" + IDENTITY,
        # a sequence that is ended, within its length
        b"\x10\x00\x02\x10SQ\0\0\x14\0\0\0\xfe\xff\xdd\xe0\0\0\0\0" + IDENTITY,
        # the delimiter of a sequence in no sequence
        b"\xfe\xff\xdd\xe0\0\0\0\0" + IDENTITY,
        IDENTITY,
    ],
)
def test_kind_1_what_stands_in_a_sequence_is_never_the_films_own(
    save_film: SaveFilm, tmp_path: Path, inserted: bytes
) -> None:
    """The film is read as its own patient's, or it fails; it never becomes another's."""
    path = save_film("film.dcm", PatientID="mias-002")
    data = path.read_bytes()
    own = data.index(b"\x10\x00\x20\x00LO") + 8 + 8
    path.write_bytes(data[:own] + inserted + data[own:])
    found = read_dicom(path)
    assert str(found.header.get("PatientID")) == "mias-002"
