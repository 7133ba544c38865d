"""The files of one result, reached by descriptor from the gateway's own folder: no link is followed.

A result may be replaced at any time, by one rename, and the old folder is then deleted. So its folder is
opened once, and all is read from that: from one result, never from two. Where a file has gone already,
the answer is begun again with the new result, or breaks off.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import tempfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import TypeVar

from worker.gateway.problems import try_again
from worker.gateway.storage.disk import check_room
from worker.study.published import job_at
from worker.study.removal import opened

T = TypeVar("T")

_NAME = re.compile(r"[0-9a-f]{16}|[0-9]+(\.[0-9]+)+")  # a job's id, or a Study Instance UID
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # a pipe must not hold us up
_BLOCK = 64 << 10  # bytes that are sent at once; a slow client has BCD_GATEWAY_IDLE_SECONDS to take them
_DEEPEST = 8  # folders in folders; a result has one
_RACES = 5  # results that may come one after the other while one is looked at
_MOST_DIGESTS = 8192

_digests: dict[tuple[int, ...], str] = {}
_digests_lock = threading.Lock()


class ReplacedError(Exception):
    """A file has gone: the result has been replaced, or has expired."""


@dataclass(frozen=True, slots=True)
class Found:
    """A file of a result.

    Attributes:
        path: below the result's folder, with slashes.
        identity: another one for another file, or other content.
        modified: seconds since 1970.
    """

    path: str
    size: int
    identity: tuple[int, ...]
    modified: float


class OpenFile(FileIO):
    """A regular file that is open."""

    def __init__(self, path: str, descriptor: int) -> None:
        super().__init__(descriptor, "rb")
        self.found = _found(path, os.fstat(descriptor))

    def blocks(self, start: int, end: int) -> Iterator[bytes]:
        """Its bytes from ``start`` to before ``end``.

        Raises:
            ReplacedError: it has become shorter.
        """
        while start < end:
            block = os.pread(self.fileno(), min(_BLOCK, end - start), start)
            if not block:
                raise ReplacedError(self.found.path)
            start += len(block)
            yield block

    def all_blocks(self) -> Iterator[bytes]:
        """Its bytes; no more than it had when it was opened."""
        return self.blocks(0, self.found.size)

    def sha256(self) -> str:
        """Of its content, in hexadecimal; kept as long as the file is the same."""
        with _digests_lock:
            known = _digests.get(self.found.identity)
        if known is not None:
            return known
        digest = hashlib.sha256()
        for block in self.all_blocks():
            digest.update(block)
        with _digests_lock:
            while len(_digests) >= _MOST_DIGESTS:
                del _digests[next(iter(_digests))]  # the oldest
            _digests[self.found.identity] = digest.hexdigest()
        return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class ResultFolder:
    """The folder of one result, open.

    Attributes:
        folder: its descriptor.
        parent: that of the folder it is in.
        name: what it is called there: a Study Instance UID.
    """

    folder: int
    parent: int
    name: str

    @property
    def stands(self) -> bool:
        """Whether it has not been replaced or removed since it was opened."""
        with suppress(OSError):
            there = os.stat(self.name, dir_fd=self.parent, follow_symlinks=False)
            return os.path.samestat(there, os.fstat(self.folder))
        return False

    def open(self, path: str) -> OpenFile:
        """The file at ``path``.

        Raises:
            FileNotFoundError: there is none, or it is not a regular file of this folder.
        """
        *folders, name = path.split("/")
        if len(folders) > _DEEPEST or any(part in ("", ".", "..") for part in (*folders, name)):
            raise FileNotFoundError(path)
        with ExitStack() as stack:
            inner = self.folder
            try:
                for part in folders:
                    inner = stack.enter_context(opened(part, inner))
                descriptor = os.open(name, _FILE, dir_fd=inner)
            except (OSError, ValueError) as error:  # ValueError: what cannot be a name
                raise FileNotFoundError(path) from error
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_dev != os.fstat(self.folder).st_dev:
            os.close(descriptor)
            raise FileNotFoundError(path)
        return OpenFile(path, descriptor)

    def files(self) -> list[Found]:
        """The regular files of it and of the folders in it, by path.

        Raises:
            FileNotFoundError: a folder has gone meanwhile.
        """
        return sorted(_walk(self.folder, "", 0), key=lambda found: found.path)


def _walk(folder: int, before: str, depth: int) -> Iterator[Found]:
    for name in os.listdir(folder):
        there = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if stat.S_ISREG(there.st_mode):
            yield _found(before + name, there)
        elif stat.S_ISDIR(there.st_mode) and depth < _DEEPEST:
            with opened(name, folder) as inner:
                yield from _walk(inner, f"{before}{name}/", depth + 1)


@contextmanager
def _opened_result(results: Path, job: str, study: str) -> Iterator[ResultFolder]:
    """The folder of one result.

    Args:
        results: the folder of all jobs' results.
        job: whose result it has to be, as its ``result.json`` says.
        study: its Study Instance UID, the name of the folder.

    Raises:
        FileNotFoundError: there is none of that job.
        ReplacedError: it went while it was looked at.
    """
    if not (_NAME.fullmatch(job) and _NAME.fullmatch(study)):
        raise FileNotFoundError(results / job)
    with ExitStack() as stack:
        try:
            root = stack.enter_context(opened(results))
            parent = stack.enter_context(opened(job, root))
            folder = ResultFolder(stack.enter_context(opened(study, parent)), parent, study)
        except OSError as error:
            raise FileNotFoundError(results / job) from error
        if job_at(folder.folder) != job:
            raise FileNotFoundError(results / job) if folder.stands else ReplacedError
        yield folder


def with_result(results: Path, job: str, study: str, use: Callable[[ResultFolder], T]) -> T:
    """What ``use`` makes of a job's result: of one, even if it is replaced meanwhile.

    Raises:
        FileNotFoundError: there is none, or ``use`` finds that something of it is not there.
        ProblemError: 503: it is replaced again and again.
    """
    for _ in range(_RACES):
        with suppress(ReplacedError), _opened_result(results, job, study) as folder:
            try:
                return use(folder)
            except OSError:
                if folder.stands:
                    raise
    raise try_again(503, "the result is being replaced; try again in a moment")


def stands(results: Path, job: str, study: str) -> bool:
    """Whether the result of a job is there."""
    try:
        with _opened_result(results, job, study):
            return True
    except FileNotFoundError:
        return False
    except ReplacedError:  # by another one
        return True


def zip_of(folder: ResultFolder, place: Path) -> tuple[OpenFile, list[Found]]:
    """All files of a result as one zip, not compressed, in a file without a name; and what it holds.

    The same files give the same bytes.

    Args:
        place: the folder in which the zip is made.

    Raises:
        ReplacedError: the result has been replaced meanwhile.
        OSError: there is no room.
    """
    files = folder.files()
    check_room(place, 0, sum(found.size for found in files))
    with tempfile.TemporaryFile(dir=place) as target:
        with zipfile.ZipFile(target, "w") as archive:
            for found in files:
                _pack(folder, found, archive)
        if not folder.stands:
            raise ReplacedError
        target.flush()
        return OpenFile("results.zip", os.dup(target.fileno())), files


def _pack(folder: ResultFolder, found: Found, archive: zipfile.ZipFile) -> None:
    entry = zipfile.ZipInfo(found.path)
    entry.external_attr = 0o644 << 16
    entry.file_size = found.size
    with folder.open(found.path) as file:
        if file.found.identity != found.identity:
            raise ReplacedError(found.path)
        with archive.open(entry, "w") as target:
            for block in file.all_blocks():
                target.write(block)


def _found(path: str, there: os.stat_result) -> Found:
    identity = (there.st_dev, there.st_ino, there.st_size, there.st_mtime_ns, there.st_ctime_ns)
    return Found(path, there.st_size, identity, there.st_mtime)
