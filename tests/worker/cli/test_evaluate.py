"""``bcd-admin evaluate`` as a user runs it, on small films with a small model."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pydicom
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import RLELossless

from bcd_model.detector.model import save_model
from bcd_model.detector.network import ScanningBCDCNN, initialise
from bcd_model.digests import film_digest
from bcd_model.evaluation.scored_films import ScoredFilm, ScoredMark
from bcd_model.training.cross_validation import Validated
from bcd_model.training.network import data_digest, prepare
from bcd_model.training.train import measure
from bcd_model.words import OperatingPoint
from converters.films.studies import find_studies
from converters.mias.collection import read_collection
from converters.mias.phantom import write_phantom
from converters.mias.to_dicom import convert_mias
from converters.truth.file import read_truth, write_truth
from worker.study import evaluate
from worker.study.evaluate import films_of_dicom, scan_films

FILES = {
    *("results.json", "report.md", "marks.csv", "films.csv", "lesions.csv", "froc.csv"),
    *("froc.png", "film-roc.png", "reliability.png", "misses.png", "false-marks.png"),
}


def scored_films(folder: Path) -> list[ScoredFilm]:
    """The films of ``folder`` with made-up marks: some on lesions, most not."""
    rng = np.random.default_rng(0)
    scored = []
    for film in read_collection(folder).films:
        places = [(*rng.uniform(40, 216, 2), rng.normal(-1)) for _ in range(4)]
        places += [
            (*(np.array(x.center) + rng.normal(0, 3, 2)), rng.normal(0))
            for x in film.lesions
            if rng.random() < 0.7
        ]
        marks = [ScoredMark((r, c), s, float(rng.random()), float(rng.uniform(8, 30))) for r, c, s in places]
        marks.sort(key=lambda mark: -mark.score)
        scored.append(ScoredFilm(film.name, film.patient, film.lesions, film.unlocated, tuple(marks)))
    return scored


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Films of twelve patients as PGM and as DICOM, and a finished training run of three folds on them."""
    folder = tmp_path_factory.mktemp("evaluate")
    write_phantom(folder / "films", patients=12, seed=0, shape=(256, 256))
    convert_mias(folder / "films", folder / "dicom")
    films = prepare(read_collection(folder / "films").films, (1.6,))
    scored = scored_films(folder / "films")
    (folder / "run").mkdir()
    for fold in range(3):
        marks = {
            film.name: [asdict(mark) for mark in film.marks]
            for film in scored
            if int(film.patient[-2:]) % 3 == fold
        }
        digests = {film.name: film.digest for film in films if film.name in marks}
        content = {"digest": "", "films": digests, "marks": marks}
        (folder / "run" / f"fold-{fold}.json").write_text(json.dumps(content))
    card = {
        "data": {"digest": data_digest(films)},
        "folds": 3,
        "cross_validated": measure(Validated(scored, scored, None), 3).figures,
    }
    save_weights(folder / "run" / "bcd-scan.safetensors", card)
    return folder


