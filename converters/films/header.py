"""Which breast, which view, which spacing: from the header."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from pydicom.datadict import dictionary_description, tag_for_keyword
from pydicom.dataset import Dataset

from bcd_model.errors import FilmError
from bcd_model.reasons import Reason
from bcd_model.words import Laterality
from converters.codes import VIEWS
from converters.dicom.file import integer, items, numbers, states, text, texts

ASSUMED_LONG_SIDE = 240.0
"""mm; the long side of an 18 x 24 cm film, taken for the image's where no spacing is stated."""

MOST_STEP = 1.0
"""mm between pixels, as far as they are stated."""
LEAST_SIDE, MOST_SIDE = 50.0, 500.0
"""mm; what the sides of a mammogram may be: a biopsy's field of 5 cm, more than a film of 35 x 43 cm."""
MOST_OBLONG = 2.0
"""How many times longer than wide a pixel may be."""

_SAME_RATIO = 0.02
_MAGNIFIED = 1.2

# CID 4014 View for Mammography, in SNOMED CT and in the older SNOMED-RT codes of the same concepts.
_VIEW_CODES = {code.value: name for name, code in VIEWS.items()} | {
    "R-10242": "CC",
    "R-10226": "MLO",
    "R-10224": "ML",
    "R-10228": "LM",
    "R-10230": "LMO",
    "R-10244": "FB",
    "R-1024A": "XCCL",
    "R-1024B": "XCCM",
    "R-102D0": "SIO",
    "R-40AAA": "ISO",
}
_VIEWS = frozenset(_VIEW_CODES.values())


_FROM_ABOVE = frozenset({"CC", "FB", "XCCL", "XCCM"})
_FROM_THE_SIDE = _VIEWS - _FROM_ABOVE
_TILTS = {"L": ({"F", "R"}, {"H", "L"}), "R": ({"F", "L"}, {"H", "R"})}


def laterality(header: Dataset) -> Laterality | None:
    """The breast shown: Image Laterality, else Frame Laterality, else the series' Laterality.

    None if nothing is stated, or both breasts ("B"), or one not known ("U").
    """
    shared = (
        anatomy
        for group in items(header, "SharedFunctionalGroupsSequence")
        for anatomy in items(group, "FrameAnatomySequence")
    )
    stated = [text(header, "ImageLaterality")]
    stated += [text(anatomy, "FrameLaterality") for anatomy in shared]
    stated += [text(header, "Laterality")]
    found: Mapping[str, Laterality] = {"L": "L", "R": "R"}
    return found.get(next(filter(None, stated), ""))


def view(header: Dataset) -> str | None:
    """The mammographic view's usual abbreviation.

    View Code Sequence (0054,0220) decides (PS3.3 C.8.11.7); View Position (0018,5101) is free text
    by the standard's own admission and only taken where there is no such code.
    """
    for item in items(header, "ViewCodeSequence"):
        name = _VIEW_CODES.get(text(item, "CodeValue"))
        if name:
            return name
    hint = text(header, "ViewPosition")
    return hint if hint in _VIEWS else None


def is_magnified(header: Dataset) -> bool:
    """Whether Estimated Radiographic Magnification Factor (0018,1114) says that it is a magnification."""
    return bool(_magnification(header)[1])


def spacing(header: Dataset) -> tuple[tuple[float, float], bool, tuple[str, ...]]:
    """mm between pixel centres as (row spacing, column spacing), whether assumed, and warnings.

    In this order (PS3.3 10.7.1.3):

    1. Pixel Spacing (0028,0030): where it stands beside another Imager Pixel Spacing it is the
       calibrated one, whatever the calibration type.
    2. Imager Pixel Spacing (0018,1164), at the detector. A magnification view (Estimated
       Radiographic Magnification Factor of 1.2 or more) is divided by that factor; the few percent of
       a contact view are left, as they are in the training films.
    3. Nominal Scanned Pixel Spacing (0018,2010) of a digitised film.
    4. Assumed: the long side is that of an 18 x 24 cm film, the pixels are as oblong as Pixel Aspect
       Ratio (0028,0034) says, else square.

    A single value stands for square pixels. A spacing by which a side of the image is not 50 to 500 mm
    long, or a pixel more than twice as long as wide, is not believed.

    Raises:
        FilmError: the image can have no plausible spacing: it is too oblong for a mammogram.
    """
    rows, columns = integer(header, "Rows") or 1, integer(header, "Columns") or 1
    implausible = []
    unread = False
    for keyword in ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"):
        stated = numbers(header, keyword)
        if not stated:
            unread |= states(header, keyword)
            continue
        pair = (stated[0], stated[-1])
        factor, remarks = _magnification(header) if keyword == "ImagerPixelSpacing" else (1.0, ())
        found = (pair[0] / factor, pair[1] / factor)
        if len(stated) > 2 or max(found) > MOST_STEP or not _plausible(found, (rows, columns)):
            implausible.append(keyword)
            continue
        return found, False, (*remarks, *_not_believed(implausible, header))
    ratio = aspect_ratio(header) or 1.0
    for oblong in (ratio, 1.0):
        column = ASSUMED_LONG_SIDE / max(rows * oblong, columns)
        found = (column * oblong, column)
        if _plausible(found, (rows, columns)):
            break
    else:
        raise FilmError(f"{rows} x {columns} pixels: too oblong for a mammogram", code="spacing")
    why = "unreadable pixel spacing" if unread else "no pixel spacing"
    why = "implausible pixel spacing" if implausible else why
    size = f"{found[0]:.3g}" if oblong == 1.0 else f"{found[0]:.3g} x {found[1]:.3g}"
    remark = f"{why} in the file: {size} mm assumed (long side of the image 240 mm)"
    return found, True, (remark,)


