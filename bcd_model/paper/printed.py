"""The figures as the paper prints them (Table I, Figure 11, section IV)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bcd_model.paper.systems import Subset


@dataclass(frozen=True, slots=True)
class PrintedColumn:
    """One column of Table I; rates in percent."""

    version: str
    tp: int
    tn: int
    fp: int
    fn: int
    fpr: float
    fnr: float
    sensitivity: float
    specificity: float
    accuracy: float


TABLE_I: Mapping[str, PrintedColumn] = {
    "S3": PrintedColumn("V1", 297, 597, 1088, 544, 64.57, 64.68, 35.32, 35.43, 38.45),
    "S2": PrintedColumn("V2", 458, 916, 769, 385, 45.64, 45.68, 54.32, 54.36, 54.35),
    "S1": PrintedColumn("V3", 697, 1394, 291, 146, 17.27, 17.32, 82.68, 82.73, 82.71),
}
"""By system. The accuracy of V1 does not follow from its counts, which give 35.39 %."""

FIGURE_11: Mapping[str, Mapping[Subset, float]] = {
    "S1": {"all": 0.8271, "mass": 0.8585, "calcification": 1.0},
    "S4": {"all": 0.608974, "mass": 0.75, "calcification": 1.0},
}
"""Accuracy by system and subset."""

S4_RECALL: Mapping[Subset, float] = {"all": 0.596, "mass": 0.5}
"""Recall of malignant crops, printed for S4 alone."""


def printed_accuracy(system: str, subset: Subset) -> float | None:
    """Return the accuracy printed for a system on a subset, a part of 1; None if none is printed."""
    if system in FIGURE_11:
        return FIGURE_11[system][subset]
    if system in TABLE_I and subset == "all":
        return TABLE_I[system].accuracy / 100
    return None
