"""Which breast, which view, which spacing, and how unlike the training films: from the header."""

from __future__ import annotations

from pydicom.dataset import Dataset
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    SecondaryCaptureImageStorage,
)

from bcd_model.words import Laterality
from converters.dicom_file import integer, items, numbers, text

TRAINING_SPACING = 0.2
"""mm between the pixels of the films that the shipped model was trained on (mini-MIAS)."""
TRAINING_BITS = 8

ASSUMED_LONG_SIDE = 240.0
"""mm; the long side of an 18 x 24 cm film, taken for the image's where no spacing is stated."""

_PLAUSIBLE_SPACING = (0.005, 2.0)
_SAME_SPACING = 0.05
_MAGNIFIED = 1.2

# CID 4014 View for Mammography, in SNOMED CT and in the older SNOMED-RT codes of the same concepts.
_VIEW_CODES = {
    "399162004": "CC",
    "R-10242": "CC",
    "399368009": "MLO",
    "R-10226": "MLO",
    "399260004": "ML",
    "R-10224": "ML",
    "399352003": "LM",
    "R-10228": "LM",
    "399099002": "LMO",
    "R-10230": "LMO",
    "399196006": "FB",
    "R-10244": "FB",
    "399192008": "XCCL",
    "R-1024A": "XCCL",
    "399101009": "XCCM",
    "R-1024B": "XCCM",
    "399188001": "SIO",
    "R-102D0": "SIO",
    "441555000": "ISO",
    "R-40AAA": "ISO",
}
_VIEWS = frozenset(_VIEW_CODES.values())
_PARTIAL_VIEWS = frozenset({"399055006", "R-102D7", "399163009", "R-102D6"})
"""Spot compression and magnification (CID 4015), in SNOMED CT and in the older SNOMED-RT codes."""


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
    for value in stated:
        if value == "L":
            return "L"
        if value == "R":
            return "R"
        if value:
            return None
    return None


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


def kind(header: Dataset) -> tuple[str, ...]:
    """What else tells films of one view apart: how it was taken, and what it is made for.

    The codes of View Modifier Code Sequence (0054,0222), as of a spot compression or an implant
    displaced; a magnification; Presentation Intent Type (0008,0068).
    """
    magnified = ("magnified",) if _magnification(header)[1] else ()
    return (*modifiers(header), *magnified, text(header, "PresentationIntentType"))


def is_part_of_breast(header: Dataset) -> bool:
    """Whether the view is a spot compression or a magnification by its View Modifier Code (CID 4015)."""
    return not _PARTIAL_VIEWS.isdisjoint(modifiers(header))


def is_magnified(header: Dataset) -> bool:
    """Whether Estimated Radiographic Magnification Factor (0018,1114) says that it is a magnification."""
    return bool(_magnification(header)[1])


def modifiers(header: Dataset) -> tuple[str, ...]:
    """Codes of the view's modifiers: nested in the view's code (PS3.3 C.8.11.7), or at the top level."""
    found = [
        modifier
        for item in (header, *items(header, "ViewCodeSequence"))
        for modifier in items(item, "ViewModifierCodeSequence")
    ]
    return tuple(sorted({text(modifier, "CodeValue") for modifier in found} - {""}))


def spacing(header: Dataset) -> tuple[tuple[float, float], bool, tuple[str, ...]]:
    """mm between pixel centres as (row spacing, column spacing), whether assumed, and warnings.

    In this order (PS3.3 10.7.1.3):

    1. Pixel Spacing (0028,0030): where it stands beside another Imager Pixel Spacing it is the
       calibrated one, whatever the calibration type.
    2. Imager Pixel Spacing (0018,1164), at the detector. A magnification view (Estimated
       Radiographic Magnification Factor of 1.2 or more) is divided by that factor; the few percent of
       a contact view are left, as they are in the training films.
    3. Nominal Scanned Pixel Spacing (0018,2010) of a digitised film.
    4. Assumed: the long side is that of an 18 x 24 cm film.
    """
    ignored = False
    for keyword in ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"):
        stated = numbers(header, keyword)
        if not stated:
            continue
        low, high = _PLAUSIBLE_SPACING
        if len(stated) != 2 or not all(low <= value <= high for value in stated):
            ignored = True
            continue
        factor, remarks = _magnification(header) if keyword == "ImagerPixelSpacing" else (1.0, ())
        return (stated[0] / factor, stated[1] / factor), False, remarks
    rows, columns = integer(header, "Rows") or 1, integer(header, "Columns") or 1
    side = ASSUMED_LONG_SIDE / max(rows, columns)
    why = "implausible pixel spacing" if ignored else "no pixel spacing"
    return (side, side), True, (f"{why} in the file: {side:.3g} mm assumed (long side of the image 240 mm)",)


def _magnification(header: Dataset) -> tuple[float, tuple[str, ...]]:
    factor = next(iter(numbers(header, "EstimatedRadiographicMagnificationFactor")), 1.0)
    if _MAGNIFIED <= factor <= 3.0:
        return factor, (f"magnification view: spacing divided by {factor:g}",)
    return 1.0, ()


def unlike_training(header: Dataset, pixel_spacing: tuple[float, float]) -> tuple[str, ...]:
    """One sentence on how the image differs from the training films; none if it does not."""
    differences = []
    detector = text(header, "DetectorType")
    sop_class = header.get("SOPClassUID")
    if sop_class == SecondaryCaptureImageStorage:
        differences.append("a secondary capture")
    elif sop_class == ComputedRadiographyImageStorage:
        differences.append("computed radiography")
    elif not detector:
        differences.append("detector not stated")
    elif detector != "FILM":
        differences.append("a digital detector")
    if any(abs(value - TRAINING_SPACING) > _SAME_SPACING * TRAINING_SPACING for value in pixel_spacing):
        differences.append(f"{pixel_spacing[0]:.3g} x {pixel_spacing[1]:.3g} mm pixels")
    bits = integer(header, "BitsStored")
    if bits != TRAINING_BITS:
        differences.append(f"{bits} bits")
    if not differences:
        return ()
    return (
        f"unlike the training films ({', '.join(differences)};"
        f" they are digitised, {TRAINING_SPACING} mm, {TRAINING_BITS} bits): results are less reliable",
    )