@pytest.fixture
def pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pictures, which take seconds; tests of their own look at them."""
    monkeypatch.setattr("worker.cli.evaluate.draw_pictures", lambda _: {})


def save_weights(path: Path, card: dict[str, Any]) -> Path:
    """Random weights with a model card."""
    network = ScanningBCDCNN(4)
    initialise(network, 0)
    save_model(
        path,
        network,
        name="tiny",
        version="1",
        steps_mm=(1.6,),
        operating_point=OperatingPoint(0.3, 0.4, basis="random weights, for tests"),
        card=card,
    )
    return path


def test_a_run_shows_the_figures_that_training_put_on_the_card(
    site: Path, local: Any, tmp_path: Path
) -> None:
    answer = local(
        "evaluate", "--mias", site / "films", "--run", site / "run", "--out", tmp_path / "out", "--json"
    )
    assert (answer.code, answer.err.count("warning")) == (0, 0)
    assert {path.name for path in (tmp_path / "out").iterdir()} == FILES
    content = json.loads((tmp_path / "out" / "results.json").read_text())
    said = {key: value for key, value in answer.json.items() if key != "folder"}
    assert said == {key: value for key, value in content.items() if key in said}
    assert (content["measure"], content["remarks"]) == (True, [])
    model = local("model", "--json", BCD_MODEL=str(site / "run" / "bcd-scan.safetensors")).json
    card = model["card"]["cross_validated"]
    assert content["data"]["digest"] == model["card"]["data"]["digest"]
    assert (
        content["froc"]["centre"]["sensitivity_at_false_marks_per_film"]
        == card["sensitivity_at_false_marks_per_film"]
    )
    assert content["film_auc"] == card["film_auc"]
    assert card["sensitivity_at_false_marks_per_film"]["1.0"]["value"] > 0
    assert content["froc"]["centre"]["malignant_against_benign_auc"] == card["malignant_against_benign_auc"]


def test_the_same_command_writes_the_same_bytes(site: Path, local: Any, tmp_path: Path) -> None:
    for out in ("one", "two"):
        assert (
            local("evaluate", "--mias", site / "films", "--run", site / "run", "--out", tmp_path / out).code
            == 0
        )
    for name in FILES:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name


@pytest.mark.usefixtures("pictures")
def test_dicom_films_with_their_truth_give_the_figures_of_the_pgm_films(
    site: Path, local: Any, tmp_path: Path
) -> None:
    pgm, dicom = tmp_path / "pgm", tmp_path / "dicom"
    answer = local("evaluate", "--mias", site / "films", "--out", pgm)
    assert answer.code == 0
    assert "FALSE MARKS/FILM" in answer.out
    assert "not known whether the network was trained on these films" in answer.out
    truth = site / "dicom" / "truth.json"
    assert local("evaluate", "--dicom", site / "dicom", "--truth", truth, "--out", dicom).code == 0
    for name in ("results.json", "marks.csv", "lesions.csv", "films.csv", "froc.csv", "report.md"):
        assert (dicom / name).read_bytes() == (pgm / name).read_bytes(), name


@pytest.mark.usefixtures("pictures")
def test_films_of_the_training_are_counted_and_can_be_left_out(
    site: Path, local: Any, tmp_path: Path
) -> None:
    films = read_collection(site / "films").films
    digests = [film_digest(film.read()) for film in films[:3]]
    weights = save_weights(tmp_path / "w.safetensors", {"data": {"film_digests": digests}})
    arguments = (
        "evaluate",
        "--mias",
        site / "films",
        "--weights",
        weights,
        "--out",
        tmp_path / "out",
        "--json",
    )
    content = local(*arguments).json
    assert (content["measure"], content["overlap"]["films_trained_on"]) == (False, 3)
    assert content["overlap"]["text"] == "includes films the network was trained on (3 of 24): not a measure"
    report = (tmp_path / "out" / "report.md").read_text()
    assert content["overlap"]["text"] in report
    content = local(*arguments, "--unseen").json
    # The third film is one of the second patient: its fourth goes with it.
    assert (content["measure"], content["data"]["films"]) == (True, 20)
    assert content["remarks"] == ["4 films of 2 patients left out: the weights were trained on them"]
    rows = list(csv.DictReader((tmp_path / "out" / "films.csv").read_text().splitlines()))
    assert {row["film"] for row in rows}.isdisjoint({film.name for film in films[:4]})


def test_unseen_needs_a_card_that_lists_films(site: Path, local: Any) -> None:
    answer = local("evaluate", "--mias", site / "films", "--unseen")
    assert answer.code == 3
    assert "lists no film" in answer.error


@pytest.mark.usefixtures("pictures")
def test_damaged_films_are_left_out_by_name_and_the_others_measured(
    site: Path, local: Any, tmp_path: Path
) -> None:
    films = tmp_path / "films"
    shutil.copytree(site / "films", films)
    data = (films / "phantom003.pgm").read_bytes()
    (films / "phantom003.pgm").write_bytes(data[: len(data) // 2])  # its header is whole
    (films / "phantom004.pgm").write_bytes(b"no film")
    (films / "phantom024.pgm").unlink()
    answer = local("evaluate", "--mias", films, "--out", tmp_path / "out", "--json")
    assert answer.code == 1
    content = answer.json
    assert content["data"]["films"] == 21
    assert len(content["remarks"]) == 3
    for name in ("phantom003", "phantom004", "phantom024"):
        assert sum(name in text for text in content["remarks"]) == 1
        assert name in answer.err
    assert str(tmp_path) not in json.dumps(content["remarks"])


def test_films_of_which_none_can_be_read_are_refused_with_the_reason(
    site: Path, local: Any, tmp_path: Path
) -> None:
    films = tmp_path / "films"
    shutil.copytree(site / "films", films)
    for path in films.glob("*.pgm"):
        path.write_bytes(path.read_bytes()[:500])  # the headers are whole
    answer = local("evaluate", "--mias", films, "--out", tmp_path / "out")
    assert answer.code == 3
    assert "none of the 24 films can be used: film phantom001: left out: " in answer.error
    assert "is cut off" in answer.error
    for path in films.glob("*.pgm"):
        path.write_bytes(b"no film")
    answer = local("evaluate", "--mias", films, "--out", tmp_path / "out")
    assert answer.code == 3
    assert "none of the 24 films can be used: phantom001.pgm: left out: " in answer.error


@pytest.mark.usefixtures("pictures")
def test_one_picture_under_two_patients_is_told(site: Path, local: Any, tmp_path: Path) -> None:
    films = tmp_path / "films"
    shutil.copytree(site / "films", films)
    shutil.copy(films / "phantom001.pgm", films / "phantom006.pgm")
    answer = local("evaluate", "--mias", films, "--out", tmp_path / "out", "--json")
    assert answer.code == 0
    said = "films phantom001 and phantom006 are the same picture, under two patients"
    assert answer.json["remarks"] == [said]


@pytest.mark.usefixtures("pictures")
def test_without_a_terminal_a_line_is_written_now_and_then(
    site: Path, local: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.cli.shared.progress.LINE_EVERY", 0.0)  # seconds; as if it took long
    command = ("evaluate", "--mias", site / "films", "--run", site / "run", "--out", tmp_path / "out")
    lines = [line for line in local(*command).err.splitlines() if line.endswith(" of 24 films")]
    assert len(lines) == 24
    assert "of 24 films" not in local(*command, "--json").err


def test_progress_counts_the_films_left_out_as_done(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluate, "check_films", lambda _: None)  # four films may hold no lesion
    films = read_collection(site / "films").films
    digests = [film_digest(film.read()) for film in films[:-4]]
    weights = save_weights(tmp_path / "w.safetensors", {"data": {"film_digests": digests}})
    seen: list[tuple[int, str]] = []
    scan_films(films, weights, 1, lambda n, name: seen.append((n, name)), unseen=True)
    assert seen == [(len(films) - 4 + n, film.name) for n, film in enumerate(films[-4:])]


@pytest.mark.slow
def test_films_are_compared_within_their_study_as_a_scan_does(tmp_path: Path) -> None:
    write_phantom(tmp_path / "films", patients=2, seed=0, shape=(256, 256))
    convert_mias(tmp_path / "films", tmp_path / "dicom")
    two = tmp_path / "dicom" / "truth.json"
    write_truth(tmp_path / "one.json", {u: replace(f, patient="one") for u, f in read_truth(two).items()})
    studies = find_studies([tmp_path / "dicom"]).studies
    apart, together = (
        scan_films(films_of_dicom(studies, [truth]).films, None, 1, lambda *_: None, unseen=False)
        for truth in (two, tmp_path / "one.json")
    )
    assert [case.film.patient for case in together.cases] == ["one"] * 4
    assert [case.marks for case in together.cases] == [case.marks for case in apart.cases]


@pytest.mark.slow
def test_a_film_that_may_be_one_of_two_is_compared_with_neither(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if one of the two cannot be read: a scan knows that only when it has chosen."""
    monkeypatch.setattr(evaluate, "check_films", lambda _: None)
    write_phantom(tmp_path / "films", patients=1, seed=0, shape=(256, 256))
    convert_mias(tmp_path / "films", tmp_path / "dicom")
    truth = read_truth(tmp_path / "dicom" / "truth.json")
    films = {pydicom.dcmread(path).ImageLaterality: path for path in (tmp_path / "dicom").rglob("*.dcm")}
    name = truth[pydicom.dcmread(films["L"]).SOPInstanceUID].name

    def marks_beside(*paths: Path) -> object:
        write_truth(tmp_path / "truth.json", truth)
        studies = find_studies([films["L"], *paths]).studies
        matched = films_of_dicom(studies, [tmp_path / "truth.json"]).films
        cases = scan_films(matched, None, 1, lambda *_: None, unseen=False).cases
        return next(case.marks for case in cases if case.film.name == name)

    twin = pydicom.dcmread(films["R"])
    known = truth[twin.SOPInstanceUID]
    twin.SOPInstanceUID = f"{twin.SOPInstanceUID}.1"
    twin.file_meta.MediaStorageSOPInstanceUID = twin.SOPInstanceUID
    twin.compress(RLELossless)
    twin.PixelData = encapsulate([bytes(100)])
    twin.save_as(tmp_path / "twin.dcm")
    truth[twin.SOPInstanceUID] = replace(known, name="twin", file="twin.dcm")
    assert marks_beside(films["R"], tmp_path / "twin.dcm") == marks_beside() != marks_beside(films["R"])


