"""From stored values to [0, 1], bright is dense: the grayscale transformations of PS3.3 C.11.

Modality LUT or rescale (C.11.1), then VOI LUT or window (C.11.2), then the inversion that the
photometric interpretation or the Presentation LUT Shape asks for (C.11.6). Each of these looks at
one stored value alone, so they are worked out once for every possible stored value (65,536 at most)
and the image is then looked up.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from pydicom.datadict import dictionary_description
from pydicom.dataset import Dataset

from bcd_model.errors import FilmError
from bcd_model.words import Pixels
from converters.dicom.file import finite, integer, items, numbers, states, text, values

Stored = npt.NDArray[np.integer]
Values = npt.NDArray[np.float64]
_Scalar = TypeVar("_Scalar", bound=np.generic)

_SHARE_LEFT_OUT = 0.001
"""Share of the pixels that may lie below, and above, the range taken where no window is stated."""

_BLOCK = 1 << 20
_FAR = float(1 << 40)
_GRAY_LEVELS = 255
# Of 254 MIAS films at least 198 gray levels are used, at least 19 % of the pixels lie between black and
# white, and at most 1.3 % of those that are not black are white.
_LEAST_LEVELS = 8
_LEAST_BETWEEN = 0.02
_MOST_WHITE = 0.2


class GrayscaleError(FilmError):
    """A transformation of gray values that cannot be carried out, or that leaves no picture."""

    code = "gray-scale"


@dataclass(frozen=True, slots=True, eq=False)
class Grayscale:
    """An image in [0, 1] and what was wrong or doubtful on the way there."""

    pixels: Pixels
    warnings: tuple[str, ...]


def to_unit_range(stored: Stored, header: Dataset, bits: int | None = None) -> Grayscale:
    """Map stored values to [0, 1] by the header's own transformations.

    The output range of the VOI transformation is mapped to [0, 1] as a whole. Of several windows or
    VOI LUTs the first is taken, a VOI LUT before a window. Where neither is stated, images of up to 8
    bits keep the full range of Bits Stored, deeper ones are stretched between the 0.1 and the 99.9
    percentile of their pixels. Pixel padding becomes 0.

    Args:
        stored: (rows, columns), 8 or 16 bits, signed or not.
        header: the image's data elements.
        bits: how many low bits of a value are the image's; Bits Stored if not given. What lies above them,
            an overlay for example (PS3.5 8.1.1), is left out.

    Raises:
        GrayscaleError: a transformation is stated that cannot be carried out, or that leaves no picture; the
            message names it.
    """
    limits = np.iinfo(stored.dtype)
    domain = np.arange(limits.min, limits.max + 1, dtype=np.int64)
    # The pixels as they are, as places in a table that begins with the value 0.
    place = stored.view(f"u{stored.dtype.itemsize}")
    counts = np.zeros(domain.size, dtype=np.int64)
    for rows in _blocks(place):
        counts += np.bincount(rows.ravel(), minlength=domain.size)
    counts = np.roll(counts, -int(limits.min))
    padding = _padding(domain, header)
    seen = np.where(padding, 0, counts)
    remarks: list[str] = []

    values = _low_bits(domain, bits or integer(header, "BitsStored") or 16)
    with np.errstate(all="ignore"):  # what comes of it is looked at
        modality = _modality(values, header)
        if not np.isfinite(modality).all():
            raise GrayscaleError("its Rescale Slope and Intercept lead beyond all numbers")
        unit = _voi(modality, header, remarks)
        if not padding[counts > 0].all():
            _check_padding(values, modality, unit, counts, padding, header)
        if unit is None:
            unit = _stretched(modality, _own_range(values, modality, seen, header))
            if (integer(header, "BitsStored") or 0) > 8:
                how = "stretched between its own 0.1 and 99.9 percentiles"
                remarks.append(f"{'its window is not used' if remarks else 'no window in the file'}: {how}")
    if not np.isfinite(unit).all():
        raise GrayscaleError("its window leads beyond all numbers")
    unit = np.clip(unit, 0.0, 1.0)
    if _inverted(header):
        unit = 1.0 - unit
    unit[padding] = 0.0
    remarks += _judge_picture(unit, values, seen)

    table = np.roll(unit.astype(np.float32), int(limits.min))
    pixels = np.empty(stored.shape, dtype=np.float32)
    for rows, shown in zip(_blocks(place), _blocks(pixels), strict=True):
        shown[...] = table[rows]
    return Grayscale(pixels, tuple(remarks))


_BRIGHT = 0.25  # air is darker
_MOST_HIDDEN = 0.001  # of all pixels


def _blocks(image: npt.NDArray[_Scalar]) -> Iterator[npt.NDArray[_Scalar]]:
    """``image`` a few rows at a time: numpy makes indices of 8 bytes of the pixels it looks up."""
    step = max(1, _BLOCK // max(1, image.shape[1]))
    for first in range(0, image.shape[0], step):
        yield image[first : first + step]


def _low_bits(domain: npt.NDArray[np.int64], bits: int) -> npt.NDArray[np.int64]:
    """Stored values without what lies above their ``bits`` low bits."""
    low = domain & ((1 << bits) - 1)
    if domain[0] == 0:
        return low
    sign = 1 << (bits - 1)
    return (low ^ sign) - sign


def _judge_picture(unit: Values, values: npt.NDArray[np.int64], seen: npt.NDArray[np.integer]) -> list[str]:
    """What is odd about a picture whose pixels have the gray values ``unit``, ``seen`` so many times each.

    Raises:
        GrayscaleError: there is no picture: it is blank, a step, or black and white.
    """
    total = int(seen.sum())
    there = seen > 0
    if not total or float(np.ptp(unit[there])) < 1.0 / _GRAY_LEVELS:
        raise GrayscaleError("blank: its gray scale leaves no contrast")
    levels = np.unique(np.round(unit[there] * _GRAY_LEVELS)).size
    if levels < _LEAST_LEVELS < np.unique(values[there]).size:
        raise GrayscaleError(f"not a picture: its gray scale leaves {levels} gray levels")
    between, bright_at_all = int(seen[(unit > 0) & (unit < 1)].sum()), int(seen[unit > 0].sum())
    if between < _LEAST_BETWEEN * bright_at_all:
        share = 1 - between / bright_at_all
        raise GrayscaleError(f"not a picture: its gray scale makes {share:.1%} of what is not black white")
    white = int(seen[unit >= 1].sum())
    bright = white / bright_at_all
    if bright > _MOST_WHITE:
        return [f"{bright:.0%} of what is not black is saturated white: its window may not be meant for it"]
    return []


def _inverted(header: Dataset) -> bool:
    """MONOCHROME1 and Presentation LUT Shape INVERSE say the same thing (C.8.11.3.1.2): once."""
    return (
        text(header, "PhotometricInterpretation") == "MONOCHROME1"
        or text(header, "PresentationLUTShape") == "INVERSE"
    )


def _padding(domain: npt.NDArray[np.int64], header: Dataset) -> npt.NDArray[np.bool_]:
    """Which stored values are padding: Pixel Padding Value to Range Limit, both included (C.7.5.1.1.2)."""
    first = integer(header, "PixelPaddingValue")
    if first is None:
        return np.zeros(domain.shape, dtype=np.bool_)
    last = integer(header, "PixelPaddingRangeLimit")
    bounds = [_as_stored(value, domain) for value in (first, first if last is None else last)]
    within: npt.NDArray[np.bool_] = (domain >= min(bounds)) & (domain <= max(bounds))
    return within


def _check_padding(
    values: npt.NDArray[np.int64],
    modality: Values,
    unit: Values | None,
    counts: npt.NDArray[np.int64],
    padding: npt.NDArray[np.bool_],
    header: Dataset,
) -> None:
    """Padding lies around the picture: what it takes away must not be bright and of many shades.

    The shades are counted before a window makes one white of them. Where no window is stated, bright and
    dark are those of all pixels but the commonest of the padding: it may lie far from all others.

    Args:
        unit: what the window or VOI LUT shows each stored value as; None if there is none.
        counts: how many pixels have it.

    Raises:
        GrayscaleError: a range of padding takes in tissue.
    """
    others = counts.copy()
    others[np.argmax(np.where(padding, counts, -1))] = 0
    gray = _stretched(modality, _own_range(values, modality, others, header))
    shown = np.clip(gray if unit is None else unit, 0.0, 1.0)
    if _inverted(header):
        shown = 1.0 - shown
    hidden = padding & (others > 0) & (shown > _BRIGHT)
    shades = np.unique(np.round(gray[hidden] * _GRAY_LEVELS)).size
    if shades >= _LEAST_LEVELS and others[hidden].sum() > _MOST_HIDDEN * counts.sum():
        raise GrayscaleError("its Pixel Padding Range takes in what is not padding")


def _stretched(modality: Values, ends: tuple[float, float]) -> Values:
    """``modality`` with its two ``ends`` at 0 and 1; 0 if there is nothing between them."""
    low, high = ends
    return (modality - low) / (high - low) if high > low else np.zeros_like(modality)


def _as_stored(value: int, domain: npt.NDArray[np.int64]) -> int:
    """``value`` of an element "US or SS", read as the pixels are."""
    if domain[0] < 0 and value > domain[-1]:
        return value - (1 << 16)
    if domain[0] == 0 and value < 0:
        return value + (1 << 16)
    return value


def _modality(domain: npt.NDArray[np.int64], header: Dataset) -> Values:
    """Modality LUT, else rescale, else the stored values themselves (C.11.1)."""
    luts = items(header, "ModalityLUTSequence")
    if luts:
        table, _ = _look_up(domain.astype(np.float64), luts[0], "Modality LUT")
        return table
    slope, intercept = _stated(header, "RescaleSlope"), _stated(header, "RescaleIntercept")
    if not slope or not intercept:
        return domain.astype(np.float64)
    if slope[0] == 0:
        raise GrayscaleError("its Rescale Slope is 0")
    rescaled: Values = domain.astype(np.float64) * slope[0] + intercept[0]
    return rescaled


def _stated(header: Dataset, keyword: str) -> tuple[float, ...]:
    """The numbers of an element; empty if it has none.

    Raises:
        GrayscaleError: what it has is no finite number: what it was to say is not known.
    """
    found = numbers(header, keyword)
    if not found and states(header, keyword):
        raise GrayscaleError(f"its {dictionary_description(keyword)} is not a finite number")
    return found


def _voi(modality: Values, header: Dataset, remarks: list[str]) -> Values | None:
    """VOI LUT, else window, as a function to [0, 1] (C.11.2); None if there is neither."""
    luts = items(header, "VOILUTSequence")
    if luts:
        table, bits = _look_up(modality, luts[0], "VOI LUT")
        return table / _voi_range(luts[0], bits, remarks)
    if not _windows(header):
        for keyword in ("WindowCenter", "WindowWidth"):
            if _stated(header, keyword):  # what is there and is no number is not passed over
                remarks[:] = ["its Window Center and Window Width make no pair"]
        return None
    if _stated_function(header) not in ("LINEAR", "LINEAR_EXACT", "SIGMOID"):
        raise GrayscaleError("its VOI LUT Function is not LINEAR, LINEAR_EXACT or SIGMOID")
    window = first_window(header)
    if window is None:
        remarks.append("its window has no width above 0")
        return None
    function = window_function(header)
    if function != _stated_function(header):
        remarks.append(f"its window has a width of {window[1]:g}: taken as LINEAR_EXACT")
    return _window(modality, *window, function)


def _voi_range(item: Dataset, bits: int, remarks: list[str]) -> float:
    """The largest output of a VOI LUT: that of its bits, unless its entries keep to less than half of it.

    There are writers that give the size of the memory for the bits of an entry.
    """
    declared = float((1 << bits) - 1)
    largest = float(_entries(item, _count(item)).max())
    if 0 < largest < declared / 2:
        remarks.append(f"the entries of its VOI LUT end at {largest:g} of {declared:g}: shown up to there")
        return largest
    return declared


def first_window(header: Dataset) -> tuple[float, float] | None:
    """Centre and width of the first window; None if there is none or it has no width above 0."""
    pairs = [pair for pair in _windows(header) if pair[1] > 0]
    return pairs[0] if pairs else None


def _windows(header: Dataset) -> list[tuple[float, float]]:
    """The pairs of centre and width that are numbers, in their order."""
    stated = (map(finite, values(header, keyword)) for keyword in ("WindowCenter", "WindowWidth"))
    return [
        (center, width)
        for center, width in zip(*stated, strict=False)
        if center is not None and width is not None
    ]


def _stated_function(header: Dataset) -> str:
    return text(header, "VOILUTFunction") or "LINEAR"


def window_function(header: Dataset) -> str:
    """VOI LUT Function (0028,1056) by which the first window shows a picture.

    LINEAR makes a step of a width of 1 and does not know narrower ones (C.11.2.1.2). These occur
    where a Rescale Slope makes all values small, and mean LINEAR_EXACT.
    """
    function, window = _stated_function(header), first_window(header)
    return "LINEAR_EXACT" if function == "LINEAR" and window is not None and window[1] <= 1 else function


def _window(x: Values, center: float, width: float, function: str) -> Values:
    """C.11.2.1.2 LINEAR, C.11.2.1.3.2 LINEAR_EXACT, C.11.2.1.3.1 SIGMOID, from 0 to 1."""
    if function == "SIGMOID":
        # Beyond 60 it is 0 or 1 in float64; the clip keeps exp from overflowing.
        sigmoid: Values = 1.0 / (1.0 + np.exp(np.clip(-4.0 * (x - center) / width, -60.0, 60.0)))
        return sigmoid
    if function == "LINEAR":
        center, width = center - 0.5, width - 1.0
    return np.clip((x - center) / width + 0.5, 0.0, 1.0)


def _count(item: Dataset) -> int:
    return (int(numbers(item, "LUTDescriptor")[0]) & 0xFFFF) or 1 << 16


def _look_up(x: Values, item: Dataset, name: str) -> tuple[Values, int]:
    """``x`` through a LUT and the bits of its entries (C.11.1.1, C.11.2.1.1)."""
    descriptor = numbers(item, "LUTDescriptor")
    if len(descriptor) != 3:
        raise GrayscaleError(f"its {name} Descriptor is wrong")
    entries = _count(item)
    first, bits = int(descriptor[1]), int(descriptor[2])
    if not 8 <= bits <= 16:
        raise GrayscaleError(f"its {name} has entries of {bits} bits")
    if x.min() < 0 and first >= 1 << 15:
        first -= 1 << 16  # a negative first value, written as unsigned
    elif x.min() >= 0 and first < 0:
        first += 1 << 16  # a large one, written as signed
    table = _entries(item, entries)
    if table.size < entries:
        raise GrayscaleError(f"its {name} is shorter than it says")
    at = np.clip(np.rint(np.clip(x, -_FAR, _FAR)) - first, 0, entries - 1)
    return table[at.astype(np.int64)], bits


def _entries(item: Dataset, count: int) -> Values:
    """LUT Data: numbers (US), or bytes (OW) of 16-bit words; two 8-bit entries a word also occur."""
    data = values(item, "LUTData")
    if len(data) == 1 and isinstance(data[0], bytes):
        raw = data[0]
        if len(raw) < 2 * count:
            return np.frombuffer(raw, dtype=np.uint8)[:count].astype(np.float64)
        return np.frombuffer(raw[: 2 * count], dtype="<u2").astype(np.float64)
    return np.asarray(numbers(item, "LUTData")[:count], dtype=np.float64)


def _own_range(
    domain: npt.NDArray[np.int64],
    modality: Values,
    counts: npt.NDArray[np.integer],
    header: Dataset,
) -> tuple[float, float]:
    """The range of modality values that is shown where the file states no window."""
    bits = integer(header, "BitsStored") or 16
    total = int(counts.sum())
    if bits > 8 and total:
        order = np.argsort(modality, kind="stable")
        cumulative = np.cumsum(counts[order])
        last = domain.size - 1
        low = int(np.searchsorted(cumulative, _SHARE_LEFT_OUT * total, side="right"))
        high = int(np.searchsorted(cumulative, (1.0 - _SHARE_LEFT_OUT) * total))
        ordered = modality[order]
        if ordered[min(high, last)] > ordered[min(low, last)]:
            return float(ordered[min(low, last)]), float(ordered[min(high, last)])
    start = -(1 << (bits - 1)) if domain.min() < 0 else 0
    stored = modality[(domain >= start) & (domain < start + (1 << bits))]
    return float(stored.min()), float(stored.max())
