"""The report for people: Table I and Figure 11 beside ours, then the figures by patient, then the causes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple
from typing import Any

from bcd_model.evaluation.report.text import table
from bcd_model.paper.printed import S4_RECALL, TABLE_I
from bcd_model.paper.report.causes import Cause
from bcd_model.paper.report.counts import paper_count
from bcd_model.paper.report.intervals import wilson
from bcd_model.paper.report.summary import FLAT, NOTHING, Group, LeftOut
from bcd_model.paper.report.tables import (
    accuracy_table,
    class_table,
    confusion_table,
    figure_table,
    interval_text,
    loss_table,
    range_text,
    rates,
)
from bcd_model.paper.runs import Options
from bcd_model.words import DISCLAIMER


def report_text(
    made: Sequence[Group],
    explained: Sequence[Cause],
    options: Options,
    films: dict[str, Any],
    pictures: Sequence[str],
    left_out: LeftOut = NOTHING,
) -> str:
    """Return the text of ``report.md``."""
    parts = ["# The paper's systems, reproduced and measured by patient", DISCLAIMER]
    if options.quick:
        parts.append(
            "**Not comparable: a quick run. Its trainings are too short for any figure to mean anything.**"
        )
    parts.append(
        f"{films['films']} films of {films['patients']} patients (digest {films['digest'][:12]}), "
        f"{options.precision}, {options.device}."
    )
    if left_out.diverged:
        names = ", ".join(left_out.diverged)
        parts.append(f"Left because they diverged whatever the start weights: {names}.")
    if left_out.unfinished:
        parts.append(f"In no table, for folds are missing: {', '.join(left_out.unfinished)}.")
    leaking = [group for group in made if group.protocol == "paper"]
    by_patient = [group for group in made if group.protocol == "patient"]
    if leaking:
        parts += _paper_parts(leaking)
        parts += [f"![{name}]({name})" for name in pictures if "-paper" in name]
    if by_patient:
        parts += _patient_parts(by_patient)
        parts += [f"![{name}]({name})" for name in pictures if "-patient" in name]
    if explained:
        parts += _cause_parts(explained)
    return "\n\n".join(parts) + "\n"


def _paper_parts(made: Sequence[Group]) -> list[str]:
    parts = [
        "## The paper's protocol (leaks; for comparison with the printed figures alone)",
        "Every crop in 8 variants, then a random split of the variants, so that nearly every test sample has "
        "siblings in training. The last step, never the best. Mean and range over seeds; one seed has no "
        "range.",
        "### Table I, as the paper counts",
        "A right answer is 1 TP and 2 TN, a wrong one 1 FN and 2 FP; ours are the counts of the first seed.",
    ]
    columns = [["TP / TN / FP / FN", "FPR %", "FNR %", "sensitivity %", "specificity %", "accuracy %"]]
    names = [""]
    for system, printed in TABLE_I.items():
        _, tp, tn, fp, fn, *shares = astuple(printed)
        names.append(f"{printed.version} printed")
        columns.append([f"{tp} / {tn} / {fp} / {fn}", *(f"{share:.2f}" for share in shares)])
        for group in made:
            if (group.system, group.subset) == (system, "all"):
                names.append(f"{system} ours")
                columns.append(rates(paper_count(group.answers[0].confusion())))
    parts.append(table(names, list(zip(*columns, strict=True))))
    parts += ["### Figure 11: accuracy", accuracy_table(made)]
    parts += ["### The standard count: each class against the rest, first seed", class_table(made)]
    if any(group.system == "S4" for group in made):
        recalls = " and ".join(f"{value:.3f} on {subset}" for subset, value in S4_RECALL.items())
        parts.append(f"Printed for S4: a sensitivity to malignant crops of {recalls}.")
    parts += [
        "### Areas under the ROC curve",
        figure_table(made),
        "### Confusion",
        *map(confusion_table, made),
    ]
    return parts + _loss_parts(made)


def _patient_parts(made: Sequence[Group]) -> list[str]:
    wilsons, counts = [], []
    for group in made:
        name, accuracy = (group.system, group.subset), group.figures["accuracy"].value
        shares = (f"{group.samples}", f"{group.majority:.3f}", f"{accuracy:.3f}")
        wilsons.append([*name, *shares, range_text(wilson(accuracy, group.samples))])
        count, _, _, *others = rates(paper_count(group.answers[0].confusion()))
        counts.append([*name, count, *others])
    return [
        "## By patient (the headline)",
        "5 folds stratified by patient, variants in training alone, every crop tested once by a network that "
        "has seen no film of its patient. Mean over seeds; in brackets the 95 % interval from a bootstrap "
        "over patients.",
        figure_table(made),
        "Where every answer is right the bootstrap gives no interval; Wilson's, which takes the crops for "
        "independent, does:",
        table(
            ["system", "subset", "n", "always the same answer", "accuracy", "95 % (Wilson)"],
            wilsons,
        ),
        "### The paper's count on the same answers, first seed",
        table(
            ["system", "subset", "TP / TN / FP / FN", "sensitivity %", "specificity %", "accuracy %"],
            counts,
        ),
        "### The standard count: each class against the rest, first seed",
        class_table(made),
        "### Confusion",
        *map(confusion_table, made),
        *_loss_parts(made),
    ]


def _loss_parts(made: Sequence[Group]) -> list[str]:
    return [
        "### Length of training",
        f"Mean training loss over tenths of the training; flat: the last two differ by less than {FLAT}. "
        f"The curves are in `losses-{made[0].protocol}.csv`.",
        loss_table(made),
        *_restarts(made),
    ]


def _restarts(made: Sequence[Group]) -> list[str]:
    often = {1: "once", 2: "twice"}
    names = [
        f"{outcome.run.name} ({often[outcome.restarts]})"
        for group in made
        for outcome in group.outcomes
        if outcome.restarts
    ]
    return [f"Begun again because they diverged: {', '.join(names)}."] if names else []


def _cause_parts(explained: Sequence[Cause]) -> list[str]:
    rows = [
        [cause.system, cause.subset, cause.name, interval_text(cause.part), cause.how] for cause in explained
    ]
    return [
        "## What the printed accuracy is made of",
        "The parts of a subset add up to the accuracy that the paper prints for S1; within S1 with S1r, and "
        "S1f with S1fr, each network was trained for the same number of steps. In brackets the 95 % interval "
        "from a bootstrap over patients, the same patients drawn in both protocols; the printed figure is "
        "taken as exact.",
        "The parts are taken off in the order of the rows, and another order would give other parts: what "
        "two causes do together falls to the first. The leak holds two more differences: the paper's "
        "protocol trains on 70 % of the samples and tests every variant, by patient it is 80 % of the "
        "patients and the crops as they are.",
        table(["system", "subset", "part", "of the accuracy", "what was compared"], rows),
    ]
