"""Which images are films, and which films are scanned: judged from the header alone.

Nothing here looks at file names or folders; what kind of picture an image is, `converters.films.kinds` tells.
The rules, in the order in which they are applied:

*No film* (skipped, never part of the study):
  objects without pixels (SR, presentation states, segmentations, ...); images of a SOP class that is
  not on the list below, unless their modality is MG or they hold a tomosynthesis; this software's own
  pictures; quality control images; images that state no SOP class, and nothing that says breast; secondary
  captures, CR and DX that do not say that they show a breast (`kinds.shows_breast`), or are pictures in
  colour that Image Type calls secondary; and, unless they state the breast and the view: those in colour;
  secondary captures and CR that are masks or parts cut out of a film by their description; secondary captures
  that are pages or captured screens by theirs; those of both whose Image Type says that they are secondary.
  What Conversion Type calls a digitised film (DF) is neither page nor secondary.

*Excluded* (part of the study, listed with the rule, not scanned; :func:`rule`):
  specimens; tomosynthesis, and images of one that are not 2-D mammograms; stereotactic images, and others of
  a biopsy; subtraction, sum and high-energy images of a contrast examination; spot compression and
  magnification views by their code or name, which show a part of the breast (one that is magnified by its
  factor or distances alone is scanned, as a partial view); secondary pictures, by Image Type, description or
  colour, that state breast and view;
  and, once the films of a study are known (`converters.films.studies`), a For Processing image whose For
  Presentation image of the same breast and view is in the study.

*A film that cannot be used* (listed as failed, with the reason):
  no SOP Instance UID; a SOP Class UID that is missing or malformed; an image with the modality MG of a
  SOP class that is not read; more than one frame, or a number of frames that cannot be read; pixels that
  are not one monochrome sample of 8 to 16 bits; burned-in annotation; For Processing without a window or
  VOI LUT; fewer pixels than the network's window needs, or, in a secondary capture or CR without a spacing,
  than a whole film has; more than any detector has; and, once the pixels of a study are read, those that are
  a mask or a page of text (`converters.films.pixels.content`), and a picture that stands under several
  patients (`worker.study.scan`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, get_args

from pydicom import config
from pydicom.dataset import Dataset
from pydicom.uid import UID

from bcd_model.reasons import Reason
from bcd_model.words import WINDOW
from converters.dicom.file import integer, items, name_of, states, text, texts, values, why_no_uid
from converters.films import header as film_header
from converters.films import kinds
from converters.films.kinds import CAPTURES, GENERAL, MAMMOGRAPHY, is_for_processing, sop_class
from converters.films.pixels.windows import windows
from converters.product import MANUFACTURER, PRODUCT

MAX_PIXELS = 1 << 26
"""About 67 million; a 24 x 30 cm film scanned at 35 micron has 59 million."""

Kind = Literal["film", "unusable", "no film"]

SEND_2D = "send the 2-D or synthetic 2-D image of the view (C-View, Intelligent 2D, S-View, Insight 2D)"
"""What is scanned in the place of a tomosynthesis."""

Rule = Literal[
    "tomosynthesis",
    "for processing",
    "spot view",
    "secondary picture",
    "specimen",
    "stereotactic",
    "contrast",
]
"""Why an image of the study is not scanned although nothing is wrong with it."""
RULES: Final[tuple[Rule, ...]] = get_args(Rule)

_BY_TECHNIQUE: Final[Mapping[kinds.Technique, Rule]] = {
    "specimen": "specimen",
    "tomosynthesis": "tomosynthesis",
    "stereotactic": "stereotactic",
    "contrast": "contrast",
}

_LEAST_LONG_SIDE = int(film_header.ASSUMED_LONG_SIDE / film_header.MOST_STEP)
"""Pixels; a film of 240 mm that has fewer has pixels of more than 1 mm."""


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
    by_technique = _BY_TECHNIQUE.get(kinds.technique(header))
    if by_technique is not None:
        return by_technique
    if kinds.is_part_of_breast(header):
        return "spot view"
    is_picture = _is_secondary(header) or _is_colour(header) or bool(kinds.why_no_capture(header))
    return "secondary picture" if sop_class(header) in CAPTURES and is_picture else None


def says_nothing(header: Dataset) -> bool:
    """Whether a header states neither the SOP class nor the modality, as no DICOM file does that is whole."""
    return sop_class(header) is None and not text(header, "Modality")


def may_be_film(header: Dataset) -> bool:
    """Whether a header of which only a part could be read may be a film's: by its SOP class."""
    stated = sop_class(header)
    return (stated is None or stated in MAMMOGRAPHY | GENERAL) and not is_ours(header)


def _is_secondary(header: Dataset) -> bool:
    """Whether Image Type (0008,0008) says that the picture was made from others, not from a film."""
    image_type = texts(header, "ImageType")
    return len(image_type) > 1 and image_type[1] == "SECONDARY" and text(header, "ConversionType") != "DF"


def _is_colour(header: Dataset) -> bool:
    return (integer(header, "SamplesPerPixel") or 1) != 1


def _is_unread_mammogram(header: Dataset, sop_class: str) -> bool:
    """Whether it is an image of the modality MG, of a SOP class that this software does not read."""
    name = UID(sop_class, config.IGNORE).name  # the UID itself where the class is private
    image = "Image Storage" in name or (name == sop_class and integer(header, "Rows") is not None)
    return image and text(header, "Modality") == "MG"


def _is_mammogram_without_class(header: Dataset) -> bool:
    """Whether it is an image of the breast by everything but its SOP class, which is missing or malformed."""
    image = "Rows" in header or "Columns" in header
    return image and kinds.shows_breast(header) and not is_ours(header)


