"""From stored values to [0, 1], bright is dense: the grayscale transformations of PS3.3 C.11.

Modality LUT or rescale (C.11.1), then VOI LUT or window (C.11.2), then the inversion that the
photometric interpretation or the Presentation LUT Shape asks for (C.11.6). Each of these looks at
one stored value alone, so they are worked out once for every possible stored value (65,536 at most)
and the image is then looked up.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from pydicom.datadict import dictionary_description
from pydicom.dataset import Dataset

from bcd_model.words import Pixels
from converters.dicom.file import integer, items, numbers, states, text
from converters.films.pixels.lookup_tables import LookUpTable, LookUpTableError, read_table
from converters.films.pixels.padding import padding, takes_tissue, without_commonest
from converters.films.pixels.voi import Choice, GrayscaleError, GrayValues, Voi, between, choose, own_ends

Stored = npt.NDArray[np.integer]
Values = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
_Scalar = TypeVar("_Scalar", bound=np.generic)

_BLOCK = 1 << 20
_HIDES = "its Pixel Padding Range takes in what is not padding: its Pixel Padding Value alone is taken"


@dataclass(frozen=True, slots=True)
class Rescale:
    """Rescale Slope and Intercept (C.11.1.1.2)."""

    slope: float
    intercept: float


@dataclass(frozen=True, slots=True, eq=False)
class Transformations:
    """How a film is shown: what a presentation state has to repeat.

    Attributes:
        modality: None if stored values stand for themselves.
        voi: None if the whole range of these is shown.
        modality_item: the item of Modality LUT Sequence, if it is a LUT.
        voi_item: the item of VOI LUT Sequence, if it is a LUT.
        inverse: whether low values are shown bright.
    """

    modality: LookUpTable | Rescale | None = None
    voi: Voi | None = None
    modality_item: Dataset | None = None
    voi_item: Dataset | None = None
    inverse: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Grayscale:
    """An image in [0, 1], how it came about, and what was wrong or doubtful on the way there."""

    pixels: Pixels
    warnings: tuple[str, ...]
    transformations: Transformations


def to_unit_range(
    stored: Stored, header: Dataset, bits: int | None = None, *, stretch: bool = True
) -> Grayscale:
    """Map stored values to [0, 1] by the header's own transformations.

    The output range of the VOI transformation is mapped to [0, 1] as a whole. The VOI LUTs are tried in
    their order, then the windows in theirs (`converters.films.pixels.voi`). Where none is stated, or none
    leaves a good picture, images of up to 8 bits keep the full range of Bits Stored, deeper ones are
    stretched between the 0.1 and the 99.9 percentile of their pixels. Pixel padding becomes 0.

    Args:
        stored: (rows, columns), 8 or 16 bits, signed or not.
        header: the image's data elements.
        bits: how many low bits of a value are the image's; Bits Stored if not given. What lies above them,
            an overlay for example (PS3.5 8.1.1), is left out.
        stretch: whether the image may be shown by its own range; raw data may not.

    Raises:
        GrayscaleError: a modality transformation is stated that cannot be carried out, or nothing leaves a
            picture; the message names it.
    """
    limits = np.iinfo(stored.dtype)
    domain = np.arange(limits.min, limits.max + 1, dtype=np.int64)
    # The pixels as they are, as places in a table that begins with the value 0.
    place = stored.view(f"u{stored.dtype.itemsize}")
    counts = np.zeros(domain.size, dtype=np.int64)
    for rows in _blocks(place):
        counts += np.bincount(rows.ravel(), minlength=domain.size)
    counts = np.roll(counts, -int(limits.min))
    values = _low_bits(domain, bits or integer(header, "BitsStored") or 16)

    with np.errstate(all="ignore"):  # what comes of it is looked at
        padded = padding(domain, values, header, as_range=True)
        remarks, x, how = _modality(values, np.where(padded, 0, counts), header)
        gray = GrayValues(values, x, counts, padded, integer(header, "BitsStored") or 16, _inverted(header))
        choice = _choice(gray, header, stretch=stretch)
        if choice is None:  # the range of padding leaves nothing of the breast
            remarks += (_HIDES,)
            gray = replace(gray, padded=padding(domain, values, header, as_range=False))
            choice = choose(gray, header, stretch=stretch)

    unit = gray.presented(choice.unit)
    unit[gray.padded] = 0.0
    table = np.roll(unit.astype(np.float32), int(limits.min))
    pixels = np.empty(stored.shape, dtype=np.float32)
    for rows, shown in zip(_blocks(place), _blocks(pixels), strict=True):
        shown[...] = table[rows]
    how = replace(how, voi=choice.voi, voi_item=choice.item, inverse=gray.inverse)
    return Grayscale(pixels, (*remarks, *choice.remarks), how)


def _choice(gray: GrayValues, header: Dataset, *, stretch: bool) -> Choice | None:
    """The VOI transformation; None if a stated range of padding takes tissue, or leaves no picture."""
    if integer(header, "PixelPaddingRangeLimit") is None:
        return choose(gray, header, stretch=stretch)
    try:
        choice = choose(gray, header, stretch=stretch)
    except GrayscaleError:
        return None
    own = between(gray.x, own_ends(gray, without_commonest(gray.counts, gray.padded)))
    shown = gray.presented(choice.unit if choice.of_file else own)
    return None if takes_tissue(gray.padded, gray.counts, own, shown) else choice


def _blocks(image: npt.NDArray[_Scalar]) -> Iterator[npt.NDArray[_Scalar]]:
    """``image`` a few rows at a time: numpy makes indices of 8 bytes of the pixels it looks up."""
    step = max(1, _BLOCK // max(1, image.shape[1]))
    for first in range(0, image.shape[0], step):
        yield image[first : first + step]


def _low_bits(domain: Integers, bits: int) -> Integers:
    """Stored values without what lies above their ``bits`` low bits."""
    low = domain & ((1 << bits) - 1)
    if domain[0] == 0:
        return low
    sign = 1 << (bits - 1)
    return (low ^ sign) - sign


def _inverted(header: Dataset) -> bool:
    """MONOCHROME1 and Presentation LUT Shape INVERSE say the same thing (C.8.11.3.1.2): once."""
    return (
        text(header, "PhotometricInterpretation") == "MONOCHROME1"
        or text(header, "PresentationLUTShape") == "INVERSE"
    )


def _modality(
    values: Integers, seen: Integers, header: Dataset
) -> tuple[tuple[str, ...], Values, Transformations]:
    """Modality LUT, else rescale, else the stored values themselves (C.11.1).

    Gives remarks, what it makes of ``values``, and how.

    Raises:
        GrayscaleError: it is stated and cannot be carried out: what it was to say is not known.
    """
    x = values.astype(np.float64)
    for item in items(header, "ModalityLUTSequence"):
        try:
            table = read_table(item, x, seen, scaled=False)
        except LookUpTableError as error:
            raise GrayscaleError(f"its Modality LUT {error.reason.detail}", "export it again") from error
        remarks = tuple(f"its Modality LUT {remark}" for remark in table.remarks)
        return remarks, table.look_up(x), Transformations(modality=table, modality_item=item)
    slope, intercept = _stated(header, "RescaleSlope"), _stated(header, "RescaleIntercept")
    if not slope or not intercept:
        return (), x, Transformations()
    if slope[0] == 0:
        return ("its Rescale Slope is 0: its stored values are taken as they are",), x, Transformations()
    x = x * slope[0] + intercept[0]
    if not np.isfinite(x).all():
        raise GrayscaleError("its Rescale Slope and Intercept lead beyond all numbers", "export it again")
    return (), x, Transformations(modality=Rescale(slope[0], intercept[0]))


def _stated(header: Dataset, keyword: str) -> tuple[float, ...]:
    """The numbers of an element; empty if it has none.

    Raises:
        GrayscaleError: what it has is no finite number: what it was to say is not known.
    """
    found = numbers(header, keyword)
    if not found and states(header, keyword):
        raise GrayscaleError(
            f"its {dictionary_description(keyword)} is not a finite number", "export it again"
        )
    return found
