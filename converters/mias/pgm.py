"""Portable graymaps (PGM): P5 and P2, 8 and 16 bit, bit for bit.

The format is netpbm's ``pgm(5)``. Pillow reads most of it, but it rescales samples whose maxval is
not 255 or 65535 and it cannot tell what maxval was, so the few lines below read the file themselves
and Pillow serves as an oracle in the tests, where it is right.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from bcd_model.errors import FilmError
from converters.atomic import write_atomically

Samples: TypeAlias = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]

_MAX_SIDE = 65535  # what DICOM's Rows and Columns (US) can say; no film is larger
_MAX_MAXVAL = 65535
_HEADER_LIMIT = 65536  # bytes to read for a header; comments may be long
_REMEDY = "export the film again as an 8 or 16 bit PGM (P5 or P2)"

# A run of white space and comments, then one number. A comment runs to the end of its line.
_NUMBER = re.compile(rb"(?:\s|#[^\r\n]*[\r\n])*([0-9]+)")
_COMMENT = re.compile(rb"#[^\r\n]*")
# Exactly one white space byte parts the header from the samples, perhaps the one that ends a comment
# right behind the maxval. In P5 the next byte, even if it is white space or a '#', is a sample.
_HEADER_END = re.compile(rb"(?:#[^\r\n]*)?\s")
_MAX_DIGITS = 18  # more do not fit an int64, and int() of a long run of digits is slow


@dataclass(frozen=True, slots=True, eq=False)
class Graymap:
    """What one PGM file holds.

    Attributes:
        pixels: (rows, columns), uint8 up to a maxval of 255, else uint16, as stored.
        maxval: the sample value of full white, 1 to 65535.
    """

    pixels: Samples
    maxval: int


def read_graymap(path: Path) -> Graymap:
    """Read one PGM file, samples as stored and their maxval.

    Raises:
        FilmError: the file cannot be read, is not a PGM, or its header and its data disagree.
    """
    data = _load(path)
    columns, rows, maxval, start = _header(path, data)
    read = _binary_samples if data[:2] == b"P5" else _plain_samples
    samples = read(path, data, start, rows * columns, maxval)
    highest = int(samples.max())
    if highest > maxval:
        raise FilmError(f"holds the value {highest}, above its maxval {maxval}", _REMEDY, str(path))
    narrow: Samples = samples.astype(np.uint8) if maxval <= 255 else samples.astype(np.uint16)
    return Graymap(narrow.reshape(rows, columns), maxval)


def read_size(path: Path) -> tuple[int, int]:
    """Read (rows, columns) from the header alone.

    Raises:
        FilmError: the file cannot be read or is not a PGM.
    """
    columns, rows, _, _ = _header(path, _load(path, _HEADER_LIMIT))
    return rows, columns


def write_pgm(path: Path, pixels: Samples, maxval: int | None = None) -> None:
    """Write ``pixels`` (rows, columns) as binary PGM (P5).

    Args:
        path: file to write; replaced in one step if it is there.
        pixels: uint8 or uint16.
        maxval: sample value of full white; None for the greatest of the type (255 or 65535).

    Raises:
        ValueError: pixels and maxval are no graymap together.
        OutputError: the file cannot be written.
    """
    if pixels.ndim != 2 or pixels.size == 0 or pixels.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"a PGM holds (rows, columns) of uint8 or uint16, not {pixels.shape} {pixels.dtype}")
    if maxval is None:
        maxval = int(np.iinfo(pixels.dtype).max)
    if not max(1, int(pixels.max())) <= maxval <= _MAX_MAXVAL:
        raise ValueError(f"maxval {maxval} does not fit pixels up to {int(pixels.max())}")
    rows, columns = pixels.shape
    stored = pixels.astype(np.uint8 if maxval <= 255 else ">u2")
    write_atomically(path, f"P5\n{columns} {rows}\n{maxval}\n".encode("ascii") + stored.tobytes())


def _load(path: Path, limit: int = -1) -> bytes:
    """The file, or its first ``limit`` bytes."""
    try:
        with path.open("rb") as file:
            return file.read(limit)
    except OSError as error:
        raise FilmError(
            f"cannot be read ({error.strerror or error})", "check the path and its permissions", str(path)
        ) from error


def _header(path: Path, data: bytes) -> tuple[int, int, int, int]:
    """Columns, rows, maxval, and where the samples begin."""
    if data[:2] not in (b"P2", b"P5"):
        raise FilmError("not a PGM file (it does not start with P2 or P5)", _REMEDY, str(path))
    numbers: list[int] = []
    position = 2
    for _ in range(3):
        match = _NUMBER.match(data, position)
        if match is None or match.start(1) == position or len(match.group(1)) > _MAX_DIGITS:
            raise FilmError("the PGM header is broken", _REMEDY, str(path))
        numbers.append(int(match.group(1)))
        position = match.end()
    end = _HEADER_END.match(data, position)
    if end is None:
        raise FilmError("the PGM header is broken, or the file ends with it", _REMEDY, str(path))
    columns, rows, maxval = numbers
    if not (1 <= columns <= _MAX_SIDE and 1 <= rows <= _MAX_SIDE):
        raise FilmError(f"the header says {columns} x {rows} pixels", _REMEDY, str(path))
    if not 1 <= maxval <= _MAX_MAXVAL:
        raise FilmError(f"the header says a maxval of {maxval}, not 1 to {_MAX_MAXVAL}", _REMEDY, str(path))
    return columns, rows, maxval, end.end()


def _binary_samples(path: Path, data: bytes, start: int, count: int, maxval: int) -> npt.NDArray[Any]:
    """Samples of a P5 file: one byte, or two with the high one first if maxval is above 255."""
    dtype = np.dtype(np.uint8) if maxval <= 255 else np.dtype(">u2")
    _check_count(path, len(data) - start, count * dtype.itemsize, "bytes of pixels")
    return np.frombuffer(data, dtype, count, start)


def _plain_samples(path: Path, data: bytes, start: int, count: int, maxval: int) -> npt.NDArray[Any]:
    """Samples of a P2 file: decimal numbers; netpbm lets comments stand among them too."""
    words = _COMMENT.sub(b"", data[start:]).split()
    _check_count(path, len(words), count, "pixels")
    if not all(word.isdigit() and len(word) <= _MAX_DIGITS for word in words):
        raise FilmError("holds something other than numbers among its pixels", _REMEDY, str(path))
    return np.array([int(word) for word in words], dtype=np.int64)


def _check_count(path: Path, found: int, promised: int, what: str) -> None:
    """Raise FilmError unless the file holds just what its header promises."""
    if found != promised:
        fault = "is cut off" if found < promised else "has something after its last pixel"
        raise FilmError(f"{fault} ({found} {what}, the header promises {promised})", _REMEDY, str(path))
