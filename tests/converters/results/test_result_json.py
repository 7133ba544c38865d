"""result.json: its keys, its rounding, and what is refused on reading."""

from __future__ import annotations

import dataclasses
import json
import math
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bcd_model.errors import InputError
from bcd_model.words import Finding, Probability
from converters.results.result_json import FILE_NAME, encode, read_result, to_json
from tests.support import result_builder as build

KEYS = {
    "": "schema_version disclaimer job_id created study_instance_uid input_digest software_version model "
    "settings "
    "operating_point looked_at not_looked_at warnings films",
    "film": "sop_instance_uid file sha256 film_digest facts_digest pixel_digest patient laterality view "
    "rows columns "
    "spacing spacing_assumed "
    "status reason reason_code rule warnings class film_probability findings",
    "finding": "tracking_uid center radius outline class probability presented",
}


def stored(result, folder):
    (folder / FILE_NAME).write_bytes(encode(result))
    return folder


@pytest.mark.parametrize("case", sorted(build.CASES))
def test_what_is_written_is_read(case, tmp_path):
    result = build.CASES[case]()
    assert read_result(stored(result, tmp_path)) == json.loads(json.dumps(to_json(result)))
    assert encode(result).endswith(b"}\n")
    assert encode(result) == encode(build.CASES[case]())


def test_every_key_is_there():
    told = to_json(build.CASES["one film failed"]())
    assert list(told) == KEYS[""].split()
    assert all(list(film) == KEYS["film"].split() for film in told["films"])
    assert list(told["films"][0]["findings"][0]) == KEYS["finding"].split()
    assert told["created"] == "2024-02-29T13:14:15+02:00"


def test_failed_film_tells_why_and_what_its_header_says():
    told = to_json(build.study(build.failed(1), build.unreadable(2)))["films"]
    assert told[0] | {"sop_instance_uid": None} == {
        "sop_instance_uid": None,
        "file": "film1.dcm",
        "sha256": None,
        "film_digest": None,
        "facts_digest": None,
        "pixel_digest": None,
        "patient": 1,
        "laterality": "R",
        "view": "MLO",
        "rows": 120,
        "columns": 90,
        "spacing": None,
        "spacing_assumed": None,
        "status": "failed",
        "reason": "burned-in annotation",
        "reason_code": "film",
        "rule": None,
        "warnings": [],
        "class": None,
        "film_probability": None,
        "findings": [],
    }
    assert (told[1]["sop_instance_uid"], told[1]["rows"]) == (None, None)
    assert (told[1]["reason"], told[1]["reason_code"]) == ("truncated", "cut-short")


def test_file_name_that_is_no_utf_8_survives(tmp_path):
    name = os.fsdecode(b"f\xe4lm.dcm")
    film = dataclasses.replace(build.scanned(1), file=name)
    stored(build.study(film), tmp_path)
    (read,) = read_result(tmp_path)["films"]
    assert read["file"] == name


def test_finding_just_at_the_operating_point_stays_presented():
    """Rounding must not turn a presented finding into one that is not."""
    found = Finding(
        (50, 40), 5, build.circle((50, 40), 5), "malignant", Probability(0.50000004, 0, 0.49999996)
    )
    (film,) = to_json(build.study(build.scanned(1, [found]), threshold=0.49999996))["films"]
    assert film["findings"][0]["presented"] is True


@settings(deadline=None)
@given(st.floats(0, 119), st.floats(0, 89), st.floats(0, 1))
def test_numbers_have_six_decimals(row, column, share):
    probability = Probability(1 - share, 0.0, share)
    found = Finding((row, column), 1.0, build.circle((row, column), 1.0), "malignant", probability)
    (film,) = to_json(build.study(build.scanned(1, [found])))["films"]
    (told,) = film["findings"]
    assert math.dist(told["center"], (row, column)) < 1e-6
    for value in (*told["center"], *told["probability"].values(), *told["outline"][0]):
        assert round(value, 6) == value


