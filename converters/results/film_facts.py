"""What the result objects say of a film."""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from bcd_model.words import Laterality, Pixels, Point
from converters.dicom.copied import LOSS, as_stored, copied
from converters.dicom.file import integer, text, texts, uid
from converters.films import header as film_header
from converters.films import kinds
from converters.films.odd_values import not_copied
from converters.results.study_result import FilmResult, Reference, ScannedFilm

_ORIENTATION = re.compile(r"(?!.*([AP].*[AP]|[HF].*[HF]|[LR].*[LR]))[APHFLR]{1,3}")


def reference(film: FilmResult) -> Reference | None:
    """How to point to ``film``; None if its header does not give all three UIDs.

    Such a film cannot be part of a DICOM result; ``result.json`` names it by its file.
    """
    if film.header is None or film.sop_instance_uid is None:
        return None
    sop_class, series = uid(film.header, "SOPClassUID"), uid(film.header, "SeriesInstanceUID")
    if sop_class is None or series is None or uid(film.header, "SOPInstanceUID") != film.sop_instance_uid:
        return None
    return Reference(sop_class, film.sop_instance_uid, series)


def laterality(film: FilmResult) -> Laterality | None:
    """The side of the body; None if nothing says so."""
    return film_header.laterality(film.header) if film.header is not None else None


def view(film: FilmResult) -> str | None:
    """The view's name ("MLO"); None if nothing says so."""
    return film_header.view(film.header) if film.header is not None else None


def is_partial(film: FilmResult) -> bool:
    """Whether the film shows only a part of the breast."""
    return film.header is not None and kinds.is_partial(film.header)


def is_displaced(film: FilmResult) -> bool:
    """Whether the film shows the tissue before an implant, which is displaced."""
    return film.header is not None and kinds.is_displaced(film.header)


def orientation(film: FilmResult) -> tuple[str, str] | None:
    """Patient Orientation (0020,0020): where the rows and the columns run to; None if unknown.

    Each is made of up to three directions, of which no two are opposite (PS3.3 C.7.6.1.1.1).
    """
    found = texts(film.header, "PatientOrientation") if film.header is not None else ()
    return (found[0], found[1]) if len(found) == 2 and all(map(_ORIENTATION.fullmatch, found)) else None


def size(film: FilmResult) -> tuple[int, int] | None:
    """(rows, columns); None if unknown."""
    if film.header is None:
        return None
    rows, columns = integer(film.header, "Rows"), integer(film.header, "Columns")
    return (rows, columns) if rows and columns else None


def name(film: FilmResult, number: int) -> str:
    """What people call film ``number`` (from 1) of the study: "film 1 (L MLO)"."""
    shown = projection(film)
    return f"film {number} ({shown})" if shown else f"film {number}"


def projection(film: FilmResult) -> str:
    """Breast and view ("L MLO"), as far as anything says so; "" if nothing does."""
    return " ".join(filter(None, (laterality(film), view(film))))


def warnings(film: FilmResult) -> tuple[str, ...]:
    """What the reader of the result must know about this film, each once."""
    found: tuple[str, ...] = ()
    if isinstance(film, ScannedFilm):
        found = (*film.film.warnings, *film.scan.warnings)
    elif film.header is not None:  # documents of the study may have her name from it
        found = not_copied(film.header)
    return tuple(dict.fromkeys((*found, *_replaced(film))))


def _replaced(film: FilmResult) -> tuple[str, ...]:
    """That it was taken in the place of other files."""
    if film.digest not in film.all_sha256:
        return ()
    others = len(film.all_sha256) - 1
    what = "an earlier file" if others == 1 else f"{others} earlier files"
    return (f"took the place of {what} of the same SOP Instance UID",)


def check_places(film: ScannedFilm) -> None:
    """Make sure that every finding of ``film`` lies on it.

    Raises:
        ValueError: one does not; that is a fault of the scan.
    """
    for number, finding in enumerate(film.scan.findings, start=1):
        if on_film((finding.center,), film.film.shape) != (finding.center,):
            raise ValueError(f"finding {number} lies outside the film")


def on_film(points: tuple[Point, ...], shape: tuple[int, int]) -> tuple[Point, ...]:
    """``points`` moved onto the film, to its edge if they lie outside.

    A film of (rows, columns) reaches from (-0.5, -0.5) to (rows - 0.5, columns - 0.5): pixel
    centres are whole numbers. DICOM allows no coordinate beyond (PS3.3 C.10.5.1.2, C.18.6.1.1).
    """
    rows, columns = shape
    return tuple(
        (min(max(row, -0.5), rows - 0.5), min(max(column, -0.5), columns - 0.5)) for row, column in points
    )


def graphic_data(points: tuple[Point, ...]) -> list[float]:
    """``points`` as DICOM's Graphic Data: column, row, column, row ... from the corner of the film.

    DICOM's (0, 0) is the top-left corner of the top-left pixel (PS3.3 C.18.6.1.1), whose
    centre is our (0, 0): half a pixel is added.
    """
    return [value for row, column in points for value in (column + 0.5, row + 0.5)]


def closed(points: tuple[Point, ...]) -> tuple[Point, ...]:
    """``points`` with the first one repeated at the end, as a closed POLYLINE needs."""
    return (*points, points[0])


def add_loss(derived: Dataset, header: Dataset) -> None:
    """Lossy compression of the source stays a fact of the derived image (PS3.3 C.7.6.1.1.5)."""
    derived.LossyImageCompression = "01" if text(header, "LossyImageCompression") == "01" else "00"
    if derived.LossyImageCompression == "01":
        elements = copied(header).elements
        for keyword in LOSS:
            if keyword in elements:
                derived.add(as_stored(elements[keyword]))


def eight_bits(pixels: Pixels) -> npt.NDArray[np.uint8]:
    """``pixels``, (rows, columns) in [0, 1], as gray values of 8 bits: without a second copy in floats."""
    gray = np.empty(pixels.shape, dtype=np.uint8)
    for first in range(0, len(gray), _ROWS):
        gray[first : first + _ROWS] = np.rint(pixels[first : first + _ROWS] * 255.0)
    return gray


_ROWS = 256
