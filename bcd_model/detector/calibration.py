"""From a score to a probability: the logistic function, how it is fitted, and Platt scaling."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bcd_model.errors import TruthError

Floats = npt.NDArray[np.float64]

SCORE_FLOOR = -6.0
"""log(P / (1 - P)) below which a maximum of the network is not a mark, and that of a film without any."""


def logistic(x: npt.ArrayLike, most: float = 40.0) -> Floats:
    """1 / (1 + exp(-x)), in the floating-point type of ``x``.

    Args:
        most: beyond which x counts as this; exp(88) is the greatest of float32.
    """
    return np.asarray(1 / (1 + np.exp(-np.clip(x, -most, most))))


def fit_logistic(design: Floats, target: Floats, ridge: Floats, weights: Floats | float = 1.0) -> Floats:
    """Return the (k,) weights of a logistic regression of the greatest likelihood less the ridge's penalty.

    Newton's method.

    Args:
        design: (n, k).
        target: (n,) probabilities.
        ridge: (k,) the penalty is half of ridge * weight ** 2, summed.
        weights: (n,) how often each row counts.
    """

    def loss(beta: Floats) -> float:
        z = design @ beta
        return float((weights * (np.logaddexp(0, z) - target * z)).sum() + (ridge * beta**2).sum() / 2)

    beta = np.zeros(design.shape[1])
    for _ in range(100):
        p = logistic(design @ beta)
        hessian = (design.T * (weights * p * (1 - p))) @ design + np.diag(ridge)
        change = np.linalg.solve(hessian, design.T @ (weights * (target - p)) - ridge * beta)
        # Newton overshoots where most probabilities are near 0 or 1: never take a step uphill.
        while loss(beta + change) > loss(beta) + 1e-12 and float(np.abs(change).max()) > 1e-10:
            change = change / 2
        beta = beta + change
        if float(np.abs(change).max()) < 1e-10:
            break
    return beta


@dataclass(frozen=True, slots=True)
class Calibration:
    """Platt scaling: P(abnormal) = 1 / (1 + exp(-(slope * score + intercept)))."""

    slope: float = 1.0
    intercept: float = 0.0

    def probability(self, score: float) -> float:
        """The calibrated probability of a score."""
        return float(logistic(self.slope * score + self.intercept))


UNCALIBRATED = Calibration()
"""Takes the network's own odds as they are."""


def fit_calibration(scores: Floats, truth: npt.NDArray[np.bool_]) -> Calibration:
    """Fit Platt's two numbers, with his smoothed targets (Platt 1999).

    Raises:
        TruthError: only one kind of example.
    """
    positives, negatives = int(truth.sum()), int((~truth).sum())
    if positives == 0 or negatives == 0:
        raise TruthError("calibration needs true and false marks, one kind is missing", "use more films")
    target = np.where(truth, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    slope, intercept = fit_logistic(np.column_stack([scores, np.ones_like(scores)]), target, np.full(2, 1e-6))
    return Calibration(float(slope), float(intercept))
