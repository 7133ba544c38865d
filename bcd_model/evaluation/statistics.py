"""A figure with its interval, and the area under a curve."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_LEAST_SHARE = 0.95


Floats = npt.NDArray[np.float64]


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


def auc(positive: Floats, negative: Floats) -> float:
    """Area under the ROC curve: how often a positive outranks a negative, ties counting half."""
    if positive.size == 0 or negative.size == 0:
        return float("nan")
    order = np.sort(negative)
    below = np.searchsorted(order, positive, side="left")
    upto = np.searchsorted(order, positive, side="right")
    return float((below + upto).mean() / (2 * negative.size))


def interval(value: float, draws: Floats) -> Interval:
    """Return a figure with the middle 95 % of its bootstrap draws.

    A draw may be infinite, and counts as any other. Draws without a value (nan) are left out, but if they
    are more than 5 %, the rest is not a sample of all draws: there is no interval then. Nor is there one
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
