"""A mammogram in DICOM, any vendor's, to the film that is scanned."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydicom.dataset import Dataset

from bcd_model.errors import FilmError, about
from bcd_model.reasons import Reason
from bcd_model.words import Film
from converters.dicom.data_elements import DicomFile
from converters.dicom.file import FileBytes, load, parse_dicom, text, uid
from converters.films import header as film_header
from converters.films import kinds
from converters.films.acceptance import Verdict, judge
from converters.films.odd_values import odd_values
from converters.films.pixels.content import why_mask, why_page
from converters.films.pixels.grayscale import Transformations, to_unit_range
from converters.films.pixels.inversion import INVERTED, looks_inverted
from converters.films.pixels.stored import StoredPixels, pixel_digest, stored_pixels, why_undecodable

TEXTS_DO_NOT_FIT = "holds texts that are not in its character set; they are copied as they are"


@dataclass(frozen=True, slots=True, eq=False)
class DicomFilm:
    """A film and the data elements of its file, without the pixels.

    Attributes:
        pixel_digest: of the stored values (`converters.films.pixels.stored.pixel_digest`).
        gray_scale: how these became the film's pixels.
    """

    film: Film
    header: Dataset
    pixel_digest: str
    gray_scale: Transformations


def read_film(path: Path) -> DicomFilm:
    """Read one mammogram from its file, which is opened once; see :func:`film_of`.

    Raises:
        FilmError: the file cannot be read, is not a film, or one that cannot be used; the message says why.
    """
    file = load(path)
    return film_of(file, parse_dicom(file))


def film_of(file: FileBytes, dicom: DicomFile) -> DicomFilm:
    """The mammogram in the bytes of a file: its header, its verdict and its pixels are all of these.

    Which images are taken is written in :mod:`converters.films.acceptance`; how their values become
    [0, 1], in :mod:`converters.films.pixels.grayscale`; where spacing, breast and view come from, in
    :mod:`converters.films.header`.

    Args:
        dicom: what ``file`` was parsed to.

    Raises:
        FilmError: the file is not a film, or one that cannot be used; the message says why.
    """
    header, stored = dicom.header, _stored(file, dicom)
    no_film = why_mask(stored)
    if no_film:
        raise FilmError.of(no_film, file.name)
    try:
        with about(file.name):
            gray = to_unit_range(
                stored.values, header, stored.bits, stretch=not kinds.is_for_processing(header)
            )
            spacing, assumed, remarks = film_header.spacing(header)
    except MemoryError as error:
        detail = "there is not enough memory for its pixels"
        raise FilmError(detail, place=file.name, code="no-memory") from error
    no_film = why_page(stored, gray.pixels)
    if no_film:
        raise FilmError.of(no_film, file.name)
    film = Film(
        pixels=gray.pixels,
        spacing=spacing,
        spacing_assumed=assumed,
        laterality=film_header.laterality(header),
        view=film_header.view(header),
        sop_instance_uid=uid(header, "SOPInstanceUID"),
        file=file.name,
        warnings=(
            *kinds.unlike_training(header, spacing),
            *remarks,
            *odd_values(header),
            *dicom.remarks,
            *stored.remarks,
            *gray.warnings,
            *film_header.contradictions(header),
            *((INVERTED,) if looks_inverted(gray.pixels) else ()),
            *_remarks(header),
            *(() if dicom.texts_fit else (TEXTS_DO_NOT_FIT,)),
        ),
    )
    return DicomFilm(film, header, pixel_digest(stored), gray.transformations)


def stored_values_of(path: Path, sha256: str) -> str:
    """The digest of the stored values of the film in a file.

    Args:
        sha256: of the file.

    Raises:
        FilmError: the film cannot be used, or the file has changed.
    """
    file = load(path)
    dicom = parse_dicom(file)
    if file.sha256 != sha256:
        raise FilmError("it has changed since it was submitted", place=file.name, code="changed")
    return pixel_digest(_stored(file, dicom))


def _stored(file: FileBytes, dicom: DicomFile) -> StoredPixels:
    reason = why_unusable(dicom)
    if reason:
        raise FilmError.of(reason, file.name)
    return stored_pixels(file, dicom)


def why_unusable(dicom: DicomFile, verdict: Verdict | None = None) -> Reason | None:
    """Why an image is not a film or cannot be used, as far as that shows before decoding; None if it can.

    What is wrong with the file as a whole comes before what its header says, which may be a part of it.

    Args:
        verdict: on the header, if it has been judged already.
    """
    if dicom.fault:
        return dicom.fault
    verdict = verdict or judge(dicom.header)
    if verdict.kind == "no film":
        return verdict.reason
    if dicom.pixel_data is None:
        return why_undecodable(dicom)
    return verdict.reason or why_undecodable(dicom) or film_header.why_no_spacing(dicom.header)


def _remarks(header: Dataset) -> tuple[str, ...]:
    remarks = []
    if film_header.laterality(header) is None:
        remarks.append("does not say which breast it shows")
    if film_header.view(header) is None:
        remarks.append("does not say which view it is")
    if kinds.names_another_part(header):
        remarks.append("Body Part Examined names another part than the breast")
    if text(header, "BreastImplantPresent") == "YES":
        remarks.append("shows a breast implant")
    if text(header, "LossyImageCompression") == "01":
        remarks.append("was compressed with loss")
    if kinds.is_for_processing(header):
        remarks.append("a For Processing image, shown by its own window")
    return tuple(remarks)
