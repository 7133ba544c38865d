"""All figures of an assessment, from cases under one hit rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from bcd_model.detector.calibration import SCORE_FLOOR, Calibration, logistic
from bcd_model.errors import TruthError, UsageError
from bcd_model.evaluation import froc
from bcd_model.evaluation.cases import Case
from bcd_model.evaluation.groups import Density, Group, densities, groups
from bcd_model.evaluation.hits import RULES, HitRule
from bcd_model.evaluation.overlap import Overlap
from bcd_model.evaluation.reliability import Calibrated, Items, cross_fitted, judge
from bcd_model.evaluation.statistics import Interval
from bcd_model.evaluation.tally import (
    Bools,
    Floats,
    Indices,
    Tally,
    count,
    draw_patients,
    interval,
    intervals,
)


@dataclass(frozen=True, slots=True)
class Source:
    """Where the marks come from.

    Attributes:
        facts: what ``results.json`` says of it.
        calibration, film_calibration, threshold: of the weights; None for a run, whose own are cross-fitted.
    """

    kind: Literal["weights", "run"]
    facts: dict[str, Any]
    calibration: Calibration | None = None
    film_calibration: Calibration | None = None
    threshold: float | None = None


@dataclass(frozen=True, slots=True)
class Curve:
    """What one hit rule makes of the marks.

    Attributes:
        sensitivity: at each of ``froc.RATES``.
        thresholds: scores that marks must surpass there; -inf where all marks make no more false ones.
        at: sensitivity at each of ``froc.FALSE_MARKS``.
        found: benign and malignant lesions with a mark at any score; ``malignant_auc`` is among them.
    """

    rule: HitRule
    sensitivity: tuple[Interval, ...]
    thresholds: tuple[float, ...]
    at: dict[float, Interval]
    malignant_auc: Interval
    found: tuple[int, int]


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """Probabilities as logits, and what would be presented.

    Attributes:
        marks: (M,), films: (F,); None with a reason in ``missing``.
        shown: (M,); None if there is no operating point.
    """

    marks: Floats | None
    films: Floats | None
    shown: Bools | None
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Assessment:
    """Every figure. ``curves`` has the chosen rule first; ``roc`` is on ``froc.GRID``."""

    cases: tuple[Case, ...]
    source: Source
    overlap: Overlap
    seed: int
    tally: Tally
    predictions: Predictions
    curves: tuple[Curve, ...]
    film_auc: Interval
    roc: tuple[Interval, ...]
    operating_point: tuple[Interval, Interval] | None
    groups: tuple[Group, ...]
    densities: tuple[Density, ...]
    mark_calibration: Calibrated | None
    film_calibration: Calibrated | None

    @property
    def rule(self) -> HitRule:
        """The chosen hit rule."""
        return self.curves[0].rule

    @property
    def threshold(self) -> float:
        """The score at which groups are compared and errors are picked: one false mark per film."""
        return self.curves[0].thresholds[int(np.flatnonzero(froc.RATES == froc.OPERATING_FALSE_MARKS)[0])]


def assess(
    cases: Sequence[Case], source: Source, overlap: Overlap, rule: HitRule, seed: int = 0
) -> Assessment:
    """Return every figure of ``cases``, with 95 % intervals from 1,000 draws of patients.

    Raises:
        UsageError: the rule needs radii and the marks have none.
    """
    with_radii = all(mark.radius is not None for case in cases for mark in case.marks)
    if rule.name == "iou" and not with_radii:
        raise UsageError(
            "--hit-rule iou needs the radius of every mark, which this run did not keep",
            "use --hit-rule centre, or train again with this version",
        )
    scored = [case.scored for case in cases]
    tally = count(scored, rule)
    weights = draw_patients(tally.patients, seed)
    rules = [rule, *(HitRule(name, rule.least_radius) for name in RULES if name != rule.name)]
    tallies = [tally, *(count(scored, other) for other in rules[1:])]
    usable = [pair for pair in zip(rules, tallies, strict=True) if with_radii or pair[0].name != "iou"]
    predictions = predict(cases, tally, source)
    shown, judged = predictions.shown, tally.judged_mark
    at_shown = None if shown is None else froc.at_shown(tally, weights, shown)

    def judged_by(logit: Floats | None, truth: Bools, patient: Indices) -> Calibrated | None:
        return None if logit is None else judge(Items(logit, truth, patient), weights)

    marks = None if predictions.marks is None else predictions.marks[judged]
    at_one = froc.thresholds(tally, weights, np.array([froc.OPERATING_FALSE_MARKS]))
    return Assessment(
        cases=tuple(cases),
        source=source,
        overlap=overlap,
        seed=seed,
        tally=tally,
        predictions=predictions,
        curves=tuple(_curve(each, of_rule, weights) for each, of_rule in usable),
        film_auc=interval(froc.film_auc(tally, weights)),
        roc=tuple(intervals(froc.film_roc(tally, weights))),
        operating_point=None if at_shown is None else (interval(at_shown[0]), interval(at_shown[1])),
        groups=groups(cases, tally, weights, at_one),
        densities=densities(cases, tally, weights, at_one),
        mark_calibration=judged_by(marks, tally.on_lesion[judged], tally.mark_patient[judged]),
        film_calibration=judged_by(predictions.films, tally.abnormal, tally.film_patient),
    )


def _curve(rule: HitRule, tally: Tally, weights: Floats) -> Curve:
    above = froc.thresholds(tally, weights, froc.RATES)
    band = intervals(froc.sensitivity(tally, weights, above))
    found = tally.judged_lesion & np.isfinite(tally.lesion_score)
    return Curve(
        rule,
        tuple(band),
        tuple(float(value) for value in above[0]),
        {rate: band[int(np.flatnonzero(rate == froc.RATES)[0])] for rate in froc.FALSE_MARKS},
        interval(froc.malignant_auc(tally, weights)),
        (int((found & ~tally.lesion_malignant).sum()), int((found & tally.lesion_malignant).sum())),
    )


def predict(cases: Sequence[Case], tally: Tally, source: Source) -> Predictions:
    """Return the probabilities: of the weights, or of a run, fitted for each fold on all others."""
    film_score = np.maximum(tally.film_score, SCORE_FLOOR)
    if source.kind == "weights" and source.calibration is not None and source.film_calibration is not None:
        marks = source.calibration.slope * tally.mark_score + source.calibration.intercept
        films = source.film_calibration.slope * film_score + source.film_calibration.intercept
        shown = None if source.threshold is None else logistic(marks) >= source.threshold
        return Predictions(marks, films, shown)
    folds = np.array([-1 if case.fold is None else case.fold for case in cases], dtype=np.intp)
    missing: list[str] = []

    def fitted(kind: str, scores: Floats, truth: Bools, of: Indices, use: Bools) -> Floats | None:
        try:
            return cross_fitted(scores, truth, of, use)
        except TruthError as error:
            missing.append(f"{kind}: {error.reason.detail}")
            return None

    on_lesion, judged = tally.on_lesion, tally.judged_mark
    run_marks = fitted("marks", tally.mark_score, on_lesion, folds[tally.mark_film], judged)
    run_films = fitted("films", film_score, tally.abnormal, folds, np.ones_like(tally.abnormal))
    return Predictions(run_marks, run_films, _shown(tally, folds), tuple(missing))


def _shown(tally: Tally, folds: Indices) -> Bools | None:
    """Of each fold, the marks above the score of one false mark per film on the other folds."""
    if len(np.unique(folds)) < 2:
        return None
    shown = np.zeros(len(tally.mark_score), dtype=bool)
    for fold in np.unique(folds):
        others = np.bincount(tally.film_patient[folds != fold], minlength=tally.patients) > 0
        above = froc.thresholds(
            tally, others[None].astype(np.float64), np.array([froc.OPERATING_FALSE_MARKS])
        )
        shown |= (folds[tally.mark_film] == fold) & (tally.mark_score > above[0, 0])
    return shown
