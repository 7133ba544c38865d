"""How far apart the pixels of a film are, by what its header says of it in numbers.

The Slicer module has this file as well, byte for byte, as it may import nothing of this package. So only the
standard library is imported here, and Python 3.9 is enough.

*The spacing*, the first of these that is plausible (PS3.3 10.7.1):

1. Pixel Spacing (0028,0030), in the patient.
2. Imager Pixel Spacing (0018,1164), at the detector.
3. Nominal Scanned Pixel Spacing (0018,2010) of a digitised film.
4. Any of these in that order, if it is not plausible in mm and is in micrometres or metres; with a remark.
5. Assumed: the long side is that of an 18 x 24 cm film, the pixels are as oblong as Pixel Aspect Ratio
   (0028,0034) says, else square; with a remark.

Plausible is a spacing of up to 1 mm by which the sides of the image are 50 to 500 mm long, and a pixel is
up to twice as long as wide. A single value stands for square pixels, with a remark.

*A magnification view* (a factor of 1.2 to 3) is as large as its spacing divided by the factor:

1. Estimated Radiographic Magnification Factor (0018,1114), source to image receptor over source to object.
2. Where that is not stated, or impossible: Distance Source to Detector (0018,1110) over Distance Source to
   Patient (0018,1111). The latter is measured to the support below the breast (PS3.3 C.8.11.5), so a contact
   view is magnified by a few percent, however thick the breast.

Imager Pixel Spacing and Nominal Scanned Pixel Spacing are never corrected for it (PS3.3 C.8.11.4); Pixel
Spacing is if it differs from these, and is not if it equals one of them, whatever Pixel Spacing Calibration
Type claims (PS3.3 10.7.1.1). Where it stands alone, Pixel Spacing Calibration Type tells. The few percent of
a contact view are left, as they are in the training films.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

KEYWORDS: Mapping[str, str] = {
    "PixelSpacing": "Pixel Spacing",
    "ImagerPixelSpacing": "Imager Pixel Spacing",
    "NominalScannedPixelSpacing": "Nominal Scanned Pixel Spacing",
}
"""Keywords and names of the spacings, in their order."""
ASSUMED_LONG_SIDE = 240.0
"""mm; the long side of an 18 x 24 cm film, taken for the image's where no spacing is stated."""
MOST_STEP = 1.0
"""mm between pixels, as far as they are stated."""
LEAST_SIDE, MOST_SIDE = 50.0, 500.0
"""mm; what the sides of a mammogram may be: a biopsy's field of 5 cm, more than a film of 35 x 43 cm."""
MOST_OBLONG = 2.0
"""How many times longer than wide a pixel may be."""
MAGNIFIED, MOST_MAGNIFIED = 1.2, 3.0
"""Factors of magnification views; those in use are 1.5, 1.8 and 2."""

_LEAST_FACTOR = 0.9
"""A factor below 1 by more than rounding is none of a projection."""
_SURELY_MAGNIFIED = 1.4
"""By the distances, against a factor: below the 1.5 of the least magnification stand."""
_SAME = 0.01
_SAME_FACTOR = 0.2
_UNITS = ((0.001, "micrometres"), (1000.0, "metres"))

Pair = tuple[float, float]
"""mm, (rows, columns)."""


class Sizes(NamedTuple):
    """What a header says of the size of an image and of its pixels.

    Attributes:
        spacings: by keyword, the numbers of each element that is present; None if they cannot be read.
        calibrated: whether Pixel Spacing Calibration Type is stated.
        aspect_ratio: how many times as high as wide a pixel is.
    """

    rows: int
    columns: int
    spacings: Mapping[str, tuple[float, ...] | None]
    calibrated: bool = False
    factor: float | None = None
    to_detector: float | None = None
    to_patient: float | None = None
    aspect_ratio: float | None = None


class Spacing(NamedTuple):
    """The spacing that is taken.

    Attributes:
        pair: mm between pixel centres, (rows, columns).
        keyword: of the element that it is of; "" if it was assumed.
        divided_by: the factor of a magnification that the element's value was divided by, else 1.
        remarks: what the reader of the results must know about it.
    """

    pair: Pair
    keyword: str
    divided_by: float = 1.0
    remarks: tuple[str, ...] = ()


class Magnification(NamedTuple):
    """How many times larger than in the patient a film shows the breast; 1 if it is no magnification view."""

    factor: float
    by_distances: bool = False
    remarks: tuple[str, ...] = ()


def magnification(sizes: Sizes) -> Magnification:
    """By the factor that is stated, else by the distances."""
    stated = sizes.factor or None  # 0 says nothing
    measured = None
    if sizes.to_detector and sizes.to_patient and min(sizes.to_detector, sizes.to_patient) > 0:
        measured = sizes.to_detector / sizes.to_patient
    remarks = []
    if stated is not None and not _LEAST_FACTOR <= stated <= MOST_MAGNIFIED:
        remarks.append("Estimated Radiographic Magnification Factor is implausible: not used")
        stated = None
    if measured is not None and measured > MOST_MAGNIFIED:
        remarks.append("Distance Source to Detector and Distance Source to Patient are implausible: not used")
        measured = None
    if stated is not None and measured is not None and _is_large(stated) != _is_large(measured):
        remarks.append(
            f"Estimated Radiographic Magnification Factor ({stated:.3g}) and the distances of the source"
            f" ({measured:.3g}) contradict each other: {stated:.3g} taken"
        )
    factor = measured if stated is None else stated
    large = factor if factor is not None and _is_large(factor) else 1.0
    return Magnification(large, stated is None and large > 1.0, tuple(remarks))


def _is_large(factor: float) -> bool:
    return factor >= MAGNIFIED