def test_no_picture_of_another_evaluation_stays(
    site: Path, local: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bcd_model.errors import FilmError

    out = tmp_path / "out"
    out.mkdir()
    for name in FILES:
        (out / name).write_bytes(b"old")

    def fails(_: object) -> None:
        raise FilmError("the film is gone")

    monkeypatch.setattr("worker.cli.evaluate.draw_pictures", fails)
    assert local("evaluate", "--mias", site / "films", "--run", site / "run", "--out", out).code == 3
    assert {path.name for path in out.iterdir()} == {name for name in FILES if not name.endswith(".png")}


@pytest.mark.usefixtures("pictures")
def test_warnings_of_films_are_told_once_for_all_of_them(site: Path, local: Any, tmp_path: Path) -> None:
    dicom = tmp_path / "dicom"
    shutil.copytree(site / "dicom", dicom)
    for path in sorted(dicom.glob("*/*.dcm"))[:5]:
        film = pydicom.dcmread(path)
        del film.ImagerPixelSpacing
        film.save_as(path)
    empty = sorted(dicom.glob("*/*.dcm"))[6]
    film = pydicom.dcmread(empty)
    film.PixelData = bytes(len(film.PixelData))
    film.save_as(empty)
    answer = local(
        "evaluate", "--dicom", dicom, "--truth", dicom / "truth.json", "--out", tmp_path / "out", "--json"
    )
    assert answer.code == 1  # a film without a picture is a failed film
    assert any("phantom007" in text and "blank" in text for text in answer.json["remarks"]), answer.json[
        "remarks"
    ]
    told = [text for text in answer.json["remarks"] if "with a warning" in text]
    assert sum("spacing" in text and text.startswith("5 films with a warning: ") for text in told) == 1


@pytest.mark.usefixtures("pictures")
def test_no_part_of_a_file_name_stands_in_a_report(site: Path, local: Any, tmp_path: Path) -> None:
    dicom, out = tmp_path / "dicom", tmp_path / "out"
    shutil.copytree(site / "dicom", dicom)
    paths = sorted(dicom.glob("*/*.dcm"))
    film = pydicom.dcmread(paths[0])
    film.PixelData = bytes(len(film.PixelData))  # blank: it fails in the scan
    film.save_as(paths[0])
    paths[1].write_bytes(paths[1].read_bytes()[:-500])  # and this before it
    for number, path in enumerate(paths[:4]):
        path.rename(path.with_name(f"Doe: Jane left {number}.dcm"))
    answer = local("evaluate", "--dicom", dicom, "--truth", dicom / "truth.json", "--out", out)
    assert answer.code == 1
    told = [path.read_text() for path in out.iterdir()]
    assert len(told) > 5
    assert not [text for text in told if "Doe" in text or "Jane" in text]


@pytest.mark.usefixtures("pictures")
def test_a_run_of_other_films_or_half_done_is_told(site: Path, local: Any, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    shutil.copy(site / "run" / "fold-1.json", run)
    answer = local("evaluate", "--mias", site / "films", "--run", run, "--out", tmp_path / "out", "--json")
    assert answer.code == 0
    remarks = answer.json["remarks"]
    assert any("not in the run: left out" in text for text in remarks)
    assert "the run is not finished: 1 fold so far" in remarks
    assert answer.json["calibration"]["marks"] is None  # no other fold to calibrate on
    assert answer.json["data"]["films"] == 8

    films = tmp_path / "films"
    shutil.copytree(site / "films", films)
    lines = (films / "Info.txt").read_text().replace(" B ", " M ")
    (films / "Info.txt").write_text(lines)
    other = local("evaluate", "--mias", films, "--run", site / "run", "--out", tmp_path / "out", "--json")
    assert other.code == 3
    assert "or its truth is not that of the run" in other.error


@pytest.mark.usefixtures("pictures")
def test_what_train_writes_is_what_evaluate_reads(local: Any, tmp_path: Path) -> None:
    write_phantom(tmp_path / "films", patients=8, seed=1, shape=(128, 128))
    films, run = ("--mias", tmp_path / "films"), tmp_path / "run"
    trained = local("train", *films, "--out", run, "--folds", 2, "--steps", 60, "--units", 4)
    assert trained.code == 0, trained.err
    folds = local("evaluate", *films, "--run", run, "--hit-rule", "iou", "--out", tmp_path / "1", "--json")
    assert folds.code == 0, folds.err
    assert folds.json["overlap"]["verdict"] == "out of fold"
    weights = run / "bcd-scan.safetensors"
    seen = local("evaluate", *films, "--weights", weights, "--unseen", "--out", tmp_path / "2")
    assert seen.code == 3
    assert "trained on every patient given" in seen.error


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "evaluate needs films with truth; give --mias DIR, or --dicom DIR"),
        (["--mias", "a", "--dicom", "b"], "--mias or --dicom, not both"),
        (["--dicom", "a"], "--dicom and --truth belong together"),
        (["--mias", "a", "--truth", "b"], "--dicom and --truth belong together"),
        (["--mias", "a", "--run", "b", "--weights", "c"], "two sources of marks"),
        (["--mias", "a", "--run", "b", "--unseen"], "out of fold"),
        (["--mias", "a", "--hit-rule", "nearly"], "'nearly' is not one of 'centre', 'iou'"),
        (["--mias", "a", "--least-radius", "-1"], "--least-radius"),
        (["--mias", "a", "--least-radius", "inf"], "--least-radius inf is not a radius"),
        (["--mias", "a", "--seed", "x"], "--seed"),
        (["--dicom", "nowhere", "--truth", "b"], "nowhere: does not exist"),
        (["--mias", "a" * 300], "File name too long; check the path"),
    ],
)
def test_wrong_arguments_are_one_line_and_code_2(
    local: Any, admin: Any, arguments: list[str], said: str
) -> None:
    answer = local("evaluate", *arguments)
    assert answer.code == 2
    assert said in answer.error
    assert not (admin.folder / "bcd-evaluation").exists()


