"""A reading as JSON and as TID 1500: read back."""

from __future__ import annotations

import json
from dataclasses import replace

import pydicom
import pytest
from readings import WHEN, items, name

from BCDDetectorLib import errors, reading, reading_sr
from BCDDetectorLib.coordinates import from_scoord
from BCDDetectorLib.dicom_write import write


def child(item, code):
    return next(entry for entry in item.ContentSequence if name(entry) == code)


def test_the_report_holds_what_the_reader_said(made, tmp_path):
    found, headers = made
    path = tmp_path / "reading.dcm"
    write(reading_sr.build(found, headers, WHEN), path)
    document = pydicom.dcmread(path)
    observer = next(item for item in items(document) if name(item) == "121008")
    assert str(observer.PersonName) == "Test^Dr"
    groups = [item for item in items(document) if name(item) == "125007"]
    verdicts = [child(group, "verdict").ConceptCodeSequence[0].CodeValue for group in groups]
    assert verdicts == ["accepted", "rejected", "added", "moved"]
    for group, mark in zip(groups, found.marks):
        assert mark.tracking_uid == child(group, "112040").UID
        assert from_scoord(child(group, "111010").GraphicData)[0] == pytest.approx(mark.center, abs=1e-4)
        region = child(group, "111030")
        (source,) = region.ContentSequence
        assert source.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == mark.film
        points = from_scoord(region.GraphicData)
        assert points[0] == points[-1] and len(points) == len(mark.outline) + 1
        rows, columns = headers[mark.film].Rows, headers[mark.film].Columns
        assert all(-0.5 <= r <= rows - 0.5 and -0.5 <= c <= columns - 0.5 for r, c in points)
    assert document.PatientName == next(iter(headers.values())).PatientName


def test_unread_findings_are_no_part_of_the_report(made, tmp_path):
    found, headers = made
    unread = tuple(replace(mark, verdict="unread") for mark in found.marks)
    document = reading_sr.build(replace(found, marks=unread, films_read=frozenset()), headers, WHEN)
    assert [item for item in items(document) if name(item) == "125007"] == []


@pytest.mark.parametrize("reader", ["", "a\\b", "x" * 65, "a=b"])
def test_a_reader_needs_a_name(made, reader):
    found, headers = made
    with pytest.raises(errors.InputError):
        reading_sr.build(replace(found, reader=reader), headers, WHEN)


def test_json_holds_truth_only_of_films_that_were_read(made, tmp_path):
    found, _ = made
    left = found.study.films[0].sop_instance_uid
    content = reading.to_json(replace(found, films_read=frozenset([left])), WHEN, "patient 1")
    path = tmp_path / "reading.json"
    reading.write_json(content, path)
    told = json.loads(path.read_text())
    assert list(told["films"]) == [left] and told["films_not_read"] == [found.study.films[1].sop_instance_uid]
    film = told["films"][left]
    assert film["label"] == "malignant" and [lesion["label"] for lesion in film["lesions"]] == [
        "malignant",
        "benign",
    ]
    assert [mark["verdict"] for mark in film["findings"]] == ["accepted", "rejected", "accepted"]
    assert "patient 1" not in path.read_text()


def test_a_failed_film_that_was_read_keeps_its_marks(made):
    """The detector saw nothing of it; the reader did."""
    found, _ = made
    left, right = found.study.films
    study = replace(found.study, films=(replace(left, failed=True, reason="burned-in annotation"), right))
    content = reading.to_json(replace(found, study=study), WHEN, "patient 1")
    assert len(content["films"][left.sop_instance_uid]["lesions"]) == 2
    unread = reading.to_json(replace(found, study=study, films_read=frozenset()), WHEN, "patient 1")
    assert left.sop_instance_uid in unread["films_not_read"]


def test_a_film_that_was_read_is_not_left_out_of_the_report(made):
    found, headers = made
    right = found.study.films[1].sop_instance_uid
    del headers[right]
    with pytest.raises(errors.InputError, match="R CC"):
        reading_sr.build(found, headers, WHEN)
    left = tuple(mark for mark in found.marks if mark.film != right)
    unread = replace(found, marks=left, films_read=found.films_read - {right})
    assert reading_sr.build(unread, headers, WHEN).SOPClassUID == reading_sr.SOP_CLASS


@pytest.mark.parametrize("kind", ["JSON", "SR"])
def test_a_file_that_cannot_be_written_is_named_in_the_details_alone(made, tmp_path, kind):
    found, headers = made
    path = tmp_path / "nowhere" / "Muster^Frieda.out"
    with pytest.raises(errors.InputError) as caught:
        if kind == "JSON":
            reading.write_json({}, path)
        else:
            write(reading_sr.build(found, headers, WHEN), path)
    assert "Frieda" in caught.value.details and "Frieda" not in caught.value.message
