"""Colour Secondary Capture: the film with its findings burned in, for viewers that show nothing else.

Compressed with JPEG-LS, lossless and interleaved by sample. Measured on mini-MIAS films
(1024 x 1024): 0.55 MB and 0.05 s a film, so 1.1 MB for a study of two; RLE takes 1.6 MB and 0.5 s.
JPEG 2000 with its colour transform takes 0.2 MB, but DCMTK, and an Orthanc without its GDCM
plugin, cannot decode it; both read JPEG-LS, and so do GDCM, Weasis and Cornerstone (OHIF).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw
from pydicom.dataset import Dataset
from pydicom.uid import JPEGLSLossless

from bcd_model.words import Film, Finding, Point
from converters import codes
from converters.dicom.copied import CALIBRATION, as_stored, copied
from converters.films import header as film_header
from converters.product import RESEARCH
from converters.results import film_facts, wording
from converters.results.modules import OVERLAY, clean, new_object
from converters.results.pictures import labels
from converters.results.pictures.labels import Box
from converters.results.study_result import Reference, ScannedFilm, StudyResult

Picture = npt.NDArray[np.uint8]
"""(rows, columns, 3), RGB."""

COLORS = {"malignant": (255, 160, 0), "benign": (0, 255, 255)}
"""Outline colours; text and film are grey, so every coloured pixel belongs to an outline."""

LARGEST = 30_000_000
"""Films of more pixels are drawn at half their size: the encoder of JPEG-LS takes 15 bytes a pixel.

A 24 x 30 cm film of 50 micron has 29 million.
"""


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
    outlines = [
        tuple(_reduced(point, factor) for point in film_facts.on_film(finding.outline, film.shape))
        for _, finding in findings
    ]
    _write(image, [wording.finding_label(finding, number) for number, finding in findings], outlines, caption)

    picture = np.empty((rows, columns, 3), dtype=np.uint8)
    picture[...] = np.asarray(image)[:, :, np.newaxis]
    width = max(1, round(max(rows, columns) / 1024))
    for (_, finding), outline in reversed(list(zip(findings, outlines, strict=True))):
        picture[labels.outline_mask(outline, shape, width)] = COLORS[finding.label]
    return picture


def _write(
    image: Image.Image, texts: list[str], outlines: list[tuple[Point, ...]], caption: tuple[str, ...]
) -> None:
    """White letters on a black rim: a label for each outline, and ``caption`` at one end of the film."""
    shape = image.height, image.width
    font = labels.font_of(shape)
    pen = ImageDraw.Draw(image)
    block = _wrapped(caption, font, shape[1] - 2 * labels.MARGIN)
    height, width = labels.size_of(block, font)
    at_top = labels.end_for_caption(height, outlines, shape[0]) == "top"
    below = Box(0.0 if at_top else max(0.0, shape[0] - height), 0.0, height, width)
    boxes = labels.place([labels.size_of(label, font) for label in texts], outlines, shape, [below])
    ties = [labels.tie(box, outline) for box, outline in zip(boxes, outlines, strict=True)]
    for tie, box in zip(ties, boxes, strict=True):
        if tie.length > box.height:
            pen.line([(tie.start[1], tie.start[0]), (tie.end[1], tie.end[0])], fill="white")
    for words, box in zip((*texts, block), (*boxes, below), strict=True):
        left, top, _, _ = labels.letters(words, font)
        at = round(box.left - left), round(box.top - top)
        pen.multiline_text(at, words, font=font, fill="white", stroke_width=1, stroke_fill="black")


def _wrapped(lines: tuple[str, ...], font: labels.Font, room: float) -> str:
    """``lines`` with breaks between words where they would be longer than ``room``."""
    wrapped: list[str] = []
    for line in lines:
        wrapped.append("")
        for word in line.split():
            longer = f"{wrapped[-1]} {word}".strip()
            if wrapped[-1] and font.getlength(longer) > room:
                wrapped.append(word)
            else:
                wrapped[-1] = longer
    return "\n".join(wrapped)


def reduction(shape: tuple[int, int]) -> int:
    """How many rows and columns of a film of ``shape`` (rows, columns) make one of its picture."""
    return 2 if shape[0] * shape[1] > LARGEST else 1


def _reduced(point: Point, factor: int) -> Point:
    """Where the film's ``point`` (row, column; pixel centres are whole numbers) lies on the picture."""
    return (point[0] + 0.5) / factor - 0.5, (point[1] + 0.5) / factor - 0.5


def build_overlay(result: StudyResult, film: ScannedFilm, reference: Reference, number: int) -> Dataset:
    """The Secondary Capture of ``film``, which ``reference`` points to; ``number`` is its Instance Number."""
    caption = wording.film_caption(film, result)
    capture = new_object(result, OVERLAY, film, number)
    capture.ConversionType = "WSD"
    capture.ImageType = ["DERIVED", "SECONDARY"]
    capture.ContentDate, capture.ContentTime = capture.SeriesDate, capture.SeriesTime
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
    capture.compress(JPEGLSLossless, generate_instance_uid=False)
    return capture


def _add_spacing(capture: Dataset, film: Film, header: Dataset) -> None:
    """Pixel Spacing (PS3.3 10.7) of the picture; none if the film's was only assumed."""
    if film.spacing_assumed:
        return
    factor = reduction(film.shape)
    capture.PixelSpacing = [f"{value * factor:.6g}" for value in film.spacing]
    source = film_header.spacing_source(header)
    if source.divided_by != 1.0:
        capture.PixelSpacingCalibrationType = "GEOMETRY"
        capture.PixelSpacingCalibrationDescription = f"Divided by a magnification of {source.divided_by:.3g}"
    elif source.keyword == "PixelSpacing":
        elements = copied(header).elements
        for keyword in CALIBRATION:
            if keyword in elements:
                capture.add(as_stored(elements[keyword]))
