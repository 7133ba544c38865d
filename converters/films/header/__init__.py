"""Which breast, which view, which spacing: from the header.

The rules are in :mod:`converters.films.header.side_rules` and :mod:`converters.films.header.spacing_rules`.
"""

from __future__ import annotations

from typing import Final

from pydicom.dataset import Dataset

from bcd_model.errors import FilmError
from bcd_model.reasons import Reason
from bcd_model.words import Laterality
from converters.dicom.file import integer, items, numbers, states, text, texts
from converters.films.header import side_rules, spacing_rules
from converters.films.header.side_rules import Coded, Said, Stated
from converters.films.header.spacing_rules import ASSUMED_LONG_SIDE, MOST_STEP, Sizes, Spacing

__all__ = [
    "ASSUMED_LONG_SIDE",
    "MOST_STEP",
    "OF_THE_BREAST",
    "aspect_ratio",
    "contradictions",
    "is_magnified",
    "laterality",
    "spacing",
    "spacing_source",
    "view",
    "view_of_exposure",
    "view_of_processing",
    "why_no_spacing",
]

_SAME_RATIO: Final = 0.02
OF_THE_BREAST: Final = frozenset({"MLO", "LMO", "XCC", "XCCL", "XCCM"})
"""Views of no other part."""


def laterality(header: Dataset) -> Laterality | None:
    """The breast shown; None if nothing says it, or both are.

    The places that say it, and their order, are in :mod:`converters.films.header.side_rules`.
    """
    found: dict[str, Laterality] = {"L": "L", "R": "R"}
    return found.get(side_rules.side(_said(header)))


def view(header: Dataset) -> str | None:
    """The mammographic view's usual abbreviation; None if nothing says it.

    View Code Sequence (0054,0220) decides (PS3.3 C.8.11.7). View Position (0018,5101) and descriptions are
    taken where there is no such code, in the order of :mod:`converters.films.header.side_rules`.
    """
    return side_rules.view(_said(header)) or None


def view_of_exposure(header: Dataset) -> str | None:
    """The view by View Code Sequence or View Position, not by a description; None if neither says it."""
    stated = _stated(header)
    alone = Stated(views=stated.views, view_position=stated.view_position)
    return side_rules.view(side_rules.said(alone)) or None


def view_of_processing(header: Dataset) -> str | None:
    """The view by Acquisition Device Processing Description (0018,1400), where some CR systems put it.

    One that other parts of the body have as well, or none at all, counts only beside the breast (L-CC).
    """
    side, view = side_rules.read(_stated(header).processing, described=True)
    return view if view and (view in OF_THE_BREAST or (side and view == "CC")) else None


def _said(header: Dataset) -> tuple[Said, ...]:
    return side_rules.said(_stated(header))


def _stated(header: Dataset) -> Stated:
    frames = (
        anatomy
        for group in items(header, "SharedFunctionalGroupsSequence")
        for anatomy in items(group, "FrameAnatomySequence")
    )
    regions = items(header, "AnatomicRegionSequence")
    modifiers = (each for region in regions for each in items(region, "AnatomicRegionModifierSequence"))
    return Stated(
        image_laterality=text(header, "ImageLaterality"),
        frame_lateralities=tuple(text(anatomy, "FrameLaterality") for anatomy in frames),
        laterality=text(header, "Laterality"),
        regions=tuple(map(_coded, (*regions, *modifiers))),
        body_part=_all(header, "BodyPartExamined"),
        views=tuple(map(_coded, items(header, "ViewCodeSequence"))),
        view_position=_all(header, "ViewPosition"),
        processing=_all(header, "AcquisitionDeviceProcessingDescription"),
        orientation=texts(header, "PatientOrientation"),
        series=_all(header, "SeriesDescription"),
        protocol=_all(header, "ProtocolName"),
        acquisition=_all(header, "AcquisitionProtocolDescription"),
    )


def _coded(item: Dataset) -> Coded:
    return Coded(text(item, "CodeValue"), text(item, "CodeMeaning"))


def _all(header: Dataset, keyword: str) -> str:
    return " ".join(texts(header, keyword))


