"""Unpacking zips without trusting them.

No name in a zip is used as a path here, so none can lead anywhere; a zip that tries is refused all the
same, for it is not a study. What it may become is counted while it is unpacked, not read from its directory.
A directory of millions of files ends with the memory of the process that reads it.
"""

from __future__ import annotations

import hashlib
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from bcd_model.errors import InputError

_MAGIC = (b"PK\x03\x04", b"PK\x05\x06")
_BLOCK = 1 << 20
_SMALL = 64 << 10  # bytes that a file may have however well it is packed
_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})  # LZMA may ask for 4 GB of memory
_ENCRYPTED = 0x1
_BROKEN = (
    EOFError,
    OverflowError,
    RuntimeError,  # NotImplementedError, too
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
)


@dataclass(slots=True)
class Budget:
    """What the zips that are given together may still hold.

    Attributes:
        files: how many.
        unpacked: bytes.
        ratio: how many times its packed size one zip, and each file in it, may have.
        film: bytes that one file may have; of a longer one no more is unpacked than shows that it is.
        check_room: raises OSError if the disk has no room for more.
    """

    files: int
    unpacked: int
    ratio: int
    film: int
    check_room: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Member:
    """A file of a zip.

    Attributes:
        path: where it has been unpacked; named after its content.
        name: what the zip calls it; it leads nowhere outside.
    """

    path: Path
    name: str


class RefusedArchiveError(InputError):
    """A zip that is not unpacked: it is broken, encrypted, or holds what no study does."""

    code = "archive"


class LargeArchiveError(InputError):
    """A zip that holds too much."""

    code = "archive"


def is_archive(path: Path) -> bool:
    """Whether ``path`` starts as a zip does; a DICOM file may, in its preamble.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as stream:
        start = stream.read(132)
    return start.startswith(_MAGIC) and start[128:] != b"DICM"


def unpack(archive: Path, folder: Path, budget: Budget) -> Iterator[Member]:
    """Unpack a zip into ``folder``; its files are named after their content.

    Raises:
        RefusedArchiveError: it is broken, encrypted, or holds what no study does.
        LargeArchiveError: it holds too much.
        OSError: there is no room for it.
    """
    size = archive.stat().st_size
    try:
        with zipfile.ZipFile(archive) as opened:
            for entry in opened.infolist():
                _check(entry)
            entries = [entry for entry in opened.infolist() if not entry.is_dir()]
            if len(entries) > budget.files:
                raise LargeArchiveError("the zips hold too many files", "send fewer at once")
            if sum(entry.compress_size for entry in entries) > size:  # they overlap
                raise RefusedArchiveError("a zip that is broken")
            budget.files -= len(entries)
            left = size * budget.ratio
            if sum(entry.file_size for entry in entries) > min(left, budget.unpacked):
                raise _too_much()  # it says so itself; what it does not say is counted
            for number, entry in enumerate(entries):
                path = folder / f"entry-{number}"
                digest = hashlib.sha256()
                of_entry = entry.compress_size * budget.ratio + _SMALL
                unpacked_bytes = 0
                with opened.open(entry) as packed, path.open("xb") as unpacked:
                    while unpacked_bytes <= budget.film and (block := packed.read(_BLOCK)):
                        unpacked_bytes += len(block)
                        left -= len(block)
                        budget.unpacked -= len(block)
                        if min(left, budget.unpacked, of_entry - unpacked_bytes) < 0:
                            raise _too_much()
                        budget.check_room()
                        digest.update(block)
                        unpacked.write(block)
                yield Member(path.replace(path.with_name(digest.hexdigest())), entry.filename)
    except _BROKEN as error:
        raise RefusedArchiveError("a zip that is broken") from error


def _too_much() -> LargeArchiveError:
    return LargeArchiveError("a zip holds more than is taken, unpacked")


def _check(entry: zipfile.ZipInfo) -> None:
    """Refuse what no program that packs a study writes."""
    if not entry.filename or entry.header_offset < 0:
        raise RefusedArchiveError("a zip that is broken")
    path = PurePosixPath(entry.filename.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or (path.parts and path.parts[0].endswith(":")):
        raise RefusedArchiveError("a zip with a name that leads out of it")
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise RefusedArchiveError("a zip with a link or a device in it")
    if entry.flag_bits & _ENCRYPTED:
        raise RefusedArchiveError("an encrypted zip", "pack it without a password")
    if entry.compress_type not in _METHODS:
        raise RefusedArchiveError("a zip that is not compressed with Deflate", "pack it again")
