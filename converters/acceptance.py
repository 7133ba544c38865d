"""Which images are films, and which films can be used: judged from the header alone.

Nothing here looks at file names or folders. The rules, in the order in which they are applied:

*No film* (skipped, never part of the study):
  objects without pixels or of a SOP class that is not on the list below (SR, presentation states,
  segmentations, ...); this software's own pictures; secondary images (Image Type value 2) unless
  Conversion Type says that a film was digitised (DF); secondary captures and CR in colour; quality
  control images; secondary captures and CR with neither the modality MG nor a mammographic view.

*A film that cannot be used* (listed as failed, with the reason):
  no SOP Instance UID; tomosynthesis; more than one frame; pixels that are not one monochrome sample
  of 8 to 16 bits; burned-in annotation; For Processing without a window or VOI LUT; fewer pixels than
  the network's window needs, or more than any detector has.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydicom import config
from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    BreastTomosynthesisImageStorage,
    ComputedRadiographyImageStorage,
    DigitalMammographyXRayImageStorageForPresentation,
    DigitalMammographyXRayImageStorageForProcessing,
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    SecondaryCaptureImageStorage,
)

from bcd_model.words import WINDOW
from converters import film_attributes
from converters.dicom_file import integer, items, text, texts, uid, why_no_uid
from converters.grayscale import first_window
from converters.provenance import MANUFACTURER, PRODUCT

MAX_PIXELS = 1 << 27
"""About 134 million; a 24 x 30 cm film scanned at 25 micron has 115 million."""

Kind = Literal["film", "unusable", "no film"]

_MAMMOGRAPHY = frozenset(
    {
        DigitalMammographyXRayImageStorageForPresentation,
        DigitalMammographyXRayImageStorageForProcessing,
        BreastTomosynthesisImageStorage,
    }
)
_GENERAL = frozenset(
    {
        ComputedRadiographyImageStorage,
        SecondaryCaptureImageStorage,
        MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
        MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    }
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an image is, and why if it is not a usable film (one line, no patient data)."""

    kind: Kind
    reason: str = ""


FILM = Verdict("film")


def judge(header: Dataset) -> Verdict:
    """Whether the image of ``header`` is a film, and one that can be used."""
    no_film = _why_no_film(header)
    if no_film:
        return Verdict("no film", no_film)
    unusable = _why_unusable(header)
    return Verdict("unusable", unusable) if unusable else FILM


def may_be_film(header: Dataset) -> bool:
    """Whether a header of which only a part could be read may be a film's: by its SOP class."""
    meta = getattr(header, "file_meta", Dataset())
    sop_class = uid(header, "SOPClassUID") or uid(meta, "MediaStorageSOPClassUID")
    return (sop_class is None or sop_class in _MAMMOGRAPHY | _GENERAL) and not is_ours(header)


def _why_no_film(header: Dataset) -> str:
    meta = getattr(header, "file_meta", Dataset())
    # A header that is cut short may have lost its SOP class, but never the copy in front of it.
    sop_class = uid(header, "SOPClassUID") or uid(meta, "MediaStorageSOPClassUID")
    if sop_class is None:
        return "states no SOP class"
    if sop_class not in _MAMMOGRAPHY | _GENERAL:
        # The standard's own name of the class, or the UID itself where it is private.
        return f"no mammogram: {UID(sop_class, config.IGNORE).name}"
    if sop_class in _GENERAL and is_ours(header):
        return "a result of this software"
    image_type = texts(header, "ImageType")
    if len(image_type) > 1 and image_type[1] == "SECONDARY" and text(header, "ConversionType") != "DF":
        return "a secondary image made from others, no film"
    if text(header, "QualityControlImage") == "YES":
        return "a quality control image"
    if sop_class in _GENERAL:
        if (integer(header, "SamplesPerPixel") or 1) != 1:
            return "a colour picture, no film"
        if text(header, "Modality") != "MG" and film_attributes.view(header) is None:
            return "states neither the modality MG nor a mammographic view"
    return ""


def is_ours(header: Dataset) -> bool:
    """Whether this software wrote the object, by its equipment or its contributing equipment."""
    if (text(header, "Manufacturer"), text(header, "ManufacturerModelName")) == (
        MANUFACTURER.upper(),
        PRODUCT.upper(),
    ):
        return True
    # An archive may put its own name over the maker's, but leaves the list of contributors.
    return any(
        text(contributor, "Manufacturer") == MANUFACTURER.upper()
        for contributor in items(header, "ContributingEquipmentSequence")
    )


def _why_unusable(header: Dataset) -> str:
    nameless = why_no_uid(header, "SOPInstanceUID")
    if nameless:
        return nameless
    kind = _tomosynthesis(header)
    if kind:
        return kind
    frames = integer(header, "NumberOfFrames")
    if frames is not None and frames != 1:
        return f"{frames} frames: only single images are scanned"
    if text(header, "BurnedInAnnotation") == "YES":
        return "burned-in annotation: its pixels show more than the breast"
    return _why_unreadable_pixels(header) or _why_no_presentation(header)


def _tomosynthesis(header: Dataset) -> str:
    image_type = texts(header, "ImageType")
    if header.get("SOPClassUID") == BreastTomosynthesisImageStorage:
        return "tomosynthesis: only 2-D mammograms are scanned"
    if {"TOMO", "TOMO_PROJ", "TOMOSYNTHESIS"} & set(image_type) and "GENERATED_2D" not in image_type:
        return "an image of a tomosynthesis: only 2-D mammograms are scanned"
    return ""


def _why_unreadable_pixels(header: Dataset) -> str:
    rows, columns = integer(header, "Rows"), integer(header, "Columns")
    if rows is None or columns is None:
        return "states no Rows or Columns"
    if min(rows, columns) < WINDOW:
        return f"{rows} x {columns} pixels: at least {WINDOW} x {WINDOW} are needed"
    if rows * columns > MAX_PIXELS:
        return f"{rows} x {columns} pixels: more than any mammogram has"
    if integer(header, "SamplesPerPixel") != 1:
        return "pixels in colour"
    if text(header, "PhotometricInterpretation") not in ("MONOCHROME1", "MONOCHROME2"):
        return "Photometric Interpretation is not MONOCHROME1 or MONOCHROME2"
    allocated, stored = integer(header, "BitsAllocated"), integer(header, "BitsStored")
    if allocated not in (8, 16) or stored is None or not 8 <= stored <= allocated:
        return f"{stored} bits stored in {allocated}: 8 to 16 bits are read"
    if integer(header, "HighBit") not in (None, stored - 1):
        return "High Bit is not Bits Stored - 1"
    if integer(header, "PixelRepresentation") not in (0, 1):
        return "Pixel Representation is not 0 or 1"
    return ""


def _why_no_presentation(header: Dataset) -> str:
    processing = (
        header.get("SOPClassUID") == DigitalMammographyXRayImageStorageForProcessing
        or text(header, "PresentationIntentType") == "FOR PROCESSING"
    )
    if processing and first_window(header) is None and not items(header, "VOILUTSequence"):
        return "For Processing, without a window or VOI LUT: send the For Presentation image"
    return ""
