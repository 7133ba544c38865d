"""The report for people: Table I and Figure 11 beside ours, then the honest figures, then the causes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bcd_model.evaluation import Interval
from bcd_model.paper.causes import Cause
from bcd_model.paper.counts import Count, class_count, paper_count
from bcd_model.paper.intervals import wilson
from bcd_model.paper.printed import S4_RECALL, TABLE_I, printed_accuracy
from bcd_model.paper.runs import Options
from bcd_model.paper.summary import FLAT, Group
from bcd_model.paper.systems import SYSTEMS
from bcd_model.words import DISCLAIMER

_FIGURES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "auc_abnormal": "AUC abnormal",
    "auc_malignant_benign": "AUC malignant against benign",
}


def report_text(
    made: Sequence[Group],
    explained: Sequence[Cause],
    options: Options,
    films: dict[str, Any],
    pictures: Sequence[str],
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
    leaking = [group for group in made if group.protocol == "paper"]
    honest = [group for group in made if group.protocol == "patient"]
    if leaking:
        parts += _paper_parts(leaking)
        parts += [f"![{name}]({name})" for name in pictures if "-paper" in name]
    if honest:
        parts += _patient_parts(honest)
        parts += [f"![{name}]({name})" for name in pictures if "-patient" in name]
    if explained:
        parts += _cause_parts(explained, leaking)
    return "\n\n".join(parts) + "\n"


def _paper_parts(made: Sequence[Group]) -> list[str]:
    parts = [
        "## The paper's protocol (leaks; for comparison with the printed figures alone)",
        "Every crop in 8 variants, then a random split of the variants, so that nearly every test sample has "
        "siblings in training. The last step, never the best. Mean and range over seeds.",
        "### Table I, as the paper counts",
        "A right answer is 1 TP and 2 TN, a wrong one 1 FN and 2 FP; ours are the counts of the first seed.",
    ]
    columns: list[tuple[str, list[str]]] = []
    for system, printed in TABLE_I.items():
        columns.append(
            (
                f"{printed.version} printed",
                [
                    f"{printed.tp} / {printed.tn} / {printed.fp} / {printed.fn}",
                    *(f"{v:.2f}" for v in (printed.fpr, printed.fnr, printed.sensitivity)),
                    *(f"{v:.2f}" for v in (printed.specificity, printed.accuracy)),
                ],
            )
        )
        for group in made:
            if (group.system, group.subset) == (system, "all"):
                columns.append((f"{system} ours", _rates(paper_count(group.answers[0].confusion()))))
    rows = ["TP / TN / FP / FN", "FPR %", "FNR %", "sensitivity %", "specificity %", "accuracy %"]
    parts.append(
        _table(["", *(c[0] for c in columns)], [[r, *(c[1][i] for c in columns)] for i, r in enumerate(rows)])
    )
    parts += ["### Figure 11: accuracy", _accuracy_table(made)]
    parts += ["### The standard count: each class against the rest, first seed", _class_table(made)]
    if any(group.system == "S4" for group in made):
        told = " and ".join(f"{value:.3f} on {subset}" for subset, value in S4_RECALL.items())
        parts.append(f"Printed for S4: a sensitivity to malignant crops of {told}.")
    parts += ["### Areas under the ROC curve", _figure_table(made), "### Confusion", *map(_confusion, made)]
    return parts + _loss_parts(made)


def _rates(count: Count) -> list[str]:
    shares = (
        1 - count.specificity,
        1 - count.sensitivity,
        count.sensitivity,
        count.specificity,
        count.accuracy,
    )
    return [
        f"{count.tp} / {count.tn} / {count.fp} / {count.fn}",
        *(f"{100 * share:.2f}" for share in shares),
    ]


def _accuracy_table(made: Sequence[Group]) -> str:
    rows = []
    for group in made:
        printed = printed_accuracy(group.system, group.subset)
        ours = group.figures["accuracy"]
        crops = len(set(group.answers[0].crops))
        rows.append(
            [
                group.system,
                group.subset,
                "none" if printed is None else f"{printed:.4f}",
                _interval(ours, 4),
                f"{group.majority:.4f}",
                f"{len(group.answers)}",
                f"{group.samples} of {crops}",
                _range(wilson(ours.value, group.samples)),
            ]
        )
    return _table(
        [
            *("system", "subset", "printed", "ours", "always the same answer", "seeds"),
            *("test samples, of crops", "95 % (Wilson)"),
        ],
        rows,
    ) + (
        "\n\nWilson's interval takes the samples of one seed for independent; the variants of a crop are "
        "not, so it is too narrow. Always the same answer: the share of the most frequent class in the "
        "first seed's test."
    )


def _patient_parts(made: Sequence[Group]) -> list[str]:
    return [
        "## By patient (the headline)",
        "5 folds stratified by patient, variants in training alone, every crop tested once by a network that "
        "has seen no film of its patient. Mean over seeds; in brackets the 95 % interval from a bootstrap "
        "over patients.",
        _figure_table(made),
        "Where every answer is right the bootstrap gives no interval; Wilson's, which takes the crops for "
        "independent, does:",
        _table(
            ["system", "subset", "n", "always the same answer", "accuracy", "95 % (Wilson)"],
            [
                [
                    g.system,
                    g.subset,
                    f"{g.samples}",
                    f"{g.majority:.3f}",
                    f"{a:.3f}",
                    _range(wilson(a, g.samples)),
                ]
                for g in made
                for a in [g.figures["accuracy"].value]
            ],
        ),
        "### The paper's count on the same answers, first seed",
        _table(
            ["system", "subset", "TP / TN / FP / FN", "sensitivity %", "specificity %", "accuracy %"],
            [
                [g.system, g.subset, r[0], *r[3:]]
                for g in made
                for r in [_rates(paper_count(g.answers[0].confusion()))]
            ],
        ),
        "### The standard count: each class against the rest, first seed",
        _class_table(made),
        "### Confusion",
        *map(_confusion, made),
        *_loss_parts(made),
    ]


def _figure_table(made: Sequence[Group]) -> str:
    rows = []
    for group in made:
        told = [_interval(group.figures[n]) if n in group.figures else "" for n in _FIGURES]
        crops = " + ".join(f"{number} {label}" for label, number in group.crops.items())
        rows.append([group.system, group.subset, crops, f"{len(group.answers)}", f"{group.samples}", *told])
    return _table(["system", "subset", "crops", "seeds", "n tested", *_FIGURES.values()], rows)


def _class_table(made: Sequence[Group]) -> str:
    rows = []
    for group in made:
        table = group.answers[0].confusion()
        for index, label in enumerate(group.classes):
            count = class_count(table, index)
            rates = [f"{100 * v:.2f}" for v in (count.sensitivity, count.specificity)]
            counts = f"{count.tp} / {count.tn} / {count.fp} / {count.fn}"
            area = _interval(group.figures[f"auc_{label}"])
            rows.append([group.system, group.subset, label, counts, *rates, area])
    columns = [
        "system",
        "subset",
        "class",
        "TP / TN / FP / FN",
        "sensitivity %",
        "specificity %",
        "AUC (all seeds)",
    ]
    return _table(columns, rows)


def _confusion(group: Group) -> str:
    table = group.answers[0].confusion()
    rows = [[label, *map(str, row)] for label, row in zip(group.classes, table.tolist(), strict=True)]
    return f"{group.system}, {group.subset}, first seed:\n\n" + _table(["truth", *group.classes], rows)


def _cause_parts(explained: Sequence[Cause], leaking: Sequence[Group]) -> list[str]:
    told = "; ".join(
        f"{group.subset} {printed_accuracy('S1', group.subset):.4f} printed, "
        f"{group.figures['accuracy'].value:.4f} ours"
        for group in leaking
        if group.system == "S1"
    )
    rows = [[cause.subset, cause.name, _interval(cause.part), cause.how] for cause in explained]
    return [
        "## What the accuracy of the paper's protocol is made of",
        "The parts of a subset add up to S1's accuracy in the paper's protocol, each network trained for the "
        "same number of steps. In brackets the 95 % interval from a bootstrap over patients; for the leak, "
        "only its side by patient is drawn anew.",
        f"That accuracy: {told}.",
        _table(["subset", "part", "of the accuracy", "what was compared"], rows),
    ]


def _loss_parts(made: Sequence[Group]) -> list[str]:
    rows = []
    for group in made:
        loss = group.loss()
        told = [
            "" if loss[key] is None else f"{loss[key]:.4f}"
            for key in ("first_tenth", "tenth_before_last", "last_tenth")
        ]
        rate = SYSTEMS[group.system].recipes[group.subset].learning_rate
        flat = "yes" if loss["flat"] else "no"
        rows.append([group.system, group.subset, f"{group.steps}", f"{rate:g}", *told, flat])
    return [
        "### Length of training",
        f"Mean training loss over tenths of the training; flat: the last two differ by less than {FLAT}. "
        f"The curves are in `losses-{made[0].protocol}.csv`.",
        _table(
            [
                *("system", "subset", "steps", "learning rate", "first tenth"),
                *("tenth before last", "last tenth", "flat"),
            ],
            rows,
        ),
    ]


def _interval(interval: Interval, digits: int = 3) -> str:
    return f"{interval.value:.{digits}f} ({_range(interval, digits)})"


def _range(interval: Interval, digits: int = 3) -> str:
    return f"{interval.low:.{digits}f} to {interval.high:.{digits}f}"


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
