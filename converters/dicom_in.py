"""A mammogram in DICOM, any vendor's, to the film that is scanned."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.utils import pixel_array
from pydicom.uid import UID

from bcd_model.errors import FilmError
from bcd_model.words import Film
from converters import film_attributes
from converters.acceptance import judge
from converters.bounds import BoundedReader
from converters.codestream import codestream_shape
from converters.dicom_file import MALFORMED, DicomFile, integer, quiet, read_dicom, text, uid
from converters.grayscale import Stored, to_unit_range

_CONVERT = "convert it to an uncompressed transfer syntax, for example with dcmdjpeg or gdcmconv --raw"


@dataclass(frozen=True, slots=True, eq=False)
class DicomFilm:
    """A film and the data elements of its file, without the pixels."""

    film: Film
    header: Dataset


def read_film(path: Path) -> DicomFilm:
    """Read one mammogram.

    Which images are taken is written in :mod:`converters.acceptance`; how their values become
    [0, 1], in :mod:`converters.grayscale`; where spacing, breast and view come from, in
    :mod:`converters.film_attributes`.

    Raises:
        FilmError: the file is no film, or one that cannot be used; the message says why.
    """
    dicom = read_dicom(path)
    header = dicom.header
    reason = why_unusable(dicom)
    if reason:
        raise FilmError(f"{path.name}: {reason}")
    stored = _stored_values(path, dicom)
    try:
        gray = to_unit_range(stored, header)
    except ValueError as error:
        raise FilmError(f"{path.name}: {error}") from error
    spacing, assumed, remarks = film_attributes.spacing(header)
    film = Film(
        pixels=gray.pixels,
        spacing=spacing,
        spacing_assumed=assumed,
        laterality=film_attributes.laterality(header),
        view=film_attributes.view(header),
        sop_instance_uid=uid(header, "SOPInstanceUID"),
        file=path.name,
        warnings=(
            *film_attributes.unlike_training(header, spacing),
            *remarks,
            *gray.warnings,
            *_remarks(header),
        ),
    )
    return DicomFilm(film, header)


def why_unusable(dicom: DicomFile) -> str:
    """Why an image is no film or cannot be used, as far as that shows before decoding; "" if not at all.

    Uncompressed pixels are counted; of compressed ones it is known whether they are all there and
    whether a decoder is installed.
    """
    verdict = judge(dicom.header)
    if verdict.kind == "no film":
        return verdict.reason
    if dicom.pixel_offset is None:
        return "holds no Pixel Data; it may be cut short"
    return verdict.reason or _why_undecodable(dicom)


def _why_undecodable(dicom: DicomFile) -> str:
    syntax, header = dicom.transfer_syntax, dicom.header
    if not syntax.is_transfer_syntax:
        return "states no transfer syntax that is known"
    if not _decodable(syntax):
        return f"no decoder here for {syntax.name}; {_CONVERT}"
    if syntax.is_encapsulated:
        return "" if dicom.whole else "cut short: compressed pixels are missing"
    rows, columns = integer(header, "Rows") or 0, integer(header, "Columns") or 0
    expected = rows * columns * ((integer(header, "BitsAllocated") or 0) // 8)
    if dicom.pixel_bytes < expected:
        return f"cut short: {dicom.pixel_bytes} of {expected} bytes of pixels"
    return ""


def _decodable(syntax: UID) -> bool:
    try:
        return bool(get_decoder(syntax).is_available)
    except NotImplementedError:  # pydicom's answer for a syntax that it has no decoder for at all
        return False


def _stored_values(path: Path, dicom: DicomFile) -> Stored:
    """Decode Pixel Data to (rows, columns) of 8 or 16 bits.

    Raises:
        FilmError: the pixels cannot be decoded, or come out in another size than the header's.
    """
    syntax = dicom.transfer_syntax
    expected = (integer(dicom.header, "Rows"), integer(dicom.header, "Columns"))
    try:
        if syntax.is_encapsulated and codestream_shape(path, dicom.pixel_offset or 0) not in (None, expected):
            raise FilmError(f"{path.name}: its compressed image has another size than its header")
        with quiet(), BoundedReader(path) as file:
            stored: Stored = np.asarray(pixel_array(file))
    except OSError as error:
        raise FilmError(f"{path.name}: its pixels cannot be read") from error
    except MALFORMED as error:
        raise FilmError(f"{path.name}: its pixels ({syntax.name}) cannot be decoded", _CONVERT) from error
    if stored.shape != expected or stored.dtype.itemsize > 2 or stored.dtype.kind not in "iu":
        raise FilmError(f"{path.name}: its pixels do not come out as its header says", "export it again")
    return stored


def _remarks(header: Dataset) -> tuple[str, ...]:
    remarks = []
    if film_attributes.laterality(header) is None:
        remarks.append("does not say which breast it shows")
    if film_attributes.view(header) is None:
        remarks.append("does not say which view it is")
    if text(header, "BreastImplantPresent") == "YES":
        remarks.append("shows a breast implant")
    if text(header, "LossyImageCompression") == "01":
        remarks.append("was compressed with loss")
    if text(header, "PresentationIntentType") == "FOR PROCESSING":
        remarks.append("a For Processing image, shown by its own window")
    return tuple(remarks)
