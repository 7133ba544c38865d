"""The page on the paper says what the runs kept beside it give, in its tables and between them."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from bcd_model.paper.folder import outcomes
from bcd_model.paper.inputs import films_digest
from bcd_model.paper.printed import printed_accuracy
from bcd_model.paper.report.causes import causes
from bcd_model.paper.report.files import results_text
from bcd_model.paper.report.intervals import wilson
from bcd_model.paper.report.summary import groups
from bcd_model.paper.runs import Options
from bcd_model.paper.systems import SYSTEMS, Subset
from converters.mias.collection import read_collection

DOCS = Path(__file__).parents[2] / "docs"
RUNS = DOCS / "reproduction"
FIGURES = {
    "accuracy, three classes": "accuracy",
    "balanced accuracy": "balanced_accuracy",
    "AUC, abnormal against normal": "auc_abnormal",
    "AUC, malignant against benign": "auc_malignant_benign",
}


@pytest.fixture(scope="module")
def results() -> dict[str, Any]:
    settings = json.loads((RUNS / "settings.json").read_text())
    films = settings.pop("films")
    settings.pop("schema")
    options = Options(**settings)
    done = outcomes(RUNS, options, films)
    assert len(done) == len(list(RUNS.glob("runs/*/run.json"))), "a run that is of no use"
    made = groups(done)
    assert sum(len(group.outcomes) for group in made) == len(done), "folds are missing"
    return dict(json.loads(results_text(made, causes(made), done, options, {"digest": films})))


@pytest.fixture(scope="module")
def page() -> str:
    return (DOCS / "explanation" / "paper.md").read_text()


def told(figure: dict[str, float | None]) -> str:
    value = f"{figure['value']:.3f}"
    return value if figure["low"] is None else f"{value} ({figure['low']:.3f} to {figure['high']:.3f})"


def section(page: str, title: str) -> str:
    """What stands below a heading, on one line a paragraph."""
    text = page.split(f"## {title}\n")[1].split("\n## ")[0]
    return re.sub(r"(?<![|\n])\n *(?![|\n])", " ", text)


def table(page: str, title: str) -> tuple[list[str], list[list[str]]]:
    """Head and rows of the first table below a heading."""
    lines = re.findall(r"(?:^\|.*\n?)+", section(page, title), re.MULTILINE)[0].splitlines()
    head, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return head, rows


def losses(entry: dict[str, Any]) -> str:
    loss = entry["training_loss"]
    return ", ".join(f"{loss[key]:.3f}" for key in ("tenth_before_last", "last_tenth"))


@pytest.mark.films
@pytest.mark.skipif("BCD_MIAS_DIR" not in os.environ, reason="BCD_MIAS_DIR names no mini-MIAS films")
def test_the_films_are_those_that_are_listed() -> None:
    films = read_collection(Path(os.environ["BCD_MIAS_DIR"])).films
    assert (RUNS / "films.txt").read_text().split() == sorted(film.name for film in films)
    assert films_digest(films) == json.loads((RUNS / "settings.json").read_text())["films"]


@pytest.mark.slow
def test_the_crops(results: dict[str, Any], page: str) -> None:
    (crops,) = {tuple(entry["crops"].items()) for entry in results["patient"] if entry["subset"] == "all"}
    named = ", ".join(f"{number} {label}" for label, number in crops)
    total = sum(number for _, number in crops)
    assert f"give {total} crops: {named}" in " ".join(page.split())


def test_in_the_papers_protocol(results: dict[str, Any], page: str) -> None:
    title = "In the paper's protocol, which leaks"
    head, rows = table(page, title)
    assert head == [
        "system", "subset", "printed", "ours", "each seed", "always the same answer",
        "test samples, of crops", "training loss, last two tenths",
    ]  # fmt: skip
    shown = {(row[0].split(",")[0], row[1], row[0]): row[2:] for row in rows}
    assert len(shown) == len(rows) == len(results["paper"])
    by_name = {(system, subset): (what, cells) for (system, subset, what), cells in shown.items()}
    for entry in results["paper"]:
        what, cells = by_name[entry["system"], entry["subset"]]
        printed = printed_accuracy(entry["system"], entry["subset"])
        tested = entry["tested"]
        assert cells == [
            "" if printed is None else f"{printed:.4f}",
            told(entry["accuracy_over_patients"]),
            ", ".join(f"{seed['figures']['accuracy']:.3f}" for seed in entry["by_seed"]),
            f"{entry['majority']:.3f}",
            f"{tested['samples']} of {tested['crops']}",
            losses(entry),
        ]
        recipe = SYSTEMS[entry["system"]].recipes[entry["subset"]]
        rate = f"{recipe.learning_rate:g}" + (", falling" if recipe.falling else "")
        assert what.endswith(f"{entry['steps']:,} steps at rate {rate}")
        seeds = list(range(len(entry["by_seed"])))
        assert entry["seeds"] == seeds
        assert seeds in ([0], [0, 1, 2])


def right_by_crop(run: str) -> dict[str, list[bool]]:
    """Of each tested crop: which of its variants were answered rightly."""
    content = json.loads((RUNS / "runs" / run / "run.json").read_text())
    found: dict[str, list[bool]] = {}
    for each in content["predictions"]:
        right = each["logits"].index(max(each["logits"])) == each["truth"]
        found.setdefault(each["crop"], []).append(right)
    return found


def test_what_is_said_between_the_tables(results: dict[str, Any], page: str) -> None:
    text = section(page, "In the paper's protocol, which leaks")
    found = {(entry["system"], entry["subset"]): entry for entry in results["paper"]}
    accuracy = {key: entry["figures"]["accuracy"]["value"] for key, entry in found.items()}
    each = {key: [s["figures"]["accuracy"] for s in entry["by_seed"]] for key, entry in found.items()}
    last = {key: entry["training_loss"]["last_tenth"] for key, entry in found.items()}
    reach = {key: f"{min(values):.3f} to {max(values):.3f}" for key, values in each.items()}
    s1, s1f = ("S1", "all"), ("S1f", "all")
    assert f"**S1 comes to {accuracy[s1]:.3f}, printed 0.8271" in text
    assert f"is {each[s1][0] - each['S5', 'all'][0]:.3f} behind S1 on the same crops (seed 0)" in text
    assert f"weights and batches) come to {reach[s1]}, its loss to {last[s1]:.3f}." in text
    assert f"by heart ({last[s1f]:.3f}), it comes to {accuracy[s1f]:.3f}, its seeds to {reach[s1f]}" in text
    small = [accuracy["S1", subset] for subset in ("mass", "calcification")]
    assert f"(S1 {small[0]:.3f} and {small[1]:.3f}, printed 0.8585 and 1.00)" in text
    for system in ("S1", "S1f"):
        assert f"{reach[system, 'mass']} on masses and {reach[system, 'calcification']} on" in text
    apart = [key for key in found if outside(*key, found[key]["accuracy_over_patients"])]
    assert apart == [("S1", "calcification")]
    assert [s >= 0.8585 for s in each["S1", "mass"]].count(True) == 1
    assert max(each[s1]) < 0.8271
    assert max(each["S1", "calcification"] + each["S1f", "calcification"]) < 1
    assert of_one_answer(found, "mass") == ["S1", "S4", "S5", "S1f"]
    assert of_one_answer(found, "calcification") == ["S4"]
    for system in ("S2", "S3"):
        majority = found[system, "all"]["majority"]
        assert accuracy[system, "all"] < majority
        assert f"always answering normal ({majority:.3f})" in text
    assert f"{restarts('S1f', 'paper')} of its 9 networks diverged" in text
    for right, of in ((91, 106), (20, 20), (55, 55)):
        printed = wilson(right / of, of)
        assert f"{printed.low:.3f} to {printed.high:.3f}" in text


def outside(system: str, subset: Subset, ours: dict[str, float]) -> bool:
    """Whether the printed figure lies outside the interval of ours."""
    printed = printed_accuracy(system, subset)
    return printed is not None and not ours["low"] <= printed <= ours["high"]


def of_one_answer(found: dict[tuple[str, str], dict[str, Any]], subset: str) -> list[str]:
    """The systems that cannot be told from one that always gives the same answer."""
    return [
        system
        for (system, of), entry in found.items()
        if of == subset and entry["accuracy_over_patients"]["low"] <= entry["majority"]
    ]


def restarts(system: str, protocol: str) -> int:
    """How many networks were begun again."""
    contents = [json.loads(path.read_text()) for path in RUNS.glob(f"runs/{system}-*-{protocol}-*/run.json")]
    return sum(bool(content.get("restarts")) for content in contents)


def test_what_is_said_of_the_variants_of_a_crop(page: str) -> None:
    text = section(page, "In the paper's protocol, which leaks")
    masses = right_by_crop("S1-mass-paper-seed0-fold0").values()
    wrong, of = sum(crop.count(False) for crop in masses), sum(False in crop for crop in masses)
    assert f"the {wrong} wrong answers on masses lie in {of} of {len(masses)} crops" in text
    trained: dict[int, list[bool]] = {}
    for seed in range(3):
        for crop in right_by_crop(f"S1-all-paper-seed{seed}-fold0").values():
            trained.setdefault(8 - len(crop), []).extend(crop)
    shares = ", ".join(f"{sum(trained[n]) / len(trained[n]):.2f}" for n in range(3, 8))
    assert f"right on {shares} where three, four, five, six, seven other variants" in text


def test_how_many_patients_the_intervals_on_calcifications_are_of(page: str) -> None:
    paths = RUNS.glob("runs/*-calcification-paper-*/run.json")
    predictions = [json.loads(path.read_text())["predictions"] for path in paths]
    numbers = [len({each["patient"] for each in tested}) for tested in predictions]
    rough = f"with {min(numbers)} to {max(numbers)} patients (calcifications) it is rough"
    assert rough in " ".join(page.split())


def test_the_reasons_tried_are_what_the_script_printed(results: dict[str, Any], page: str) -> None:
    text = section(page, "In the paper's protocol, which leaks")
    head, rule, *rows = (RUNS / "trials.txt").read_text().splitlines()
    assert f"{head}\n{rule}\n" in text
    assert all(row in text.splitlines() for row in rows)
    cells = {name: tuple(map(float, row)) for name, *row in (parse(row) for row in rows)}
    (whole,) = (e for e in results["paper"] if (e["system"], e["subset"]) == ("S1f", "all"))
    figures = {name: whole["figures"][name]["value"] for name in ("accuracy", "auc_abnormal")}
    assert f"comes to {figures['accuracy']:.3f} (AUC abnormal {figures['auc_abnormal']:.3f})" in text
    accuracy, _, majority = cells.pop("mirrored")
    assert f"comes to {accuracy:.3f}, {accuracy - majority:.3f} above always the same answer" in text
    assert f"with the lesions it is {figures['accuracy'] - whole['majority']:.3f} above" in text
    assert set(cells) == {"windows-anywhere", "not-smoothed", "half-the-patients"}


def parse(row: str) -> tuple[str, str, str, str]:
    """Name, accuracy, area and share of the most frequent class."""
    name, _, accuracy, _, area, majority, _ = (cell.strip() for cell in row.strip("|").split("|"))
    return name, accuracy, area, majority


def test_by_patient(results: dict[str, Any], page: str) -> None:
    head, rows = table(page, "By patient")
    fast, one_scale = entries = results["patient"]
    assert head[1:] == ["S1f", "each seed", "S1fr", "each seed"]
    assert [entry["system"] for entry in entries] == ["S1f", "S1fr"]
    assert [entry["seeds"] for entry in entries] == [[0, 1, 2], [0, 1, 2]]
    assert [row[0].split(" (")[0] for row in rows] == list(FIGURES)
    for row, name in zip(rows, FIGURES.values(), strict=True):
        for entry, value, seeds in zip(entries, row[1::2], row[2::2], strict=True):
            assert value == told(entry["figures"][name])
            assert seeds == ", ".join(f"{seed['figures'][name]:.3f}" for seed in entry["by_seed"])
    text = section(page, "By patient")
    (majority,) = {entry["majority"] for entry in entries}
    assert f"always normal: {majority:.3f}" in text
    assert all(entry["training_loss"]["flat"] for entry in entries)
    assert f"{losses(fast).replace(', ', ' and ')} (S1f)" in text
    assert f"{losses(one_scale).replace(', ', ' and ')} (S1fr)" in text
    assert f"{restarts('*', 'patient')} of the 30 networks diverged" in text
    assert f"the AUC is {one_scale['figures']['auc_abnormal']['value']:.3f}" in text
    chance = [entry["figures"]["auc_malignant_benign"] for entry in entries]
    assert all(area["low"] < 0.5 < area["high"] for area in chance)


def test_the_readme_says_the_same(results: dict[str, Any]) -> None:
    text = " ".join((DOCS.parent / "README.md").read_text().split())
    ours = {entry["system"]: entry for entry in results["paper"] if entry["subset"] == "all"}
    told_of = {name: f"{entry['figures']['accuracy']['value']:.3f}" for name, entry in ours.items()}
    by_patient = results["patient"][0]
    accuracy = told(by_patient["figures"]["accuracy"])
    assert (
        f"Repeated so: {told_of['S1']}. By patient: {accuracy}, where always normal is "
        f"{by_patient['majority']:.3f}"
    ) in text


def test_what_the_papers_accuracy_is_made_of(results: dict[str, Any], page: str) -> None:
    title = "What the 82.7 % are made of"
    _, rows = table(page, title)
    parts = {cause["name"]: cause["part"] for cause in results["causes"] if cause["system"] == "S1f"}
    assert [row[:2] for row in rows] == [[name, told(part)] for name, part in parts.items()]
    assert sum(float(row[1].split()[0]) for row in rows) == pytest.approx(0.8271, abs=0.003)
    leak, count = (f"{100 * parts[name]['value']:.0f}" for name in ("leak", "count"))
    assert f"worth about {leak} points" in section(page, title)
    assert f"About {count} lie between two ways of averaging" in section(page, title)
    fast, one_scale = ([s["figures"]["accuracy"] for s in e["by_seed"]] for e in results["patient"])
    first, second, third = (f"{a - b:.3f}" for a, b in zip(fast, one_scale, strict=True))
    assert f"seed by seed the row is {first}, {second} and {third}" in section(page, title)
    assert parts["leak"]["low"] > 0 and parts["count"]["low"] > 0
    assert parts["scale shortcut"]["low"] < 0 < parts["scale shortcut"]["high"]
