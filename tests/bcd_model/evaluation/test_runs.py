"""The folds of a training run, as ``train`` writes them, and what must not pass for one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bcd_model.errors import InputError, TruthError, UsageError
from bcd_model.evaluation.runs import check_patients, read_run
from bcd_model.evaluation.scored_films import ScoredMark
from bcd_model.training.cross_validation import write_fold
from tests.support.made_cases import case

MARK = ScoredMark((1.5, 2.5), 0.25, 0.75, 12.0)


def test_marks_come_back_as_train_wrote_them(tmp_path: Path) -> None:
    write_fold(
        tmp_path / "fold-0.json", "d", {"mdb001": "1", "mdb002": "2"}, {"mdb001": (MARK,), "mdb002": ()}
    )
    write_fold(tmp_path / "fold-10.json", "d", {"mdb003": "3"}, {"mdb003": (MARK, MARK)})
    (tmp_path / "fold-0.safetensors").touch()
    run = read_run(tmp_path)
    assert run.marks == {"mdb001": (MARK,), "mdb002": (), "mdb003": (MARK, MARK)}
    assert run.fold == {"mdb001": 0, "mdb002": 0, "mdb003": 10}
    assert run.digests == {"mdb001": "1", "mdb002": "2", "mdb003": "3"}
    assert (run.folds, run.data_digest) == (None, None)  # no weights yet: not finished


def test_marks_of_a_run_that_kept_no_radius(tmp_path: Path) -> None:
    old = {
        "digest": "d",
        "films": {"mdb001": ""},
        "marks": {"mdb001": [{"center": [1, 2], "score": 0.5, "malignant": 0.5}]},
    }
    (tmp_path / "fold-0.json").write_text(json.dumps(old))
    assert read_run(tmp_path).marks["mdb001"] == (ScoredMark((1.0, 2.0), 0.5, 0.5, None),)


def of_a_mark(fields: str) -> str:
    return f'{{"films": {{"a": ""}}, "marks": {{"a": [{{{fields}}}]}}}}'


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("", "Invalid JSON"),
        ("[]", "should be an object"),
        ("{}", "films is missing"),
        ('{"films": {}, "marks": []}', "marks should be an object"),
        (
            of_a_mark('"center": [1, 2], "score": NaN, "malignant": 0.5'),
            r"a\[0\]\.score should be a finite",
        ),
        (of_a_mark('"center": [1], "score": 1, "malignant": 0.5'), r"center\[1\] is missing"),
        (of_a_mark('"center": [1, 2], "score": 1'), "malignant is missing"),
        (
            of_a_mark('"center": [1, 2], "score": 1, "malignant": 1, "radius": 0'),
            "radius should be greater than 0",
        ),
        ('{"films": {"a": ""}, "marks": {"a": 7}}', r"marks\.a should be a valid array"),
        ('{"films": {}, "marks": {"a": []}}', "a film that has marks is missing from films"),
        ("\ud800", "Invalid JSON"),
    ],
)
def test_a_damaged_fold_is_named(tmp_path: Path, content: str, fault: str) -> None:
    (tmp_path / "fold-0.json").write_bytes(content.encode("utf-8", "surrogatepass"))
    with pytest.raises(InputError, match=rf"fold-0\.json: .*{fault}.*; remove it"):
        read_run(tmp_path)


def test_a_film_in_two_folds_is_no_run(tmp_path: Path) -> None:
    for fold in (0, 1):
        write_fold(tmp_path / f"fold-{fold}.json", "d", {"mdb001": "1"}, {"mdb001": ()})
    with pytest.raises(InputError, match="mdb001 is in folds 0 and 1"):
        read_run(tmp_path)


def test_folders_that_hold_no_run(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such folder"):
        read_run(tmp_path / "nowhere")
    with pytest.raises(InputError, match="holds no fold"):
        read_run(tmp_path)


def test_a_patient_on_both_sides_is_refused(tmp_path: Path) -> None:
    for fold, name in enumerate(("a", "b")):
        write_fold(tmp_path / f"fold-{fold}.json", "d", {name: "1"}, {name: ()})
    run = read_run(tmp_path)
    check_patients(run, [case("a", []).film, case("b", []).film])
    with pytest.raises(TruthError, match="films a and b are one patient, but in folds 0 and 1"):
        check_patients(run, [case("a", [], patient="p").film, case("b", [], patient="p").film])
