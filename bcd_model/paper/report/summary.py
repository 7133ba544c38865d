"""The figures of a system in one protocol, over its seeds; and what explains the paper's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from bcd_model.evaluation.statistics import Interval
from bcd_model.paper.outcome import Outcome
from bcd_model.paper.protocols import FOLDS
from bcd_model.paper.report.counts import (
    Confusion,
    Count,
    accuracy,
    balanced_accuracy,
    class_count,
    confusion,
    paper_count,
)
from bcd_model.paper.report.curves import areas
from bcd_model.paper.report.intervals import over_patients, wilson
from bcd_model.paper.systems import PROTOCOLS, SUBSETS, SYSTEMS, Protocol, Subset

FLAT = 0.01
"""A training loss is flat if its mean over the last tenth is within this of that of the tenth before."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Answers:
    """What the networks of one seed said of the test crops, folds together, by crop and variant."""

    seed: int
    crops: tuple[str, ...]
    patients: tuple[str, ...]
    truth: npt.NDArray[np.int64]
    logits: Floats

    @cached_property
    def places(self) -> dict[str, list[int]]:
        """Where the crops of each patient stand."""
        found: dict[str, list[int]] = {}
        for index, patient in enumerate(self.patients):
            found.setdefault(patient, []).append(index)
        return found

    def confusion(self, chosen: npt.NDArray[np.int64] | None = None) -> Confusion:
        """Return truth (rows) against the most probable class, of the crops at ``chosen`` (all if None)."""
        at = np.arange(len(self.truth)) if chosen is None else chosen
        answers = np.asarray(self.logits[at].argmax(axis=1), dtype=np.int64)
        return confusion(self.truth[at], answers, self.logits.shape[1])

    def rates(self, chosen: npt.NDArray[np.int64]) -> dict[str, float]:
        """Return what follows from the answers alone, of the crops at ``chosen``."""
        table = self.confusion(chosen)
        return {"accuracy": accuracy(table), "balanced_accuracy": balanced_accuracy(table)}

    def figures(self, chosen: npt.NDArray[np.int64] | None = None) -> dict[str, float]:
        """Return every figure of the crops at ``chosen`` (all if None)."""
        at = np.arange(len(self.truth)) if chosen is None else chosen
        return {**self.rates(at), **areas(self.logits[at], self.truth[at])}


