"""Which images are films, and which films are scanned: judged from the header alone.

Nothing here looks at file names or folders. The rules, in the order in which they are applied:

*No film* (skipped, never part of the study):
  objects without pixels (SR, presentation states, segmentations, ...); images of a SOP class that is
  not on the list below, unless their modality is MG; this software's own pictures; quality control
  images; images that state no SOP class, and neither the modality MG nor a mammographic view; secondary
  captures and CR that are in colour, or that have neither the modality MG nor a
  mammographic view; secondary captures and CR whose Image Type says that they are secondary, unless
  Conversion Type says that a film was digitised (DF), or they state the breast and the view.

*Excluded* (part of the study, listed with the rule, not scanned; :func:`rule`):
  tomosynthesis, and images of one that are not 2-D mammograms; spot compression and magnification
  views by their View Modifier Code, which show a part of the breast; secondary pictures that state
  breast and view; and, once the films of a study are known (`converters.films.studies`), a For Processing
  image whose For Presentation image of the same breast and view is in the study.

*A film that cannot be used* (listed as failed, with the reason):
  no SOP Instance UID; a SOP Class UID that is missing or malformed; an image with the modality MG of a
  SOP class that is not read; more than one frame, or a number of frames that cannot be read; pixels that
  are not one monochrome sample of 8 to 16 bits; burned-in annotation; For Processing without a window or
  VOI LUT; fewer pixels than the network's window needs, or more than any detector has; and, once the
  pixels of a study are read (`worker.study.scan`), a picture that stands under several patients.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, get_args

from pydicom import config
from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    BreastProjectionXRayImageStorageForPresentation,
    BreastProjectionXRayImageStorageForProcessing,
    BreastTomosynthesisImageStorage,
    ComputedRadiographyImageStorage,
    DigitalMammographyXRayImageStorageForPresentation,
    DigitalMammographyXRayImageStorageForProcessing,
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    SecondaryCaptureImageStorage,
)

from bcd_model.reasons import Reason
from bcd_model.words import WINDOW
from converters.dicom.file import integer, items, text, texts, uid, values, why_no_uid
from converters.films import header as film_header
from converters.films.pixels.grayscale import first_window
from converters.product import MANUFACTURER, PRODUCT

MAX_PIXELS = 1 << 26
"""About 67 million; a 24 x 30 cm film scanned at 35 micron has 59 million."""

Kind = Literal["film", "unusable", "no film"]

_TOMOSYNTHESIS = frozenset(
    {
        BreastProjectionXRayImageStorageForPresentation,
        BreastProjectionXRayImageStorageForProcessing,
        BreastTomosynthesisImageStorage,
    }
)
_MAMMOGRAPHY = _TOMOSYNTHESIS | {
    DigitalMammographyXRayImageStorageForPresentation,
    DigitalMammographyXRayImageStorageForProcessing,
}
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
    """What an image is, and why if it is not a usable film."""

    kind: Kind
    reason: Reason | None = None


FILM = Verdict("film")


def judge(header: Dataset) -> Verdict:
    """Whether the image of ``header`` is a film, and one that can be used."""
    no_film = _why_no_film(header)
    if no_film:
        return Verdict("no film", no_film)
    unusable = _why_unusable(header)
    return Verdict("unusable", unusable) if unusable else FILM


def rule(header: Dataset) -> Rule | None:
    """By which rule a film is left out of the scan, whether it could be used or not; None if by none."""
    if _is_tomosynthesis(header):
        return "tomosynthesis"
    if film_header.is_part_of_breast(header):
        return "spot view"
    if _sop_class(header) in _GENERAL and _is_secondary(header):
        return "secondary picture"
    return None


def is_for_processing(header: Dataset) -> bool:
    """Whether the image is raw data of the detector, made for processing (PS3.3 C.8.11.7)."""
    return (
        header.get("SOPClassUID") == DigitalMammographyXRayImageStorageForProcessing
        or text(header, "PresentationIntentType") == "FOR PROCESSING"
    )


def says_nothing(header: Dataset) -> bool:
    """Whether a header states neither the SOP class nor the modality, as no DICOM file does that is whole."""
    return _sop_class(header) is None and not text(header, "Modality")


def may_be_film(header: Dataset) -> bool:
    """Whether a header of which only a part could be read may be a film's: by its SOP class."""
    sop_class = _sop_class(header)
    return (sop_class is None or sop_class in _MAMMOGRAPHY | _GENERAL) and not is_ours(header)


def _sop_class(header: Dataset) -> str | None:
    meta = getattr(header, "file_meta", Dataset())
    # A header that is cut short may have lost its SOP class, but never the copy in front of it.
    return uid(header, "SOPClassUID") or uid(meta, "MediaStorageSOPClassUID")


def _is_secondary(header: Dataset) -> bool:
    """Whether Image Type (0008,0008) says that the picture was made from others, not from a film."""
    image_type = texts(header, "ImageType")
    return len(image_type) > 1 and image_type[1] == "SECONDARY" and text(header, "ConversionType") != "DF"


def _is_unread_mammogram(header: Dataset, sop_class: str) -> bool:
    """Whether it is an image of the modality MG, of a SOP class that this software does not read."""
    name = UID(sop_class, config.IGNORE).name  # the UID itself where the class is private
    image = "Image Storage" in name or (name == sop_class and integer(header, "Rows") is not None)
    return image and text(header, "Modality") == "MG"


