"""Texts decode by the character sets of the standard alone; copies keep the bytes of the film."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import FileDataset

from bcd_model.words import FilmScan, Finding, HeatMap, ModelIdentity, OperatingPoint, Probability
from converters.dicom import character_sets
from converters.films.read import TEXTS_DO_NOT_FIT, read_film
from converters.results.study_result import JobIdentity, ScannedFilm, StudyResult
from converters.results.write import write_results

MakeFilm = Callable[..., FileDataset]

LATIN = "Pühön^Frücü".encode("latin_1")
# PS3.5 Annex H.3.1, H.3.2 and I.2: the standard's own examples.
JAPANESE = (
    b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B",
    "Yamada^Tarou=山田^太郎=やまだ^たろう",
)
HALF_WIDTH = (
    b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J=\x1b$B$d$^$@\x1b(J^\x1b$B$?$m$&\x1b(J",
    "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう",
)
KOREAN = (
    b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf",
    "Hong^Gildong=洪^吉洞=홍^길동",
)
RIGHT = [
    ("", b"Plain^Jane", "Plain^Jane"),
    ("ISO_IR 100", LATIN, "Pühön^Frücü"),
    ("ISO-IR 100", LATIN, "Pühön^Frücü"),
    ("ISO IR 100", LATIN, "Pühön^Frücü"),
    ("ISO_IR 192", "Pühön^Frücü".encode(), "Pühön^Frücü"),
    ("ISO_IR 144", "Люк".encode("iso8859_5"), "Люк"),
    ("ISO_IR 126", "Διονυσιος".encode("iso8859_7"), "Διονυσιος"),
    ("GB18030", "Wang^XiaoDong=王^小东".encode("gb18030"), "Wang^XiaoDong=王^小东"),
    ("\\ISO 2022 IR 87", *JAPANESE),
    ("ISO 2022 IR 13\\ISO 2022 IR 87", *HALF_WIDTH),
    ("\\ISO 2022 IR 149", *KOREAN),
    ("\\ISO-2022-IR-149", *KOREAN),
]
WRONG = [
    ("ISO_IR 192", LATIN),
    ("ISO_IR 999", LATIN),
    ("UTF-8", "Pühön".encode()),
    ("ISO_IR 6\\" * 40 + "ISO_IR 100", LATIN),
    ("\\ISO 2022 IR 87", b"\x1b$Bodd\xff\xfe"),
    ("\\ISO 2022 IR 87", b"\x1b%Gunknown escape"),
    ("\\ISO 2022 IR 87", b"Yamada^Tarou=\x1b$B;3ED"),  # it does not return to ASCII
    ("\\ISO 2022 IR 87", LATIN),
    ("ISO_IR 192\\ISO_IR 100", LATIN),
    ("ISO_IR 100", b"O\x92Brien^Ann"),  # Windows-1252
    ("", LATIN),
    ("ISO_IR 6", LATIN),
]
# Python has codecs for all of these.
HOSTILE = ["idna", "punycode", "unicode_escape", "raw_unicode_escape", "zip", "zlib", "bz2", "rot13", "utf_7"]
HOSTILE += ["hex", "base64", "uu", "quopri", "undefined", "utf_16", "utf_32", "mbcs", "cp037", "palmos"]


def named(film: FileDataset, path: Path, label: str, name: bytes) -> Path:
    """``film`` in a file with the bytes ``label`` and ``name`` in place of what pydicom would write."""

    def element(tag: int, vr: bytes, value: bytes) -> bytes:
        padded = value + b" " * (len(value) % 2)
        return struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr, len(padded)) + padded

    del film.PatientName
    film.save_as(path, enforce_file_format=True)
    data = path.read_bytes()
    for tag, before, vr, value in (
        (0x00080005, b"\x08\0\x08\0CS", b"CS", label.encode()),
        (0x00100010, b"\x10\0\x20\0LO", b"PN", name),
        (0x00081030, b"\x10\0\x10\0PN", b"LO", name),
    ):
        at = data.index(before)
        data = data[:at] + element(tag, vr, value) + data[at:]
    path.write_bytes(data)
    return path


def written(path: Path, folder: Path) -> list[Path]:
    """All DICOM objects of a study of one film, as the worker writes them."""
    read = read_film(path)
    certain = Probability(normal=0.0, benign=1.0, malignant=0.0)
    finding = Finding((30.0, 40.0), 9.0, ((20.0, 30.0), (20.0, 50.0), (40.0, 40.0)), "benign", certain)
    scan = FilmScan("benign", certain, (finding,), HeatMap(np.zeros((2, 2), np.float32), (10, 10), (20, 20)))
    film = ScannedFilm(
        file=path.name,
        sop_instance_uid=read.film.sop_instance_uid,
        header=read.header,
        film=read.film,
        scan=scan,
        gray_scale=read.gray_scale,
    )
    job = JobIdentity("job", datetime(2024, 1, 1, tzinfo=timezone.utc))
    model = ModelIdentity("model", "1", "0" * 64)
    result = StudyResult(job, "1.2.3.4.1", "0" * 64, model, OperatingPoint(0.5, 0.4), (film,))
    folder.mkdir()
    write_results(result, folder)
    return sorted(folder.rglob("*.dcm"))


def raw(path: Path, keyword: str) -> bytes:
    found = pydicom.dcmread(path).get_item(keyword)
    assert found is not None
    return bytes(found.value).rstrip(b" \0")


@pytest.mark.parametrize(("label", "name", "text"), RIGHT)
def test_a_name_in_a_character_set_of_the_standard(
    make_film: MakeFilm, tmp_path: Path, label: str, name: bytes, text: str
) -> None:
    read = read_film(named(make_film(), tmp_path / "film.dcm", label, name))
    assert str(read.header.PatientName) == text
    assert read.header.StudyDescription == text
    assert TEXTS_DO_NOT_FIT not in read.film.warnings


@pytest.mark.parametrize(("label", "name"), [(label, name) for label, name, _ in RIGHT] + WRONG)
def test_kind_10_the_names_bytes_are_those_of_the_film_in_every_object(
    make_film: MakeFilm, tmp_path: Path, label: str, name: bytes
) -> None:
    path = named(make_film(), tmp_path / "film.dcm", label, name)
    objects = written(path, tmp_path / "results")
    assert len(objects) == 5
    for each in objects:
        assert raw(each, "PatientName") == name
        assert raw(each, "StudyDescription") == name


@pytest.mark.parametrize(("label", "name"), WRONG)
def test_kind_10_a_label_that_cannot_be_right_is_warned_of(
    make_film: MakeFilm, tmp_path: Path, label: str, name: bytes
) -> None:
    film = read_film(named(make_film(), tmp_path / "film.dcm", label, name)).film
    assert TEXTS_DO_NOT_FIT in film.warnings


@pytest.mark.parametrize("label", HOSTILE)
def test_kind_10_no_other_codec_of_pythons_decodes(make_film: MakeFilm, tmp_path: Path, label: str) -> None:
    """Some take seconds for a name, some unpack it, some call it something else."""
    name = b"x\xe4n--" + b"a-" * 2000 + rb"\u0041+ADw-"
    path = named(make_film(), tmp_path / "film.dcm", label, name)
    since = time.process_time()
    objects = written(path, tmp_path / "results")
    assert time.process_time() - since < 5
    assert character_sets.known_terms([label]) is None
    for each in objects:
        assert raw(each, "PatientName") == b""  # of 4,000 letters, which no name has
        assert "SpecificCharacterSet" not in pydicom.dcmread(each)


def test_a_backslash_within_a_character_does_not_part_a_text(make_film: MakeFilm, tmp_path: Path) -> None:
    """In GBK and Shift JIS the second byte of a character may be that of a backslash."""
    name = "誠^小東".encode("gb18030")
    assert b"\\" in name
    read = read_film(named(make_film(), tmp_path / "film.dcm", "GB18030", name))
    assert read.header.StudyDescription == "誠^小東"


def test_codes_keep_their_bytes_too(make_film: MakeFilm, tmp_path: Path) -> None:
    code = pydicom.Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "1", "99X", "placeholder"
    film = make_film(ProcedureCodeSequence=[code])
    path = named(film, tmp_path / "film.dcm", "ISO_IR 192", b"Plain")
    path.write_bytes(path.read_bytes().replace(b"placeholder", "Brüstchen".encode("latin_1") + b"  "))
    for each in written(path, tmp_path / "results"):
        found = pydicom.dcmread(each).ProcedureCodeSequence[0].get_item("CodeMeaning")
        assert bytes(found.value).rstrip() == "Brüstchen".encode("latin_1")
