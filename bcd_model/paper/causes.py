"""How much of the paper's accuracy each cause explains: the leak, the scale shortcut, the count."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bcd_model.evaluation import Interval
from bcd_model.paper.intervals import over_patients
from bcd_model.paper.printed import printed_accuracy
from bcd_model.paper.summary import Answers, Group
from bcd_model.paper.systems import SUBSETS, Subset


@dataclass(frozen=True, slots=True)
class Cause:
    """One part of the printed accuracy; the parts add up to it.

    Attributes:
        system: S1, or S1f, which stands in for it.
        part: of 1, with its 95 % interval over patients; nan for both ends where it has none.
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
            leaking, honest = by.get((system, subset, "paper")), by.get((system, subset, "patient"))
            if leaking is not None and honest is not None and leaking.steps == honest.steps:
                fair = by.get((of_one_scale, subset, "patient"))
                same = fair is not None and fair.steps == honest.steps
                found += _causes(leaking, honest, fair if same else None)
    return found


def _causes(leaking: Group, honest: Group, fair: Group | None) -> list[Cause]:
    system, subset = leaking.system, leaking.subset
    ours = leaking.figures["accuracy"].value
    last = honest if fair is None else fair
    patients = sorted({*honest.answers[0].patients, *last.answers[0].patients})

    def parts(chosen: npt.NDArray[np.int64]) -> list[float]:
        drawn = [patients[index] for index in chosen]
        a = _mean(honest, drawn, "accuracy")
        b = _mean(last, drawn, "accuracy")
        c = _mean(last, drawn, "balanced_accuracy")
        return [ours - a, a - b, b - c, c]

    leak, scale, count, left = over_patients(patients, parts)
    told: list[Cause] = []

    def tell(name: str, part: Interval, how: str) -> None:
        told.append(Cause(system, subset, name, part, how))

    printed = printed_accuracy("S1", subset)
    if printed is not None:
        apart = Interval(printed - ours, float("nan"), float("nan"))
        tell("printed - ours", apart, f"the printed accuracy of S1 - {system}, the paper's protocol")
    tell("leak", leak, f"{system}, the paper's protocol - {system} by patient: accuracy")
    if fair is not None:
        tell("scale shortcut", scale, f"{system} by patient - {fair.system} by patient: accuracy")
    tell("count", count, f"{last.system} by patient: accuracy - balanced accuracy")
    chance = 1 / len(last.classes)
    tell("left", left, f"{last.system} by patient: balanced accuracy; chance is {chance:.3f}")
    return told


def _mean(group: Group, patients: Sequence[str], figure: str) -> float:
    """The mean over seeds of a figure of the crops of ``patients``, each as often as named."""
    values = []
    for answers in group.answers:
        places = _places(answers)
        chosen = [index for patient in patients for index in places.get(patient, ())]
        values.append(answers.rates(np.array(chosen, dtype=np.int64))[figure])
    return float(np.mean(values))


def _places(answers: Answers) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for index, patient in enumerate(answers.patients):
        found.setdefault(patient, []).append(index)
    return found
