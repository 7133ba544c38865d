"""Intervals: over patients by bootstrap, over samples by Wilson's formula."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from bcd_model.evaluation.statistics import Interval, interval
from bcd_model.evaluation.tally import DRAWS

_Z = 1.959963984540054  # of a 95 % interval


def over_patients(
    patients: Sequence[str],
    figures: Callable[[npt.NDArray[np.int64]], Sequence[float]],
    draws: int = DRAWS,
    seed: int = 0,
) -> list[Interval]:
    """Return figures with 95 % intervals from draws of patients: all crops of one go together.

    Args:
        patients: of each crop.
        figures: of the crops at the given indices; nan where a draw has no example (what becomes of it:
            :func:`bcd_model.evaluation.statistics.interval`).
    """
    names = np.array(patients)
    groups = [np.flatnonzero(names == name) for name in sorted(set(patients))]
    rng = np.random.default_rng(seed)
    drawn = np.array(  # (draws, figures)
        [
            figures(np.concatenate([groups[i] for i in rng.integers(len(groups), size=len(groups))]))
            for _ in range(draws)
        ]
    )
    values = figures(np.arange(len(patients)))
    return [interval(float(value), column) for value, column in zip(values, drawn.T, strict=True)]


def wilson(share: float, count: int) -> Interval:
    """Return a share of ``count`` independent trials with Wilson's 95 % interval (Wilson 1927)."""
    if count == 0:
        return Interval(float("nan"), 0.0, 1.0)
    z2 = _Z * _Z / count
    middle = (share + z2 / 2) / (1 + z2)
    half = _Z / (1 + z2) * np.sqrt(share * (1 - share) / count + z2 / (4 * count))
    return Interval(share, float(max(0.0, middle - half)), float(min(1.0, middle + half)))
