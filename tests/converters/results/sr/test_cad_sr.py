"""What the CAD SR says, read back with plain pydicom."""

from __future__ import annotations

import dataclasses
from io import BytesIO

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.sr._concepts_dict import concepts

from bcd_model.words import DISCLAIMER
from converters import codes
from converters.results.sr import content_tree
from converters.results.sr.cad_sr import build_cad_sr
from tests.support import result_builder as build


def report(result):
    """The document after a trip through a file."""
    buffer = BytesIO()
    build_cad_sr(result).save_as(buffer, enforce_file_format=True)
    return pydicom.dcmread(BytesIO(buffer.getvalue()))


def concept(item):
    return item.ConceptNameCodeSequence[0].CodeValue if "ConceptNameCodeSequence" in item else ""


def below(item, code):
    return [child for child in item.get("ContentSequence", ()) if concept(child) == code]


def coded(item):
    return item.ConceptCodeSequence[0].CodeValue


@pytest.mark.parametrize(
    ("case", "findings", "detections"),
    [
        ("finding", "111242", "111222"),
        ("no finding", "111241", "111222"),
        ("below the operating point", "111242", "111222"),
        ("one film failed", "111244", "111223"),
        ("one film failed, no finding", "111243", "111223"),
        ("all films failed", "111245", "111224"),
        ("one file unreadable", "111244", "111223"),
    ],
)
def test_summaries_say_what_happened(case, findings, detections):
    document = report(build.CASES[case]())
    (summary,), (done,), (analyses,) = (below(document, c) for c in ("111017", "111064", "111065"))
    assert coded(summary) == findings
    assert coded(done) == detections
    assert coded(analyses) == "111225"  # not attempted
    assert "ContentSequence" not in analyses
    # "with findings" beside findings and only there
    assert bool(below(summary, "111034")) == (findings in ("111242", "111244"))


def test_rendering_intent_follows_the_operating_point():
    (summary,) = below(report(build.CASES["above and below"]()), "111017")
    intents = []
    for impression in below(summary, "111034"):
        (single,) = below(impression, "111059")
        (inner,), (outer,) = below(single, "111056"), below(impression, "111056")
        assert coded(inner) == coded(outer)
        intents.append(
            (coded(inner), float(below(single, "111012")[0].MeasuredValueSequence[0].NumericValue))
        )
        assert bool(inner.get("ContentSequence")) == (coded(inner) == "111151")
    assert intents == [("111150", 80.0), ("111151", 25.0)]


def test_finding_carries_type_probabilities_and_identity():
    result = build.CASES["finding"]()
    (summary,) = below(report(result), "111017")
    (single,) = below(below(summary, "111034")[0], "111059")
    assert single.ConceptCodeSequence[0].CodeValue == "129793001"
    assert single.ConceptCodeSequence[0].CodingSchemeDesignator == "SCT"
    assert float(below(single, "111047")[0].MeasuredValueSequence[0].NumericValue) == 60.0
    assert result.tracking_uid(result.films[0], 0) == below(single, "112040")[0].UID
    assert "malignant" in below(single, "112039")[0].TextValue
    assert below(single, "111001")[0].TextValue == "bcdcnn-test"
    assert "probabilities hold where 40 % of films are abnormal" in below(single, "111002")[0].TextValue


def test_impression_tells_classes_operating_point_failures_and_warnings():
    film = build.scanned(1, [build.finding((50, 40))], warnings=("unlike the training films",))
    result = build.study(film, build.failed(2), build.unreadable(3), warnings=("a film was given twice",))
    (summary,) = below(report(result), "111017")
    (impression,) = below(summary, "111033")
    text = impression.TextValue
    for part in (
        DISCLAIMER,
        "P(abnormal) >= 0.5",
        "probabilities hold where 40 % of films are abnormal",
        "sensitivity 0.812",
        "Film 1 (L MLO): malignant",
        "unlike the training films",
        "Film 2 (R MLO): not scanned: burned-in annotation",
        "Film 3: not scanned: truncated",
        "a film was given twice",
    ):
        assert part in text


def test_library_lists_what_the_source_states_and_nothing_else():
    (library,) = below(report(build.CASES["non-square pixels"]()), "111028")
    (entry,) = library.ContentSequence
    said = {concept(child): child for child in entry.ContentSequence}
    assert coded(said["111027"]) == "80248007"
    assert coded(said["111031"]) == "399368009"
    assert (said["111044"].TextValue, said["111043"].TextValue) == ("P", "FR")
    # rows lie 0.1 mm apart, columns 0.2 mm: horizontal is the distance between columns
    assert float(said["111026"].MeasuredValueSequence[0].NumericValue) == 0.2
    assert float(said["111066"].MeasuredValueSequence[0].NumericValue) == 0.1

    (library,) = below(report(build.CASES["nothing stated"]()), "111028")
    assert "ContentSequence" not in library.ContentSequence[0]


