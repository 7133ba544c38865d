"""Whether pixels can be a film at all, whatever the header says: not a mask, not a page of text."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bcd_model.reasons import Reason
from converters.films.pixels.stored import Stored, StoredPixels

MASK = Reason("not-a-mammogram", "its pixels have a few gray values alone, as a mask has: no film")
PAGE = Reason("not-a-mammogram", "its pixels are those of a page of text: no film")

_SIDE = 1024  # about how many pixels of a side are looked at
_FEW_VALUES = 8
_RANGE = (0.005, 0.995)
_MIDDLE = (0.15, 0.85)
# Text is black on white or white on black, and changes often along a row; the softer its edges are, the more
# lies between the two, and the more often it changes. Of 254 MIAS films and 272 others none with so little
# between changes half as often.
_MOST_MIDDLE = 0.25
_LEAST_CHANGES = 4.0
_CHANGES_BY_MIDDLE = 120.0


def why_mask(stored: StoredPixels) -> Reason | None:
    """Why pixels are those of a mask; None if they may be a film's.

    Pixels of one value alone are left to those who look at what a film shows.
    """
    return MASK if _has_few_values(stored) and np.ptp(stored.values) else None


def why_page(stored: StoredPixels, shown: npt.NDArray[np.float32]) -> Reason | None:
    """Why pixels are those of a page of text; None if they may be a film's.

    A page is one in its stored values and as it is shown. The stored values alone do not tell: those of a
    digital film may be far from those of the air around it, and close together.

    Args:
        shown: (rows, columns) in [0, 1], by the film's gray scale.
    """
    step = max(1, round(max(shown.shape) / _SIDE))
    # Whole rows: what lies between two columns that are looked at may be a stroke.
    by_value = _image_bits(stored.values[::step], stored.bits)
    return PAGE if _is_text(by_value) and _is_text(shown[::step]) else None


def _is_text(looked_at: Stored | npt.NDArray[np.float32]) -> bool:
    low, high = (float(value) for value in np.quantile(looked_at, _RANGE))
    if high <= low:
        low, high = float(looked_at.min()), float(looked_at.max())
    if high <= low:
        return False
    scaled = (looked_at.astype(np.float32) - low) / (high - low)
    middle = float(np.mean((scaled > _MIDDLE[0]) & (scaled < _MIDDLE[1])))
    if middle >= _MOST_MIDDLE:
        return False
    bright = scaled > 0.5
    changes = float(np.mean(np.count_nonzero(bright[:, 1:] != bright[:, :-1], axis=1)))
    return changes >= _LEAST_CHANGES + _CHANGES_BY_MIDDLE * middle


def _has_few_values(stored: StoredPixels) -> bool:
    """Whether there are fewer than 8 different values; they are looked for row by row."""
    seen: set[int] = set()
    for row in stored.values:
        seen.update(np.unique(_image_bits(row, stored.bits)).tolist())
        if len(seen) >= _FEW_VALUES:
            return False
    return True


def _image_bits(values: Stored, bits: int) -> Stored:
    """``values`` without what stands above the image's ``bits``."""
    low = values.astype(np.int32) & ((1 << bits) - 1)
    sign = 1 << (bits - 1) if values.dtype.kind == "i" else 0
    return (low ^ sign) - sign
