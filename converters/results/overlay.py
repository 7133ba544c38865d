"""Colour Secondary Capture: the film with its findings burned in, for viewers that show nothing else.

Compressed with JPEG-LS, lossless and interleaved by sample. Measured on mini-MIAS films
(1024 x 1024): 0.55 MB and 0.05 s a film, so 1.1 MB for a study of two; RLE takes 1.6 MB and 0.5 s.
JPEG 2000 with its colour transform takes 0.2 MB, but DCMTK, and an Orthanc without its GDCM
plugin, cannot decode it; both read JPEG-LS, and so do GDCM, Weasis and Cornerstone (OHIF).
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import JPEGLSLossless, SecondaryCaptureImageStorage

from bcd_model.words import Film, Finding, Point
from converters import codes
from converters.dicom.file import text
from converters.product import RESEARCH
from converters.results import film_facts, wording
from converters.results.film_facts import Reference
from converters.results.modules import as_file, clean, date_of, moment, new_object, time_of
from converters.results.study_result import ScannedFilm, StudyResult

Picture = npt.NDArray[np.uint8]
"""(rows, columns, 3), RGB."""

COLORS = {"malignant": (255, 160, 0), "benign": (0, 255, 255)}
"""Outline colours; text and film are grey, so every coloured pixel belongs to an outline."""

LARGEST = 30_000_000
"""Films of more pixels are drawn at half their size: the encoder of JPEG-LS takes 15 bytes a pixel.

A 24 x 30 cm film of 50 micron has 29 million.
"""

_MARGIN = 4


def draw(film: Film, findings: tuple[tuple[int, Finding], ...], caption: tuple[str, ...]) -> Picture:
    """The film with numbered ``findings`` and ``caption`` burned in, one pixel for `reduction` x `reduction`.

    An outline is the set of pixels whose centres lie within half a line width of the polygon;
    the line is 1 pixel wide on pictures of up to 1,535 pixels, and wider in proportion.
    """
    factor = reduction(film.shape)
    image = Image.fromarray(film_facts.eight_bits(film.pixels))
    if factor > 1:
        image = image.reduce(factor)
    shape = rows, columns = image.height, image.width
    pen = ImageDraw.Draw(image)
    font = ImageFont.load_default(size=max(10, round(max(shape) / 64)))
    for number, finding in findings:
        top = _reduced(min(finding.outline), factor)
        _label(pen, wording.finding_label(finding, number), top, font, shape)
    _caption(pen, caption, font, shape)

    picture = np.empty((rows, columns, 3), dtype=np.uint8)
    picture[...] = np.asarray(image)[:, :, np.newaxis]
    width = max(1, round(max(rows, columns) / 1024))
    for _, finding in reversed(findings):
        outline = film_facts.on_film(finding.outline, film.shape)
        mask = outline_mask(tuple(_reduced(point, factor) for point in outline), shape, width)
        picture[mask] = COLORS[finding.label]
    return picture


def reduction(shape: tuple[int, int]) -> int:
    """How many rows and columns of a film of ``shape`` (rows, columns) make one of its picture."""
    return 2 if shape[0] * shape[1] > LARGEST else 1


def _reduced(point: Point, factor: int) -> Point:
    """Where the film's ``point`` (row, column; pixel centres are whole numbers) lies on the picture."""
    return (point[0] + 0.5) / factor - 0.5, (point[1] + 0.5) / factor - 0.5


def outline_mask(outline: tuple[Point, ...], shape: tuple[int, int], width: float) -> npt.NDArray[np.bool_]:
    """Pixels whose centres lie within ``width / 2`` of the closed polygon.

    PIL's own lines start and end at whole pixels, which is up to 0.7 pixels off.
    """
    mask = np.zeros(shape, dtype=np.bool_)
    reach = width / 2
    for (r0, c0), (r1, c1) in zip(outline, (*outline[1:], outline[0]), strict=True):
        top, left = max(0, math.floor(min(r0, r1) - reach)), max(0, math.floor(min(c0, c1) - reach))
        bottom, right = math.ceil(max(r0, r1) + reach) + 1, math.ceil(max(c0, c1) + reach) + 1
        window = mask[top:bottom, left:right]
        row, column = np.ogrid[top : top + window.shape[0], left : left + window.shape[1]]
        length = (r1 - r0) ** 2 + (c1 - c0) ** 2
        along = ((row - r0) * (r1 - r0) + (column - c0) * (c1 - c0)) / length if length else 0.0
        along = np.clip(along, 0.0, 1.0)
        distance = np.hypot(row - r0 - along * (r1 - r0), column - c0 - along * (c1 - c0))
        window |= distance <= reach
    return mask