def may_be_magnified(sizes: Sizes) -> bool:
    """Whether the film is a magnification view, or the distances say so where the factor denies it.

    A factor of 1 may be a default that was never set. Then the spacing is left, and the film is not taken
    for one of the whole breast.
    """
    if magnification(sizes).factor > 1.0:
        return True
    if not sizes.to_detector or not sizes.to_patient or min(sizes.to_detector, sizes.to_patient) <= 0:
        return False
    return _SURELY_MAGNIFIED <= sizes.to_detector / sizes.to_patient <= MOST_MAGNIFIED


def spacing(sizes: Sizes) -> Spacing | None:
    """The spacing of a film by the rules of this module; None if it is too oblong for any."""
    stated = _stated(sizes)
    passed = {keyword: _UNREADABLE for keyword, values in sizes.spacings.items() if values is None}
    passed |= {keyword: _IMPLAUSIBLE for keyword, values in sizes.spacings.items() if values}
    for keyword, pair in stated.items():
        taken = _taken(keyword, pair, sizes)
        if taken is not None:
            return taken._replace(remarks=taken.remarks + _not_used(passed, before=keyword))
    for keyword, pair in stated.items():
        for scale, unit in _UNITS:
            taken = _taken(keyword, (pair[0] * scale, pair[1] * scale), sizes)
            if taken is not None:
                remark = f"{KEYWORDS[keyword]} is implausible in mm: taken as {unit}"
                return taken._replace(remarks=(remark, *taken.remarks, *_not_used(passed, before=keyword)))
    return _assumed(sizes, passed)


_UNREADABLE = "could not be read"
_IMPLAUSIBLE = "would give an image of implausible size"


def _stated(sizes: Sizes) -> dict[str, Pair]:
    """The spacings that are stated in numbers, in their order; more than two numbers are none."""
    found = {}
    for keyword in KEYWORDS:
        values = sizes.spacings.get(keyword)
        if values and len(values) <= 2:
            found[keyword] = (values[0], values[-1])
    return found


def _taken(keyword: str, pair: Pair, sizes: Sizes) -> Spacing | None:
    """The spacing by an element of ``pair`` mm; None if it is not plausible."""
    magnified = magnification(sizes)
    corrected = keyword == "PixelSpacing" and _is_corrected(pair, sizes)
    factor = 1.0 if corrected else magnified.factor
    found = (pair[0] / factor, pair[1] / factor)
    if max(found) > MOST_STEP or not is_plausible(found, sizes):
        return None
    remarks = list(magnified.remarks)
    if factor != 1.0:
        how = ", by the distances of the source" if magnified.by_distances else ""
        remarks.append(f"magnification view: spacing divided by {factor:.3g}{how}")
    if corrected and _contradicts(pair, magnified.factor, sizes):
        remarks.append(f"Pixel Spacing and a magnification of {magnified.factor:.3g} contradict each other")
    if len(sizes.spacings[keyword] or ()) == 1:
        remarks.append(f"{KEYWORDS[keyword]} has one value: square pixels taken")
    return Spacing(found, keyword, factor, tuple(remarks))


def _is_corrected(pair: Pair, sizes: Sizes) -> bool:
    """Whether a Pixel Spacing accounts for a magnification already (PS3.3 10.7.1.1)."""
    others = [each for keyword, each in _stated(sizes).items() if keyword != "PixelSpacing"]
    if not others:
        return sizes.calibrated
    return not any(_is_same(pair, other) for other in others)


def _is_same(pair: Pair, other: Pair) -> bool:
    return all(abs(pair[at] - other[at]) <= _SAME * abs(other[at]) for at in (0, 1))


def _contradicts(pair: Pair, factor: float, sizes: Sizes) -> bool:
    """Whether a corrected Pixel Spacing is that of another magnification than ``factor``."""
    at_detector = _stated(sizes).get("ImagerPixelSpacing")
    if at_detector is None or factor == 1.0:
        return False
    return abs(at_detector[0] / pair[0] - factor) > _SAME_FACTOR * factor


def _not_used(passed: Mapping[str, str], before: str) -> tuple[str, ...]:
    """A warning for each spacing that was passed over for one of lower rank."""
    higher = list(KEYWORDS)[: list(KEYWORDS).index(before)]
    return tuple(f"{KEYWORDS[each]} {passed[each]}: not used" for each in higher if each in passed)


def _assumed(sizes: Sizes, passed: Mapping[str, str]) -> Spacing | None:
    for oblong in (sizes.aspect_ratio or 1.0, 1.0):
        column = ASSUMED_LONG_SIDE / max(sizes.rows * oblong, sizes.columns)
        found = (column * oblong, column)
        if is_plausible(found, sizes):
            break
    else:
        return None
    size = f"{found[0]:.3g}" if oblong == 1.0 else f"{found[0]:.3g} x {found[1]:.3g}"
    if _IMPLAUSIBLE in passed.values():
        why = "implausible pixel spacing"
    elif passed:
        why = "unreadable pixel spacing"
    else:
        why = "empty pixel spacing" if sizes.spacings else "no pixel spacing"
    remark = f"{why} in the file: {size} mm assumed (long side of the image {ASSUMED_LONG_SIDE:.0f} mm)"
    return Spacing(found, "", 1.0, (remark,))


def is_plausible(pair: Pair, sizes: Sizes) -> bool:
    """Whether an image of that many pixels, ``pair`` mm apart, may be a mammogram."""
    if min(pair) <= 0 or max(pair) > MOST_OBLONG * min(pair):
        return False
    return all(LEAST_SIDE <= side <= MOST_SIDE for side in (sizes.rows * pair[0], sizes.columns * pair[1]))