def test_unusable_data_is_refused_by_name_before_any_scan(site: Path, local: Any, tmp_path: Path) -> None:
    dicom, truth = site / "dicom", site / "dicom" / "truth.json"
    known = read_truth(truth)
    first = next(iter(known))
    broken, other, parted, normal, moved = (
        tmp_path / f"{n}.json" for n in ("broken", "other", "parted", "n", "m")
    )
    broken.write_text("{")
    write_truth(other, {f"{uid}.1": film for uid, film in known.items()})
    write_truth(parted, {**known, first: replace(known[first], patient="else")})
    write_truth(normal, {uid: replace(film, lesions=(), label="normal") for uid, film in known.items()})
    far = {
        uid: replace(f, lesions=tuple(replace(x, center=(999.0, 5.0)) for x in f.lesions))
        for uid, f in known.items()
    }
    write_truth(moved, far)
    (tmp_path / "empty").mkdir()
    for arguments, code, said in (
        (("--mias", tmp_path / "empty"), 3, "Info.txt"),
        (("--mias", tmp_path / "missing"), 2, "missing: does not exist"),
        (("--dicom", tmp_path / "empty", "--truth", truth), 3, "empty"),
        (("--dicom", dicom, "--truth", tmp_path / "no.json"), 2, "no.json: does not exist"),
        (("--dicom", tmp_path / "empty", "--truth", broken), 3, "broken.json"),
        (("--dicom", dicom, "--truth", broken), 3, "broken.json"),
        (("--dicom", dicom, "--truth", other), 3, "other.json: has the truth of none of these"),
        (("--dicom", dicom, "--truth", parted), 3, "parted.json: puts the films of study"),
        (("--dicom", dicom, "--truth", normal), 3, "no film has a lesion with a place"),
        (("--dicom", dicom, "--truth", moved), 3, "is outside its"),
        (("--mias", site / "films", "--weights", broken), 3, "broken.json"),
        (("--mias", site / "films", "--run", tmp_path / "missing"), 2, "missing"),
        (("--mias", site / "films", "--run", tmp_path / "empty"), 3, "empty"),
        (("--mias", site / "films", "--out", broken), 5, "broken.json"),
    ):
        answer = local("evaluate", *arguments)
        assert (answer.code, answer.out) == (code, ""), said
        assert said in answer.error