def _label(
    pen: ImageDraw.ImageDraw,
    label: str,
    top: Point,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    shape: tuple[int, int],
) -> None:
    """White on a black rim, above the outline's topmost corner, moved to stay on the film."""
    left, _, right, lower = pen.textbbox((0, 0), label, font=font)
    x = min(max(top[1], _MARGIN), max(shape[1] - (right - left) - _MARGIN, 0))
    y = min(max(top[0] - lower - _MARGIN, 0), max(shape[0] - lower - _MARGIN, 0))
    pen.text((round(x), round(y)), label, font=font, fill="white", stroke_width=1, stroke_fill="black")


def _caption(
    pen: ImageDraw.ImageDraw,
    lines: tuple[str, ...],
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    shape: tuple[int, int],
) -> None:
    """Lines at the bottom of the film, wrapped to its width."""
    room = shape[1] - 2 * _MARGIN
    wrapped: list[str] = []
    for line in lines:
        wrapped.append("")
        for word in line.split():
            longer = f"{wrapped[-1]} {word}".strip()
            if wrapped[-1] and pen.textlength(longer, font=font) > room:
                wrapped.append(word)
            else:
                wrapped[-1] = longer
    block = "\n".join(wrapped)
    lower = pen.multiline_textbbox((0, 0), block, font=font)[3]
    y = max(0, round(shape[0] - lower - 2 * _MARGIN))
    pen.multiline_text((_MARGIN, y), block, font=font, fill="white", stroke_width=1, stroke_fill="black")


def build_overlay(result: StudyResult, film: ScannedFilm, reference: Reference, number: int) -> FileDataset:
    """The Secondary Capture of ``film``, which ``reference`` points to; ``number`` is its Instance Number."""
    caption = wording.film_caption(film, result)
    when = moment(result, film)
    capture = new_object(
        result,
        sop_class_uid=SecondaryCaptureImageStorage,
        kind="overlay",
        modality="OT",
        series_number=9020,
        description="BCD findings burned in",
        film=film,
        instance_number=number,
    )
    capture.ConversionType = "WSD"
    capture.ImageType = ["DERIVED", "SECONDARY"]
    capture.ContentDate, capture.ContentTime = date_of(when), time_of(when)
    capture.PatientOrientation = list(film_facts.orientation(film) or ()) or None
    if film.film.laterality is not None:
        capture.ImageLaterality = film.film.laterality
    else:
        capture.Laterality = None
    capture.BurnedInAnnotation = "YES"
    capture.ImageComments = clean("; ".join(caption))[:10240]
    capture.DerivationDescription = f"8-bit rendering of the film with outlines and text. {RESEARCH}."
    source = reference.item()
    source.PurposeOfReferenceCodeSequence = [codes.SOURCE_IMAGE.item()]
    capture.SourceImageSequence = [source]
    _add_spacing(capture, film.film, film.header)
    film_facts.add_loss(capture, film.header)

    picture = draw(film.film, wording.presented(film, result), caption)
    capture.SamplesPerPixel = 3
    capture.PhotometricInterpretation = "RGB"
    capture.PlanarConfiguration = 0
    capture.Rows, capture.Columns = picture.shape[:2]
    capture.BitsAllocated = capture.BitsStored = 8
    capture.HighBit = 7
    capture.PixelRepresentation = 0
    capture.PixelData = picture.tobytes()
    del picture  # the encoder sets aside four more of them
    file = as_file(capture)
    file.compress(JPEGLSLossless, generate_instance_uid=False)
    return file


def _add_spacing(capture: Dataset, film: Film, header: Dataset) -> None:
    """Pixel Spacing (PS3.3 10.7) of the picture; none if the film's was only assumed."""
    if film.spacing_assumed:
        return
    factor = reduction(film.shape)
    capture.PixelSpacing = [f"{value * factor:.6g}" for value in film.spacing]
    for keyword in ("PixelSpacingCalibrationType", "PixelSpacingCalibrationDescription"):
        if "PixelSpacing" in header and text(header, keyword):
            capture[keyword] = header[keyword]