def _is_mammogram_without_class(header: Dataset) -> bool:
    """Whether it is an image of the breast by everything but its SOP class, which is missing or malformed."""
    image = "Rows" in header or "Columns" in header
    mammographic = text(header, "Modality") == "MG" or film_header.view(header) is not None
    return image and mammographic and not is_ours(header)


def _why_no_film(header: Dataset) -> Reason | None:
    sop_class = _sop_class(header)
    if sop_class is None:
        if _is_mammogram_without_class(header):
            return None
        return Reason("not-a-mammogram", "states no SOP class")
    if sop_class not in _MAMMOGRAPHY | _GENERAL:
        if _is_unread_mammogram(header, sop_class):
            return None
        # The standard's own name of the class, or the UID itself where it is private.
        return Reason("not-a-mammogram", f"not a mammogram: {UID(sop_class, config.IGNORE).name}")
    if text(header, "QualityControlImage") == "YES":
        return Reason("not-a-mammogram", "a quality control image")
    if sop_class in _GENERAL:
        if is_ours(header):
            return Reason("not-a-mammogram", "a result of this software")
        if (integer(header, "SamplesPerPixel") or 1) != 1:
            return Reason("not-a-mammogram", "a colour picture, not a film")
        if text(header, "Modality") != "MG" and film_header.view(header) is None:
            return Reason("not-a-mammogram", "states neither the modality MG nor a mammographic view")
        stated = film_header.view(header) is not None and film_header.laterality(header) is not None
        if _is_secondary(header) and not stated:
            return Reason("not-a-mammogram", "a secondary picture made from others, not a film")
    return None


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


def _why_unusable(header: Dataset) -> Reason | None:
    nameless = why_no_uid(header, "SOPInstanceUID")
    if nameless:
        return nameless
    sop_class = _sop_class(header)
    if sop_class is None:
        return why_no_uid(header, "SOPClassUID")
    if sop_class not in _MAMMOGRAPHY | _GENERAL:
        name = UID(sop_class, config.IGNORE).name
        return Reason("sop-class", f"images of the SOP class {name} are not read")
    if _is_tomosynthesis(header):
        return Reason("tomosynthesis", "tomosynthesis: only 2-D mammograms are scanned")
    frames = integer(header, "NumberOfFrames")
    if frames is None and values(header, "NumberOfFrames"):
        return Reason("frames", "its Number of Frames is not one whole number")
    if frames is not None and frames != 1:
        return Reason("frames", f"{frames} frames: only single images are scanned")
    if text(header, "BurnedInAnnotation") == "YES":
        return Reason("burned-in", "burned-in annotation: its pixels show more than the breast")
    return _why_unreadable_pixels(header) or _why_no_presentation(header)


def _is_tomosynthesis(header: Dataset) -> bool:
    if _sop_class(header) in _TOMOSYNTHESIS:
        return True
    image_type = set(texts(header, "ImageType"))
    return bool({"TOMO", "TOMO_PROJ", "TOMOSYNTHESIS"} & image_type) and "GENERATED_2D" not in image_type


def _why_unreadable_pixels(header: Dataset) -> Reason | None:
    rows, columns = integer(header, "Rows"), integer(header, "Columns")
    if rows is None or columns is None:
        return Reason("pixel-format", "states no Rows or Columns")
    if min(rows, columns) < WINDOW:
        return Reason("pixel-format", f"{rows} x {columns} pixels: at least {WINDOW} x {WINDOW} are needed")
    if rows * columns > MAX_PIXELS:
        return Reason("pixel-format", f"{rows} x {columns} pixels: more than any mammogram has")
    if integer(header, "SamplesPerPixel") != 1:
        return Reason("pixel-format", "pixels in colour")
    if text(header, "PhotometricInterpretation") not in ("MONOCHROME1", "MONOCHROME2"):
        return Reason("pixel-format", "Photometric Interpretation is not MONOCHROME1 or MONOCHROME2")
    allocated, stored = integer(header, "BitsAllocated"), integer(header, "BitsStored")
    if allocated not in (8, 16) or stored is None or not 8 <= stored <= allocated:
        return Reason("pixel-format", f"{stored} bits stored in {allocated}: 8 to 16 bits are read")
    if values(header, "HighBit"):
        high = integer(header, "HighBit")
        if high is None or not stored <= high + 1 <= allocated:
            return Reason("pixel-format", f"its High Bit does not fit {stored} bits stored in {allocated}")
    if integer(header, "PixelRepresentation") not in (0, 1):
        return Reason("pixel-format", "Pixel Representation is not 0 or 1")
    return None


def _why_no_presentation(header: Dataset) -> Reason | None:
    if is_for_processing(header) and first_window(header) is None and not items(header, "VOILUTSequence"):
        return Reason(
            "for-processing", "For Processing, without a window or VOI LUT", "send the For Presentation image"
        )
    return None


Rule = Literal["tomosynthesis", "for processing", "spot view", "secondary picture"]
"""Why an image of the study is not scanned although nothing is wrong with it (`films.acceptance`)."""


RULES: Final[tuple[Rule, ...]] = get_args(Rule)