def test_a_patient_on_both_sides_of_a_split_is_refused(site: Path, local: Any, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(site / "run", run)
    zero, one = (json.loads((run / f"fold-{fold}.json").read_text()) for fold in (0, 1))
    name = next(iter(zero["marks"]))
    for what in ("films", "marks"):
        one[what][name] = zero[what].pop(name)
    for fold, content in enumerate((zero, one)):
        (run / f"fold-{fold}.json").write_text(json.dumps(content))
    answer = local("evaluate", "--mias", site / "films", "--run", run)
    assert answer.code == 3
    assert "are one patient, but in folds" in answer.error
    assert name in answer.error


def test_wrong_usage_imports_nothing_heavy(admin: Any) -> None:
    program = (
        "import sys; from worker.cli import main; main(sys.argv[1:]);"
        "print('LOADED', *sorted({name.split('.')[0] for name in sys.modules}))"
    )
    for arguments in (["evaluate", "--help"], ["evaluate"]):
        done = subprocess.run(
            [sys.executable, "-P", "-c", program, *arguments],
            env=admin.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        loaded = set(done.stdout.splitlines()[-1].split()[1:])
        assert not loaded & {"torch", "SimpleITK", "matplotlib", "celery", "redis"}


def test_a_figure_without_an_interval_is_null_in_the_card_and_told_as_such(
    site: Path, local: Any, tmp_path: Path
) -> None:
    """With one malignant lesion every third draw of patients has none: too many for an interval."""
    scored, seen = [], False
    for film in scored_films(site / "films"):
        hit = any(np.hypot(*np.subtract(m.center, x.center)) < 15 for x in film.lesions for m in film.marks)
        label: Literal["benign", "malignant"] = "malignant" if hit and not seen else "benign"
        seen |= hit
        scored.append(replace(film, lesions=tuple(replace(x, label=label) for x in film.lesions)))
    figures = measure(Validated(scored, scored, None), 3).figures
    area = figures["malignant_against_benign_auc"]
    assert (area["low"], area["high"]) == (None, None)
    json.dumps(figures, allow_nan=False)
    path = save_weights(tmp_path / "few.safetensors", {"cross_validated": figures})
    assert f"{area['value']:.3f} (no 95 % interval)" in local("model", BCD_MODEL=str(path)).out