def is_magnified(header: Dataset) -> bool:
    """Whether its factor or the distances of the source say that it is a magnification view."""
    return spacing_rules.may_be_magnified(_sizes(header))


def spacing(header: Dataset) -> tuple[tuple[float, float], bool, tuple[str, ...]]:
    """mm between pixel centres as (row spacing, column spacing), whether assumed, and warnings.

    The rules are in :mod:`converters.films.header.spacing_rules`.

    Raises:
        FilmError: the image can have no plausible spacing: it is too oblong for a mammogram.
    """
    found = spacing_source(header)
    return found.pair, not found.keyword, found.remarks


def spacing_source(header: Dataset) -> Spacing:
    """The spacing, and where it comes from.

    Raises:
        FilmError: as :func:`spacing`.
    """
    sizes = _sizes(header)
    found = spacing_rules.spacing(sizes)
    if found is None:
        raise FilmError(f"{sizes.rows} x {sizes.columns} pixels: too oblong for a mammogram", code="spacing")
    return found


def _sizes(header: Dataset) -> Sizes:
    return Sizes(
        rows=integer(header, "Rows") or 1,
        columns=integer(header, "Columns") or 1,
        spacings={
            keyword: numbers(header, keyword) or (None if states(header, keyword) else ())
            for keyword in spacing_rules.KEYWORDS
            if keyword in header
        },
        calibrated=bool(text(header, "PixelSpacingCalibrationType")),
        factor=_number(header, "EstimatedRadiographicMagnificationFactor"),
        to_detector=_number(header, "DistanceSourceToDetector"),
        to_patient=_number(header, "DistanceSourceToPatient"),
        aspect_ratio=aspect_ratio(header),
    )


def _number(header: Dataset, keyword: str) -> float | None:
    return next(iter(numbers(header, keyword)), None)


def why_no_spacing(header: Dataset) -> Reason | None:
    """Why the image can have no spacing; None if it can."""
    try:
        spacing(header)
    except FilmError as error:
        return error.reason
    return None


def aspect_ratio(header: Dataset) -> float | None:
    """How many times as high as wide a pixel is by Pixel Aspect Ratio (0028,0034); None if not stated."""
    stated = numbers(header, "PixelAspectRatio")
    return stated[0] / stated[1] if len(stated) == 2 and min(stated) > 0 else None


def contradictions(header: Dataset) -> tuple[str, ...]:
    """What the header says in two places that cannot both be so, one warning each."""
    places = _said(header)
    found = [*side_rules.disagreements(places), *_against_orientation(header, places)]
    ratio = aspect_ratio(header)
    if ratio is not None:
        pair, assumed, _ = spacing(header)
        if assumed:
            found.append("states a Pixel Aspect Ratio and no pixel spacing that can be used")
        elif abs(pair[0] / pair[1] - ratio) > _SAME_RATIO * ratio:
            found.append("Pixel Aspect Ratio and pixel spacing contradict each other")
    return tuple(found)


def _against_orientation(header: Dataset, places: tuple[Said, ...]) -> list[str]:
    """Patient Orientation (0020,0020) against breast and view, where they exclude each other.

    Views from above show no direction to head or feet, views from the side show one (PS3.3 C.7.6.1.1.1).
    """
    orientation = texts(header, "PatientOrientation")
    directions = side_rules.directions_of(orientation)
    if not directions:
        return []
    found = []
    shown, side = side_rules.view(places), side_rules.side(places)
    if shown in side_rules.FROM_ABOVE and any(direction[0] in "HF" for direction in directions):
        found.append(f"Patient Orientation is not that of a view from above ({shown})")
    if shown in side_rules.FROM_THE_SIDE and not any(set(each) & {"H", "F"} for each in directions):
        found.append(f"Patient Orientation is not that of a view from the side ({shown})")
    if shown in side_rules.OBLIQUE and side:
        breasts = side_rules.breasts_by_tilt(directions)
        if breasts and breasts != {side}:
            found.append("Patient Orientation is that of the other breast")
    return found
