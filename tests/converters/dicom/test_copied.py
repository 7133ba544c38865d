"""Odd values of patient and study: every object is valid, and what is kept has the film's bytes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import config
from pydicom.dataset import Dataset, FileDataset

from converters.dicom.copied import copied
from converters.dicom.file import name_of, quiet
from converters.films.read import read_film
from converters.results.write import write_results
from tests.conformance import validators
from tests.support import result_builder as build

MakeFilm = Callable[..., FileDataset]


def item(**elements: object) -> Dataset:
    made = Dataset()
    with quiet():
        for keyword, value in elements.items():
            setattr(made, keyword, value)
    return made


def code(**elements: object) -> Dataset:
    whole = {"CodeValue": "1", "CodingSchemeDesignator": "99X", "CodeMeaning": "Mammography"}
    return item(**{key: value for key, value in {**whole, **elements}.items() if value is not None})


TRIAL = {"ClinicalTrialSponsorName": "Sponsor", "ClinicalTrialProtocolID": "P1"}
LETTERS = "Z" * 65

# Of a copied attribute: values that an object may have, and that it may not.
VALID: list[tuple[str, object]] = [
    ("PatientName", "A" * 64),
    ("PatientName", "A^B^C^D^E"),
    ("PatientName", "O'Brien^Ann=^=^"),
    ("PatientID", " 0012/34-5 "),
    ("PatientID", "Z" * 64),
    ("PatientBirthDate", "18991231"),
    ("PatientBirthTime", "1015"),
    ("PatientSex", "O "),
    ("PatientAge", "045Y"),
    ("StudyDate", "20240229"),
    ("StudyTime", "10"),
    ("StudyTime", "101500.123456"),
    ("ReferringPhysicianName", "Doctor^Ann"),
    ("AccessionNumber", "A" * 16),
    ("StudyID", ""),
    ("StudyDescription", "x" * 64),
    ("PatientIdentityRemoved", "NO"),
    ("DeidentificationMethod", ["one", "two"]),
    ("TypeOfPatientID", "TEXT"),
    ("ProcedureCodeSequence", [code(), code(CodeValue="2")]),
    ("ProcedureCodeSequence", [item(URNCodeValue="urn:oid:1.2.3", CodeMeaning="x")]),
    ("OtherPatientIDsSequence", [item(PatientID="x", TypeOfPatientID="TEXT")]),
    ("IssuerOfAccessionNumberSequence", [item(LocalNamespaceEntityID="x")]),
    (
        "IssuerOfPatientIDQualifiersSequence",
        [item(UniversalEntityID="1.2.3", UniversalEntityIDType="ISO")],
    ),
]
INVALID: list[tuple[str, object]] = [
    ("PatientName", LETTERS),
    ("PatientName", f"A=B={LETTERS}"),
    ("PatientName", "A^B^C^D^E^F"),
    ("PatientName", "A=B=C=D"),
    ("PatientName", "A\nB^C"),
    ("PatientName", "A\0B^C"),
    ("PatientID", LETTERS),
    ("PatientID", "A\tB"),
    ("PatientID", "A\\B"),
    ("IssuerOfPatientID", LETTERS),
    ("TypeOfPatientID", "text"),
    ("PatientBirthDate", "1981/03/02"),
    ("PatientBirthDate", "SMITH"),
    ("PatientBirthDate", "00010101"),
    ("PatientBirthDate", "19810230"),
    ("PatientBirthTime", "10:00"),
    ("PatientSex", "W"),
    ("PatientSex", "female"),
    ("PatientAge", "45"),
    ("PatientAge", "45Y"),
    ("PatientAge", "045y"),
    ("StudyDate", "00000000"),
    ("StudyDate", "2024.01.02"),
    ("StudyDate", "20240101-20240102"),
    ("StudyDate", ["20240101", "20240102"]),
    ("StudyTime", "10:15:00"),
    ("StudyTime", "250000"),
    ("StudyTime", "101500.1234567"),
    ("ReferringPhysicianName", LETTERS),
    ("AccessionNumber", "ACC-2024-01-02-000123456789"),
    ("StudyID", "S" * 17),
    ("StudyDescription", LETTERS),
    ("PatientIdentityRemoved", "maybe"),
    ("PatientIdentityRemoved", "YES"),  # without the method
    ("ClinicalTrialSiteID", "7"),  # without the trial
    ("ProcedureCodeSequence", [code(CodeMeaning=None)]),
    ("ProcedureCodeSequence", [code(CodingSchemeDesignator=None)]),
    ("ProcedureCodeSequence", [code(CodeValue=None)]),
    ("ProcedureCodeSequence", [code(CodeValue="A" * 17)]),
    ("ProcedureCodeSequence", [code(LongCodeValue="A" * 17)]),
    ("ProcedureCodeSequence", [code(), Dataset()]),
    ("DeidentificationMethodCodeSequence", [code(CodeMeaning="")]),
    ("OtherPatientIDsSequence", [item(PatientID="x")]),
    ("OtherPatientIDsSequence", [item(PatientID=LETTERS, TypeOfPatientID="TEXT")]),
    ("OtherPatientIDsSequence", [item(PatientID="", TypeOfPatientID="TEXT")]),
    ("IssuerOfAccessionNumberSequence", [Dataset()]),
    ("IssuerOfAccessionNumberSequence", [item(UniversalEntityID="1.2.3")]),
    ("IssuerOfAccessionNumberSequence", [item(LocalNamespaceEntityID="x"), item(LocalNamespaceEntityID="y")]),
    ("IssuerOfPatientIDQualifiersSequence", [item(IdentifierTypeCode="medical record")]),
    ("IssuerOfPatientIDQualifiersSequence", [item(AssigningFacilitySequence=[Dataset()])]),
    ("LossyImageCompressionMethod", "odd one?"),
    ("PixelSpacingCalibrationType", "odd"),
]


def saved(film: FileDataset, path: Path, **elements: object) -> Path:
    with quiet():
        for keyword, value in elements.items():
            setattr(film, keyword, value)
        film.save_as(path, enforce_file_format=True)
    return path


def written(path: Path, folder: Path) -> tuple[list[Path], tuple[str, ...]]:
    """The objects of a study of the film, and what is said of the film."""
    read = read_film(path)
    film = build.scanned(1, [build.finding((50, 40))], head=read.header, shape=read.film.shape)
    film = dataclasses.replace(film, film=dataclasses.replace(film.film, warnings=read.film.warnings))
    folder.mkdir()
    write_results(build.study(film), folder)
    objects = sorted(folder.rglob("*.dcm"))
    assert len(objects) == 5
    return objects, read.film.warnings


def problems(objects: list[Path]) -> list[validators.Problem]:
    """Errors of dciodvfy; and of pydicom where it is strict."""
    found = []
    for each in objects:
        if validators.tool_path("dciodvfy") is not None:
            found += [p for p in validators.dciodvfy(each) if p.severity == "error"]
        strict(pydicom.dcmread(each))
    return found


def strict(dataset: Dataset) -> None:
    before, config.settings.reading_validation_mode = config.settings.reading_validation_mode, config.RAISE
    try:
        assert sum(1 for _ in dataset.iterall())
    finally:
        config.settings.reading_validation_mode = before


def stored(path: Path, keyword: str) -> object:
    """The bytes of a text in a file; of a sequence, its items as text."""
    with quiet():
        dataset = pydicom.dcmread(path)
        found = dataset.get_item(keyword) if keyword in dataset else None
        if found is None or found.VR == "SQ":
            return None if found is None else str(dataset[keyword].value)
        return bytes(found.value or b"").rstrip(b" \0")


def large(make_film: MakeFilm, **elements: object) -> FileDataset:
    pixels = np.add.outer(np.arange(120), np.arange(90)).astype(np.uint8)
    return make_film(pixels, LossyImageCompression="01", PixelSpacing=[0.2, 0.2], **elements)


@pytest.mark.parametrize(("keyword", "value"), VALID)
def test_what_is_valid_is_copied_as_it_is(
    make_film: MakeFilm, tmp_path: Path, keyword: str, value: object
) -> None:
    path = saved(large(make_film), tmp_path / "film.dcm", **{keyword: value})
    objects, said = written(path, tmp_path / "results")
    assert problems(objects) == []
    assert not [text for text in said if "not valid in DICOM" in text]
    for each in objects:
        assert stored(each, keyword) == stored(path, keyword)


@pytest.mark.parametrize(("keyword", "value"), INVALID)
def test_what_is_not_valid_is_left_out_and_named_without_its_value(
    make_film: MakeFilm, tmp_path: Path, keyword: str, value: object
) -> None:
    path = saved(large(make_film), tmp_path / "film.dcm", **{keyword: value})
    objects, said = written(path, tmp_path / "results")
    assert problems(objects) == []
    remarks = [text for text in said if "not valid in DICOM" in text]
    assert remarks == [f"{name_of(keyword)}: not valid in DICOM, left out of the result's objects"]
    for each in objects:
        assert not stored(each, keyword)
        for other in {"PatientName", "PatientID"} - {keyword}:
            assert stored(each, other) == stored(path, other)


@pytest.mark.parametrize("subject", ["ClinicalTrialSubjectID", "ClinicalTrialSubjectReadingID"])
def test_a_trial_has_what_its_module_needs(make_film: MakeFilm, tmp_path: Path, subject: str) -> None:
    path = saved(large(make_film), tmp_path / "film.dcm", **TRIAL, **{subject: "S1"})
    objects, _ = written(path, tmp_path / "results")
    assert problems(objects) == []
    for each in objects:
        assert stored(each, subject) == b"S1"
        assert stored(each, "ClinicalTrialSiteName") == b""


def test_nothing_stated_leaves_type_2_empty(make_film: MakeFilm, tmp_path: Path) -> None:
    path = saved(large(make_film, PatientName=None, PatientID=None), tmp_path / "film.dcm")
    objects, said = written(path, tmp_path / "results")
    assert problems(objects) == []
    assert not [text for text in said if "not valid in DICOM" in text]
    for each in objects:
        assert stored(each, "PatientName") == stored(each, "StudyDate") == b""


def test_a_text_is_as_long_as_its_characters(make_film: MakeFilm, tmp_path: Path) -> None:
    """Of 64 characters, in 128 bytes."""
    text = "щ" * 64
    film = large(make_film, SpecificCharacterSet="ISO_IR 192", PatientID=text)
    objects, _ = written(saved(film, tmp_path / "film.dcm"), tmp_path / "results")
    for each in objects:
        assert stored(each, "PatientID") == text.encode()


ODD = st.one_of(
    st.text(st.characters(max_codepoint=0x7F), max_size=70),
    st.text("0123456789:.-/^=\\ YMFWDO", max_size=20),
    st.from_regex(r"[0-9]{6,8}", fullmatch=True),
)
TEXTS = [
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
    "PatientAge",
    "StudyDescription",
    "PatientIdentityRemoved",
    "TypeOfPatientID",
    "DeidentificationMethod",
    *TRIAL,
    "ClinicalTrialSubjectID",
]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.sampled_from(TEXTS), ODD, min_size=3))
def test_whatever_is_stated_the_objects_are_valid(
    make_film: MakeFilm, tmp_path_factory: pytest.TempPathFactory, values: dict[str, str]
) -> None:
    folder = tmp_path_factory.mktemp("odd")
    path = saved(large(make_film), folder / "film.dcm", **values)
    objects, said = written(path, folder / "results")
    assert problems(objects) == []
    left_out = copied(read_film(path).header).left_out
    for keyword in left_out:
        assert any(name_of(keyword) in text for text in said)
    for each in objects:
        for keyword in ("PatientName", "PatientID"):
            assert stored(each, keyword) == (b"" if keyword in left_out else stored(path, keyword))
