"""The module may import nothing of the house, so it says codes once more: here the two are held together."""

from __future__ import annotations

import pytest
from pydicom.dataset import Dataset
from readings import WHEN

from BCDDetectorLib import reading_sr, sr_reader
from converters import codes

GROUPS = (codes.SIDES, codes.IMPRESSIONS, codes.BREASTS, codes.VIEWS)
DETECTORS = {code for code in vars(codes).values() if isinstance(code, codes.Code)}.union(
    *(group.values() for group in GROUPS)
)
READERS = {("121006", "DCM", "Person"), ("121008", "DCM", "Person Observer Name")}
"""What only a report of a person says (PS3.16 TID 1003)."""


def coded(dataset: Dataset) -> set[tuple[str, str, str]]:
    """Every code that an object says, however deep."""
    found = set()
    for element in dataset:
        for item in element.value if element.VR == "SQ" else ():
            if "CodeValue" in item:
                found.add((item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning))
            found |= coded(item)
    return found


@pytest.mark.parametrize(
    ("readers", "detectors"),
    [(reading_sr.SIDES, codes.SIDES), (reading_sr.CLASSES, codes.IMPRESSIONS)],
    ids=["sides", "classes"],
)
def test_sides_and_classes_are_the_detectors(readers, detectors):
    assert readers == detectors


def test_every_side_and_view_of_the_detectors_report_is_understood():
    assert {code.value: view for view, code in codes.VIEWS.items()} == sr_reader.VIEWS
    assert {code.value: side for side, code in codes.BREASTS.items()} == sr_reader._BREASTS


def test_a_reading_says_its_concepts_as_the_detector_does(made):
    found, headers = made
    said = {code for code in coded(reading_sr.build(found, headers, WHEN)) if code[1] != reading_sr.SCHEME}
    assert len(said) > 20
    assert said - READERS <= DETECTORS
