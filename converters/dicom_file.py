"""Opening DICOM files that others wrote, without trusting them.

Everything this package reads of a DICOM file comes through here. A damaged or hostile file ends in
a :class:`FilmError`, never in another exception, and what pydicom has to say about odd values
(which it quotes, patient's names included) stays inside.
"""

from __future__ import annotations

import logging
import math
import os
import re
import struct
import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import pydicom
from pydicom import config, dcmread
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.filereader import read_dataset, read_preamble
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence as ItemSequence
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian

from bcd_model.errors import FilmError
from converters.bounds import BoundedReader, drop_long_sequences

MALFORMED = (
    ArithmeticError,
    AttributeError,
    BytesLengthException,
    EOFError,
    InvalidDicomError,
    LookupError,
    MemoryError,
    RuntimeError,  # NotImplementedError and RecursionError, too
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)
"""What pydicom and its decoders raise on a file that is not as the standard says."""

_PREAMBLE = 128
_PREFIX = b"DICM"
_UNDEFINED_LENGTH = 0xFFFFFFFF
_PIXEL_DATA = (0x7FE0, 0x0010)
_ITEM = (0xFFFE, 0xE000)
_SEQUENCE_END = (0xFFFE, 0xE0DD)
_UID = re.compile(r"[0-9]+(\.[0-9]+)+")
_QUOTING_LOGGERS = ("pydicom", "pylibjpeg", "openjpeg")


@dataclass(frozen=True, slots=True, eq=False)
class DicomFile:
    """What a file holds beside its pixels, and where these are.

    Attributes:
        header: the data elements before Pixel Data, with ``file_meta``; elements whose value cannot
            be decoded are left out. Words (OW) are little endian, whatever the file is.
        pixel_offset: where in the file the value of Pixel Data (7FE0,0010) starts; None if the file
            ends before it or holds another kind of pixels.
        pixel_bytes: how many bytes of that value are in the file.
        whole: False if Pixel Data, or a fragment of compressed Pixel Data, is longer than the rest of
            the file.
    """

    header: Dataset
    pixel_offset: int | None
    pixel_bytes: int
    whole: bool

    @property
    def transfer_syntax(self) -> UID:
        """Transfer Syntax UID (0002,0010); empty if the file does not say."""
        stated = uid(self.header.file_meta, "TransferSyntaxUID")
        return UID(stated or "", config.IGNORE)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep pydicom's and its decoders' remarks off the terminal, the logs and the test run.

    They quote the values they remark on, and a value may be a patient's name.
    """
    validation = config.settings.reading_validation_mode
    loggers = [logging.getLogger(name) for name in _QUOTING_LOGGERS]
    levels = [logger.level for logger in loggers]
    config.settings.reading_validation_mode = config.IGNORE
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        config.settings.reading_validation_mode = validation
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def is_dicom(path: Path) -> bool:
    """Whether ``path`` starts as a DICOM file must: preamble and prefix "DICM" (PS3.10 7.1).

    Raises:
        OSError: the file cannot be opened or read.
    """
    with path.open("rb") as file:
        return file.read(_PREAMBLE + len(_PREFIX))[_PREAMBLE:] == _PREFIX


def read_dicom(path: Path, keywords: Sequence[str] | None = None) -> DicomFile:
    """Read the data elements of ``path`` up to its pixels; all, or those of ``keywords`` alone.

    Raises:
        FilmError: the file cannot be opened, is no DICOM file, or its header cannot be read.
    """
    try:
        if not is_dicom(path):
            raise FilmError(f"{path.name}: is no DICOM file", "give DICOM files (PS3.10, prefix DICM)")
        with quiet():
            return _read(path, keywords)
    except (*MALFORMED, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:  # the system's own, not pydicom's
            raise FilmError(f"{path.name}: cannot be opened: {os.strerror(error.errno)}") from error
        raise FilmError(f"{path.name}: its DICOM header cannot be read", "export it again") from error


def read_header(path: Path) -> Dataset:
    """Every data element of ``path`` before its pixels.

    Raises:
        FilmError: as :func:`read_dicom`.
    """
    return read_dicom(path).header


def _read(path: Path, keywords: Sequence[str] | None) -> DicomFile:
    with BoundedReader(path) as file:
        if _stated_syntax(file) == DeflatedExplicitVRLittleEndian:
            # It inflates as a whole, to a size nobody can tell beforehand, and images do not come in it.
            raise FilmError(f"{path.name}: deflated data sets are not read", "convert it with dcmconv +te")
        file.seek(0)
        header = dcmread(file, stop_before_pixels=True, specific_tags=list(keywords) if keywords else None)
        offset, claimed = _pixel_data(file, header)
        left = 0 if offset is None else file.size - offset
        whole = _fragments_whole(file, offset or 0) if claimed == _UNDEFINED_LENGTH else claimed <= left
    drop_long_sequences(header)
    _decode(header, swap=header.original_encoding[1] is False)
    drop_long_sequences(header.file_meta)
    _decode(header.file_meta)
    return DicomFile(header, offset, min(claimed, left), whole)


def _stated_syntax(file: BoundedReader) -> object:
    """Transfer Syntax UID in the File Meta Information (PS3.10 7.1), as dcmread will find it."""
    read_preamble(file, force=False)
    start = file.tell()

    def read(*, implicit: bool) -> Dataset:
        file.seek(start)
        return read_dataset(file, implicit, True, stop_when=lambda tag, vr, length: tag >> 16 != 2)

    meta = read(implicit=False)
    try:
        next(iter(meta), None)
    except NotImplementedError:  # no VR: there are writers that leave it out
        meta = read(implicit=True)
    return meta.get("TransferSyntaxUID")


def _pixel_data(file: BoundedReader, header: pydicom.FileDataset) -> tuple[int | None, int]:
    """Offset and stated length of Pixel Data's value; the file stands where its header ended."""
    implicit, little = header.original_encoding
    order = "<" if little else ">"
    start = file.read(12)
    if len(start) < 12 or struct.unpack_from(f"{order}HH", start) != _PIXEL_DATA:
        return None, 0
    # Explicit VR: tag, VR, two reserved bytes, length (PS3.5 7.1.2); implicit VR: tag, length.
    at = 4 if implicit else 8
    (length,) = struct.unpack_from(f"{order}L", start, at)
    return file.tell() - len(start) + at + 4, length


