"""From stored values to [0, 1], bright is dense: the grayscale transformations of PS3.3 C.11.

Modality LUT or rescale (C.11.1), then VOI LUT or window (C.11.2), then the inversion that the
photometric interpretation or the Presentation LUT Shape asks for (C.11.6). Each of these looks at
one stored value alone, so they are worked out once for every possible stored value (65,536 at most)
and the image is then looked up.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from bcd_model.words import Pixels
from converters.dicom_file import integer, items, numbers, text, values

Stored = npt.NDArray[np.integer]
Values = npt.NDArray[np.float64]

_SHARE_LEFT_OUT = 0.001
"""Share of the pixels that may lie below, and above, the range taken where no window is stated."""


@dataclass(frozen=True, slots=True, eq=False)
class Grayscale:
    """An image in [0, 1] and what was wrong or doubtful on the way there."""

    pixels: Pixels
    warnings: tuple[str, ...]


def to_unit_range(stored: Stored, header: Dataset) -> Grayscale:
    """Map stored values to [0, 1] by the header's own transformations.

    The output range of the VOI transformation is mapped to [0, 1] as a whole. Of several windows or
    VOI LUTs the first is taken, a VOI LUT before a window. Where neither is stated, images of up to 8
    bits keep the full range of Bits Stored, deeper ones are stretched between the 0.1 and the 99.9
    percentile of their pixels. Pixel padding becomes 0.

    Args:
        stored: (rows, columns), 8 or 16 bits, signed or not.
        header: the image's data elements.

    Raises:
        ValueError: a transformation is stated that cannot be carried out; the message names it.
    """
    limits = np.iinfo(stored.dtype)
    domain = np.arange(limits.min, limits.max + 1, dtype=np.int64)
    index = stored.astype(np.int32) - int(limits.min)
    padding = _padding(domain, header)
    remarks: list[str] = []

    modality = _modality(domain, header)
    unit = _voi(modality, header, remarks)
    if unit is None:
        counts = np.bincount(index.ravel(), minlength=domain.size)
        low, high = _own_range(domain, modality, np.where(padding, 0, counts), header)
        unit = (modality - low) / (high - low) if high > low else np.zeros_like(modality)
        if (integer(header, "BitsStored") or 0) > 8:
            remarks.append("no window in the file: stretched between its own 0.1 and 99.9 percentiles")
    unit = np.clip(unit, 0.0, 1.0)
    if _inverted(header):
        unit = 1.0 - unit
    unit[padding] = 0.0

    pixels: Pixels = unit.astype(np.float32)[index]
    if float(pixels.max()) - float(pixels.min()) < 1.0 / 255.0:
        remarks.append("blank: its own window leaves no contrast")
    return Grayscale(pixels, tuple(remarks))


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
    slope, intercept = numbers(header, "RescaleSlope"), numbers(header, "RescaleIntercept")
    if not slope or not intercept:
        return domain.astype(np.float64)
    if slope[0] == 0:
        raise ValueError("its Rescale Slope is 0")
    rescaled: Values = domain.astype(np.float64) * slope[0] + intercept[0]
    return rescaled


def _voi(modality: Values, header: Dataset, remarks: list[str]) -> Values | None:
    """VOI LUT, else window, as a function to [0, 1] (C.11.2); None if there is neither."""
    luts = items(header, "VOILUTSequence")
    if luts:
        table, bits = _look_up(modality, luts[0], "VOI LUT")
        return table / float((1 << bits) - 1)
    if not numbers(header, "WindowCenter") or not numbers(header, "WindowWidth"):
        return None
    function = _function(header)
    if function not in ("LINEAR", "LINEAR_EXACT", "SIGMOID"):
        raise ValueError("its VOI LUT Function is not LINEAR, LINEAR_EXACT or SIGMOID")
    window = first_window(header)
    if window is None:
        remarks.append("its window has no width and was not used")
        return None
    return _window(modality, *window, function)


def first_window(header: Dataset) -> tuple[float, float] | None:
    """Centre and width of the first window; None if there is none or it cannot be used.

    LINEAR asks for a width of at least 1, the other functions for more than 0 (C.11.2.1.2, C.11.2.1.3).
    """
    centers, widths = numbers(header, "WindowCenter"), numbers(header, "WindowWidth")
    if not centers or not widths:
        return None
    wide_enough = widths[0] >= 1 if _function(header) == "LINEAR" else widths[0] > 0
    return (centers[0], widths[0]) if wide_enough else None


def _function(header: Dataset) -> str:
    return text(header, "VOILUTFunction") or "LINEAR"


def _window(x: Values, center: float, width: float, function: str) -> Values:
    """C.11.2.1.2 LINEAR, C.11.2.1.3.2 LINEAR_EXACT, C.11.2.1.3.1 SIGMOID, from 0 to 1."""
    if function == "SIGMOID":
        # Beyond 60 it is 0 or 1 in float64; the clip keeps exp from overflowing.
        sigmoid: Values = 1.0 / (1.0 + np.exp(np.clip(-4.0 * (x - center) / width, -60.0, 60.0)))
        return sigmoid
    if function == "LINEAR":
        center, width = center - 0.5, width - 1.0
    if width == 0:
        return (x > center).astype(np.float64)
    return np.clip((x - center) / width + 0.5, 0.0, 1.0)


def _look_up(x: Values, item: Dataset, name: str) -> tuple[Values, int]:
    """``x`` through a LUT and the bits of its entries (C.11.1.1, C.11.2.1.1)."""
    descriptor = numbers(item, "LUTDescriptor")
    if len(descriptor) != 3:
        raise ValueError(f"its {name} Descriptor is wrong")
    entries = (int(descriptor[0]) & 0xFFFF) or 1 << 16
    first, bits = int(descriptor[1]), int(descriptor[2])
    if not 8 <= bits <= 16:
        raise ValueError(f"its {name} has entries of {bits} bits")
    if x.min() < 0 and first >= 1 << 15:
        first -= 1 << 16  # a negative first value, written as unsigned
    table = _entries(item, entries)
    if table.size < entries:
        raise ValueError(f"its {name} is shorter than it says")
    return table[np.clip(np.rint(x) - first, 0, entries - 1).astype(np.int64)], bits


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
    start = -(1 << (bits - 1)) if domain[0] < 0 else 0
    stored = modality[(domain >= start) & (domain < start + (1 << bits))]
    return float(stored.min()), float(stored.max())
