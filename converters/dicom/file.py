"""Opening DICOM files that others wrote, without trusting them.

Everything this package reads of a DICOM file comes through here. A damaged or hostile file ends in
a :class:`FilmError`, never in another exception, and what pydicom has to say about odd values
(which it quotes, patient's names included) stays inside.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import math
import os
import re
import stat
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from io import FileIO
from pathlib import Path
from typing import SupportsFloat, TypeAlias

from pydicom import config
from pydicom.datadict import dictionary_description, tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence as ItemSequence
from pydicom.tag import BaseTag, Tag

from bcd_model.errors import FilmError
from bcd_model.reasons import Reason
from converters.dicom.bounds import HashedFile, MemoryStream
from converters.dicom.data_elements import DicomFile, looks_like_dicom, parse
from converters.dicom.values import number

MALFORMED = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    RuntimeError,  # NotImplementedError and RecursionError, too
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)
"""What pydicom and its decoders raise on a file that is not as the standard says."""

FILM_BYTES = 1 << 29
"""What a film's file may take: 512 MiB. The largest mammogram, 24 x 30 cm at 25 micron, has 230 MB."""
HASHED_BYTES = 1 << 33
"""How much of a file is hashed: 8 GiB. The largest tomosyntheses have 2."""

NOT_DICOM = Reason("not-dicom", "not a DICOM file (no DICM prefix at byte 128)")
UNREADABLE_HEADER = Reason("damaged-header", "its DICOM header cannot be read", "export it again")
CHANGES = Reason("changed", "changes while it is read", "submit it again when it is complete")

_START = 1 << 16
_SHOWN = 512
_UID = re.compile(r"[0-9]+(\.[0-9]+)+")
_UID_CHARACTERS = 64
_VALID_UID = "export it with a valid one"
_PADDING = " \0\t\r\n"
_QUOTING_LOGGERS = ("pydicom", "pylibjpeg", "openjpeg")


@dataclass(frozen=True, slots=True, eq=False)
class FileBytes:
    """A file as it was at one moment: the path is no longer needed.

    Attributes:
        name: of the file, without its folder.
        data: all of its bytes.
        sha256: of ``data``, in hexadecimal.
    """

    name: str
    data: bytes
    sha256: str


Header: TypeAlias = Dataset
"""The data elements of a file but its pixels, for those who hand it on and do not look into it."""


@dataclass(frozen=True, slots=True, eq=False)
class Survey:
    """What one passage over a file finds.

    Attributes:
        sha256: of the whole file, in hexadecimal; of its start if it is not a DICOM file.
        start: its first 512 bytes.
        is_dicom: whether it is a DICOM file, however damaged.
        dicom: None if it is not a DICOM file, or one whose header cannot be read.
        fault: why there is no ``dicom``; None if there is.
    """

    sha256: str
    start: bytes
    is_dicom: bool
    dicom: DicomFile | None
    fault: Reason | None = None


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
    """Whether ``path`` is a DICOM file: by its prefix (PS3.10 7.1), or evidently a data set without one.

    Raises:
        OSError: the file cannot be opened or read.
    """
    with _open(path) as file:
        return looks_like_dicom(file.read(_START))


def load(path: Path) -> FileBytes:
    """All bytes of ``path``, by one opening of it.

    Raises:
        FilmError: it cannot be opened or read, or is larger than any mammogram; an OSError is its cause.
    """
    try:
        with _open(path) as file:
            size = os.fstat(file.fileno()).st_size
            data = b"" if size > FILM_BYTES else _read_all(file, size)
    except (OSError, MemoryError) as error:
        raise _unreadable(path, error) from error
    if size > FILM_BYTES:
        raise FilmError.of(_too_large(size), path.name)
    if len(data) != size:
        raise FilmError.of(CHANGES, path.name)
    return FileBytes(path.name, data, hashlib.sha256(data).hexdigest())


def _too_large(size: int) -> Reason:
    return Reason("too-large", f"has {size} bytes: more than any mammogram", "give mammograms")


