"""From a probability per window to places: local maxima, merged across the scales."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bcd_model.detector.peaks import local_maxima
from bcd_model.detector.pyramid import Level, Pyramid
from bcd_model.words import Pixels, Point

_SPREAD = 1


@dataclass(frozen=True, slots=True)
class Mark:
    """A place one level holds suspicious.

    Attributes:
        center: source (row, column).
        place_mm: (row, column) in mm, for distances.
        radius_mm: of the lesion the level is meant for.
        score: logit of P(abnormal) there, log(P / (1 - P)).
        malignant: P(malignant) / P(abnormal) there.
        spots: strength of the strongest cluster of bright spots within the radius; 0 if there is none.
        by_spots: whether that cluster is what is marked, and not a place that the network holds suspicious.
    """

    center: Point
    place_mm: Point
    radius_mm: float
    score: float
    malignant: float
    spots: float = 0.0
    by_spots: bool = False


def abnormal_score(logits: npt.NDArray[np.float32]) -> Pixels:
    """Return log(P(abnormal) / P(normal)) of logits (3, ...)."""
    return np.asarray(np.logaddexp(logits[1], logits[2]) - logits[0], dtype=np.float32)


def malignant_share(logits: npt.NDArray[np.float32]) -> Pixels:
    """Return P(malignant) / P(abnormal) of logits (3, ...)."""
    return np.asarray(1 / (1 + np.exp(np.clip(logits[1] - logits[2], -60, 60))), dtype=np.float32)


def find_marks(pyramid: Pyramid, level: Level, logits: npt.NDArray[np.float32], floor: float) -> list[Mark]:
    """Return the marks of one level: local maxima of the abnormal score above ``floor``.

    A peak's place is refined to the centroid of the 3x3 windows around it, weighted by P(abnormal).

    Args:
        logits: (3, u, v), one column a window of ``level``.
        floor: log(P / (1 - P)) below which a maximum is not a mark.
    """
    score = abnormal_score(logits)
    share = malignant_share(logits)
    marks = []
    for u, v in local_maxima(score, level.inside & (score > floor)):
        place = _refine(score, int(u), int(v))
        center = pyramid.to_source(level, place)
        mm = ((center[0] + 0.5) * pyramid.spacing[0], (center[1] + 0.5) * pyramid.spacing[1])
        spots = [c.strength for c in pyramid.clusters if math.dist(c.place_mm, mm) <= level.radius]
        suspicion = float(score[u, v]), float(share[u, v])
        marks.append(Mark(center, mm, level.radius, *suspicion, max(spots, default=0.0)))
    return marks


def cluster_marks(pyramid: Pyramid, logits: Sequence[npt.NDArray[np.float32]]) -> list[Mark]:
    """Return a mark for each of the film's clusters of bright spots.

    Its score is the network's highest of any level at that place. Its radius is that of the smallest
    lesions the scan is meant for.

    Args:
        logits: (3, u, v) of each level.
    """
    marks = []
    for cluster in pyramid.clusters:
        row, column = (mm / step - 0.5 for mm, step in zip(cluster.place_mm, pyramid.spacing, strict=True))
        there = [
            each[:, u, v]
            for level, each in zip(pyramid.levels, logits, strict=True)
            for u, v in [_nearest_window(pyramid, level, (row, column), each.shape[1:])]
        ]
        best = max(there, key=lambda each: float(abnormal_score(each)))
        score, share = float(abnormal_score(best)), float(malignant_share(best))
        radius = pyramid.levels[0].radius
        marks.append(Mark((row, column), cluster.place_mm, radius, score, share, cluster.strength, True))
    return marks


def _nearest_window(
    pyramid: Pyramid, level: Level, point: Point, windows: tuple[int, ...]
) -> tuple[int, int]:
    u, v = (
        min(max(round(at), 0), n - 1) for at, n in zip(pyramid.to_window(level, point), windows, strict=True)
    )
    return u, v


def _refine(score: Pixels, u: int, v: int) -> tuple[float, float]:
    top, left = max(u - _SPREAD, 0), max(v - _SPREAD, 0)
    patch = score[top : u + _SPREAD + 1, left : v + _SPREAD + 1].astype(np.float64)
    weight = 1 / (1 + np.exp(-np.clip(patch, -30, 30)))
    # Only what rises above the lowest neighbour pulls: a flat surrounding must not.
    weight = weight - weight.min() + 1e-12
    rows, columns = np.indices(patch.shape)
    total = weight.sum()
    place = (top + float((rows * weight).sum() / total), left + float((columns * weight).sum() / total))
    # A maximum cut by the grid's border has neighbours on one side only; stay within half a window step.
    return float(np.clip(place[0], u - 0.5, u + 0.5)), float(np.clip(place[1], v - 0.5, v + 0.5))


def merge(marks: Sequence[Mark], limit: int) -> list[Mark]:
    """Return the most suspicious marks, one a place, at most ``limit``.

    A mark is the same place as a more suspicious one if either circle holds the other's centre.
    """
    kept: list[Mark] = []
    for mark in sorted(marks, key=lambda m: (-m.score, m.center)):
        if len(kept) == limit:
            break
        if all(_distance(mark, other) > max(mark.radius_mm, other.radius_mm) for other in kept):
            kept.append(mark)
    return kept


def _distance(a: Mark, b: Mark) -> float:
    return float(np.hypot(a.place_mm[0] - b.place_mm[0], a.place_mm[1] - b.place_mm[1]))
