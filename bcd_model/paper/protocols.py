"""The two ways of parting crops into training and test: the paper's, which leaks, and by patient.

A *sample* is one variant of one crop; sample 8i + v is variant v of crop i.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bcd_model.errors import TruthError
from bcd_model.folds import patient_folds
from bcd_model.paper.inputs import CropSet, Labels
from bcd_model.paper.systems import Protocol, System
from bcd_model.training.windows import VARIANTS

FOLDS = 5

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Samples to train on and samples to test on; ``fold`` counts from 0."""

    fold: int
    training: Indices
    test: Indices


def splits(crops: CropSet, system: System, protocol: Protocol, seed: int) -> list[Split]:
    """Return the splits of ``crops`` for ``system``: one in the paper's protocol, five by patient.

    Raises:
        TruthError: fewer patients than folds; a training part without one of the classes; a patient
            on both sides of a split that is by patient.
    """
    if protocol == "paper":
        parts = [paper_split(crops.labels, system, seed)]
    else:
        parts = patient_splits(crops, system, seed)
        for part in parts:
            check_by_patient(part, crops.patients)
    for part in parts:
        _check_classes(part, crops)
    return parts


def paper_split(labels: Labels, system: System, seed: int) -> Split:
    """Part the *samples* at random, whatever crop, film or patient they come from.

    Each crop's 8 variants fall on both sides: that is the leak the paper's figures rest on.
    """
    rng = np.random.default_rng([seed, 0])
    samples = np.arange(len(labels) * VARIANTS)
    if system.balanced:
        samples = _balance(samples, labels, rng)
    samples = rng.permutation(samples)
    count = max(1, round(system.test_share * len(samples)))
    return Split(0, np.sort(samples[count:]), np.sort(samples[:count]))


def patient_splits(crops: CropSet, system: System, seed: int) -> list[Split]:
    """Part the *patients* into 5 folds, stratified by the worst of each patient's crops.

    Training has all variants of its crops, the test each crop once, as it is.
    """
    severity: dict[str, int] = {}
    for patient, label in zip(crops.patients, crops.labels, strict=True):
        # Two classes are benign and malignant, which the folds call 1 and 2.
        worst = int(label) + 3 - len(crops.classes)
        severity[patient] = max(severity.get(patient, 0), worst)
    placed = patient_folds(severity, FOLDS, seed)
    fold_of = np.array([placed[patient] for patient in crops.patients])
    parts = []
    for fold in range(FOLDS):
        training = np.flatnonzero(fold_of != fold)
        samples = (training[:, None] * VARIANTS + np.arange(VARIANTS)).ravel()
        if system.balanced:
            samples = _balance(samples, crops.labels, np.random.default_rng([seed, 1, fold]))
        parts.append(Split(fold, samples, np.flatnonzero(fold_of == fold) * VARIANTS))
    return parts


def check_by_patient(split: Split, patients: Sequence[str]) -> None:
    """Refuse a split that has a patient on both sides.

    Args:
        patients: of each crop.

    Raises:
        TruthError: it has; the message names one.
    """
    sides = [{patients[sample // VARIANTS] for sample in side} for side in (split.training, split.test)]
    both = sorted(sides[0] & sides[1])
    if both:
        raise TruthError(
            f"patient {both[0]} is on both sides of fold {split.fold + 1}", "split the films by patient"
        )


def _check_classes(split: Split, crops: CropSet) -> None:
    present = set(crops.labels[split.training // VARIANTS].tolist())
    for index, label in enumerate(crops.classes):
        if index not in present:
            raise TruthError(
                f"fold {split.fold + 1} would be trained without a {label} crop",
                "give films of more patients, or leave the subset out with --subset",
            )


def _balance(samples: Indices, labels: Labels, rng: np.random.Generator) -> Indices:
    """Drop samples of the larger classes at random until every class has as many as the smallest."""
    classes = labels[samples // VARIANTS]
    least = min(int((classes == each).sum()) for each in np.unique(classes))
    kept = [rng.permutation(samples[classes == each])[:least] for each in np.unique(classes)]
    return np.sort(np.concatenate(kept))