class Group:
    """The runs of one system on one subset in one protocol, of every seed whose folds are all done."""

    def __init__(self, outcomes: Sequence[Outcome]) -> None:
        self.system, self.subset, self.protocol = outcomes[0].run.group
        self.crops = outcomes[0].crops
        self.steps = outcomes[0].steps
        by_seed: dict[int, list[Outcome]] = {}
        for outcome in outcomes:
            by_seed.setdefault(outcome.run.seed, []).append(outcome)
        folds = set(range(1 if self.protocol == "paper" else FOLDS))
        whole = {
            seed: found
            for seed, found in sorted(by_seed.items())
            if {each.run.fold for each in found} == folds
        }
        self.outcomes = [outcome for found in whole.values() for outcome in found]
        self.answers = [_answers(seed, found) for seed, found in whole.items()]

    @property
    def classes(self) -> tuple[str, ...]:
        """In the order of the labels."""
        return tuple(self.crops)

    @cached_property
    def figures(self) -> dict[str, Interval]:
        """Each figure's mean over the seeds: with the range over them, or a 95 % interval over patients."""
        each = [answers.figures() for answers in self.answers]
        names = list(each[0])
        if self.protocol == "paper":
            table = np.array([[figures[name] for name in names] for figures in each])
            # One seed has no range.
            ends = (
                (table.min(axis=0), table.max(axis=0)) if len(table) > 1 else np.full((2, len(names)), np.nan)
            )
            rows = zip(names, table.mean(axis=0), *ends, strict=True)
            return {name: Interval(float(v), float(a), float(b)) for name, v, a, b in rows}

        def means(chosen: npt.NDArray[np.int64]) -> list[float]:
            drawn = [answers.figures(chosen) for answers in self.answers]
            return [float(np.mean([figures[name] for figures in drawn])) for name in names]

        return dict(zip(names, over_patients(self.answers[0].patients, means), strict=True))

    @cached_property
    def accuracy_over_patients(self) -> Interval:
        """The mean accuracy over the seeds, with a 95 % interval over the patients tested in any of them."""
        tested = sorted({patient for answers in self.answers for patient in answers.patients})
        (found,) = over_patients(
            tested, lambda chosen: [self.mean([tested[index] for index in chosen], "accuracy")]
        )
        return found

    def mean(self, patients: Sequence[str], figure: str) -> float:
        """Return the mean over the seeds of a figure of ``rates``, each patient's crops as often as named."""
        values = []
        for answers in self.answers:
            places = answers.places
            chosen = [index for patient in patients for index in places.get(patient, ())]
            values.append(answers.rates(np.array(chosen, dtype=np.int64))[figure])
        return float(np.mean(values))

    @property
    def samples(self) -> int:
        """Tested, in one seed."""
        return len(self.answers[0].truth)

    @property
    def majority(self) -> float:
        """Accuracy of always giving the most frequent answer of the test, in the mean over the seeds."""
        return float(np.mean([a.confusion().sum(axis=1).max() / len(a.truth) for a in self.answers]))

    def loss(self) -> dict[str, float]:
        """Return the mean training loss of the last tenth, of the one before, and whether it is flat."""
        curves = [np.array([loss for _, loss in outcome.loss]) for outcome in self.outcomes]
        tenth = max(1, len(curves[0]) // 10)
        first = float(np.mean([curve[:tenth].mean() for curve in curves]))
        before = float(np.mean([curve[-2 * tenth :][:tenth].mean() for curve in curves]))
        last = float(np.mean([curve[-tenth:].mean() for curve in curves]))
        means = {"first_tenth": first, "tenth_before_last": before, "last_tenth": last}
        flat = len(curves[0]) >= 20 and abs(before - last) < FLAT
        return {**{name: round(mean, 6) for name, mean in means.items()}, "flat": flat}

    def table(self) -> dict[str, Any]:
        """Return all of it by the names of ``results.json``."""
        interval = "range over seeds" if self.protocol == "paper" else "95 % over patients"
        if self.protocol == "paper" and len(self.answers) == 1:
            interval = "none: one seed"
        return {
            "system": self.system,
            "subset": self.subset,
            "steps": self.steps,
            "seeds": [answers.seed for answers in self.answers],
            "crops": self.crops,
            "training_samples": self.outcomes[0].training_samples,
            "tested": {
                "samples": self.samples,
                "crops": len(set(self.answers[0].crops)),
                "patients": len(set(self.answers[0].patients)),
            },
            "training_loss": self.loss(),
            "interval": interval,
            "figures": self.figures,
            "majority": self.majority,
            "accuracy_over_patients": self.accuracy_over_patients,
            "wilson_accuracy": wilson(self.figures["accuracy"].value, self.samples),
            "by_seed": [self._seed(answers) for answers in self.answers],
        }

    def _seed(self, answers: Answers) -> dict[str, Any]:
        table = answers.confusion()
        return {
            "seed": answers.seed,
            "confusion": table.tolist(),
            "figures": answers.figures(),
            "count_as_the_paper": count_row(paper_count(table)),
            "count_by_class": {
                label: count_row(class_count(table, index)) for index, label in enumerate(self.classes)
            },
        }


def _answers(seed: int, outcomes: Sequence[Outcome]) -> Answers:
    found = sorted(
        (each for outcome in outcomes for each in outcome.predictions), key=lambda p: (p.crop, p.variant)
    )
    return Answers(
        seed,
        tuple(each.crop for each in found),
        tuple(each.patient for each in found),
        np.array([each.truth for each in found], dtype=np.int64),
        np.array([each.logits for each in found]),
    )


def groups(outcomes: Sequence[Outcome]) -> list[Group]:
    """Return the groups that have a whole seed, in the order in which the systems are listed."""
    found: dict[tuple[str, Subset, Protocol], list[Outcome]] = {}
    for outcome in outcomes:
        found.setdefault(outcome.run.group, []).append(outcome)
    order = [(s, b, p) for p in PROTOCOLS for s in SYSTEMS for b in SUBSETS]
    made = [Group(found[key]) for key in order if key in found]
    return [group for group in made if group.answers]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What was asked for, or begun, and is in no table.

    Attributes:
        diverged: names of networks of which nothing came.
        unfinished: seeds of which folds are missing.
    """

    diverged: tuple[str, ...] = ()
    unfinished: tuple[str, ...] = ()


NOTHING = LeftOut()


def unfinished(outcomes: Sequence[Outcome]) -> list[str]:
    """Return the seeds of which folds are missing, as ``S1-all-patient-seed0 (4 of 5 folds)``."""
    by_patient = (outcome.run.name for outcome in outcomes if outcome.run.protocol == "patient")
    folds = Counter(name.rpartition("-fold")[0] for name in by_patient)
    return [f"{seed} ({number} of {FOLDS} folds)" for seed, number in folds.items() if number < FOLDS]


def count_row(count: Count) -> dict[str, float]:
    """Return a count with its rates."""
    rates = {name: getattr(count, name) for name in ("sensitivity", "specificity", "accuracy")}
    return {**asdict(count), **rates}
