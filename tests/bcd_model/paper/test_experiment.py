import csv
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from bcd_model.detector.network import initialise
from bcd_model.errors import TruthError, UsageError
from bcd_model.paper import experiment, training
from bcd_model.paper.experiment import Reproduction, Step, reproduce
from bcd_model.paper.networks import build
from bcd_model.paper.report import files
from bcd_model.paper.report.files import write_report
from bcd_model.paper.runs import Options, choose
from bcd_model.paper.systems import PROTOCOLS, SUBSETS, SYSTEMS, Recipe
from bcd_model.paper.training import DivergedError, environment, predict
from tests.support.made_films import flat_film
from tests.support.toy_films import StoredFilm

OPTIONS = Options(steps=2)


@pytest.fixture
def threads() -> Iterator[int]:
    """PyTorch's number of threads, which is put back at the end."""
    before = torch.get_num_threads()
    yield before
    torch.set_num_threads(before)


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pictures, which take longer than the networks; for tests that look at none."""
    monkeypatch.setattr(files, "draw_all", lambda *_: [])


def _do(
    films: list[StoredFilm],
    out: Path,
    systems: tuple[str, ...] = ("S5",),
    seeds: int = 1,
    options: Options = OPTIONS,
    subsets: tuple[str, ...] = ("all",),
) -> Reproduction:
    runs = choose(systems, subsets, PROTOCOLS, seeds)
    done = reproduce(films, runs, options, out)
    facts = {"digest": done.films, "films": len(films), "patients": 12}
    write_report(out, done.outcomes, done.options, facts)
    return done


def _texts(out: Path) -> dict[str, bytes]:
    names = [path.name for path in out.iterdir() if path.is_file() and path.suffix != ".log"]
    return {name: (out / name).read_bytes() for name in sorted(names)}


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bytes_of_every_file(films: list[StoredFilm], tmp_path: Path) -> None:
    for name in ("a", "b"):
        _do(films, tmp_path / name, ("S3", "S5"), options=Options(steps=1))
    first, second = _texts(tmp_path / "a"), _texts(tmp_path / "b")
    assert set(first) >= {"results.json", "report.md", "predictions-paper.csv", "figure11-patient.png"}
    assert first == second


@pytest.mark.usefixtures("no_pictures")
def test_what_is_done_is_not_done_again_and_seeds_may_be_added(
    films: list[StoredFilm], tmp_path: Path
) -> None:
    _do(films, tmp_path)
    log = (tmp_path / "reproduce.log").read_text()
    assert len(log.splitlines()) == 6
    _do(films, tmp_path)
    assert (tmp_path / "reproduce.log").read_text() == log
    _do(films, tmp_path, seeds=2)
    assert len((tmp_path / "reproduce.log").read_text().splitlines()) == 12
    results = json.loads((tmp_path / "results.json").read_text())
    assert [group["seeds"] for group in (*results["paper"], *results["patient"])] == [[0, 1], [0, 1]]
    assert not list(tmp_path.glob("**/*.safetensors"))


@pytest.mark.usefixtures("no_pictures")
def test_a_folder_of_other_settings_or_films_is_refused_by_name(
    films: list[StoredFilm], tmp_path: Path
) -> None:
    _do(films, tmp_path)
    with pytest.raises(UsageError, match=r"holds runs of other settings \(steps 2, not 3\)"):
        _do(films, tmp_path, options=Options(steps=3))
    with pytest.raises(UsageError, match=r"precision float32, not bfloat16"):
        _do(films, tmp_path, options=Options(2, "bfloat16"))
    with pytest.raises(UsageError, match=r"other films"):
        _do(films[2:], tmp_path)
    (run,) = tmp_path.glob("runs/*paper*/run.json")
    whole = run.read_text()
    run.write_text(whole[:50])
    with pytest.raises(UsageError, match=r"run\.json: is damaged"):
        _do(films, tmp_path)
    run.write_text(whole.replace('"truth":0', '"truth":1', 1))
    with pytest.raises(UsageError, match=r"run\.json: is not as it was written; remove it"):
        _do(films, tmp_path)
    run.write_text(whole)
    copy = run.parent.with_name("copy of " + run.parent.name)
    shutil.copytree(run.parent, copy)
    with pytest.raises(UsageError, match=rf"{copy.name}: holds the run {run.parent.name}; remove the copy"):
        _do(films, tmp_path)


@pytest.mark.usefixtures("no_pictures")
def test_a_refused_run_leaves_the_folder_to_others(films: list[StoredFilm], tmp_path: Path) -> None:
    with pytest.raises(TruthError, match="2 patients cannot fill 5 folds"):
        _do(films[:4], tmp_path)
    assert not list(tmp_path.iterdir())
    # One that was ended before its first checkpoint has left its settings alone.
    _do(films, tmp_path)
    shutil.rmtree(tmp_path / "runs")
    _do(films, tmp_path, options=Options(steps=3))
    assert json.loads((tmp_path / "results.json").read_text())["settings"]["steps"] == 3


def test_a_folder_of_something_else_is_refused_and_left_as_it_is(
    films: list[StoredFilm], tmp_path: Path
) -> None:
    (tmp_path / "report.md").write_text("mine")
    with pytest.raises(UsageError, match="is not empty and not the folder of a reproduction; name another"):
        _do(films, tmp_path)
    (tmp_path / "settings.json").write_text('{"editor": "mine"}')
    with pytest.raises(UsageError, match=r"settings\.json: is not of a reproduction"):
        _do(films, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.md", "settings.json"]
    assert (tmp_path / "report.md").read_text() == "mine"


@pytest.mark.usefixtures("no_pictures")
def test_a_folder_keeps_the_number_of_threads_it_was_begun_with(
    films: list[StoredFilm], tmp_path: Path, threads: int
) -> None:
    _do(films, tmp_path, options=Options(2, threads=threads + 1))
    torch.set_num_threads(threads)
    _do(films, tmp_path, seeds=2)
    results = json.loads((tmp_path / "results.json").read_text())
    assert [each["threads"] for each in results["environment"]] == [threads + 1]
    assert results["settings"]["threads"] == threads + 1
    with pytest.raises(UsageError, match=rf"threads {threads + 1}, not {threads}"):
        _do(films, tmp_path, options=Options(2, threads=threads))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda films: [film for film in films if film.label != "malignant"], "has no malignant crop"),
        (lambda films: [*films, flat_film("x", "p1", 0.1), flat_film("y", "p2", 0.1)], "same picture"),
        (lambda films: films[:4], "2 patients cannot fill 5 folds"),
    ],
)
def test_what_cannot_be_split_by_patient_is_refused_before_any_training(
    change: Callable[[list[StoredFilm]], list[StoredFilm]],
    message: str,
    films: list[StoredFilm],
    tmp_path: Path,
) -> None:
    with pytest.raises(TruthError, match=message):
        _do(change(films), tmp_path)
    assert not (tmp_path / "runs").exists()


@pytest.mark.usefixtures("no_pictures")
def test_a_network_that_diverges_is_begun_again_and_says_so(
    films: list[StoredFilm], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = Options(steps=4)
    runs = choose(("S5",), ("all",), ("paper",), 1)
    seeds: list[int] = []

    def initialise_badly(network: nn.Module, seed: int) -> None:
        initialise(network, seed)
        if seed == runs[0].network_seed:
            torch.nn.init.constant_(network.dense.weight, float("nan"))
        seeds.append(seed)

    def kill(step: Step) -> None:
        if step.done == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(training, "initialise", initialise_badly)
    monkeypatch.setattr(training, "CHECKPOINT_EVERY", 1)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    said: list[str] = []
    done = reproduce(films, runs, options, whole, said.append)
    assert len(set(seeds)) == 2
    assert any(text.startswith(f"{runs[0].name}: it diverged; it is begun again") for text in said)
    assert [outcome.restarts for outcome in done.outcomes] == [1]
    write_report(whole, done.outcomes, done.options, {"digest": done.films, "films": 24, "patients": 12})
    told = f"Begun again because they diverged: {runs[0].name} (once)."
    assert told in (whole / "report.md").read_text()

    with pytest.raises(KeyboardInterrupt):
        reproduce(films, runs, options, killed, watch=kill)
    assert [path.name for path in killed.glob("runs/*/*")] == ["checkpoint-1.safetensors"]
    with pytest.raises(
        UsageError, match=r"checkpoint-1\.safetensors: the checkpoint belongs to other films or settings"
    ):
        monkeypatch.setitem(SYSTEMS, "S5", replace(SYSTEMS["S5"], dropout=0.1))
        reproduce(films, [*choose(("S3",), ("all",), ("paper",), 1), *runs], options, killed)
    monkeypatch.undo()
    assert not (killed / "runs" / "S3-all-paper-seed0-fold0").exists(), "it is refused before any training"
    monkeypatch.setattr(training, "initialise", initialise_badly)
    seeds.clear()
    assert reproduce(films, runs, options, killed).outcomes == done.outcomes
    assert runs[0].network_seed not in seeds
    assert [path.name for path in killed.glob("runs/*/*")] == ["run.json"]


@pytest.mark.parametrize("when", ["between the two trainings", "after run.json"])
def test_killed_where_a_network_diverged_late_it_comes_to_the_same(
    films: list[StoredFilm], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """It has a checkpoint by then, which stays beside that of the training after it."""
    options = Options(steps=4)
    runs = choose(("S5",), ("all",), ("paper",), 1)
    train = training.functional.cross_entropy
    losses: list[float] = []

    def diverge_at_the_third(*arguments: torch.Tensor) -> torch.Tensor:
        losses.append(0.0)
        loss: torch.Tensor = train(*arguments)
        return loss * float("nan") if len(losses) == 3 else loss

    def kill(*_: object) -> None:
        raise KeyboardInterrupt

    def hear(text: str) -> None:
        if when == "between the two trainings" and "it diverged" in text:
            raise KeyboardInterrupt

    monkeypatch.setattr(training, "CHECKPOINT_EVERY", 1)
    monkeypatch.setattr(training.functional, "cross_entropy", diverge_at_the_third)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    done = reproduce(films, runs, options, whole)
    assert [outcome.restarts for outcome in done.outcomes] == [1]
    losses.clear()
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        if when == "after run.json":
            patch.setattr(experiment, "_remove_checkpoints", kill)
        reproduce(films, runs, options, killed, hear)
    left = {path.name for path in killed.glob("runs/*/*")}
    assert left >= {"checkpoint.safetensors"}
    assert ("run.json" in left) == ("checkpoint-1.safetensors" in left) == (when == "after run.json")
    losses[:] = losses[:2]
    assert reproduce(films, runs, options, killed).outcomes == done.outcomes
    assert [path.name for path in killed.glob("runs/*/*")] == ["run.json"]


@pytest.mark.parametrize("spoilt", ["made elsewhere", "damaged"])
def test_a_checkpoint_that_cannot_be_gone_on_from_is_refused_before_any_training(
    films: list[StoredFilm], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoilt: str
) -> None:
    runs = choose(("S5",), ("all",), ("paper",), 1)

    def kill(step: Step) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "CHECKPOINT_EVERY", 1)
    with pytest.raises(KeyboardInterrupt):
        reproduce(films, runs, OPTIONS, tmp_path, watch=kill)
    (checkpoint,) = tmp_path.glob("runs/*/checkpoint.safetensors")
    if spoilt == "damaged":
        content = bytearray(checkpoint.read_bytes())
        content[-1] ^= 1
        checkpoint.write_bytes(content)
    else:
        here = environment("cpu")
        monkeypatch.setattr(experiment, "environment", lambda _device: {**here, "torch": "9.9"})
    other = choose(("S3",), ("all",), ("paper",), 1)
    with pytest.raises(UsageError, match=rf"checkpoint\.safetensors: the checkpoint (was|is) {spoilt}"):
        reproduce(films, [*other, *runs], OPTIONS, tmp_path)
    assert not list(tmp_path.glob("runs/S3-*"))


def test_a_network_whose_last_step_goes_too_far_has_diverged() -> None:
    network = build(SYSTEMS["S5"], 3)
    torch.nn.init.constant_(network.dense.weight, float("nan"))
    with pytest.raises(DivergedError):
        predict(network, np.zeros((2, 48, 48), dtype=np.float32))


def test_a_recipe_that_only_diverges_is_left_and_named(
    films: list[StoredFilm], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wild = {subset: Recipe(1e30, 4) for subset in SUBSETS}
    monkeypatch.setitem(SYSTEMS, "S5", replace(SYSTEMS["S5"], recipes=wild))
    runs = choose(("S5",), ("all",), ("paper",), 1)
    other = choose(("S3",), ("all",), ("paper",), 1)
    said: list[str] = []
    done = reproduce(films, [*runs, *other], OPTIONS, tmp_path, said.append)
    assert done.diverged == tuple(runs)
    assert [outcome.run for outcome in done.outcomes] == list(other)
    assert f"network 1 of 2, {runs[0].name}: diverged 3 times; left" in said


@pytest.mark.usefixtures("no_pictures")
def test_the_report_says_what_is_in_no_table(films: list[StoredFilm], tmp_path: Path) -> None:
    done = _do(films, tmp_path, seeds=2, options=Options(steps=1))
    lost = next(o for o in done.outcomes if o.run.protocol == "patient" and o.run.seed == 1)
    rest = [outcome for outcome in done.outcomes if outcome is not lost]
    facts = {"digest": done.films, "films": 24, "patients": 12}
    write_report(tmp_path, rest, done.options, facts, [lost.run])
    report = (tmp_path / "report.md").read_text()
    assert f"Left because they diverged whatever the start weights: {lost.run.name}." in report
    assert "In no table, for folds are missing: S5-all-patient-seed1 (4 of 5 folds)." in report
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["diverged"] == [lost.run.name]
    assert results["patient"][0]["seeds"] == [0]


@pytest.mark.usefixtures("no_pictures")
def test_predictions_are_those_the_figures_are_of(films: list[StoredFilm], tmp_path: Path) -> None:
    _do(films, tmp_path, subsets=("all", "mass"))
    results = json.loads((tmp_path / "results.json").read_text())
    for protocol in PROTOCOLS:
        with (tmp_path / f"predictions-{protocol}.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        for group in results[protocol]:
            of_it = [row for row in rows if row["subset"] == group["subset"]]
            right = sum(row["truth"] == row["answer"] for row in of_it)
            assert group["tested"]["samples"] == len(of_it)
            assert group["figures"]["accuracy"]["value"] == pytest.approx(right / len(of_it), abs=1e-6)
            count = group["by_seed"][0]["count_as_the_paper"]
            assert (count["tp"], count["fn"]) == (right, len(of_it) - right)
    by_patient = [row for row in rows if row["subset"] == "all"]
    assert {row["variant"] for row in by_patient} == {"0"}
    assert len({row["crop"] for row in by_patient}) == len(by_patient) == len(films)
    assert {row["fold"] for row in by_patient} == {"0", "1", "2", "3", "4"}


@pytest.mark.slow
def test_no_table_has_both_protocols(films: list[StoredFilm], tmp_path: Path) -> None:
    _do(films, tmp_path, ("S1", "S1r"), options=Options(steps=1))
    report = (tmp_path / "report.md").read_text()
    paper, rest = report.split("## By patient (the headline)")
    patient, explained = rest.split("## What the printed accuracy is made of")
    results = json.loads((tmp_path / "results.json").read_text())
    for text, protocol in ((paper, "paper"), (patient, "patient")):
        value = results[protocol][0]["figures"]["auc_abnormal"]["value"]
        # One seed has no range; by patient there is an interval over patients.
        assert (f"{value:.3f} (" if protocol == "patient" else f"{value:.3f} |") in text
        other = "patient" if protocol == "paper" else "paper"
        assert f"-{other}.png" not in text
    assert "| all | leak |" in explained
    assert sum(cause["part"]["value"] for cause in results["causes"]) == pytest.approx(0.8271, abs=1e-5)


@pytest.mark.usefixtures("no_pictures")
def test_a_quick_run_says_that_it_compares_with_nothing(films: list[StoredFilm], tmp_path: Path) -> None:
    _do(films, tmp_path / "quick", options=Options(1, quick=True))
    _do(films, tmp_path / "whole", options=Options(1))
    assert "Not comparable" in (tmp_path / "quick" / "report.md").read_text()
    assert "Not comparable" not in (tmp_path / "whole" / "report.md").read_text()
    for name, comparable in (("quick", False), ("whole", True)):
        assert json.loads((tmp_path / name / "results.json").read_text())["comparable"] is comparable


def test_the_plan_has_each_systems_own_subsets_and_lengths() -> None:
    runs = choose(("S1", "S2"), tuple(SUBSETS), PROTOCOLS, 3)
    assert len(runs) == 3 * (3 + 1) * (1 + 5)
    assert len({run.name for run in runs}) == len(runs)
    assert {run.steps(Options()) for run in runs} == {20_000}
    assert len({run.network_seed for run in runs}) == 3 * 5
    with pytest.raises(UsageError, match="unknown system 'S9'"):
        choose(("S9",), ("all",), PROTOCOLS, 1)
    with pytest.raises(UsageError, match="S2 on mass: the paper has no such run"):
        choose(("S2",), ("mass",), PROTOCOLS, 1)
