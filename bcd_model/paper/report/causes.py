"""How much of the paper's accuracy each cause explains: the leak, the scale shortcut, the count."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bcd_model.evaluation.statistics import Interval
from bcd_model.paper.printed import printed_accuracy
from bcd_model.paper.report.intervals import over_patients
from bcd_model.paper.report.summary import Group
from bcd_model.paper.systems import SUBSETS, Subset


@dataclass(frozen=True, slots=True)
class Cause:
    """One part of the printed accuracy; the parts add up to it.

    Attributes:
        system: S1, or S1f, which stands in for it.
        part: of 1, with its 95 % interval over patients.
        how: what was compared with what.
    """

    system: str
    subset: Subset
    name: str
    part: Interval
    how: str


def causes(groups: Sequence[Group]) -> list[Cause]:
    """Return the parts for each subset of S1, or S1f, that has been run in both protocols at one length.

    - printed - ours: what the paper prints against the same protocol here;
    - leak: the paper's protocol against the same crops by patient;
    - scale shortcut: by patient, the paper's crops against those whose normal ones are cut at the
      lesions' radii (where S1r, or S1fr, has been run too; the others have no normal crops);
    - count: accuracy, which the paper calls sensitivity, against the mean sensitivity of the classes;
    - what is left.

    Each is taken off what those before it left: another order would give other parts.
    """
    by = {(group.system, group.subset, group.protocol): group for group in groups}
    found = []
    for system, of_one_scale in (("S1", "S1r"), ("S1f", "S1fr")):
        for subset in SUBSETS:
            leaking, by_patient = by.get((system, subset, "paper")), by.get((system, subset, "patient"))
            if leaking is not None and by_patient is not None and leaking.steps == by_patient.steps:
                fair = by.get((of_one_scale, subset, "patient"))
                same = fair is not None and fair.steps == by_patient.steps
                found += _causes(leaking, by_patient, fair if same else None)
    return found


def _causes(leaking: Group, by_patient: Group, fair: Group | None) -> list[Cause]:
    system, subset = leaking.system, leaking.subset
    last = by_patient if fair is None else fair
    printed = printed_accuracy("S1", subset)
    groups = (leaking, by_patient, last)
    patients = sorted({patient for group in groups for a in group.answers for patient in a.patients})

    def parts(chosen: npt.NDArray[np.int64]) -> list[float]:
        drawn = [patients[index] for index in chosen]
        a = by_patient.mean(drawn, "accuracy")
        b = last.mean(drawn, "accuracy")
        c = last.mean(drawn, "balanced_accuracy")
        ours = leaking.mean(drawn, "accuracy")
        return [(printed or np.nan) - ours, ours - a, a - b, b - c, c]

    apart, leak, scale, count, left = over_patients(patients, parts)
    found: list[Cause] = []

    def add(name: str, part: Interval, how: str) -> None:
        found.append(Cause(system, subset, name, part, how))

    if printed is not None:
        add("printed - ours", apart, f"the printed accuracy of S1 - {system}, the paper's protocol")
    add("leak", leak, f"{system}, the paper's protocol - {system} by patient: accuracy")
    if fair is not None:
        add("scale shortcut", scale, f"{system} by patient - {fair.system} by patient: accuracy")
    add("count", count, f"{last.system} by patient: accuracy - balanced accuracy")
    chance = 1 / len(last.classes)
    add("left", left, f"{last.system} by patient: balanced accuracy; chance is {chance:.3f}")
    return found
