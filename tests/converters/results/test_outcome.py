"""What is said of a study as a whole, read from its files: no all-clear that was not earned."""

from __future__ import annotations

import json

import pydicom
import pytest

from converters.results.write import write_results
from tests.support import result_builder as build

found = build.finding((50, 40))


@pytest.mark.parametrize(
    ("films", "summary", "detections", "looked_at", "unseen"),
    [
        ([build.scanned(1)], "111241", "111222", "all", []),
        ([build.scanned(1, [found])], "111242", "111222", "all", []),
        ([build.scanned(1), build.failed(2)], "111243", "111223", "some", ["R MLO"]),
        ([build.scanned(1, [found]), build.failed(2)], "111244", "111223", "some", ["R MLO"]),
        ([build.scanned(1), build.unreadable(2)], "111243", "111223", "some", ["a view that is not stated"]),
        ([build.failed(1), build.failed(2)], "111245", "111224", "none", ["R MLO"]),
        ([build.scanned(1), build.excluded(2)], "111241", "111222", "all", []),
        ([build.scanned(1), build.excluded(2, laterality="R")], "111243", "111223", "some", ["R MLO"]),
        ([build.scanned(1), build.excluded(2, view="CC")], "111243", "111223", "some", ["L CC"]),
        ([build.scanned(1), build.excluded(2, view=None)], "111243", "111223", "some", ["L"]),
        ([build.excluded(1)], "111245", "111224", "none", ["L MLO"]),
        # an implant displaced shows other tissue
        ([build.scanned(1), build.displaced(build.excluded(2))], "111243", "111223", "some", ["L MLO"]),
        # a finding that no report can point to is a finding all the same
        ([build.scanned(1), build.without_series(2)], "111242", "111222", "all", []),
    ],
)
def test_the_summaries_are_over_all_films(films, summary, detections, looked_at, unseen, tmp_path):
    write_results(build.study(*films), tmp_path)
    codes = {
        item.ConceptNameCodeSequence[0].CodeValue: item.ConceptCodeSequence[0].CodeValue
        for item in pydicom.dcmread(tmp_path / "cad_sr.dcm").ContentSequence
        if item.ValueType == "CODE"
    }
    assert (codes["111017"], codes["111064"]) == (summary, detections)
    told = json.loads((tmp_path / "result.json").read_text())
    assert (told["looked_at"], told["not_looked_at"]) == (looked_at, unseen)
    page = (tmp_path / "report.html").read_text()
    assert ("looked at in part" in page) == (looked_at == "some")
    assert ("Nothing of this study was looked at" in page) == (looked_at == "none")
    for view in unseen:
        assert view in page


@pytest.mark.parametrize("rule", ["tomosynthesis", "for processing", "spot view", "secondary picture"])
def test_an_excluded_film_is_listed_with_its_rule(rule, tmp_path):
    write_results(build.study(build.scanned(1), build.excluded(2, rule=rule)), tmp_path)
    (_, film) = json.loads((tmp_path / "result.json").read_text())["films"]
    assert (film["status"], film["rule"], film["class"]) == ("excluded", rule, None)
    assert "Excluded: " in (tmp_path / "report.html").read_text()
    report = pydicom.dcmread(tmp_path / "cad_sr.dcm")
    texts = [item.TextValue for item in report.ContentSequence[2].ContentSequence if "TextValue" in item]
    assert "Film 2 (L MLO): excluded: " in texts[0]


def test_the_films_own_calibration_is_not_shown(tmp_path):
    """'normal' must not stand beside a probability over the threshold that is printed."""
    film = build.scanned(1)  # P(abnormal) of the film: 0.1
    write_results(build.study(film, threshold=0.05), tmp_path)
    told = json.loads((tmp_path / "result.json").read_text())["films"][0]
    assert told["film_probability"]["normal"] == 0.9
    assert "probability" not in told
    page = (tmp_path / "report.html").read_text()
    assert "10.0" not in page
    report = str(pydicom.dcmread(tmp_path / "cad_sr.dcm"))
    assert "90" not in "".join(
        line for line in report.splitlines() if "normal at the operating point" in line
    )


def test_objects_that_cannot_be_made_cost_their_film_alone(tmp_path):
    outside = build.scanned(1, [build.finding((500, 40))])
    result = write_results(build.study(outside, build.scanned(2, laterality="R")), tmp_path)
    assert [film.outcome for film in result.films] == ["failed", "scanned"]
    told = json.loads((tmp_path / "result.json").read_text())
    assert [film["status"] for film in told["films"]] == ["failed", "scanned"]
    assert told["looked_at"] == "some"
    assert not list(tmp_path.rglob(f"*/{outside.sop_instance_uid}.dcm"))