def _open(path: Path) -> FileIO:
    """``path`` open for reading; a pipe or a device is refused, and not waited for."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return FileIO(descriptor)
    os.close(descriptor)
    raise OSError(errno.EINVAL, "not a regular file", str(path))


def _read_all(file: FileIO, size: int) -> bytes:
    """Up to one byte more than ``size``, so that a file that grows is seen to."""
    data = file.read(size + 1) or b""  # as a rule all of it: nothing is put together, and held twice
    while len(data) <= size and (more := file.read(size + 1 - len(data))):
        data += more
    return data


def _unreadable(path: Path, error: OSError | MemoryError) -> FilmError:
    if isinstance(error, MemoryError):
        return FilmError("there is not enough memory to read it", "free some memory", path.name, "no-memory")
    if error.errno == errno.EINVAL:  # of `_open`
        return FilmError("not a regular file", "give a file", path.name, "not-a-file")
    why = os.strerror(error.errno) if error.errno is not None else "it cannot be read"
    remedy = "submit the study again when it can be"
    return FilmError(f"cannot be opened: {why}", remedy, path.name, "unreadable-file")


def parse_dicom(file: FileBytes) -> DicomFile:
    """The header of a film that is in memory, and where its pixels are.

    Raises:
        FilmError: it is not a DICOM file, or its header cannot be read.
    """
    if not looks_like_dicom(file.data[:_START]):
        raise FilmError.of(NOT_DICOM, file.name)
    try:
        return parse(MemoryStream(file.data))
    except MALFORMED as error:
        raise FilmError.of(UNREADABLE_HEADER, file.name) from error


def survey(path: Path) -> Survey:
    """Header and hash of ``path``, by one opening and one passage that keeps no pixels in memory.

    A file larger than `HASHED_BYTES` is hashed as far as that, and has the fault.

    Raises:
        OSError: the file cannot be opened or read.
    """
    with _open(path) as file:
        size = os.fstat(file.fileno()).st_size
        stream = HashedFile(file)
        start = stream.peek(_SHOWN)
        if not looks_like_dicom(stream.peek(_START)):
            return Survey(stream.sha256, start, False, None, NOT_DICOM)
        if size > HASHED_BYTES:
            return Survey(stream.sha256, start, True, None, _too_large(size))
        dicom: DicomFile | None
        fault = None
        try:
            dicom = parse(stream)
        except MALFORMED:
            dicom, fault = None, UNREADABLE_HEADER
        if not stream.drain(HASHED_BYTES):
            dicom, fault = None, CHANGES
        return Survey(stream.sha256, start, True, dicom, fault)


def read_dicom(path: Path) -> DicomFile:
    """The header of ``path``, and where its pixels are; the pixels are not kept in memory.

    Raises:
        FilmError: the file cannot be opened, is not a DICOM file, or its header cannot be read.
    """
    try:
        found = survey(path)
    except (OSError, MemoryError) as error:
        raise _unreadable(path, error) from error
    if found.dicom is not None:
        return found.dicom
    raise FilmError.of(found.fault or NOT_DICOM, path.name)


def read_header(path: Path) -> Dataset:
    """The data elements that are read of ``path``.

    Raises:
        FilmError: as :func:`read_dicom`.
    """
    return read_dicom(path).header


def values(dataset: Dataset, keyword: str) -> tuple[object, ...]:
    """The values of an element; empty if it is absent or has none."""
    tag = _tag(keyword)
    value = dataset[tag].value if tag in dataset else None
    if value is None or (isinstance(value, str | bytes) and not value):
        return ()
    return tuple(value) if isinstance(value, MultiValue | ItemSequence | list) else (value,)


@cache
def _tag(keyword: str) -> BaseTag:
    return Tag(keyword)


def texts(dataset: Dataset, keyword: str) -> tuple[str, ...]:
    """The values of a code string element (CS, LO), in capitals without padding."""
    return tuple(str(value).strip().upper() for value in values(dataset, keyword))


def text(dataset: Dataset, keyword: str) -> str:
    """The first value of a code string element that is not empty; "" if there is none."""
    return next(filter(None, texts(dataset, keyword)), "")


def states(dataset: Dataset, keyword: str) -> bool:
    """Whether an element has a value, be it one that can be read or not."""
    return any(texts(dataset, keyword))


def numbers(dataset: Dataset, keyword: str) -> tuple[float, ...]:
    """The values of a numeric element that are finite numbers; those that are not are left out."""
    return tuple(each for each in map(finite, values(dataset, keyword)) if each is not None)


def finite(value: object) -> float | None:
    """A value of a numeric element; None if it is not a finite number."""
    found = number(value.strip(_PADDING)) if isinstance(value, str) else value
    if not isinstance(found, SupportsFloat):
        return None
    try:
        as_float = float(found)
    except (ValueError, OverflowError):
        return None
    return as_float if math.isfinite(as_float) else None


def uid(dataset: Dataset, keyword: str) -> str | None:
    """The first value of a UID element that is a UID (PS3.5 9.1); None if there is none.

    Leading zeros, which the standard does not allow, are taken: they occur, and lead to no other object.
    Everything else that is no UID is not: UIDs become names of folders, and stand in the objects that point
    to a film.
    """
    return next(filter(_is_uid, _stated_uids(dataset, keyword)), None)


def _is_uid(value: str) -> bool:
    return len(value) <= _UID_CHARACTERS and _UID.fullmatch(value) is not None


def _stated_uids(dataset: Dataset, keyword: str) -> Iterator[str]:
    return filter(None, (str(value).strip(_PADDING) for value in values(dataset, keyword)))


def why_no_uid(dataset: Dataset, keyword: str) -> Reason | None:
    """Why :func:`uid` gives none; None if it gives one."""
    if uid(dataset, keyword) is not None:
        return None
    value = next(_stated_uids(dataset, keyword), "")
    name = name_of(keyword)
    if not value:
        return Reason("no-uid", f"states no {name}")
    if len(value) > _UID_CHARACTERS:
        return Reason("no-uid", f"its {name} is longer than {_UID_CHARACTERS} characters", _VALID_UID)
    return Reason("no-uid", f"its {name} is malformed: not digits between single dots", _VALID_UID)


def name_of(keyword: str) -> str:
    """What the standard calls the element ("Pixel Spacing")."""
    return dictionary_description(tag_for_keyword(keyword) or 0)


def integer(dataset: Dataset, keyword: str) -> int | None:
    """The value of an integer element that is a number; None if there is none, or several, or none whole."""
    found = numbers(dataset, keyword)
    return int(found[0]) if len(found) == 1 and found[0].is_integer() else None


def items(dataset: Dataset, keyword: str) -> tuple[Dataset, ...]:
    """The items of a sequence element; empty if it is absent or no sequence."""
    return tuple(item for item in values(dataset, keyword) if isinstance(item, Dataset))
