"""What a scan is worth: FROC, film-level AUC and calibration, with intervals over patients.

Every figure is by patient: folds never part a patient's films, and intervals come from a bootstrap
that draws patients, because two films of one patient are not two independent cases.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bcd_model.errors import TruthError
from bcd_model.words import AnnotatedFilm, Lesion, Point

SCORE_FLOOR = -6.0
"""log(P / (1 - P)) below which a maximum of the network is no mark, and that of a film without any."""

FALSE_MARKS = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0)
"""False marks per film at which sensitivity is reported."""

MIN_HIT_RADIUS = 15.0
"""Pixels; a smaller lesion may be missed by this much and still count as found."""

HIT_RULE = "a mark hits a lesion if its centre lies within the annotated radius, at least 15 px"

_BOOTSTRAPS = 1000
_LEAST_SHARE = 0.95
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ScoredMark:
    """A mark as evaluation sees it: source (row, column), score, share of malignancy.

    ``radius`` is in source pixels along the rows' axis; None if whoever kept the mark did not keep it.
    """

    center: Point
    score: float
    malignant: float = 0.5
    radius: float | None = None


@dataclass(frozen=True, slots=True)
class ScoredFilm:
    """A scanned film with its truth.

    A film with an ``unlocated`` abnormality counts as abnormal for the AUC and not at all for the
    FROC: its marks can be neither right nor wrong.
    """

    name: str
    patient: str
    lesions: tuple[Lesion, ...]
    unlocated: bool
    marks: tuple[ScoredMark, ...]

    @property
    def abnormal(self) -> bool:
        """Whether the film shows an abnormality, located or not."""
        return bool(self.lesions) or self.unlocated


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure and its 95 % interval over patients.

    nan where there is none; a bound may be infinite, see :func:`interval`.
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        if math.isnan(self.value):
            return "-"
        if math.isnan(self.low) or math.isnan(self.high):
            return f"{self.value:.3f} (-)"
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


def lies_on(center: Point, lesion: Lesion) -> bool:
    """Whether a place, source (row, column), lies on ``lesion``; see ``HIT_RULE``."""
    return math.dist(center, lesion.center) <= max(lesion.radius, MIN_HIT_RADIUS)


def hits(mark: ScoredMark, lesion: Lesion) -> bool:
    """Whether ``mark`` lies on ``lesion``; see ``HIT_RULE``."""
    return lies_on(mark.center, lesion)


def lesion_scores(film: ScoredFilm) -> list[float]:
    """The highest score of a mark on each lesion, -inf for a lesion with none."""
    return [
        max((mark.score for mark in film.marks if hits(mark, lesion)), default=-np.inf)
        for lesion in film.lesions
    ]


def false_scores(film: ScoredFilm) -> list[float]:
    """The scores of the marks that lie on no lesion."""
    return [mark.score for mark in film.marks if not any(hits(mark, lesion) for lesion in film.lesions)]


@dataclass(frozen=True, slots=True)
class Froc:
    """Sensitivity at each of ``FALSE_MARKS``, with the score threshold it takes."""

    sensitivity: tuple[float, ...]
    threshold: tuple[float, ...]
    lesions: int
    films: int


def froc(films: Sequence[ScoredFilm]) -> Froc:
    """Return the free-response curve at ``FALSE_MARKS``.

    The threshold at x is the lowest score that leaves at most x false marks per film.
    """
    judged = [film for film in films if not film.unlocated]
    found = np.array([score for film in judged for score in lesion_scores(film)], dtype=np.float64)
    wrong = np.sort(np.array([score for film in judged for score in false_scores(film)]))[::-1]
    thresholds = []
    for rate in FALSE_MARKS:
        allowed = int(np.floor(rate * len(judged) + 1e-9))
        thresholds.append(float(np.nextafter(wrong[allowed], np.inf)) if allowed < wrong.size else -np.inf)
    # A lesion without a mark has -inf, which no threshold finds.
    return Froc(
        tuple(float(np.mean((found >= t) & np.isfinite(found))) if found.size else 0.0 for t in thresholds),
        tuple(thresholds),
        int(found.size),
        len(judged),
    )


def at_threshold(films: Sequence[ScoredFilm], threshold: float) -> tuple[float, float]:
    """Return sensitivity and false marks per film of the marks that reach ``threshold``."""
    judged = [film for film in films if not film.unlocated]
    found = [score >= threshold for film in judged for score in lesion_scores(film)]
    wrong = [score >= threshold for film in judged for score in false_scores(film)]
    return float(np.mean(found)) if found else 0.0, sum(wrong) / max(len(judged), 1)


def film_score(film: ScoredFilm) -> float:
    """The score of the film's most suspicious mark, -inf without one."""
    return max((mark.score for mark in film.marks), default=-np.inf)


def auc(positive: Floats, negative: Floats) -> float:
    """Area under the ROC curve: how often a positive outranks a negative, ties counting half."""
    if positive.size == 0 or negative.size == 0:
        return float("nan")
    order = np.sort(negative)
    below = np.searchsorted(order, positive, side="left")
    upto = np.searchsorted(order, positive, side="right")
    return float((below + upto).mean() / (2 * negative.size))


