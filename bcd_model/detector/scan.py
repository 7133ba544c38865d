"""The scan of a film: every window of every level, marks merged to findings, a class for the film."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial

import numpy as np
import numpy.typing as npt
import torch

from bcd_model.detector.calibration import SCORE_FLOOR, Calibration, logistic
from bcd_model.detector.marks import Mark, abnormal_score, cluster_marks, find_marks, merge
from bcd_model.detector.model import Model
from bcd_model.detector.pyramid import STRIDE, Pyramid, build_pyramid, region_window
from bcd_model.detector.second_stage import MARKS, candidates
from bcd_model.detector.sliding_window import scan_level
from bcd_model.errors import FilmError
from bcd_model.words import (
    Film,
    FilmScan,
    Finding,
    HeatMap,
    ModelIdentity,
    OperatingPoint,
    Point,
    Probability,
    Region,
    by_suspicion,
)

MAX_FINDINGS = 10
"""Findings per film at most; the least suspicious are left out."""

NOT_COMPARED = "not compared with the other breast: no film, or not just one, shows it in this view"
"""The warning of a film that was scanned by itself."""

_CORNERS = 32
_NORMAL = Probability(1.0, 0.0, 0.0)  # of a film without a mark


class Scanner:
    """Scans films with one model.

    Args:
        model: from ``bcd_model.detector.model.load_model``.
        threads: torch threads, for the whole process; torch's own default if None.
        floor: see :func:`scan_pyramid`.
    """

    def __init__(self, model: Model, *, threads: int | None = None, floor: float | None = None) -> None:
        self.model = model
        # Of a pair, either film is scanned beside the other: nothing need be done twice.
        self._pyramid = lru_cache(maxsize=2)(partial(build_pyramid, steps=model.steps_mm))
        # Not of a method: a scanner that holds itself keeps its films until Python looks for cycles.
        self._rescored = lru_cache(maxsize=2)(partial(_rescore, model, self._pyramid, floor))
        if threads is not None:
            torch.set_num_threads(threads)

    @property
    def identity(self) -> ModelIdentity:
        """Which weights scan."""
        return self.model.identity

    @property
    def operating_point(self) -> OperatingPoint:
        """From where findings are presented."""
        return self.model.operating_point

    @property
    def compares(self) -> bool:
        """Whether a film is scanned beside the other breast."""
        return self.model.second_stage is not None

    def scan(self, film: Film, other: Film | None = None) -> FilmScan:
        """Return the findings of ``film``, its class and its heat map.

        Args:
            other: the other breast of the same patient in the same view, to compare with.

        Findings reach down to the model's floor, so that a reader may lower the threshold; the
        film's class follows from those at or above the operating point.

        Raises:
            FilmError: there is no breast in the film to look at: it is not normal, it was not scanned.
        """
        pyramid = self._pyramid(film)
        if not self.shows_breast(film):
            detail = "no breast was found in it: nothing was scanned"
            raise FilmError(detail, place=film.file, code="no-breast")
        kept = self.marks(film, other, MAX_FINDINGS)
        findings = by_suspicion(
            [_finding(mark, pyramid, film.shape, self.model.calibration) for mark in kept]
        )
        findings = tuple(f for f in findings if f.probability.abnormal >= self.model.floor)
        presented = [f for f in findings if self.operating_point.presents(f)]
        warnings = film.warnings
        if self.compares and (other is None or not self.shows_breast(other)):
            warnings = (*warnings, NOT_COMPARED)
        return FilmScan(
            label=presented[0].label if presented else "normal",
            probability=_probability(kept[0], self.model.film_calibration) if kept else _NORMAL,
            findings=findings,
            heat_map=self._rescored(film, other)[1],
            warnings=warnings,
        )

    def shows_breast(self, film: Film) -> bool:
        """Whether there is anything to scan in ``film``."""
        return self._pyramid(film).windows > 0

    def marks(self, film: Film, other: Film | None, limit: int) -> list[Mark]:
        """Return one mark a place with its final score, the most suspicious first, at most ``limit``."""
        marks, _ = self._rescored(film, other)
        if self.model.second_stage is None:
            return marks[:limit]
        across = None if other is None else self._rescored(other, film)[0]
        return self.model.second_stage.heads.weigh(marks, across)[:limit]

    def classify(self, film: Film, region: Region) -> Probability:
        """Return the class probabilities of one region, as the paper classifies a crop.

        The window is cut with the context and contrast of the scan. The probabilities are the
        network's own, at its training's prevalence: half normal, a quarter each of the others.

        Raises:
            FilmError: the region's centre is not in the breast.
        """
        window = region_window(film, region, self.model.steps_mm)
        with torch.inference_mode():
            logits = self.model.network(torch.from_numpy(window)[None, None])[0, :, 0, 0].double()
        normal, benign, malignant = torch.softmax(logits, 0).tolist()
        return Probability(normal, benign, malignant)


def _rescore(
    model: Model, pyramid_of: Callable[[Film], Pyramid], floor: float | None, film: Film, other: Film | None
) -> tuple[list[Mark], HeatMap]:
    """The marks of ``film``, merged and rescored but not yet weighed, and its heat map."""
    pyramid = pyramid_of(film)
    marks, heat = scan_pyramid(model, pyramid, floor)
    if model.second_stage is None:
        return merge(marks, MARKS), heat
    across = None if other is None else pyramid_of(other)
    return model.second_stage.rescore(candidates(marks), pyramid, across), heat


def scan_pyramid(model: Model, pyramid: Pyramid, floor: float | None = None) -> tuple[list[Mark], HeatMap]:
    """Return the marks of all levels, not yet merged, with the network's own scores; and the heat map.

    Before a second stage clusters of bright spots are marked, too; without one nothing would score them.

    Args:
        floor: score below which a maximum is not a mark; by default where P(abnormal) is the model's
            floor or, before a second stage, ``SCORE_FLOOR``.
    """
    if floor is None:
        floor = _floor_score(model) if model.second_stage is None else SCORE_FLOOR
    marks: list[Mark] = []
    finest = pyramid.levels[0]
    heat = np.full(finest.inside.shape, -np.inf, dtype=np.float32)
    scanned = [scan_level(model.network, level) for level in pyramid.levels]
    for level, logits in zip(pyramid.levels, scanned, strict=True):
        marks += find_marks(pyramid, level, logits, floor)
        score = np.where(level.inside, abnormal_score(logits), -np.inf)
        # Nearest window of this level for each of the finest: window centres share their origin.
        ratio = finest.step / level.step
        rows = _nearest(len(heat), len(score), ratio)
        columns = _nearest(len(heat.T), len(score.T), ratio)
        np.maximum(heat, score[np.ix_(rows, columns)], out=heat)
    if model.second_stage is not None:
        marks += cluster_marks(pyramid, scanned)
    values = logistic(model.heat_calibration.slope * heat + model.heat_calibration.intercept)
    values[~finest.inside] = 0
    step = (STRIDE * finest.step / pyramid.spacing[0], STRIDE * finest.step / pyramid.spacing[1])
    return marks, HeatMap(values.astype(np.float32), (-0.5, -0.5), step)


def _nearest(fine: int, coarse: int, ratio: float) -> npt.NDArray[np.intp]:
    nearest = np.rint(np.arange(fine) * ratio).clip(0, coarse - 1)
    return np.asarray(nearest, dtype=np.intp)


def _floor_score(model: Model) -> float:
    odds = model.floor / (1 - model.floor)
    return float((np.log(odds) - model.calibration.intercept) / max(model.calibration.slope, 1e-6))


def _probability(mark: Mark, calibration: Calibration) -> Probability:
    abnormal = calibration.probability(mark.score)
    malignant = abnormal * mark.malignant
    return Probability(1 - abnormal, abnormal - malignant, malignant)


def _finding(mark: Mark, pyramid: Pyramid, shape: tuple[int, int], calibration: Calibration) -> Finding:
    probability = _probability(mark, calibration)
    radii = (mark.radius_mm / pyramid.spacing[0], mark.radius_mm / pyramid.spacing[1])
    return Finding(
        center=_within(mark.center, shape),
        radius=radii[0],
        outline=_circle(mark.center, radii, shape),
        label=probability.abnormal_label,
        probability=probability,
    )


def _circle(center: Point, radii: Point, shape: tuple[int, int]) -> tuple[Point, ...]:
    """A circle in mm as a polygon in source pixels, cut by the film's border."""
    angles = np.linspace(0, 2 * np.pi, _CORNERS, endpoint=False)
    corners = [
        _within((center[0] + radii[0] * float(np.sin(a)), center[1] + radii[1] * float(np.cos(a))), shape)
        for a in angles
    ]
    return tuple(dict.fromkeys(corners))


def _within(point: Point, shape: tuple[int, int]) -> Point:
    return min(max(point[0], 0.0), shape[0] - 1.0), min(max(point[1], 0.0), shape[1] - 1.0)