def _fragments_whole(file: BoundedReader, offset: int) -> bool:
    """Whether all items of encapsulated Pixel Data (PS3.5 A.4) are in the file.

    It matters beforehand: a JPEG-LS decoder may ponder a cut-off codestream for many seconds.
    """
    at = offset
    while at + 8 <= file.size:
        file.seek(at)
        group, item, length = struct.unpack("<HHL", file.read(8))
        if (group, item) != _ITEM:
            return (group, item) == _SEQUENCE_END
        at += 8 + length
    return at == file.size  # the delimiter alone is missing: some writers forget it


def _decode(dataset: Dataset, *, swap: bool = False) -> None:
    """Turn every raw value into what it stands for, now; drop what cannot be.

    Args:
        swap: the words of OW are big endian; pydicom hands them over as they are.
    """
    for tag in list(dataset.keys()):
        try:
            element = dataset[tag]
            if element.VR == "SQ":
                for item in element.value:
                    _decode(item, swap=swap)
            elif swap and element.VR == "OW" and element.value:
                element.value = np.frombuffer(element.value, dtype=">u2").astype("<u2").tobytes()
        except MALFORMED:
            del dataset[tag]


def values(dataset: Dataset, keyword: str) -> tuple[object, ...]:
    """The values of an element; empty if it is absent or has none."""
    value = dataset.get(keyword)
    if value is None or (isinstance(value, str | bytes) and not value):
        return ()
    return tuple(value) if isinstance(value, MultiValue | ItemSequence | list) else (value,)


def texts(dataset: Dataset, keyword: str) -> tuple[str, ...]:
    """The values of a code string element (CS, LO), in capitals without padding."""
    return tuple(str(value).strip().upper() for value in values(dataset, keyword))


def text(dataset: Dataset, keyword: str) -> str:
    """The first value of a code string element; "" if there is none."""
    return next(iter(texts(dataset, keyword)), "")


def numbers(dataset: Dataset, keyword: str) -> tuple[float, ...]:
    """The values of a numeric element; empty if any of them is no finite number."""
    found = []
    for value in values(dataset, keyword):
        try:
            number = float(cast(float, value))
        except (TypeError, ValueError, OverflowError):
            return ()
        if not math.isfinite(number):
            return ()
        found.append(number)
    return tuple(found)


def uid(dataset: Dataset, keyword: str) -> str | None:
    """The value of a UID element; None if it is absent or no UID (PS3.5 9.1).

    UIDs become names of folders, so nothing but digits and dots may pass.
    """
    value = str(dataset.get(keyword, "")).strip()
    return value if len(value) <= 64 and _UID.fullmatch(value) else None


def integer(dataset: Dataset, keyword: str) -> int | None:
    """The one value of an integer element; None if it is absent or something else."""
    found = numbers(dataset, keyword)
    return int(found[0]) if len(found) == 1 and found[0].is_integer() else None


def items(dataset: Dataset, keyword: str) -> tuple[Dataset, ...]:
    """The items of a sequence element; empty if it is absent or no sequence."""
    return tuple(item for item in values(dataset, keyword) if isinstance(item, Dataset))