def film_auc(films: Sequence[ScoredFilm]) -> float:
    """AUC of abnormal against normal films by their most suspicious mark."""
    scores = np.array([film_score(film) for film in films])
    abnormal = np.array([film.abnormal for film in films])
    return auc(scores[abnormal], scores[~abnormal])


def bootstrap(
    films: Sequence[ScoredFilm], figure: Callable[[Sequence[ScoredFilm]], Sequence[float]], seed: int = 0
) -> list[Interval]:
    """Return ``figure`` of the films with 95 % intervals from 1,000 draws of patients."""
    groups: dict[str, list[ScoredFilm]] = {}
    for film in films:
        groups.setdefault(film.patient, []).append(film)
    patients = sorted(groups)
    rng = np.random.default_rng(seed)
    draws = np.array(
        [
            figure(
                [
                    film
                    for index in rng.integers(len(patients), size=len(patients))
                    for film in groups[patients[index]]
                ]
            )
            for _ in range(_BOOTSTRAPS)
        ]
    )
    return [interval(value, drawn) for value, drawn in zip(figure(films), draws.T, strict=True)]


def interval(value: float, draws: Floats) -> Interval:
    """Return a figure with the middle 95 % of its bootstrap draws.

    A draw may be infinite, and counts as any other. Draws without a value (nan) are left out, but if they
    are more than 5 %, what is left is no sample of all draws: there is no interval then. Nor is there one
    for a figure that has itself no value.
    """
    drawn = np.sort(draws[~np.isnan(draws)])
    if not math.isfinite(value) or drawn.size == 0 or drawn.size < _LEAST_SHARE * draws.size:
        return Interval(float(value) if math.isfinite(value) else math.nan, math.nan, math.nan)
    if np.isfinite(drawn).all():
        low, high = np.percentile(drawn, [2.5, 97.5])
    else:  # nothing lies halfway to infinity
        last = drawn.size - 1
        low, high = drawn[math.floor(0.025 * last)], drawn[math.ceil(0.975 * last)]
        if np.isinf(low) and np.isinf(high):  # everything is possible
            low = high = math.nan
    return Interval(float(value), float(low), float(high))


def check_given_once(films: Sequence[AnnotatedFilm]) -> None:
    """Refuse a film that is given twice: it would count twice, or stand on both sides of a split.

    Raises:
        TruthError: one is; the message names it.
    """
    seen: set[str] = set()
    for film in films:
        if film.name in seen:
            raise TruthError(f"film {film.name} is given twice", "give every film once")
        seen.add(film.name)


def patient_folds(severity: dict[str, int], folds: int, seed: int) -> dict[str, int]:
    """Return the fold of each patient, stratified by the worst class among the patient's films.

    Args:
        severity: patient -> 0 normal, 1 benign, 2 malignant.

    Raises:
        TruthError: fewer patients than folds.
    """
    if len(severity) < folds:
        raise TruthError(
            f"{len(severity)} patients cannot fill {folds} folds", "give more films or fewer folds"
        )
    rng = np.random.default_rng(seed)
    placed: dict[str, int] = {}
    for wanted in (2, 1, 0):
        stratum = sorted(patient for patient, worst in severity.items() if worst == wanted)
        for index in rng.permutation(len(stratum)):
            # One counter through all strata keeps the folds equal in size.
            placed[stratum[index]] = len(placed) % folds
    return placed


@dataclass(frozen=True, slots=True)
class Calibration:
    """Platt scaling: P(abnormal) = 1 / (1 + exp(-(slope * score + intercept)))."""

    slope: float = 1.0
    intercept: float = 0.0

    def probability(self, score: float) -> float:
        """The calibrated probability of a score."""
        return float(1 / (1 + np.exp(-np.clip(self.slope * score + self.intercept, -40, 40))))


UNCALIBRATED = Calibration()
"""Takes the network's own odds as they are."""


def fit_calibration(scores: Floats, truth: npt.NDArray[np.bool_]) -> Calibration:
    """Fit Platt's two numbers by Newton's method, with his smoothed targets (Platt 1999).

    Raises:
        TruthError: only one kind of example.
    """
    positives, negatives = int(truth.sum()), int((~truth).sum())
    if positives == 0 or negatives == 0:
        raise TruthError("calibration needs true and false marks, one kind is missing", "use more films")
    target = np.where(truth, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    design = np.stack([scores, np.ones_like(scores)])  # (2, n)

    def loss(beta: Floats) -> float:
        z = beta @ design
        return float((np.logaddexp(0, z) - target * z).sum())

    beta = np.array([1.0, 0.0])
    for _ in range(100):
        p = 1 / (1 + np.exp(-np.clip(beta @ design, -40, 40)))
        gradient = design @ (target - p)
        hessian = (design * (p * (1 - p))) @ design.T + 1e-6 * np.eye(2)
        change = np.linalg.solve(hessian, gradient)
        # Newton overshoots where most probabilities are near 0 or 1: never take a step uphill.
        while loss(beta + change) > loss(beta) + 1e-12 and float(np.abs(change).max()) > 1e-10:
            change = change / 2
        beta = beta + change
        if float(np.abs(change).max()) < 1e-10:
            break
    return Calibration(float(beta[0]), float(beta[1]))