def test_patient_is_the_input_s_and_nothing_is_verified():
    document = report(build.CASES["finding"]())
    assert document.PatientName == "Tester^Björk"
    assert document.ReferringPhysicianName == "Doctor^Öl"
    assert (document.PatientID, document.AccessionNumber, document.StudyDate) == ("P1", "A1", "20240102")
    assert document.VerificationFlag == "UNVERIFIED"
    assert "VerifyingObserverSequence" not in document
    (contribution,) = document.ContributingEquipmentSequence
    assert contribution.ManufacturerModelName == "bcdcnn-test"
    assert contribution.SoftwareVersions == "1.2"
    assert "cd" * 32 in contribution.ContributionDescription
    assert "Research use only" in contribution.ContributionDescription
    assert (document.Manufacturer, document.ManufacturerModelName) == ("BCD", "bcd-cad")


def test_dates_come_from_the_job_in_the_zone_of_the_input():
    film = build.scanned(1)
    document = report(build.study(film))
    assert (document.ContentDate, document.ContentTime) == ("20240229", "131415")
    assert "TimezoneOffsetFromUTC" not in document  # the zone of StudyTime is not known
    assert document.ContributingEquipmentSequence[0].ContributionDateTime == "20240229131415"

    film.header.TimezoneOffsetFromUTC = "-1200"
    document = report(build.study(film))
    assert (document.ContentDate, document.ContentTime) == ("20240228", "231415")
    assert document.TimezoneOffsetFromUTC == "-1200"


def test_films_that_disagree_on_the_patient_give_one_patient():
    first, second = build.scanned(1), build.scanned(2, laterality="R")
    low, high = sorted((first, second), key=lambda film: film.sop_instance_uid)
    low.header.PatientID, high.header.PatientID = "low", "high"
    assert report(build.study(high, low)).PatientID == "low"
    assert report(build.study(low, high)).PatientID == "low"


def test_missing_patient_attributes_are_empty():
    film = build.scanned(1)
    for keyword in ("PatientName", "PatientID", "StudyID", "AccessionNumber", "ReferringPhysicianName"):
        del film.header[keyword]
    document = report(build.study(film))
    assert document.PatientName == ""
    assert not document.PatientID
    assert not document.AccessionNumber


def test_study_of_which_no_header_can_be_read_has_no_report():
    assert build_cad_sr(build.study(build.unreadable())) is None


def test_center_outside_the_film_is_refused():
    with pytest.raises(ValueError, match="finding 1 lies outside the film"):
        build_cad_sr(build.study(build.scanned(1, [build.finding((130, 40))])))


def test_outline_beyond_the_edge_is_cut_at_it():
    (summary,) = below(report(build.study(build.scanned(1, [build.finding((5, 5), 12.0)]))), "111017")
    (single,) = below(below(summary, "111034")[0], "111059")
    (outline,) = below(single, "111041")
    assert min(outline.GraphicData) == 0.0


def test_another_model_or_time_gives_other_uids():
    result = build.CASES["finding"]()
    other = dataclasses.replace(result, job=dataclasses.replace(result.job, job_id="another"))
    one, two = build_cad_sr(result), build_cad_sr(other)
    assert one.SOPInstanceUID != two.SOPInstanceUID
    assert one.SeriesInstanceUID != two.SeriesInstanceUID
    assert one.StudyInstanceUID == two.StudyInstanceUID == build.STUDY


@pytest.mark.parametrize(
    "code",
    [c for c in vars(codes).values() if isinstance(c, codes.Code)]
    + [c for group in (codes.BREASTS, codes.VIEWS, codes.SIDES, codes.IMPRESSIONS) for c in group.values()],
    ids=lambda code: f"{code.scheme} {code.value}",
)
def test_codes_are_those_of_the_standard(code):
    if code.scheme in ("DCM", "SCT"):
        meanings = {
            meaning.replace("\u200b", "")
            for entries in concepts[code.scheme].values()
            for value, (meaning, _) in entries.items()
            if value == code.value
        }
        assert code.meaning in meanings
    assert len(code.meaning) <= 64


@settings(deadline=None)
@given(st.recursive(st.just([]), lambda children: st.lists(children, max_size=4), max_leaves=20), st.data())
def test_references_are_positions_wherever_the_target_stands(shape, data):
    """For any tree: the identifier that is written leads to the item that was meant."""
    everything = []

    def grow(nested):
        item = content_tree.text(codes.TRACKING_IDENTIFIER, str(len(everything)))
        everything.append(item)
        return item.add("CONTAINS", *(grow(child) for child in nested))

    root = grow(shape)
    target = data.draw(st.sampled_from(everything))
    data.draw(st.sampled_from(everything)).add("SELECTED FROM", content_tree.Target(target))
    encoded = content_tree.encode(root)

    def references(item):
        for child in item.get("ContentSequence", ()):
            if "ReferencedContentItemIdentifier" in child:
                yield child.ReferencedContentItemIdentifier
            yield from references(child)

    (identifier,) = references(encoded)
    positions = [identifier] if isinstance(identifier, int) else list(identifier)
    found = encoded
    for position in positions[1:]:
        found = found.ContentSequence[position - 1]
    assert found.TextValue == target.value.TextValue


def test_reference_to_an_item_outside_the_tree_is_an_error():
    root = content_tree.container(codes.IMAGE_LIBRARY)
    root.add("SELECTED FROM", content_tree.Target(content_tree.text(codes.ALGORITHM_NAME, "x")))
    with pytest.raises(ValueError, match="not part"):
        content_tree.encode(root)
