"""The measurement report as highdicom, which shares no code with the writer, reads it."""

from __future__ import annotations

from io import BytesIO

import highdicom
import numpy as np
import pydicom
import pytest

from bcd_model.words import DISCLAIMER
from converters.results.sr.cad_sr import build_cad_sr
from converters.results.sr.measurement_sr import build_measurement_sr
from tests.support import result_builder as build
from tests.support.reasons import reason_of, said


def stored(document):
    buffer = BytesIO()
    document.save_as(buffer, enforce_file_format=True)
    return BytesIO(buffer.getvalue())


def read(result):
    """The measurement report after a trip through a file."""
    return highdicom.sr.srread(stored(build_measurement_sr(result))).content


def below(item):
    for child in item.get("ContentSequence", ()):
        yield child
        yield from below(child)


def named(document, code):
    """Every content item of the concept ``code``."""
    items = (item for item in below(document) if "ConceptNameCodeSequence" in item)
    return [item for item in items if item.ConceptNameCodeSequence[0].CodeValue == code]


def test_each_finding_that_is_drawn_is_a_planar_region_on_its_film():
    shown = [build.finding((50.25, 40.75)), build.finding((90, 60), 8.0, malignant=0.2, benign=0.6)]
    hidden = build.finding((20, 20), malignant=0.05, benign=0.1)
    film = build.scanned(2, [*shown, hidden], laterality="R", view="CC")
    groups = read(build.study(build.scanned(1), film)).get_planar_roi_measurement_groups()
    assert len(groups) == 2
    for group, finding in zip(groups, film.scan.findings, strict=False):
        region = group.roi
        assert region.graphic_type == highdicom.sr.GraphicTypeValues.POLYLINE
        points = region.value[:, ::-1] - 0.5
        np.testing.assert_array_equal(points[0], points[-1])
        np.testing.assert_allclose(points[:-1], finding.outline, atol=1e-3)
        (source,) = region.ContentSequence
        assert source.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == film.sop_instance_uid
        (site,) = group.finding_sites
        assert (site.value.meaning, site.laterality.meaning) == ("Breast", "Right")
        measured = {m.name.meaning: (m.value, m.unit.value) for m in group.get_measurements()}
        assert measured == {
            "Certainty of Finding": (pytest.approx(100 * finding.probability.abnormal, abs=1e-3), "%"),
            "Probability of cancer": (pytest.approx(100 * finding.probability.malignant, abs=1e-3), "%"),
        }
        (impression,) = group.get_qualitative_evaluations()
        assert impression.value.meaning.lower() == finding.label


def test_tracking_is_that_of_the_cad_sr():
    result = build.CASES["two films"]()
    groups = read(result).get_planar_roi_measurement_groups()
    cad = pydicom.dcmread(stored(build_cad_sr(result)))
    assert [g.tracking_uid for g in groups] == [item.UID for item in named(cad, "112040")]
    assert [g.tracking_identifier for g in groups] == [item.TextValue for item in named(cad, "112039")]


def test_center_is_beside_the_region_and_after_it():
    document = pydicom.dcmread(stored(build_measurement_sr(build.CASES["finding"]())))
    (group,) = named(document, "125007")
    region, center = (item for item in group.ContentSequence if item.ValueType == "SCOORD")
    assert region.ConceptNameCodeSequence[0].CodeMeaning == "Image Region"
    assert (center.GraphicType, list(center.GraphicData)) == ("POINT", [41.25, 50.75])


@pytest.mark.parametrize("case", ["no finding", "below the operating point", "all films failed"])
def test_study_with_nothing_to_draw_has_a_report_too(case):
    result = build.CASES[case]()
    document = pydicom.dcmread(stored(build_measurement_sr(result)))
    assert named(document, "125007") == []
    assert len(named(document, "126010")) == 1
    (words,) = named(document, "111033")
    assert words.TextValue.startswith(DISCLAIMER)
    assert "probabilities hold where 40 % of films are abnormal" in words.TextValue
    for film in result.films:
        assert (said(reason_of(film)) or "findings at the operating point: 0") in words.TextValue


def test_every_film_is_in_the_library_and_in_the_evidence():
    result = build.CASES["one film failed"]()
    document = pydicom.dcmread(stored(build_measurement_sr(result)))
    (library,) = named(document, "111028")
    listed = [item.ReferencedSOPSequence[0] for item in below(library) if item.ValueType == "IMAGE"]
    evidence = [
        instance
        for study in document.CurrentRequestedProcedureEvidenceSequence
        for series in study.ReferencedSeriesSequence
        for instance in series.ReferencedSOPSequence
    ]
    uids = {film.sop_instance_uid for film in result.films}
    assert {item.ReferencedSOPInstanceUID for item in listed} == uids
    assert {item.ReferencedSOPInstanceUID for item in evidence} == uids


def test_this_software_is_the_observer_and_each_model_its_own_device():
    one = read(build.CASES["finding"]())
    context = one.get_observer_contexts()
    (device,) = (c.observer_identifying_attributes for c in context)
    assert (device.name, device.manufacturer_name, device.model_name) == ("BCD", "BCD", "bcd-cad")
    (group,) = one.get_planar_roi_measurement_groups()
    assert [item.TextValue for code in ("111001", "111003") for item in named(group[0], code)] == [
        "bcdcnn-test",
        "1.2",
    ]


def test_unreadable_study_has_no_report():
    assert build_measurement_sr(build.study(build.unreadable())) is None
