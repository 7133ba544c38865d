"""What a scan is worth: FROC, film-level AUC and calibration, with intervals over patients.

Every figure is by patient: folds never part a patient's films, and intervals come from a bootstrap
that draws patients, because two films of one patient are not two independent cases.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from bcd_model.evaluation.statistics import Interval, auc, interval
from bcd_model.words import Lesion, Point

FALSE_MARKS = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0)
"""False marks per film at which sensitivity is reported."""

MIN_HIT_RADIUS = 15.0
"""Pixels; a smaller lesion may be missed by this much and still count as found."""

HIT_RULE = "a mark hits a lesion if its centre lies within the annotated radius, at least 15 px"

_BOOTSTRAPS = 1000


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


MARKS_PER_FILM = 12
