"""The page on the paper shows what the runs kept beside it give."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bcd_model.paper.causes import causes
from bcd_model.paper.folder import outcomes
from bcd_model.paper.report import results_text
from bcd_model.paper.runs import Options
from bcd_model.paper.summary import groups

DOCS = Path(__file__).parents[2] / "docs"
RUNS = DOCS / "reproduction"


@pytest.fixture(scope="module")
def results() -> dict[str, Any]:
    settings = json.loads((RUNS / "settings.json").read_text())
    films = settings.pop("films")
    settings.pop("schema")
    options = Options(**settings)
    done = outcomes(RUNS, options, films)
    made = groups(done)
    return dict(json.loads(results_text(made, causes(made), done, options, {"digest": films})))


@pytest.fixture(scope="module")
def page() -> str:
    return (DOCS / "explanation" / "paper.md").read_text()


def told(figure: dict[str, float]) -> str:
    return f"{figure['value']:.3f} ({figure['low']:.3f} to {figure['high']:.3f})"


def rows(page: str, title: str) -> dict[str, list[str]]:
    """The table below a heading, by its first column."""
    lines = [
        line for line in page.split(f"## {title}\n")[1].split("\n## ")[0].splitlines() if line[:1] == "|"
    ]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]
    return {first: others for first, *others in cells}


def test_by_patient(results: dict[str, Any], page: str) -> None:
    by_system = {entry["system"]: entry for entry in results["patient"]}
    table = rows(page, "By patient")
    for label, name in (
        ("accuracy, three classes", "accuracy"),
        ("balanced accuracy", "balanced_accuracy"),
        ("AUC, abnormal against normal", "auc_abnormal"),
        ("AUC, malignant against benign", "auc_malignant_benign"),
    ):
        (shown,) = (cells for first, cells in table.items() if first.startswith(label))
        assert shown == [told(by_system[system]["figures"][name]) for system in ("S1f", "S1fr")]


def test_what_the_papers_accuracy_is_made_of(results: dict[str, Any], page: str) -> None:
    table = rows(page, "What the 82.7 % are made of")
    parts = {cause["name"]: cause["part"] for cause in results["causes"] if cause["system"] == "S1f"}
    assert list(table) == list(parts)
    for name, part in parts.items():
        assert table[name][0] == (f"{part['value']:.3f}" if part["low"] is None else told(part))
    assert sum(float(cells[0].split()[0]) for cells in table.values()) == pytest.approx(0.8271, abs=0.003)


def test_in_the_papers_protocol(results: dict[str, Any], page: str) -> None:
    (entry,) = (e for e in results["paper"] if (e["system"], e["subset"]) == ("S1f", "all"))
    shown = rows(page, "In the paper's protocol, which leaks")["S1f, 3,000 steps at rate 0.06"]
    assert shown[1] == told(entry["wilson_accuracy"])
