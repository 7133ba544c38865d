"""``truth.json`` comes back as it was written, and a damaged one is refused by name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bcd_model.errors import TruthError
from bcd_model.words import Lesion
from converters.truth.file import TRUTH, FilmTruth, read_truth, write_truth

DOCUMENTED = Path(__file__).parents[3] / "docs" / "reference" / "truth.schema.json"

numbers = st.floats(0, 5000, allow_nan=False)
lesions = st.builds(
    Lesion,
    center=st.tuples(numbers, numbers),
    radius=st.floats(0.5, 500),
    label=st.sampled_from(["benign", "malignant"]),
    kind=st.sampled_from(["CALC", "CIRC"]),
)
described = {
    "file": st.text(max_size=20),
    "name": st.text(min_size=1, max_size=8),
    "patient": st.text(min_size=1, max_size=8),
    "tissue": st.sampled_from("FGD"),
}
truths = st.builds(FilmTruth, label=st.just("normal"), **described) | st.builds(
    FilmTruth,
    label=st.sampled_from(["benign", "malignant"]),
    lesions=st.lists(lesions, min_size=1, max_size=3).map(tuple),
    unlocated=st.booleans(),
    **described,
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


def test_patient_and_label_are_enough(tmp_path: Path) -> None:
    path = tmp_path / "truth.json"
    path.write_text('{"schema_version": 1, "films": {"2.25.1": {"patient": "p1", "label": "normal"}}}')
    assert read_truth(path) == {"2.25.1": FilmTruth(patient="p1", label="normal", name="2.25.1")}


@pytest.mark.parametrize(
    ("label", "lesions", "unlocated", "possible"),
    [
        ("normal", 0, False, True),
        ("normal", 1, False, False),
        ("normal", 0, True, False),
        ("benign", 0, False, False),
        ("benign", 0, True, True),
        ("malignant", 1, False, True),
        ("malignant", 1, True, True),
    ],
)
def test_the_label_fits_the_lesions(
    tmp_path: Path, label: str, lesions: int, unlocated: bool, possible: bool
) -> None:
    """An abnormal film without a lesion would make every mark on it a false one."""
    path = tmp_path / "truth.json"
    lesion = {"center": [100.0, 200.0], "radius": 30.0, "label": "benign"}
    film = {"patient": "p1", "label": label, "lesions": [lesion] * lesions, "unlocated": unlocated}
    path.write_text(json.dumps({"schema_version": 1, "films": {"2.25.1": film}}))
    if possible:
        read_truth(path)
    else:
        with pytest.raises(TruthError, match=r"films\[2\.25\.1\].*a normal film has no lesion"):
            read_truth(path)


def of_the_code() -> str:
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **TRUTH.json_schema()}
    return json.dumps(schema, indent=2) + "\n"


def test_the_documented_schema_is_that_of_the_code() -> None:
    assert DOCUMENTED.read_text() == of_the_code(), (
        f"python -m tests.converters.truth.{Path(__file__).stem} writes it"
    )


def test_the_documented_example_is_read(tmp_path: Path) -> None:
    text = DOCUMENTED.with_name("truth-json.md").read_text()
    path = tmp_path / "truth.json"
    path.write_text(text.split("```json\n")[1].split("```")[0])
    assert len(read_truth(path)) == 2


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


def of_a_lesion(center: object = (1, 2), radius: object = 2, label: str = "benign") -> list[object]:
    return [{"center": center, "radius": radius, "label": label, "kind": "CIRC"}]


@pytest.mark.parametrize(
    ("field", "value", "fault"),
    [
        ("label", "odd", "label should be 'normal', 'benign' or 'malignant'"),
        ("tissue", 5, "tissue should be a valid string"),
        ("unlocated", "no", "unlocated should be a valid boolean"),
        ("unlocated", 1, "unlocated should be a valid boolean"),
        ("lesions", {}, "lesions should be a valid array"),
        ("lesions", ["x"], "lesions[0] should be an object"),
        ("lesions", of_a_lesion(center=[1]), "lesions[0].center[1] is missing"),
        ("lesions", of_a_lesion(center=[1, "2"]), "lesions[0].center[1] should be a valid number"),
        ("lesions", of_a_lesion(center=[True, 2]), "lesions[0].center[0] should be a valid number"),
        ("lesions", of_a_lesion(radius=0), "lesions[0]: not a circle on a film"),
        ("lesions", of_a_lesion(radius=10**400), "lesions[0]: not a circle on a film"),
        ("lesions", of_a_lesion(radius=1e200), "lesions[0]: not a circle on a film"),
        ("lesions", of_a_lesion(center=[1, -1e7]), "lesions[0]: not a circle on a film"),
        ("lesions", of_a_lesion(center=[1, float("nan")]), "lesions[0]: not a circle on a film"),
        ("lesions", of_a_lesion(label="normal"), "lesions[0].label should be 'benign' or 'malignant'"),
    ],
)
def test_a_damaged_entry_is_told_by_its_place(tmp_path: Path, field: str, value: object, fault: str) -> None:
    path = tmp_path / "truth.json"
    write_truth(path, {"2.25.1": FILM})
    content = json.loads(path.read_text())
    content["films"]["2.25.1"][field] = value
    path.write_text(json.dumps(content))
    with pytest.raises(TruthError) as caught:
        read_truth(path)
    assert caught.value.reason.detail == f"films[2.25.1].{fault}"


@pytest.mark.parametrize("part", ["name", "2.25.1"])
def test_half_a_character_is_no_text(tmp_path: Path, part: str) -> None:
    """JSON can hold it, and no file can."""
    path = tmp_path / "truth.json"
    write_truth(path, {"2.25.1": FILM})
    path.write_text(path.read_text().replace(f'"{part}"', r'"\ud800"'))
    with pytest.raises(TruthError, match=r"truth\.json: Invalid JSON.* at line [0-9]+ column"):
        read_truth(path)


def test_a_truth_that_an_editor_began_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    path = tmp_path / "truth.json"
    write_truth(path, {"2.25.1": FILM})
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert read_truth(path) == {"2.25.1": FILM}


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(TruthError, match="cannot be read"):
        read_truth(tmp_path / "truth.json")


if __name__ == "__main__":
    DOCUMENTED.write_text(of_the_code())
