"""What our writers say, read back: result.json and the CAD SR agree, to the half pixel."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from BCDDetectorLib import coordinates, errors, rules
from BCDDetectorLib.jobs import ScanOutcome
from BCDDetectorLib.result_reader import read_result
from BCDDetectorLib.sr_reader import read_cad_sr
from BCDDetectorLib.words import Probability, finding_label, percent

CASES = ["finding", "no-finding", "above-and-below", "one-film-failed", "many", "non-square", "two-films"]


@pytest.mark.parametrize("name", CASES)
def test_the_report_says_what_result_json_says(case, name):
    folder, _ = case(name)
    told, report = read_result(folder), read_cad_sr(folder / "cad_sr.dcm")
    assert report.study_instance_uid == told.study_instance_uid
    assert report.model == told.model
    assert (told.prevalence, report.prevalence) == (0.4, None)  # the report has it in words
    assert [(f.sop_instance_uid, f.laterality, f.view, f.failed) for f in report.films] == [
        (f.sop_instance_uid, f.laterality, f.view, f.failed) for f in told.films
    ]
    for mine, theirs in zip(report.findings, told.findings):
        assert (mine.tracking_uid, mine.film, mine.number) == (
            theirs.tracking_uid,
            theirs.film,
            theirs.number,
        )
        assert (mine.label, mine.presented) == (theirs.label, theirs.presented)
        assert mine.center == pytest.approx(theirs.center, abs=1e-3)
        for corner, wanted in zip(mine.outline, theirs.outline):
            assert corner == pytest.approx(wanted, abs=1e-3)
        assert len(mine.outline) == len(theirs.outline)
        assert mine.probability.abnormal == pytest.approx(theirs.probability.abnormal, abs=1e-5)
        assert mine.probability.malignant == pytest.approx(theirs.probability.malignant, abs=1e-5)
    assert len(report.findings) == len(told.findings)


@pytest.mark.parametrize("prevalence", [0, 1, -0.1, None, "rare"])
def test_a_result_without_a_usable_prevalence_is_refused(case, tmp_path, prevalence):
    told = json.loads((case("finding")[0] / "result.json").read_text())
    told["operating_point"]["prevalence"] = prevalence
    (tmp_path / "result.json").write_text(json.dumps(told))
    with pytest.raises(errors.InputError, match="damaged"):
        read_result(tmp_path)


def test_where_abnormal_films_are_rare_no_probability_looks_like_none():
    shares = Probability(0.99927, 0.00012, 0.00061)
    assert finding_label(1, "malignant", shares) == "1 malignant 0.061% (abnormal 0.073%)"
    assert (percent(0.62), percent(0.039), percent(0.0)) == ("62%", "3.9%", "0%")
    assert rules.prevalence_text(0.005) == "Probabilities hold where 0.5 % of films are abnormal."
    assert rules.prevalence_text(None) == ""


def test_what_holds_back_a_result_is_said_once_each(case):
    folder, _ = case("one-film-failed")
    study = read_result(folder)
    (unseen,) = (film for film in study.films if film.failed)
    seen = next(film for film in study.films if not film.failed)
    own = replace(seen, laterality="R", view="CC", warnings=("shared", "blurred"))
    study = replace(
        study, films=(unseen, replace(seen, warnings=("shared",)), own), warnings=("NOT LOOKED AT: L CC",)
    )
    assert rules.limits_text(study).split("\n") == [
        f"Not scanned: {unseen.name}: {unseen.reason}",
        "NOT LOOKED AT: L CC",
        "shared",
        "R CC: blurred",
    ]
    assert rules.limits_text(replace(study, films=(unseen,), warnings=())).startswith("Not scanned: ")


def test_a_line_on_a_result_says_what_is_missing(case):
    folder, _ = case("one-film-failed")
    study = read_result(folder)
    seen = next(film for film in study.films if not film.failed)
    (unseen,) = (film for film in study.films if film.failed)
    outcome = ScanOutcome(study, folder, earlier=True, skipped=("1.dcm: no film",))
    line = rules.outcome_text(outcome, 1, 2, {seen.sop_instance_uid: "it cannot be read"})
    assert line == (
        f"1 finding shown, 2 below the threshold, {len(study.films) - 1} film scanned, "
        f"not scanned: {unseen.name}: {unseen.reason}; 1.dcm: no film, "
        f"without heat map: {seen.name}: it cannot be read, an earlier result, found at the gateway"
    )


def test_the_slider_begins_where_findings_are_presented(case):
    told = read_result(case("above-and-below")[0])
    assert rules.default_threshold(told) == told.threshold
    report = read_cad_sr(case("above-and-below")[0] / "cad_sr.dcm")  # names no threshold
    begins = rules.default_threshold(report)
    assert {f.probability.abnormal >= begins for f in report.findings if f.presented} == {True}
    assert {f.probability.abnormal >= begins for f in report.findings if not f.presented} == {False}


def test_the_half_pixel():
    """PS3.3 C.18.6.1.1: (0, 0) is the corner of the top-left pixel, so its centre is (0.5, 0.5)."""
    assert coordinates.from_scoord([0.5, 0.5, 10.5, 20.0]) == ((0.0, 0.0), (19.5, 10.0))
    assert coordinates.to_scoord([(0.0, 0.0), (19.5, 10.0)]) == [0.5, 0.5, 10.5, 20.0]


def test_a_blobs_centroid_lies_where_the_report_says(case):
    """An oracle apart from all code of ours: the pixels of the film itself."""
    import numpy as np
    import pydicom

    folder, films = case("two-films")
    report = read_cad_sr(folder / "cad_sr.dcm")
    presented = [finding for finding in report.findings if finding.presented]
    assert len(presented) == 2
    for finding in presented:
        pixels = pydicom.dcmread(films[finding.film]).pixel_array
        bright = np.argwhere(pixels > pixels.max() / 2)
        assert finding.center == pytest.approx(tuple(bright.mean(axis=0)), abs=0.26)


def test_what_is_no_report(tmp_path, case):
    _, films = case("finding")
    film = next(iter(films.values()))
    with pytest.raises(errors.InputError, match="not a Mammography CAD SR"):
        read_cad_sr(film)
    text = tmp_path / "x.dcm"
    text.write_text("hello")
    with pytest.raises(errors.InputError):
        read_cad_sr(text)
    with pytest.raises(errors.InputError, match="cannot be read"):
        read_result(tmp_path)
    (tmp_path / "result.json").write_text('{"schema_version": 99}')
    with pytest.raises(errors.InputError, match="99"):
        read_result(tmp_path)
    (tmp_path / "result.json").write_text('{"schema_version": 2}')
    with pytest.raises(errors.InputError, match="damaged"):
        read_result(tmp_path)


def test_a_damaged_report_is_refused(case, tmp_path):
    import pydicom

    from BCDDetectorLib.dicom_write import write

    folder, _ = case("finding")
    document = pydicom.dcmread(folder / "cad_sr.dcm")
    del document.ContentSequence[2]
    write(document, tmp_path / "cut.dcm")
    with pytest.raises(errors.InputError, match="damaged"):
        read_cad_sr(tmp_path / "cut.dcm")
