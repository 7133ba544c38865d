"""Whatever a gateway, a result or a report holds, the module answers with a value or with its own error."""

from __future__ import annotations

import copy
import json
import math
from contextlib import suppress

import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from BCDDetectorLib import answers, errors
from BCDDetectorLib.dicom_write import write
from BCDDetectorLib.result_reader import read_result
from BCDDetectorLib.sr_reader import read_cad_sr

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(10**400),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
MANY = settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def places(value, path=()):
    """Every place in a JSON value."""
    yield path
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(inner, (dict, list)):
            yield from places(inner, (*path, key))
        else:
            yield (*path, key)


def changed(value, path, new):
    """``value`` with another thing at ``path``."""
    if not path:
        return new
    made = copy.deepcopy(value)
    spot = made
    for key in path[:-1]:
        spot = spot[key]
    spot[path[-1]] = new
    return made


@MANY
@given(value=JSON)
def test_answers_of_a_gateway(value):
    job = {"job_id": "a", "study_instance_uid": "1.2", "state": "running", "film": value, "films": value}
    entries = {"jobs": [job, value], "skipped": [value]}
    whole = {"version": value, "model": value, "limits": value, "workers": value}
    for action in (
        lambda: answers.job(value),
        lambda: answers.job(job),
        lambda: answers.submission(entries),
        lambda: answers.info(whole),
    ):
        with suppress(errors.BadAnswerError):
            action()


@MANY
@given(data=st.data())
def test_a_damaged_result(data, case, tmp_path):
    folder, _ = case("two-films")
    content = json.loads((folder / "result.json").read_bytes())
    path = data.draw(st.sampled_from(sorted(places(content), key=str)))
    (tmp_path / "result.json").write_text(json.dumps(changed(content, path, data.draw(JSON))))
    try:
        study = read_result(tmp_path)
    except errors.InputError:
        return
    for finding in study.findings:
        numbers = [*finding.center, finding.radius, finding.probability.abnormal, *sum(finding.outline, ())]
        assert all(math.isfinite(number) for number in numbers)
        assert len(finding.outline) >= 3


def elements(dataset, path=()):
    """Every element below ``dataset``, as a path of (tag, item)."""
    for element in dataset:
        yield (*path, (element.tag, None))
        if element.VR == "SQ":
            for index, item in enumerate(element.value):
                yield from elements(item, (*path, (element.tag, index)))


@settings(MANY, max_examples=150)
@given(data=st.data())
def test_a_damaged_report(data, case, tmp_path):
    folder, _ = case("two-films")
    document = pydicom.dcmread(folder / "cad_sr.dcm")
    path = data.draw(st.sampled_from(list(elements(document))))
    spot = document
    for tag, index in path[:-1]:
        spot = spot[tag].value[index]
    del spot[path[-1][0]]
    if "SOPClassUID" not in document or "SOPInstanceUID" not in document:
        return  # no file can be written without them
    write(document, tmp_path / "x.dcm")
    with suppress(errors.InputError):
        read_cad_sr(tmp_path / "x.dcm")


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"null", b"\xff", b"[" * 100_000])
def test_what_is_no_result(tmp_path, content):
    (tmp_path / "result.json").write_bytes(content)
    with pytest.raises(errors.InputError):
        read_result(tmp_path)
