"""``truth.json`` comes back as it was written, and a damaged one is refused by name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bcd_model.errors import TruthError
from bcd_model.words import Lesion
from converters.truth.file import FilmTruth, read_truth, write_truth

numbers = st.floats(0, 5000, allow_nan=False)
lesions = st.builds(
    Lesion,
    center=st.tuples(numbers, numbers),
    radius=st.floats(0.5, 500),
    label=st.sampled_from(["benign", "malignant"]),
    kind=st.sampled_from(["CALC", "CIRC"]),
)
truths = st.builds(
    FilmTruth,
    file=st.text(max_size=20),
    name=st.text(max_size=8),
    patient=st.text(max_size=8),
    label=st.sampled_from(["normal", "benign", "malignant"]),
    tissue=st.sampled_from("FGD"),
    lesions=st.lists(lesions, max_size=3).map(tuple),
    unlocated=st.booleans(),
)
FILM = FilmTruth(
    file="mias-001/mdb001.dcm",
    name="mdb001",
    patient="mias-001",
    label="benign",
    tissue="G",
    lesions=(Lesion((598.0, 535.0), 97.0, "benign", "CIRC"),),
    unlocated=False,
)


@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(films=st.dictionaries(st.from_regex(r"2\.25\.[1-9][0-9]{0,9}", fullmatch=True), truths, max_size=4))
def test_what_is_written_is_read_back(tmp_path: Path, films: dict[str, FilmTruth]) -> None:
    path = tmp_path / "truth.json"
    write_truth(path, films)
    assert read_truth(path) == films


def test_the_documented_form(tmp_path: Path) -> None:
    write_truth(tmp_path / "truth.json", {"2.25.1": FILM})
    content = json.loads((tmp_path / "truth.json").read_text())
    assert content["schema_version"] == 1
    assert content["films"]["2.25.1"] == {
        "file": "mias-001/mdb001.dcm",
        "name": "mdb001",
        "patient": "mias-001",
        "label": "benign",
        "tissue": "G",
        "unlocated": False,
        "lesions": [{"center": [598.0, 535.0], "radius": 97.0, "label": "benign", "kind": "CIRC"}],
    }


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "\xff",
        "[" * 100_000,
        '{"schema_version": 2, "films": {}}',
        '{"schema_version": 1}',
        '{"schema_version": 1, "films": []}',
        '{"schema_version": 1, "films": {"2.25.1": {}}}',
        '{"schema_version": 1, "films": {"2.25.1": 5}}',
    ],
)
def test_what_is_no_truth(tmp_path: Path, content: str) -> None:
    path = tmp_path / "truth.json"
    path.write_text(content, encoding="latin-1")
    with pytest.raises(TruthError, match=r"truth\.json: ") as caught:
        read_truth(path)
    assert caught.value.reason.remedy


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("label", "odd"),
        ("tissue", 5),
        ("unlocated", "no"),
        ("lesions", {}),
        ("lesions", ["x"]),
        ("lesions", [{"center": [1], "radius": 2, "label": "benign", "kind": "CIRC"}]),
        ("lesions", [{"center": [1, "2"], "radius": 2, "label": "benign", "kind": "CIRC"}]),
        ("lesions", [{"center": [1, 2], "radius": 0, "label": "benign", "kind": "CIRC"}]),
        ("lesions", [{"center": [1, 2], "radius": 10**400, "label": "benign", "kind": "CIRC"}]),
        ("lesions", [{"center": [1, 2], "radius": 1e200, "label": "benign", "kind": "CIRC"}]),
        ("lesions", [{"center": [1, -1e7], "radius": 2, "label": "benign", "kind": "CIRC"}]),
        ("name", "half a character: \ud800"),
        ("lesions", [{"center": [1, 2], "radius": 1, "label": "normal", "kind": "CIRC"}]),
        ("lesions", [{"center": [1, float("nan")], "radius": 1, "label": "benign", "kind": "CIRC"}]),
    ],
)
def test_a_damaged_entry(tmp_path: Path, field: str, value: object) -> None:
    path = tmp_path / "truth.json"
    write_truth(path, {"2.25.1": FILM})
    content = json.loads(path.read_text())
    content["films"]["2.25.1"][field] = value
    path.write_text(json.dumps(content))
    with pytest.raises(TruthError, match="a film's entry is damaged"):
        read_truth(path)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(TruthError, match="cannot be read"):
        read_truth(tmp_path / "truth.json")
