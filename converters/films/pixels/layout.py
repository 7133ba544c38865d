"""Whether pixels lie in rows, bytes and bits as the header says.

A codestream states its own size; uncompressed pixels and RLE do not. If the header exchanges Rows and
Columns, is off by one of them, or states another depth, sign or byte order, there are as many bytes as there
should be, but the picture is sheared, torn or wrapped around. That leaves traces: in a picture each pixel is
like the one below it and the one beside it.

The limits lie between what 254 MIAS films and 140 other files show as they are, and what they show with a
header that is not theirs (``tests/converters/films/pixels/test_layout.py``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Stored = npt.NDArray[np.integer]
Values = npt.NDArray[np.int32]

_ROWS = 256
_SAMPLES = 100_000
"""Pairs of pixels that are compared: over so many, a mean is known to a few in a thousand."""
_LEAST_SIDE = 16
_FACTORS = (2, 3, 4)
_NEAR = 8
_LARGEST_TERM = 8
_AWAY = 0.37  # of a row

# Each limit is a part of the difference that the header's own reading leaves.
_NARROWER = 0.97  # true films: 1.6 at least
_BESIDE = 0.93  # row lengths near the stated one; true films 1.08 at least, others 0.87 at most
_OTHER = 0.5
_SHARPER = 2.5  # upright edges of true films against sheared ones: 3 at least, 18 and more in all but a few
_EVERY_SECOND = 0.6  # true films 1.1 at least, two bytes taken for two pixels 0.54 at most
_UNEVEN = 0.1  # of the range of values, and of a value
_TWO_IN_ONE = 0.15  # true films 0.41 at least, two pixels taken for one 0.02
_SCALED = 0.9  # of the pixels: more than neighbours are equal
_SWAPPED = 0.5  # true films 1.03 at least, exchanged bytes 0.2 at most
_ORDERED = 0.5
"""Neighbours differ by less than this part of what pixels differ by that lie anywhere."""

_END = 32
"""Parts of the range of values of which the first and the last are the two ends."""
_COMMONEST = 0.5  # share of one value of those at an end
_EVEN = 0.25  # how many of the rarer there are for one of the other; true films 0.00
_CROSSINGS = 0.02  # of the pixels at the ends
_LEAST_CROSSINGS = 0.0003  # of all pairs; wrong signs 0.0008 at least


def why_other_size(stored: Stored, bits: int) -> str | None:
    """Why ``stored`` (rows, columns) are pixels of another size or depth; None if they are not.

    For pixels that state no size of their own: uncompressed ones and RLE.
    """
    rows, columns = stored.shape
    if min(rows, columns) < _LEAST_SIDE:
        return None
    pixels = _Pixels(stored.reshape(-1), bits)
    if any(pixels.difference(apart) < _EVERY_SECOND * pixels.step(apart) for apart in _FACTORS):
        return f"its pixels do not lie side by side: they have other bits than {stored.dtype.itemsize * 8}"
    if stored.dtype.itemsize == 2:
        if _two_in_one(stored):
            return "two of its pixels are taken for one: they have 8 bits and not 16"
        if _swapped(stored, bits):
            return "the two bytes of its pixels have changed places"
    width = _better_width(pixels, rows, columns)
    if width is not None:
        return f"its pixels do not lie in {rows} rows of {columns}, but rather in rows of {width}"
    if _wraps(pixels):
        return f"its pixel values take more than the {bits} bits of Bits Stored"
    return None


def takes_more_bits(stored: Stored, bits: int) -> bool:
    """Whether what lies above the ``bits`` low bits of ``stored`` is a part of the picture."""
    return min(stored.shape) >= _LEAST_SIDE and _wraps(_Pixels(stored.reshape(-1), bits))


def has_other_sign(stored: Stored, bits: int) -> bool:
    """Whether ``stored``, of which ``bits`` low bits count, is signed but read as unsigned, or the reverse.

    Its values then go on beyond one end of their range at the other: both ends are as full as one another,
    and pixels of one lie beside pixels of the other. White lettering on black is no such case: there
    are many more black pixels than white ones.
    """
    if min(stored.shape) < _LEAST_SIDE:
        return False
    pixels = _Pixels(stored.reshape(-1), bits)
    size = max(1, (1 << bits) // _END)
    first = -(1 << (bits - 1)) if stored.dtype.kind == "i" else 0
    last = (1 << bits) - size
    here, beside = (values - first for values in pixels.pairs(1))
    low, high = here[here < size], here[here >= last]
    if not low.size or not high.size or max(_commonest(low), _commonest(high)) > _COMMONEST:
        return False  # black and white, as in a test pattern
    if pixels.difference(1) > _ORDERED * pixels.difference(round(stored.shape[1] * _AWAY)):
        return False
    crossings = np.count_nonzero((here < size) & (beside >= last)) + np.count_nonzero(
        (here >= last) & (beside < size)
    )
    even = min(low.size, high.size) / max(low.size, high.size)
    ends = low.size + high.size
    return bool(even > _EVEN and crossings > max(_CROSSINGS * ends, _LEAST_CROSSINGS * here.size))


@dataclass(frozen=True, slots=True)
class _Pixels:
    """The pixels of an image one after the other, of which ``bits`` low bits count."""

    flat: Stored
    bits: int

    def pairs(self, apart: int) -> tuple[Values, Values]:
        """The values of some pixels, and of those ``apart`` from them.

        An odd step, so that they do not all come from the same few columns.
        """
        apart = max(apart, 1)
        pairs = max(self.flat.size - apart, 0)
        at = np.arange(0, pairs, (pairs // _SAMPLES) | 1)
        return self._values(self.flat[at]), self._values(self.flat[at + apart])

    def difference(self, apart: int) -> float:
        """The mean absolute difference of pixels that are ``apart`` from one another."""
        one, other = self.pairs(apart)
        return float(np.abs(other - one).mean()) if one.size else 0.0

    def step(self, phases: int) -> float:
        """The mean absolute difference of pixels that are beside one another, but for what repeats.

        Digitisers read odd and even columns through amplifiers of their own: what comes again with every
        ``phases`` pixels, a small step or a small factor, is taken away.
        """
        one, other = (values.astype(np.float64) for values in self.pairs(1))
        if not one.size:
            return 0.0
        differences = other - one
        least, bright = np.abs(differences), float(one.mean())
        for shape, limit in ((np.ones_like(one), _UNEVEN * np.ptp(one)), (np.maximum(one, 1.0), _UNEVEN)):
            rest = differences.copy()
            for phase in range(phases):
                of_phase = slice(phase, None, phases)
                seen = one[of_phase] >= bright  # a factor shows in bright pixels
                repeated = float(
                    np.median((differences[of_phase] / shape[of_phase])[seen] if seen.any() else 0)
                )
                if abs(repeated) < limit:
                    rest[of_phase] -= repeated * shape[of_phase]
            least = min(least, np.abs(rest), key=np.mean)
        return float(least.mean())

    def edge(self, columns: int) -> float:
        """How much the sharpest upright edge stands out, in rows of ``columns``: 1 if no column does.

        The border of a film is one, and so is the step from the end of a row to the start of the next.
        """
        rows = np.unique(np.linspace(0, self.flat.size // columns - 2, _ROWS).astype(np.int64))
        at = rows[:, np.newaxis] * columns + np.arange(columns)
        steps = np.abs(self._values(self.flat[at + 1]) - self._values(self.flat[at])).mean(axis=0)
        return float(steps.max() / max(steps.mean(), 1e-9))

    def _values(self, stored: Stored) -> Values:
        values = stored.astype(np.int32)
        if self.bits >= 8 * stored.dtype.itemsize:
            return values
        values &= (1 << self.bits) - 1
        sign = 1 << (self.bits - 1)
        return (values ^ sign) - sign if stored.dtype.kind == "i" else values


def _better_width(pixels: _Pixels, rows: int, columns: int) -> int | None:
    """The row length that fits ``pixels`` better than ``columns``; None if none does.

    A few more or fewer columns are tried, a half to a quarter of them, rows and columns exchanged, and if
    rows do not lie below one another at all, other lengths in the ratio of small numbers.
    """
    unrelated = float(
        np.median([pixels.difference(round(columns * part)) for part in (0.29, 0.37, 0.43, 0.61)])
    )
    own = pixels.difference(columns)
    widths = {columns // by: _NARROWER for by in _FACTORS if columns % by == 0}
    ordered = own < _ORDERED * unrelated
    slanting = {*range(columns - _NEAR, columns + _NEAR + 1), *((rows,) if ordered else ())} - widths.keys()
    widths |= dict.fromkeys(slanting, _BESIDE)
    if not ordered:
        terms = range(1, _LARGEST_TERM + 1)
        ratios = {round(columns * one / other) for one in terms for other in terms}
        widths |= dict.fromkeys({rows} | {width + by for width in ratios for by in (-1, 0, 1)}, _OTHER)
    widths.pop(columns, None)
    fitting = {
        width: difference
        for width, limit in widths.items()
        if _LEAST_SIDE <= width <= rows * columns // 4
        if (difference := pixels.difference(width)) < min(limit * own, _ORDERED * unrelated)
    }
    best = min(fitting, key=lambda width: fitting[width], default=None)
    if best is None:
        return None
    # Not for being near in a row that is smooth: one row on, pixels are more alike than before and behind.
    around = min(pixels.difference(best - best // 8), pixels.difference(best + best // 8))
    if fitting[best] >= _OTHER * around:
        return None
    if best in slanting and pixels.edge(best) < _SHARPER * pixels.edge(columns):
        return None  # all that is in the picture runs slantwise; a sheared one has no upright edge
    return best


def _two_in_one(stored: Stored) -> bool:
    """Whether low and high byte are like one another, as neighbours are."""
    values = _Pixels(stored.reshape(-1).view("u2"), 16).pairs(1)[0]
    low, high = values & 255, values >> 8
    elsewhere = float(np.abs(low - np.roll(high, high.size // 3)).mean())
    shown = values != np.bincount(values).argmax()  # not the black around the breast
    scaled = max((np.count_nonzero((low - high)[shown] == by) for by in (-1, 0, 1)), default=0)
    if scaled >= _SCALED * np.count_nonzero(shown):
        return False  # 8 bits scaled to 16 by 257
    return bool(np.ptp(high)) and float(np.abs(low - high).mean()) < _TWO_IN_ONE * elsewhere


def _swapped(stored: Stored, bits: int) -> bool:
    """Whether neighbours are much more alike if the two bytes of each pixel change places."""
    flat = stored.reshape(-1).view("u2")
    away = round(stored.shape[1] * _AWAY)

    def roughness(flat: Stored, bits: int) -> float:
        pixels = _Pixels(flat, bits)
        return pixels.difference(1) / max(pixels.difference(away), 1e-9)

    exchanged = flat.view(flat.dtype.newbyteorder())
    return all(roughness(exchanged, each) < _SWAPPED * roughness(flat, each) for each in (bits, 16))


def _wraps(pixels: _Pixels) -> bool:
    """Whether the values of ``pixels`` need more bits than theirs.

    Where a value wraps around, its neighbour is far from it in the low bits alone. What else may lie above
    (an overlay as former editions of the standard had it, a padding value) sets neighbours apart instead.
    """
    bits = 8 * pixels.flat.dtype.itemsize
    if pixels.bits >= bits:
        return False
    cut, whole = (
        np.abs(other - one) for one, other in (each.pairs(1) for each in (pixels, _Pixels(pixels.flat, bits)))
    )
    return int(np.count_nonzero(cut > whole)) > int(np.count_nonzero(cut < whole))


def _commonest(values: Values) -> float:
    """The share of the commonest of ``values``."""
    return float(np.unique(values, return_counts=True)[1].max() / values.size)
