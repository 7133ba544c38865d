"""Whether a probability means what it says: Brier score, logistic recalibration, expected calibration error.

Items are marks (is it on a lesion?) or films (is it abnormal?). Their probabilities come as logits,
log(P / (1 - P)), so that none is 0 or 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bcd_model.detector.calibration import fit_calibration, fit_logistic, logistic
from bcd_model.errors import TruthError
from bcd_model.evaluation.statistics import Interval
from bcd_model.evaluation.tally import Bools, Floats, Indices, interval, share

EDGES: Floats = np.array([0, 0.01, 0.02, 0.05, *np.arange(1, 11) / 10])
"""Bounds of the bins: ten of equal width, the first of them in four, because most marks are in it."""

_MOST = 700.0  # exp(709) is the greatest


@dataclass(frozen=True, slots=True, eq=False)
class Items:
    """Probabilities with their truth.

    Attributes:
        logit: (n,).
        truth: (n,).
        patient: (n,) index of the patient.
    """

    logit: Floats
    truth: Bools
    patient: Indices

    @property
    def probability(self) -> Floats:
        """(n,) in [0, 1]."""
        return logistic(self.logit, _MOST)


@dataclass(frozen=True, slots=True)
class Bin:
    """Items from ``low`` to below ``high``: how many, their mean probability, the share that is true."""

    low: float
    high: float
    count: int
    probability: float
    true: Interval


@dataclass(frozen=True, slots=True)
class Calibrated:
    """How well probabilities are calibrated; intervals over patients.

    Attributes:
        brier: mean squared difference from the truth.
        base_rate_brier: that of always saying the base rate.
        skill: 1 - brier / base_rate_brier: above 0 is better than the base rate.
        slope, intercept: of the logistic regression of the truth on the logit; 1 and 0 are perfect.
        ece: mean over the items of the difference between the shares and probabilities of their bins.
    """

    count: int
    base_rate: Interval
    mean_probability: Interval
    brier: Interval
    base_rate_brier: Interval
    skill: Interval
    slope: Interval
    intercept: Interval
    ece: Interval
    bins: tuple[Bin, ...]


def judge(items: Items, weights: Floats) -> Calibrated | None:
    """Return how well ``items`` are calibrated; None if they are all true or all false.

    Args:
        weights: (draws + 1, patients), see ``tally``.
    """
    if items.truth.all() or not items.truth.any():
        return None
    of_item = weights[:, items.patient]
    total = of_item.sum(axis=1)
    p, y = items.probability, items.truth.astype(np.float64)
    base = share(of_item @ y, total)
    brier = share(of_item @ (p - y) ** 2, total)
    reference = base * (1 - base)
    line = recalibration(items, weights)
    bins, error = _binned(p, y, of_item)
    return Calibrated(
        len(y),
        interval(base),
        interval(share(of_item @ p, total)),
        interval(brier),
        interval(reference),
        interval(1 - share(brier, reference)),
        interval(line[:, 0]),
        interval(line[:, 1]),
        interval(error),
        bins,
    )


def recalibration(items: Items, weights: Floats) -> Floats:
    """Return (draws + 1, 2): slope and intercept of the maximum likelihood fit truth ~ logit.

    Where the true items lie apart from the false ones, the likelihood grows with the slope without end:
    the slope is infinite, and the intercept with it. nan where there is none: all true or all false.
    """
    center, spread = float(items.logit.mean()), float(items.logit.std()) or 1.0
    design = np.column_stack([(items.logit - center) / spread, np.ones(len(items.logit))])
    truth = items.truth.astype(np.float64)
    line = np.full((len(weights), 2), np.nan)
    for draw in _put_infinite(line, items, weights):
        of_item = weights[draw, items.patient]
        drawn = of_item > 0
        scaled, there = fit_logistic(design[drawn], truth[drawn], np.zeros(2), of_item[drawn])
        line[draw] = scaled / spread, there - scaled / spread * center
    return line


def _put_infinite(line: Floats, items: Items, weights: Floats) -> Indices:
    """Set slope and intercept (draws, 2) of the draws whose true and false items do not overlap.

    Return the draws whose items do.
    """
    order = np.argsort(items.logit, kind="stable")
    x = items.logit[order]
    drawn = weights[:, items.patient[order]] > 0  # (draws, n), by logit
    ends = []
    for kind in (items.truth[order], ~items.truth[order]):
        of_kind = drawn & kind
        first, last = of_kind.argmax(axis=1), len(x) - 1 - of_kind[:, ::-1].argmax(axis=1)
        ends.append((of_kind.any(axis=1), x[first], x[last]))
    (has_true, true_low, true_high), (has_false, false_low, false_high) = ends
    both = has_true & has_false
    above, below = both & (true_low >= false_high), both & (true_high <= false_low)
    for which, slope, middle in (
        (above, np.inf, true_low + false_high),
        (below, -np.inf, true_high + false_low),
    ):
        line[which, 0] = slope
        # The curve turns at the middle between both, so slope * middle + intercept is 0.
        towards = np.copysign(1.0, slope) * middle[which]
        line[which, 1] = np.where(towards == 0, np.nan, np.copysign(np.inf, -towards))
    # All logits alike leave the slope open.
    line[above & below] = np.nan
    return np.flatnonzero(both & ~above & ~below)


def _binned(p: Floats, y: Floats, of_item: Floats) -> tuple[tuple[Bin, ...], Floats]:
    """The bins that are not empty, and the calibration error over them (draws + 1,)."""
    number = np.searchsorted(EDGES[1:-1], p, side="right")
    bins = []
    error = np.zeros(len(of_item))
    for index in np.unique(number):
        inside = number == index
        w = of_item[:, inside]
        error += np.abs(w @ (p[inside] - y[inside]))
        true = interval(share(w @ y[inside], w.sum(axis=1)))
        low, high = float(EDGES[index]), float(EDGES[index + 1])
        bins.append(Bin(low, high, int(inside.sum()), float(p[inside].mean()), true))
    return tuple(bins), share(error, of_item.sum(axis=1))


def cross_fitted(scores: Floats, truth: Bools, folds: Indices, use: Bools) -> Floats:
    """Return (n,) logits: those of each fold by a Platt scaling fitted on all other folds.

    Args:
        use: (n,) what may be fitted on.

    Raises:
        TruthError: the other folds hold true items only, or false ones only.
    """
    logits = np.empty(len(scores))
    for fold in np.unique(folds):
        others = use & (folds != fold)
        if not others.any():
            raise TruthError(
                "a run of one fold cannot be calibrated on others", "cross-validate it with more folds"
            )
        fitted = fit_calibration(scores[others], truth[others])
        inside = folds == fold
        logits[inside] = fitted.slope * scores[inside] + fitted.intercept
    return logits
