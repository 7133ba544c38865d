"""From a score to a probability: Platt scaling."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bcd_model.errors import TruthError

Floats = npt.NDArray[np.float64]

SCORE_FLOOR = -6.0
"""log(P / (1 - P)) below which a maximum of the network is no mark, and that of a film without any."""


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
