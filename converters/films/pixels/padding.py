"""Pixel Padding Value and Pixel Padding Range Limit (PS3.3 C.7.5.1.1.2): what is around the picture."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from converters.dicom.file import integer

_WORDS = 1 << 16
_BRIGHT = 0.25  # air is darker
_LEAST_SHADES = 8
_GRAY_LEVELS = 255
_MOST_HIDDEN = 0.001  # of all pixels

Mask = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]


def padding(domain: Integers, values: Integers, header: Dataset, *, as_range: bool) -> Mask:
    """Which stored values are padding; the ends of a range are.

    Args:
        domain: every value that can be stored.
        values: the same without the bits above Bits Stored, where an overlay may lie. Padding may lie there.
        as_range: whether Pixel Padding Range Limit is believed.
    """
    first = integer(header, "PixelPaddingValue")
    if first is None:
        return np.zeros(domain.shape, dtype=np.bool_)
    limit = integer(header, "PixelPaddingRangeLimit") if as_range else None
    bounds = [_as_stored(value, domain) for value in (first, first if limit is None else limit)]
    within: Mask = (domain >= min(bounds)) & (domain <= max(bounds))
    if min(bounds) >= values.min() and max(bounds) <= values.max():
        within |= (values >= min(bounds)) & (values <= max(bounds))
    return within


def _as_stored(value: int, domain: Integers) -> int:
    """``value`` of an element "US or SS", read as the pixels are."""
    for step in (0, domain.size, _WORDS):
        for other in (value - step, value + step):
            if domain[0] <= other <= domain[-1]:
                return other
    return value


def without_commonest(counts: Integers, padded: Mask) -> Integers:
    """``counts`` of the pixels without the commonest value of the padding: it may lie far from all others."""
    others: Integers = counts.copy()
    others[np.argmax(np.where(padded, counts, -1))] = 0
    return others


def takes_tissue(
    padded: Mask, counts: Integers, gray: npt.NDArray[np.float64], shown: npt.NDArray[np.float64]
) -> bool:
    """Whether padding takes away what is bright and of many shades.

    Args:
        counts: how many pixels have each stored value.
        gray: the stored values between the film's own ends, as 0 to 1: the shades are counted before a window
            makes one white of them.
        shown: the stored values as they would be shown were they no padding.
    """
    hidden = padded & (without_commonest(counts, padded) > 0) & (shown > _BRIGHT)
    shades = np.unique(np.round(gray[hidden] * _GRAY_LEVELS)).size
    return bool(shades >= _LEAST_SHADES and counts[hidden].sum() > _MOST_HIDDEN * counts.sum())
