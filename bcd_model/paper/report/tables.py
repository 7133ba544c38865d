"""The tables of the report, in Markdown."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bcd_model.evaluation.report.text import table
from bcd_model.evaluation.statistics import Interval
from bcd_model.paper.printed import printed_accuracy
from bcd_model.paper.report.counts import Count, class_count
from bcd_model.paper.report.intervals import wilson
from bcd_model.paper.report.summary import Group
from bcd_model.paper.systems import SYSTEMS

_FIGURES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "auc_abnormal": "AUC abnormal",
    "auc_malignant_benign": "AUC malignant against benign",
}


def rates(count: Count) -> list[str]:
    """Return the counts, FPR, FNR, sensitivity, specificity and accuracy of a count."""
    right = (count.sensitivity, count.specificity, count.accuracy)
    shares = (1 - count.specificity, 1 - count.sensitivity, *right)
    return [_counts(count), *(f"{100 * share:.2f}" for share in shares)]


def _counts(count: Count) -> str:
    return f"{count.tp} / {count.tn} / {count.fp} / {count.fn}"


def accuracy_table(made: Sequence[Group]) -> str:
    """Return Figure 11: accuracy as printed beside ours."""
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
                interval_text(ours, 4),
                f"{group.majority:.4f}",
                f"{len(group.answers)}",
                f"{group.samples} of {crops}",
                range_text(group.accuracy_over_patients),
                range_text(wilson(ours.value, group.samples)),
            ]
        )
    return table(
        [
            *("system", "subset", "printed", "ours", "always the same answer", "seeds"),
            *("test samples, of crops", "95 % over patients", "95 % (Wilson)"),
        ],
        rows,
    ) + (
        "\n\nOver patients: from a bootstrap in which all samples of a patient go together; it holds the "
        "chance of the patients tested, not that of split and start weights, and is rough for few. Wilson's "
        "interval takes the samples of one seed for independent; the variants of a crop are not, so it is "
        "too narrow, but it says something where every answer is right. Always the same answer: the share "
        "of the most frequent class in the first seed's test."
    )


def figure_table(made: Sequence[Group]) -> str:
    """Return accuracies and areas with their intervals."""
    rows = []
    for group in made:
        figures = [interval_text(group.figures[n]) if n in group.figures else "" for n in _FIGURES]
        crops = " + ".join(f"{number} {label}" for label, number in group.crops.items())
        rows.append(
            [group.system, group.subset, crops, f"{len(group.answers)}", f"{group.samples}", *figures]
        )
    return table(["system", "subset", "crops", "seeds", "n tested", *_FIGURES.values()], rows)


def class_table(made: Sequence[Group]) -> str:
    """Return the standard count of each class in the first seed."""
    rows = []
    for group in made:
        counted = group.answers[0].confusion()
        for index, label in enumerate(group.classes):
            count = class_count(counted, index)
            shares = [f"{100 * v:.2f}" for v in (count.sensitivity, count.specificity)]
            area = interval_text(group.figures[f"auc_{label}"])
            rows.append([group.system, group.subset, label, _counts(count), *shares, area])
    figures = ("TP / TN / FP / FN", "sensitivity %", "specificity %", "AUC (all seeds)")
    return table(["system", "subset", "class", *figures], rows)


def confusion_table(group: Group) -> str:
    """Return the confusion of the first seed, under a line that names the group."""
    counted = group.answers[0].confusion()
    rows = [[label, *map(str, row)] for label, row in zip(group.classes, counted.tolist(), strict=True)]
    return f"{group.system}, {group.subset}, first seed:\n\n" + table(["truth", *group.classes], rows)


def loss_table(made: Sequence[Group]) -> str:
    """Return the training losses at the beginning and the end."""
    rows = []
    for group in made:
        loss = group.loss()
        means = [f"{loss[key]:.4f}" for key in ("first_tenth", "tenth_before_last", "last_tenth")]
        recipe = SYSTEMS[group.system].recipes[group.subset]
        rate = f"{recipe.learning_rate:g}" + (", falling to 0" if recipe.falling else "")
        flat = "yes" if loss["flat"] else "no"
        rows.append([group.system, group.subset, f"{group.steps}", rate, *means, flat])
    return table(
        [
            *("system", "subset", "steps", "learning rate", "first tenth"),
            *("tenth before last", "last tenth", "flat"),
        ],
        rows,
    )


def interval_text(interval: Interval, digits: int = 3) -> str:
    """Return a figure with its interval in brackets; alone where it has none; "none" where there is none."""
    if np.isnan(interval.value):
        return "none"
    value = f"{interval.value:.{digits}f}"
    return value if np.isnan(interval.low) else f"{value} ({range_text(interval, digits)})"


def range_text(interval: Interval, digits: int = 3) -> str:
    """Return the two ends of an interval."""
    return f"{interval.low:.{digits}f} to {interval.high:.{digits}f}"
