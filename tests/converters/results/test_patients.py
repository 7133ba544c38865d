"""Whose object is whose, where the films of one study name several patients: the files that are written."""

from __future__ import annotations

import dataclasses
import json

import pydicom
import pytest
from pydicom.dataset import Dataset

from converters.dicom.file import read_header
from converters.films.identity import identity
from converters.films.projection import projection
from converters.results import result_json
from converters.results.outcome import coverage
from converters.results.page import build_report
from converters.results.patients import by_patient
from converters.results.write import write_results
from tests.support import result_builder as build

IDENTITY = ("PatientID", "IssuerOfPatientID", "PatientName", "PatientBirthDate", "PatientSex")


def who(header: Dataset) -> tuple[str, ...]:
    return tuple(str(header.get(keyword) or "") for keyword in IDENTITY)


def others(head: Dataset, **changes: str) -> Dataset:
    for keyword, value in changes.items():
        setattr(head, keyword, value)
    return head


@pytest.mark.parametrize(
    "change",
    [
        {"PatientID": "P2"},
        {"IssuerOfPatientID": "Elsewhere"},
        {"PatientName": "Other^Olga"},
        {"PatientBirthDate": "19500505"},
        {"PatientBirthDate": ""},
        {"PatientSex": "M"},
        {"PatientName": ""},
    ],
)
def test_objects_name_the_patient_of_their_own_film(change, tmp_path):
    """Also if the other film has the lowest SOP Instance UID, and has failed."""
    films = [build.scanned(1, [build.finding((50, 40))]), build.scanned(2, laterality="R")]
    odd = build.failed(3, head=others(build.header(3), **change))
    odd = dataclasses.replace(odd, sop_instance_uid="1.1", header=others(odd.header, SOPInstanceUID="1.1"))
    result = build.study(odd, *films)
    write_results(result, tmp_path)
    own = {film.sop_instance_uid: who(film.header) for film in result.films}
    objects = sorted(tmp_path.rglob("*.dcm"))
    assert len(objects) == 2 * 3 + 2 * 2
    for path in objects:
        said = pydicom.dcmread(path)
        if path.parent != tmp_path:
            assert who(said) == own[path.stem]
            continue
        library = {
            item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID
            for item in walk(said)
            if item.get("ValueType") == "IMAGE"
        }
        assert library
        assert {own[uid] for uid in library} == {who(said)}
    for name, patient in (("report.html", odd), ("report-2.html", films[0])):
        page = (tmp_path / name).read_text()
        told = str(patient.header.PatientName).replace("^", " ").strip()
        assert f"<bdi>{told or 'not stated'}</bdi>" in page
    told = json.loads((tmp_path / "result.json").read_text())
    assert [film["patient"] for film in told["films"]] == [1, 2, 2]


def walk(item: Dataset):
    for child in item.get("ContentSequence", ()):
        yield child
        yield from walk(child)


def test_no_series_holds_two_patients(tmp_path):
    write_results(build.CASES["two patients"](), tmp_path)
    found: dict[str, set[tuple[str, ...]]] = {}
    for path in tmp_path.rglob("*.dcm"):
        said = pydicom.dcmread(path)
        found.setdefault(said.SeriesInstanceUID, set()).add(who(said))
    assert all(len(patients) == 1 for patients in found.values())


def test_a_film_of_nobody_counts_for_all():
    """A file that cannot be read may be of either woman: neither of the documents may pass it over."""
    result = build.CASES["two patients"]()
    parts = by_patient(result)
    assert [coverage(part).extent for part in parts] == ["some", "some"]
    assert [part.numbers for part in parts] == [(1, 3), (2, 3)]


def test_a_page_does_not_name_a_file_that_may_be_of_another_patient():
    """A file is often named after the patient, and one that tells no patient may be of another study's."""
    result = build.CASES["two patients"]()
    (lost,) = (film for film in result.films if film.header is None)
    own = [film for film in result.films if film is not lost]
    for part, film in zip(by_patient(result), own, strict=True):
        page = build_report(part).decode()
        assert film.file in page
        assert lost.file not in page
        assert result_json.FILE_NAME in page
    alone = dataclasses.replace(result, films=(own[0], lost), numbers=())
    assert lost.file not in build_report(alone).decode()


def test_one_patient_is_one_however_the_name_is_padded():
    one, two = build.header(1), build.header(2)
    two.PatientName, two.PatientID = "Tester^Björk^^ ", "P1 "
    assert identity(one) == identity(two)
    assert len(by_patient(build.study(build.scanned(1, head=one), build.scanned(2, head=two)))) == 1


def test_a_view_of_one_patient_is_not_shown_by_a_film_of_another():
    left_out = build.of_another(build.excluded(2))
    result = build.study(build.scanned(1), left_out)
    assert (coverage(result).extent, coverage(result).unseen) == ("some", ("L MLO",))


@pytest.mark.parametrize(
    ("change", "compared"),
    [
        ({}, True),
        ({"PatientName": "Other^Olga"}, False),
        ({"PatientBirthDate": "19500505"}, False),
        ({"PatientBirthDate": ""}, False),
        ({"IssuerOfPatientID": "Elsewhere"}, False),
        ({"StudyDate": "20240103"}, False),
        ({"PatientID": "P2"}, False),
    ],
)
def test_films_are_compared_where_the_patient_agrees_in_full(change, compared):
    left, right = build.header(1), others(build.header(2, laterality="R"), **change)
    one, two = projection(left), projection(right)
    assert (dataclasses.replace(one, laterality="R") == two) is compared


def test_films_without_a_patient_id_are_not_compared():
    for number in (1, 2):
        shown = projection(others(build.header(number), PatientID=""))
        assert (shown.view, shown.laterality) == (None, None)


def test_names_that_cannot_be_decoded_are_told_by_their_bytes(tmp_path):
    """Shown alike, they are two women for all that."""
    paths = []
    for number, name in enumerate(("王秀英", "李桂兰"), start=1):
        head = build.header(number, laterality="LR"[number - 1])
        film = build.scanned(number, head=head, laterality="LR"[number - 1], shape=(300, 300))
        paths.append(tmp_path / f"{number}.dcm")
        build.write_film(film, paths[-1])
        data = paths[-1].read_bytes()
        wrong = name.encode("gb18030")
        told = "Tester^Björk".encode("latin-1")
        assert data.count(told) == 1
        paths[-1].write_bytes(
            data.replace(told, wrong.ljust(len(told))).replace(b"ISO_IR 100", b"ISO_IR 192")
        )
    one, two = (read_header(path) for path in paths)
    assert "\ufffd" in str(one.PatientName)
    assert identity(one) != identity(two)
    assert identity(one) == identity(read_header(paths[0]))