def why_no_spacing(header: Dataset) -> Reason | None:
    """Why the image can have no spacing; None if it can."""
    try:
        spacing(header)
    except FilmError as error:
        return error.reason
    return None


def _plausible(pair: tuple[float, float], shape: tuple[int, int]) -> bool:
    """Whether an image of ``shape`` pixels, ``pair`` mm apart, may be a mammogram."""
    if min(pair) <= 0 or max(pair) > MOST_OBLONG * min(pair):
        return False
    return all(LEAST_SIDE <= n * step <= MOST_SIDE for n, step in zip(shape, pair, strict=True))


def _not_believed(keywords: Sequence[str], header: Dataset) -> tuple[str, ...]:
    """A warning of the spacings that were passed over for one of lower rank."""
    named = " and ".join(dictionary_description(tag_for_keyword(keyword) or 0) for keyword in keywords)
    return (f"{named} would give an image of implausible size: not used",) if named else ()


def aspect_ratio(header: Dataset) -> float | None:
    """How many times as high as wide a pixel is by Pixel Aspect Ratio (0028,0034); None if not stated."""
    stated = numbers(header, "PixelAspectRatio")
    return stated[0] / stated[1] if len(stated) == 2 and min(stated) > 0 else None


def contradictions(header: Dataset) -> tuple[str, ...]:
    """What the header says in two places that cannot both be so, one warning each."""
    found = []
    stated = {text(header, keyword) for keyword in ("ImageLaterality", "Laterality")} & {"L", "R"}
    if len(stated) == 2:
        found.append("Image Laterality and Laterality name different breasts")
    found += _against_orientation(header)
    ratio = aspect_ratio(header)
    if ratio is not None:
        pair, assumed, _ = spacing(header)
        if assumed:
            found.append("states a Pixel Aspect Ratio and no pixel spacing that can be used")
        elif abs(pair[0] / pair[1] - ratio) > _SAME_RATIO * ratio:
            found.append("Pixel Aspect Ratio and pixel spacing contradict each other")
    return tuple(found)


def _against_orientation(header: Dataset) -> list[str]:
    """Patient Orientation (0020,0020) against breast and view, where they exclude each other.

    Its two values say where rows and columns run to (PS3.3 C.7.6.1.1.1). Views from above show no
    direction to head or feet, views from the side show one. The detector of an MLO is tilted along the
    pectoral muscle, which runs from the axilla towards the midline: towards the feet is towards the right
    in a left breast. Views from above hang either way round and say nothing of the breast.
    """
    stated = texts(header, "PatientOrientation")
    if len(stated) != 2 or not all(re.fullmatch("[APHFLR]{1,3}", direction) for direction in stated):
        return []
    directions = [set(direction) for direction in stated]
    found = []
    shown, side = view(header), laterality(header)
    upright = any(direction & {"H", "F"} for direction in directions)
    if shown in _FROM_ABOVE and any(direction[0] in "HF" for direction in stated):
        found.append(f"Patient Orientation is not that of a view from above ({shown})")
    if shown in _FROM_THE_SIDE and not upright:
        found.append(f"Patient Orientation is not that of a view from the side ({shown})")
    if shown in ("MLO", "LMO", None) and side is not None:
        breasts = {
            breast
            for direction in directions
            for breast, tilts in _TILTS.items()
            if any(tilt <= direction for tilt in tilts)
        }
        if breasts and breasts != {side}:
            found.append("Patient Orientation is that of the other breast")
    return found


def _magnification(header: Dataset) -> tuple[float, tuple[str, ...]]:
    factor = next(iter(numbers(header, "EstimatedRadiographicMagnificationFactor")), 1.0)
    if _MAGNIFIED <= factor <= 3.0:
        return factor, (f"magnification view: spacing divided by {factor:g}",)
    return 1.0, ()
