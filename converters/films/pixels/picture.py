"""Whether a gray scale leaves a picture, and one in which tissue stands out from tissue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Kind = Literal["blank", "no picture", "poor", "good"]

_GRAY_LEVELS = 255
# Of 254 MIAS films at least 198 gray levels are used, at least 19 % of the pixels lie between black and
# white, and at most 1.3 % of those that are not black are white; all but the outermost take at least 72 % of
# the gray scale, and nothing of what is not air is black.
_LEAST_LEVELS = 8
_LEAST_BETWEEN = 0.02
_MOST_WHITE = 0.2
_MOST_WHITE_APART = 0.6  # an implant may fill most of a breast
_FLAT = 0.5  # of the spread of the rest
_FEW = 0.1  # of what is white is in the lowest third of its range
_LEAST_SPAN = 0.1
_ENDS = (0.001, 0.999)
_BRIGHT = 0.25  # air is darker
_MOST_BLACK = 0.5


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a gray scale makes of a film.

    Attributes:
        why: what is odd about it, as a clause that goes on after what it is about; of a good one only that an
            implant may be what is white.
    """

    kind: Kind
    why: str = ""

    @property
    def is_picture(self) -> bool:
        """Whether there is something to look at, good or poor."""
        return self.kind in ("poor", "good")


def judge(shown: Values, values: Integers, seen: Integers, own: Values) -> Judgement:
    """Judge the gray scale that shows the stored ``values``, ``seen`` so many times each, as ``shown``.

    Args:
        shown: in [0, 1].
        seen: how many pixels that are no padding have each value.
        own: how the values would be shown between the film's own ends: what is bright there is no air.
    """
    there = seen > 0
    if not there.any() or float(np.ptp(shown[there])) < 1.0 / _GRAY_LEVELS:
        return Judgement("blank", "leaves no contrast")
    level = np.round(shown * _GRAY_LEVELS)
    levels = np.unique(level[there]).size
    if levels < _LEAST_LEVELS < np.unique(values[there]).size:
        return Judgement("no picture", f"leaves {levels} gray levels")
    between, not_black = int(seen[(shown > 0) & (shown < 1)].sum()), int(seen[shown > 0].sum())
    if between < _LEAST_BETWEEN * not_black:
        return Judgement("no picture", f"makes {1 - between / not_black:.1%} of what is not black white")
    white = int(seen[level == _GRAY_LEVELS].sum()) / max(1, int(seen[level > 0].sum()))
    saturated = f"makes {white:.0%} of what is not black saturated white"
    if white > _MOST_WHITE and (white > _MOST_WHITE_APART or not _is_apart(own, seen, level)):
        return Judgement("poor", saturated)
    tissue = there & (own > _BRIGHT)
    black = int(seen[tissue & (level == 0)].sum()) / max(1, int(seen[tissue].sum()))
    if black > _MOST_BLACK:
        return Judgement("poor", f"makes {black:.0%} of what is not air black")
    span = _span(shown, seen)
    if span < _LEAST_SPAN:
        return Judgement("poor", f"shows the film in {span:.0%} of the gray scale")
    return Judgement("good", f"{saturated}, as an implant is" if white > _MOST_WHITE else "")


def _is_apart(own: Values, seen: Integers, level: Values) -> bool:
    """Whether what is white is no tissue but something brighter and flatter, as an implant is."""
    white, rest = (seen > 0) & (level == _GRAY_LEVELS), (seen > 0) & (level > 0) & (level < _GRAY_LEVELS)
    rest &= own > _BRIGHT
    if not rest.any():
        return False
    low, high = _quantiles(own[white], seen[white], (0.25, 0.75))
    rest_low, rest_high = _quantiles(own[rest], seen[rest], (0.25, 0.75))
    least = float(own[white].min())
    most, _ = _quantiles(own[white], seen[white], (_ENDS[1], 1.0))
    lowest = white & (own < least + (most - least) / 3)
    few = int(seen[lowest].sum()) <= _FEW * int(seen[white].sum())
    return few and high - low < _FLAT * (rest_high - rest_low)


def _quantiles(values: Values, counts: Integers, shares: tuple[float, float]) -> tuple[float, float]:
    """Two quantiles of ``values``, ``counts`` of them each."""
    order = np.argsort(values, kind="stable")
    cumulative = np.cumsum(counts[order]) / counts.sum()
    places = (min(int(np.searchsorted(cumulative, share)), values.size - 1) for share in shares)
    low, high = (float(values[order[place]]) for place in places)
    return low, high


def _span(shown: Values, seen: Integers) -> float:
    """How much of the gray scale all but the outermost pixels take."""
    low, high = _quantiles(shown, seen, _ENDS)
    return high - low