@pytest.mark.parametrize("prevalence", [1e-9, 0.37, 0.9999999])
def test_prevalence_is_told_as_it_is(prevalence, tmp_path):
    result = build.study(build.scanned(1))
    point = dataclasses.replace(result.operating_point, prevalence=prevalence)
    stored(dataclasses.replace(result, operating_point=point), tmp_path)
    assert read_result(tmp_path)["operating_point"]["prevalence"] == prevalence


FINDING = ("films", 0, "findings", 0)


def drop(told, *path):
    *parents, key = path
    for parent in parents:
        told = told[parent]
    del told[key]


def put(told, value, *path):
    *parents, key = path
    for parent in parents:
        told = told[parent]
    told[key] = value


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda t: drop(t, "model", "digest"), "model.digest is missing"),
        (lambda t: drop(t, "operating_point", "prevalence"), "operating_point.prevalence is missing"),
        (lambda t: put(t, "0.4", "operating_point", "prevalence"), "prevalence should be a valid number"),
        (lambda t: put(t, 1, "operating_point", "prevalence"), "prevalence should be less than 1"),
        (lambda t: put(t, 0, "operating_point", "prevalence"), "prevalence should be greater than 0"),
        (lambda t: drop(t, "films"), "films is missing"),
        (lambda t: put(t, 99, "schema_version"), "schema_version should be 2"),
        (lambda t: put(t, "x", "films"), "films should be a valid array"),
        (lambda t: put(t, "most", "looked_at"), "looked_at should be 'all', 'some' or 'none'"),
        (
            lambda t: put(t, "lost", "films", 0, "status"),
            "status should be 'scanned', 'failed' or 'excluded'",
        ),
        (lambda t: put(t, "excluded", "films", 0, "status"), "films[0]: an excluded film needs a rule"),
        (lambda t: put(t, None, "films", 0, "class"), "films[0]: a scanned film needs class"),
        (
            lambda t: put(t, None, "films", 0, "film_probability"),
            "films[0]: a scanned film needs class and film_",
        ),
        (
            lambda t: put(t, "normal", *FINDING, "class"),
            "[0].findings[0].class should be 'benign' or",
        ),
        (lambda t: put(t, [1], *FINDING, "center"), "center[1] is missing"),
        (lambda t: put(t, [1, 2, 3], *FINDING, "center"), "films[0].findings[0].center: "),
        (lambda t: put(t, [[1, True]], *FINDING, "outline"), "outline[0][1] should be a valid number"),
        (lambda t: put(t, True, *FINDING, "radius"), "films[0].findings[0].radius should be a valid number"),
        (lambda t: put(t, math.nan, *FINDING, "radius"), "radius should be a finite number"),
        (lambda t: put(t, 10**400, *FINDING, "radius"), "radius should be a finite number"),
        (lambda t: put(t, -math.inf, *FINDING, "probability", "normal"), "normal should be a finite number"),
        (lambda t: put(t, 1, *FINDING, "presented"), "presented should be a valid boolean"),
        (lambda t: put(t, 3, "films", 0), "films[0] should be an object"),
    ],
)
def test_another_schema_is_refused_in_one_line(change, complaint, tmp_path):
    told = json.loads(encode(build.CASES["finding"]()))
    change(told)
    (tmp_path / FILE_NAME).write_text(json.dumps(told))
    with pytest.raises(InputError) as caught:
        read_result(tmp_path)
    assert complaint in str(caught.value)
    assert FILE_NAME in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"null", b"\xff\xfe", b"[" * 100_000])
def test_no_json_is_refused(content, tmp_path):
    (tmp_path / FILE_NAME).write_bytes(content)
    with pytest.raises(InputError):
        read_result(tmp_path)


def test_absent_result_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match=r"result\.json"):
        read_result(tmp_path)