def _why_no_film(header: Dataset) -> Reason | None:
    stated = sop_class(header)
    if stated is None:
        if _is_mammogram_without_class(header):
            return None
        malformed = why_no_uid(header, "SOPClassUID") if states(header, "SOPClassUID") else None
        return Reason("not-a-mammogram", malformed.detail if malformed else "states no SOP class")
    if stated not in MAMMOGRAPHY | GENERAL:
        if kinds.is_wrapped_tomosynthesis(header) or _is_unread_mammogram(header, stated):
            return None
        # The standard's own name of the class, or the UID itself where it is private.
        return Reason("not-a-mammogram", f"not a mammogram: {UID(stated, config.IGNORE).name}")
    if text(header, "QualityControlImage") == "YES":
        return Reason("not-a-mammogram", "a quality control image")
    return _why_no_general_film(header) if stated in GENERAL else None


def _why_no_general_film(header: Dataset) -> Reason | None:
    """Why an image of a SOP class of any part of the body is no mammogram; None if it is one."""
    if is_ours(header):
        return Reason("not-a-mammogram", "a result of this software")
    if not kinds.shows_breast(header):
        what = "another part than the breast" if kinds.names_another_part(header) else "no breast"
        return Reason("not-a-mammogram", f"states {what}: neither the modality MG nor a view of the breast")
    # What states breast and view belongs to the study, and is listed; a description alone may be a picture's.
    view = film_header.view_of_exposure(header) or film_header.view_of_processing(header)
    stated = view is not None and film_header.laterality(header) is not None
    if _is_colour(header) and (not stated or _is_secondary(header)):
        return Reason("not-a-mammogram", "a colour picture, not a film")
    if sop_class(header) not in CAPTURES:
        return None
    why = kinds.why_no_capture(header)
    if why and not stated:
        return Reason("not-a-mammogram", why)
    if _is_secondary(header) and not stated and rule(header) in (None, "secondary picture"):
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
    stated = sop_class(header)
    if stated is None:
        return why_no_uid(header, "SOPClassUID")
    how = kinds.technique(header)
    if how == "tomosynthesis":
        return Reason("tomosynthesis", "tomosynthesis: only 2-D mammograms are scanned", SEND_2D)
    if stated not in MAMMOGRAPHY | GENERAL:
        name = UID(stated, config.IGNORE).name
        return Reason("sop-class", f"images of the SOP class {name} are not read")
    frames = integer(header, "NumberOfFrames")
    if frames is None and values(header, "NumberOfFrames"):
        return Reason("frames", "its Number of Frames is not one whole number")
    if frames not in (None, 0, 1):  # there are writers that count none where there is one
        return Reason("frames", f"{frames} frames: only single images are scanned")
    if text(header, "BurnedInAnnotation") == "YES":
        return Reason("burned-in", "burned-in annotation: its pixels show more than the breast")
    return _why_unreadable_pixels(header) or _why_no_presentation(header)


def _why_unreadable_pixels(header: Dataset) -> Reason | None:
    for keyword in _NEEDED:
        if integer(header, keyword) is None:
            return _why_none(header, keyword)
    rows, columns = integer(header, "Rows") or 0, integer(header, "Columns") or 0
    if min(rows, columns) < WINDOW:
        return Reason("pixel-format", f"{rows} x {columns} pixels: at least {WINDOW} x {WINDOW} are needed")
    if max(rows, columns) < _LEAST_LONG_SIDE and sop_class(header) in CAPTURES and not _has_spacing(header):
        detail = f"{rows} x {columns} pixels and no pixel spacing to be believed: fewer than a whole film has"
        return Reason("pixel-format", detail, "send the whole film")
    if rows * columns > MAX_PIXELS:
        return Reason("pixel-format", f"{rows} x {columns} pixels: more than any mammogram has")
    if integer(header, "SamplesPerPixel") != 1:
        return Reason("pixel-format", "pixels in colour")
    if not states(header, "PhotometricInterpretation"):
        return _why_none(header, "PhotometricInterpretation")
    if text(header, "PhotometricInterpretation") not in ("MONOCHROME1", "MONOCHROME2"):
        return Reason("pixel-format", "Photometric Interpretation is not MONOCHROME1 or MONOCHROME2")
    allocated, stored = integer(header, "BitsAllocated"), integer(header, "BitsStored")
    if allocated not in (8, 16) or not 8 <= (stored or 0) <= allocated:
        return Reason("pixel-format", f"{stored} bits stored in {allocated}: 8 to 16 bits are read")
    if states(header, "HighBit"):
        high = integer(header, "HighBit")
        if high is None:
            return _why_none(header, "HighBit")
        if not (stored or 0) <= high + 1 <= allocated:
            return Reason("pixel-format", f"its High Bit does not fit {stored} bits stored in {allocated}")
    if integer(header, "PixelRepresentation") not in (0, 1):
        return Reason("pixel-format", "Pixel Representation is not 0 or 1")
    return None


def _has_spacing(header: Dataset) -> bool:
    return film_header.why_no_spacing(header) is None and not film_header.spacing(header)[1]


_NEEDED = ("Rows", "Columns", "SamplesPerPixel", "BitsAllocated", "BitsStored", "PixelRepresentation")
"""Whole numbers without which pixels are not known."""


def _why_none(header: Dataset, keyword: str) -> Reason:
    """Why an element that pixels need has no value: it is not there, or could not be read."""
    how = "its {} could not be read" if states(header, keyword) else "states no {}"
    return Reason("pixel-format", how.format(name_of(keyword)))


def _why_no_presentation(header: Dataset) -> Reason | None:
    if is_for_processing(header) and not windows(header) and not items(header, "VOILUTSequence"):
        detail = "For Processing, without a window or VOI LUT that can be used"
        return Reason("for-processing", detail, "send the For Presentation image")
    return None
