"""FROC, AUC and bootstrap by their definitions, film by film: the oracle of `bcd_model.evaluation`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from bcd_model.evaluation.froc import FALSE_MARKS
from bcd_model.evaluation.hits import HitRule
from bcd_model.evaluation.scored_films import ScoredFilm
from bcd_model.evaluation.statistics import Interval, auc, interval

RULE = HitRule()


def lesion_scores(film: ScoredFilm) -> list[float]:
    return [
        max((mark.score for mark in film.marks if RULE.hits(mark, lesion)), default=-np.inf)
        for lesion in film.lesions
    ]


def false_scores(film: ScoredFilm) -> list[float]:
    return [mark.score for mark in film.marks if not any(RULE.hits(mark, lesion) for lesion in film.lesions)]


@dataclass(frozen=True)
class Froc:
    """Sensitivity at each of ``FALSE_MARKS``, with the lowest score that makes no more false marks."""

    sensitivity: tuple[float, ...]
    threshold: tuple[float, ...]
    lesions: int
    films: int


def froc(films: Sequence[ScoredFilm]) -> Froc:
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
    """Sensitivity and false marks per film of the marks that reach ``threshold``."""
    judged = [film for film in films if not film.unlocated]
    found = [score >= threshold for film in judged for score in lesion_scores(film)]
    wrong = [score >= threshold for film in judged for score in false_scores(film)]
    return float(np.mean(found)) if found else 0.0, sum(wrong) / max(len(judged), 1)


def film_auc(films: Sequence[ScoredFilm]) -> float:
    scores = np.array([film.score for film in films])
    abnormal = np.array([film.abnormal for film in films])
    return auc(scores[abnormal], scores[~abnormal])


def malignant_auc(films: Sequence[ScoredFilm]) -> float:
    """Of malignant against benign among the lesions that were marked, by their best mark."""
    shares: dict[str, list[float]] = {"benign": [], "malignant": []}
    for film in films:
        for lesion in film.lesions:
            on = [mark for mark in film.marks if RULE.hits(mark, lesion)]
            if on and not film.unlocated:
                shares[lesion.label].append(max(on, key=lambda mark: mark.score).malignant)
    return auc(np.array(shares["malignant"]), np.array(shares["benign"]))


def bootstrap(
    films: Sequence[ScoredFilm], figure: Callable[[Sequence[ScoredFilm]], Sequence[float]], seed: int = 0
) -> list[Interval]:
    """``figure`` of the films with 95 % intervals from 1,000 draws of patients."""
    groups: dict[str, list[ScoredFilm]] = {}
    for film in films:
        groups.setdefault(film.patient, []).append(film)
    patients = sorted(groups)
    rng = np.random.default_rng(seed)
    draws = []
    for _ in range(1000):
        drawn = rng.integers(len(patients), size=len(patients))
        draws.append(figure([film for index in drawn for film in groups[patients[index]]]))
    return [interval(value, drawn) for value, drawn in zip(figure(films), np.array(draws).T, strict=True)]
