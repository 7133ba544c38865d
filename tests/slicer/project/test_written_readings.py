"""What the module writes, before the judges that only the project's own environment has."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pydicom
import pytest
from readings import WHEN, items, name

from BCDDetectorLib import reading, reading_sr, secondary_capture
from BCDDetectorLib.dicom_write import write
from converters.films.acceptance import judge
from converters.films.header import laterality, spacing, view
from converters.truth.file import read_truth
from tests.conformance import validators


@pytest.mark.parametrize("marks", ["all", "none"])
@pytest.mark.parametrize("reader", ["Dr Test", "Müller^Änne"])
def test_dciodvfy_finds_no_fault(made, tmp_path, marks, reader):
    path = tmp_path / "reading.dcm"
    if validators.tool_path("dciodvfy") is None:
        pytest.skip("dciodvfy is not installed")
    found, headers = made
    found = replace(found, reader=reader, marks=found.marks if marks == "all" else ())
    write(reading_sr.build(found, headers, WHEN), path)
    problems = validators.unexplained(validators.dciodvfy(path))
    # That the scheme is private is all that it may remark.
    assert [p for p in problems if p.severity == "error" or "term = <99BCD>" not in p.text] == []
    observer = next(item for item in items(pydicom.dcmread(path)) if name(item) == "121008")
    assert str(observer.PersonName) == reading_sr.person_name(reader)


@pytest.mark.jvm
@pytest.mark.parametrize("marks", ["all", "none"])
def test_pixelmed_finds_no_fault(made, tmp_path, marks):
    """TID 1500, 1410, 1600 and 1001 row by row."""
    path = tmp_path / "reading.dcm"
    if not validators.PIXELMED.exists():
        pytest.skip("PixelMed's validator is not installed")
    found, headers = made
    found = replace(found, marks=found.marks if marks == "all" else ())
    write(reading_sr.build(found, headers, WHEN), path)
    text = str(validators._pixelmed().validate(str(path), False, True, True, True, True))
    assert "Root Template Validation Complete" in text and "Comprehensive3DSR" in text.replace(" ", "")
    assert [line for line in text.splitlines() if "Error" in line or "illegal" in line] == []


def test_the_json_is_a_truth_that_evaluate_can_take(made, tmp_path):
    found, _ = made
    path = tmp_path / "reading.json"
    reading.write_json(reading.to_json(found, WHEN, "patient 1"), path)
    films = read_truth(path)
    assert set(films) == found.films_read
    left = films[found.study.films[0].sop_instance_uid]
    assert [lesion.center for lesion in left.lesions] == [found.marks[0].center, (3.0, 170.5)]
    assert [lesion.label for lesion in left.lesions] == ["malignant", "benign"]


@pytest.mark.parametrize("side", ["L", None])
def test_a_wrapped_picture_is_a_film_to_the_scan(tmp_path, side):
    said = secondary_capture.Description((0.2, 0.1), side, "MLO" if side else None)
    pixels = np.arange(600 * 900, dtype=np.uint32).astype(np.uint16).reshape(600, 900)
    path = secondary_capture.wrap(pixels, said, tmp_path)[2]
    header = pydicom.dcmread(path)
    assert judge(header).kind == "film"
    assert (laterality(header), view(header)) == (side, said.view)
    assert spacing(header)[:2] == ((0.2, 0.1), False)
    if validators.tool_path("dciodvfy") is None:
        pytest.skip("dciodvfy is not installed")
    problems = validators.unexplained(validators.dciodvfy(path))
    assert [p for p in problems if p.severity == "error"] == []
