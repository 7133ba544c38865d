"""The two ways of counting right and wrong answers: the paper's in Table I, and the standard one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Confusion = npt.NDArray[np.int64]
"""(classes, classes); row = truth, column = answer."""


@dataclass(frozen=True, slots=True)
class Count:
    """True and false positives and negatives, and the rates that follow from them (nan where of none)."""

    tp: int
    tn: int
    fp: int
    fn: int

    @property
    def sensitivity(self) -> float:
        """TP / (TP + FN)."""
        return _share(self.tp, self.fn)

    @property
    def specificity(self) -> float:
        """TN / (TN + FP)."""
        return _share(self.tn, self.fp)

    @property
    def accuracy(self) -> float:
        """(TP + TN) / all."""
        return _share(self.tp + self.tn, self.fp + self.fn)


def _share(part: int, rest: int) -> float:
    return part / (part + rest) if part + rest else float("nan")


def confusion(truth: npt.NDArray[np.int64], answers: npt.NDArray[np.int64], classes: int) -> Confusion:
    """Return how often each class (row) was taken for each class (column)."""
    return np.bincount(truth * classes + answers, minlength=classes * classes).reshape(classes, classes)


def paper_count(table: Confusion) -> Count:
    """Count as Table I does: a right answer is 1 TP and 2 TN, a wrong one 1 FN and 2 FP.

    With two classes, 1 TN and 1 FP.
    "Sensitivity", "specificity" and "accuracy" of this count are all about the share of right answers:
    697 right and 146 wrong of 843 are its V3 (697, 1394, 292, 146; the paper prints 291).
    """
    right, others = int(np.trace(table)), len(table) - 1
    wrong = int(table.sum()) - right
    return Count(right, right * others, wrong * others, wrong)


def class_count(table: Confusion, index: int) -> Count:
    """Count class ``index`` against the rest, as is usual."""
    tp = int(table[index, index])
    fn, fp = int(table[index].sum()) - tp, int(table[:, index].sum()) - tp
    return Count(tp, int(table.sum()) - tp - fn - fp, fp, fn)


def accuracy(table: Confusion) -> float:
    """Share of right answers."""
    return float(np.trace(table) / table.sum()) if table.sum() else float("nan")


def balanced_accuracy(table: Confusion) -> float:
    """Mean sensitivity of the classes; nan if a class has no example."""
    totals = table.sum(axis=1)
    return float(np.mean(np.diag(table) / totals)) if totals.all() else float("nan")
