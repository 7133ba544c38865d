"""The files of a reproduction; the two protocols never share a file's column.

Everything is written from the runs that are done, so the same runs give the same bytes: no file but
``reproduce.log`` holds a time.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from bcd_model.atomic import replacing
from bcd_model.evaluation.report.text import csv_text, plain
from bcd_model.paper.outcome import Outcome
from bcd_model.paper.printed import FIGURE_11, S4_RECALL, TABLE_I
from bcd_model.paper.report.causes import Cause, causes
from bcd_model.paper.report.curves import probabilities
from bcd_model.paper.report.figures import draw_all
from bcd_model.paper.report.markdown import report_text
from bcd_model.paper.report.summary import NOTHING, Group, LeftOut, groups, unfinished
from bcd_model.paper.runs import Options, Run
from bcd_model.paper.systems import PROTOCOLS, SYSTEMS
from bcd_model.words import CLASSES, DISCLAIMER

_SCHEMA = 2  # of results.json


def write_report(
    out: Path,
    outcomes: Sequence[Outcome],
    options: Options,
    films: dict[str, Any],
    diverged: Sequence[Run] = (),
) -> Path:
    """Write every file of the report into ``out``; return ``report.md``.

    Args:
        films: what ``results.json`` says of the films: how many, of how many patients, their digest.
        diverged: networks of which nothing came.
    """
    left_out = LeftOut(tuple(run.name for run in diverged), tuple(unfinished(outcomes)))
    made = groups(outcomes)
    explained = causes(made)
    _write(out / "results.json", results_text(made, explained, outcomes, options, films, left_out))
    for protocol in PROTOCOLS:
        done = [outcome for outcome in outcomes if outcome.run.protocol == protocol]
        if done:
            _write(out / f"predictions-{protocol}.csv", csv_text(_predictions(done)))
            _write(out / f"losses-{protocol}.csv", csv_text(_losses(done)))
    pictures = draw_all(out, made, options.quick)
    report = out / "report.md"
    _write(report, report_text(made, explained, options, films, pictures, left_out))
    return report


def results_text(
    made: Sequence[Group],
    explained: Sequence[Cause],
    outcomes: Sequence[Outcome],
    options: Options,
    films: dict[str, Any],
    left_out: LeftOut = NOTHING,
) -> str:
    """Return the text of ``results.json``."""
    environments: list[dict[str, Any]] = []
    for outcome in outcomes:
        if outcome.environment not in environments:
            environments.append(outcome.environment)
    used = {group.system for group in made}
    content: dict[str, Any] = {
        "schema_version": _SCHEMA,
        "disclaimer": DISCLAIMER,
        "comparable": not options.quick,
        "settings": asdict(options),
        "environment": environments,
        "films": films,
        "systems": {name: asdict(system) for name, system in SYSTEMS.items() if name in used},
        "printed": {
            "table_1": {name: asdict(c) for name, c in TABLE_I.items()},
            "figure_11": FIGURE_11,
            "s4_recall": S4_RECALL,
        },
        "protocols": {
            "paper": "8 variants of every crop, then a random split of the variants; leaks, for comparison",
            "patient": "5 folds by patient, variants in training alone; out-of-fold answers of every crop",
        },
        **asdict(left_out),
        **{p: [group.table() for group in made if group.protocol == p] for p in PROTOCOLS},
        "causes": explained,
    }
    return json.dumps(plain(content), indent=1, allow_nan=False) + "\n"


def _predictions(outcomes: Sequence[Outcome]) -> Iterable[Sequence[object]]:
    yield (
        *("system", "subset", "seed", "fold", "crop", "film", "patient", "kind", "variant", "truth"),
        *("answer", *(f"p_{name}" for name in CLASSES)),
    )
    for outcome in outcomes:
        run, classes = outcome.run, tuple(outcome.crops)
        shares = probabilities(np.array([each.logits for each in outcome.predictions]))
        for each, row in zip(outcome.predictions, shares, strict=True):
            of_class = dict(zip(classes, (f"{value:.9g}" for value in row), strict=True))
            answer = classes[int(np.argmax(each.logits))]
            yield (
                *(run.system, run.subset, run.seed, run.fold, each.crop, each.film, each.patient, each.kind),
                *(each.variant, classes[each.truth], answer),
                *(of_class.get(name, "") for name in CLASSES),
            )


def _losses(outcomes: Sequence[Outcome]) -> Iterable[Sequence[object]]:
    yield "system", "subset", "seed", "fold", "step", "training_loss"
    for outcome in outcomes:
        run = outcome.run
        for step, loss in outcome.loss:
            yield run.system, run.subset, run.seed, run.fold, step, loss


def _write(path: Path, text: str) -> None:
    with replacing(path) as staged:
        staged.write_text(text, newline="")
