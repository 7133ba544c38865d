"""Whether pixels that carry no size of their own lie in rows and bits as the header says.

A codestream states its own size; uncompressed pixels and RLE do not. If the header exchanges Rows and
Columns, or halves one and doubles the other, the bytes are still as many as they should be, but the picture
is sheared. If it states too few bits, values wrap around. Both leave traces: in a picture each pixel is like
the one below it, and each value like the value beside it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Stored = npt.NDArray[np.integer]

_SAMPLES = 200_000
"""Pairs of pixels that are compared: over some hundred thousand, the mean is known to a few in a thousand."""
_LIKER = 0.97
"""A row length fits better if pixels one row apart differ by less than this part of their difference now."""
_ORDERED = 0.5
"""... and by less than this part of the difference of pixels that lie anywhere."""
_FACTORS = (2, 3, 4)


def better_width(stored: Stored) -> int | None:
    """The row length that fits ``stored`` (rows, columns) better than its own; None if none does.

    Row lengths that give the same number of pixels are tried: rows and columns exchanged, or one of them
    multiplied and the other divided by a small number.
    """
    rows, columns = stored.shape
    flat = stored.reshape(-1)
    widths = {rows} | {columns * by for by in _FACTORS if rows % by == 0}
    widths |= {columns // by for by in _FACTORS if columns % by == 0}
    widths = {width for width in widths - {columns} if 1 < width <= flat.size // 4}
    own = _difference(flat, columns)
    unrelated = float(
        np.median([_difference(flat, round(columns * part)) for part in (0.29, 0.37, 0.43, 0.61)])
    )
    fitting = {
        width: difference for width in widths if (difference := _difference(flat, width)) < _LIKER * own
    }
    best = min(fitting, key=lambda width: fitting[width], default=None)
    return best if best is not None and fitting[best] < _ORDERED * unrelated else None


def wraps(stored: Stored, bits: int) -> bool:
    """Whether the values of ``stored`` (rows, columns) need more than their ``bits`` low bits.

    Where a value wraps around, its neighbour is far from it in the low bits alone. What else may lie above
    (an overlay as former editions of the standard had it, a padding value) sets neighbours apart instead.
    """
    if bits >= 8 * stored.dtype.itemsize:
        return False
    flat = stored.reshape(-1)
    low = flat & np.array((1 << bits) - 1, dtype=flat.dtype)
    if flat.dtype.kind == "i":
        sign = np.array(1 << (bits - 1), dtype=flat.dtype)
        low = (low ^ sign) - sign
    if np.array_equal(low, flat):
        return False
    whole, cut = _differences(flat, 1), _differences(low, 1)
    return int(np.count_nonzero(cut > whole)) > int(np.count_nonzero(cut < whole))


def _difference(flat: Stored, apart: int) -> float:
    """The mean absolute difference of pixels that are ``apart`` from one another."""
    return float(_differences(flat, max(apart, 1)).mean()) if flat.size > max(apart, 1) else 0.0


def _differences(flat: Stored, apart: int) -> npt.NDArray[np.int32]:
    # An odd step, so that the pairs do not all come from the same few columns.
    at = np.arange(0, flat.size - apart, ((flat.size - apart) // _SAMPLES) | 1)
    differences: npt.NDArray[np.int32] = flat[at + apart].astype(np.int32) - flat[at]
    return np.abs(differences)
