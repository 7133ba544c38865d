"""The page on the paper says what the runs kept beside it give, in its tables and between them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from bcd_model.paper.causes import causes
from bcd_model.paper.folder import outcomes
from bcd_model.paper.intervals import wilson
from bcd_model.paper.printed import printed_accuracy
from bcd_model.paper.report import results_text
from bcd_model.paper.runs import Options
from bcd_model.paper.summary import groups
from bcd_model.paper.systems import SYSTEMS

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
    return re.sub(r"(?<![|\n])\n(?![|\n])", " ", text)


def table(page: str, title: str) -> tuple[list[str], list[list[str]]]:
    """Head and rows of the table below a heading."""
    lines = [line for line in section(page, title).splitlines() if line[:1] == "|"]
    head, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return head, rows


def losses(entry: dict[str, Any]) -> str:
    loss = entry["training_loss"]
    return ", ".join(f"{loss[key]:.3f}" for key in ("tenth_before_last", "last_tenth"))


def test_the_crops(results: dict[str, Any], page: str) -> None:
    (crops,) = {tuple(entry["crops"].items()) for entry in results["patient"] if entry["subset"] == "all"}
    named = ", ".join(f"{number} {label}" for label, number in crops)
    total = sum(number for _, number in crops)
    assert f"give {total} crops: {named}" in page


def test_in_the_papers_protocol(results: dict[str, Any], page: str) -> None:
    title = "In the paper's protocol, which leaks"
    head, rows = table(page, title)
    assert head == [
        "system", "subset", "printed", "ours", "always the same answer", "test samples, of crops",
        "training loss, last two tenths",
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
            told(entry["wilson_accuracy"]),
            f"{entry['majority']:.3f}",
            f"{tested['samples']} of {tested['crops']}",
            losses(entry),
        ]
        rate = SYSTEMS[entry["system"]].recipes[entry["subset"]].learning_rate
        assert f"{entry['steps']:,} steps at rate {rate:g}" in what


def test_what_is_said_between_the_tables(results: dict[str, Any], page: str) -> None:
    text = section(page, "In the paper's protocol, which leaks")
    found = {(entry["system"], entry["subset"]): entry for entry in results["paper"]}
    accuracy = {key: entry["figures"]["accuracy"]["value"] for key, entry in found.items()}
    s1 = accuracy["S1", "all"]
    assert f"**S1 comes to {s1:.3f}, printed 0.8271" in text
    assert f"is {s1 - accuracy['S5', 'all']:.3f} behind S1" in text
    assert f"Its loss is {found['S1', 'all']['training_loss']['last_tenth']:.3f} at the end" in text
    assert f"by heart ({found['S1f', 'all']['training_loss']['last_tenth']:.3f})" in text
    small = [accuracy["S1", subset] for subset in ("mass", "calcification")]
    assert f"(S1 {small[0]:.3f} and {small[1]:.3f}, printed 0.8585 and 1.00)" in text
    for system in ("S2", "S3"):
        majority = found[system, "all"]["majority"]
        assert accuracy[system, "all"] < majority
        assert f"always answering normal ({majority:.3f})" in text
    for system, subset in (("S2", "all"), ("S3", "all"), ("S4", "all"), ("S4", "mass")):
        printed, ours = printed_accuracy(system, subset), found[system, subset]["wilson_accuracy"]
        assert printed is not None
        assert ours["low"] <= printed <= ours["high"] or abs(printed - ours["value"]) < 0.05
    for right, of, key in (
        (91, 106, ("S1", "mass")),
        (20, 20, ("S4", "calcification")),
        (55, 55, ("S1", "calcification")),
    ):
        printed_one, ours = wilson(right / of, of), found[key]["wilson_accuracy"]
        assert f"{printed_one.low:.3f} to {printed_one.high:.3f}" in text
        assert ours["high"] > printed_one.low


def test_by_patient(results: dict[str, Any], page: str) -> None:
    head, rows = table(page, "By patient")
    entries = results["patient"]
    assert head[1:] == [f"{e['system']}, seed {', '.join(map(str, e['seeds']))}" for e in entries]
    assert [row[0].split(" (")[0] for row in rows] == list(FIGURES)
    for row, name in zip(rows, FIGURES.values(), strict=True):
        assert row[1:] == [told(entry["figures"][name]) for entry in entries]
    text = section(page, "By patient")
    (majority,) = {entry["majority"] for entry in entries}
    assert f"always normal: {majority:.3f}" in text
    fast, one_scale = entries
    assert f"{losses(fast).replace(', ', ' and ')} for seed 1" in text
    assert f"{losses(one_scale).replace(', ', ' and ')} for S1fr" in text
    assert f"the area is {one_scale['figures']['auc_abnormal']['value']:.3f}" in text


def test_what_the_papers_accuracy_is_made_of(results: dict[str, Any], page: str) -> None:
    title = "What the 82.7 % are made of"
    _, rows = table(page, title)
    parts = {cause["name"]: cause["part"] for cause in results["causes"] if cause["system"] == "S1f"}
    assert [row[:2] for row in rows] == [[name, told(part)] for name, part in parts.items()]
    assert sum(float(row[1].split()[0]) for row in rows) == pytest.approx(0.8271, abs=0.003)
    leak, count = (f"{100 * parts[name]['value']:.0f}" for name in ("leak", "count"))
    assert f"worth about {leak} points" in section(page, title)
    assert f"the many normal crops {count}" in section(page, title)
    gap = abs(parts["printed - ours"]["value"])
    assert f"comes within {gap:.3f} of the printed" in section(page, "In the paper's protocol, which leaks")
