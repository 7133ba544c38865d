"""The files of one result, reached by descriptor from the gateway's own folder: no link is followed.

A result may be replaced at any time, by one rename, and the old folder is then deleted. So its folder is
opened once, and all is read from that: from one result, never from two. Where a file has gone already,
the answer is begun again with the new result, or breaks off.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
import tempfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any, TypeVar

from worker.gateway.problems import try_again
from worker.gateway.storage.disk import check_room
from worker.study.removal import FOLDER

T = TypeVar("T")

_RESULT = "result.json"
_NAME = re.compile(r"[0-9a-f]{16}|[0-9]+(\.[0-9]+)+")  # a job's id, or a Study Instance UID
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # a pipe must not hold us up
_BLOCK = 64 << 10  # bytes that are sent at once; a slow client has BCD_GATEWAY_IDLE_SECONDS to take them
_MOST_JSON = 64 << 20  # bytes of a result.json that is read
_DEEPEST = 8  # folders in folders; a result has one
_RACES = 5  # results that may come one after the other while one is looked at
_MOST_FACTS = 8192


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

        def computed() -> str:
            digest = hashlib.sha256()
            for block in self.all_blocks():
                digest.update(block)
            return digest.hexdigest()

        return _fact("sha256", self.found.identity, computed)


class ResultFolder:
    """The folder of one result, open.

    Args:
        results: the folder of all jobs' results.
        job: whose result it has to be, as its ``result.json`` says.
        study: its Study Instance UID, the name of the folder.

    Raises:
        FileNotFoundError: there is none of that job.
        ReplacedError: it went while it was looked at.
    """

    def __init__(self, results: Path, job: str, study: str) -> None:
        self._job = job
        self._parent = self._folder = -1
        if not (_NAME.fullmatch(job) and _NAME.fullmatch(study)):
            raise FileNotFoundError(results / job)
        self._study = study
        try:
            root = os.open(results, FOLDER)
            try:
                self._parent = os.open(job, FOLDER, dir_fd=root)
            finally:
                os.close(root)
            self._folder = os.open(study, FOLDER, dir_fd=self._parent)
            self._device = os.fstat(self._folder).st_dev
            if self._says() != job:
                raise FileNotFoundError(results / job)
        except (OSError, ReplacedError) as error:
            gone = self._folder >= 0 and not self.stands
            self.close()
            raise ReplacedError if gone else FileNotFoundError(results / job) from error

    def close(self) -> None:
        """Close it; files of it that are open stay so."""
        for descriptor in (self._folder, self._parent):
            if descriptor >= 0:
                os.close(descriptor)
        self._folder = self._parent = -1

    def __enter__(self) -> ResultFolder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def stands(self) -> bool:
        """Whether it has not been replaced or removed since it was opened."""
        with suppress(OSError):
            there = os.stat(self._study, dir_fd=self._parent, follow_symlinks=False)
            return os.path.samestat(there, os.fstat(self._folder))
        return False

    def open(self, path: str) -> OpenFile:
        """The file at ``path``.

        Raises:
            FileNotFoundError: there is none, or it is not a regular file of this folder.
        """
        *folders, name = path.split("/")
        if len(folders) > _DEEPEST or any(part in ("", ".", "..") for part in (*folders, name)):
            raise FileNotFoundError(path)
        opened: list[int] = []
        try:
            for part in folders:
                opened.append(os.open(part, FOLDER, dir_fd=opened[-1] if opened else self._folder))
            descriptor = os.open(name, _FILE, dir_fd=opened[-1] if opened else self._folder)
        except (OSError, ValueError) as error:  # ValueError: what cannot be a name
            raise FileNotFoundError(path) from error
        finally:
            for folder in opened:
                os.close(folder)
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_dev != self._device:
            os.close(descriptor)
            raise FileNotFoundError(path)
        return OpenFile(path, descriptor)

    def files(self) -> list[Found]:
        """The regular files of it and of the folders in it, by path.

        Raises:
            FileNotFoundError: a folder has gone meanwhile.
        """
        return sorted(self._walk(self._folder, "", 0), key=lambda found: found.path)

    def _walk(self, folder: int, before: str, depth: int) -> Iterator[Found]:
        for name in os.listdir(folder):
            there = os.stat(name, dir_fd=folder, follow_symlinks=False)
            if stat.S_ISREG(there.st_mode):
                yield _found(before + name, there)
            elif stat.S_ISDIR(there.st_mode) and depth < _DEEPEST:
                inner = os.open(name, FOLDER, dir_fd=folder)
                try:
                    yield from self._walk(inner, f"{before}{name}/", depth + 1)
                finally:
                    os.close(inner)

    def _says(self) -> str | None:
        """The job that its ``result.json`` names."""
        with self.open(_RESULT) as file:
            if file.found.size > _MOST_JSON:
                return None
            return _fact("job", file.found.identity, lambda: _job_in(b"".join(file.all_blocks())))


def with_result(results: Path, job: str, study: str, use: Callable[[ResultFolder], T]) -> T:
    """What ``use`` makes of a job's result: of one, even if it is replaced meanwhile.

    Raises:
        FileNotFoundError: there is none, or ``use`` finds that something of it is not there.
        ProblemError: 503: it is replaced again and again.
    """
    for _ in range(_RACES):
        with suppress(ReplacedError), ResultFolder(results, job, study) as folder:
            try:
                return use(folder)
            except OSError:
                if folder.stands:
                    raise
    raise try_again(503, "the result is being replaced; try again in a moment")


def stands(results: Path, job: str, study: str) -> bool:
    """Whether the result of a job is there."""
    try:
        with ResultFolder(results, job, study):
            return True
    except FileNotFoundError:
        return False
    except ReplacedError:  # by another one
        return True


def zip_of(results: Path, job: str, study: str) -> tuple[OpenFile, list[Found]]:
    """All files of a job's result as one zip, not compressed, in a file without a name; and what it holds.

    The same files give the same bytes.

    Raises:
        FileNotFoundError: there is no result.
        ProblemError: 503: it is replaced again and again.
        OSError: there is no room.
    """

    def packed(folder: ResultFolder) -> tuple[OpenFile, list[Found]]:
        files = folder.files()
        check_room(results, 0, sum(found.size for found in files))
        with tempfile.TemporaryFile(dir=results.parent) as target:
            with zipfile.ZipFile(target, "w") as archive:
                for found in files:
                    _pack(folder, found, archive)
            if not folder.stands:
                raise ReplacedError
            target.flush()
            return OpenFile("results.zip", os.dup(target.fileno())), files

    return with_result(results, job, study, packed)


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


_facts: dict[tuple[object, ...], Any] = {}
_facts_lock = threading.Lock()


def _fact(kind: str, identity: tuple[int, ...], compute: Callable[[], T]) -> T:
    """What is true of a file as long as it is the same; the oldest such facts are forgotten."""
    key = (kind, *identity)
    with _facts_lock:
        if key in _facts:
            known: T = _facts[key]
            return known
    computed = compute()
    with _facts_lock:
        while len(_facts) >= _MOST_FACTS:
            del _facts[next(iter(_facts))]
        _facts[key] = computed
    return computed


def _job_in(content: bytes) -> str | None:
    try:
        job = json.loads(content)["job_id"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return job if isinstance(job, str) else None


def _found(path: str, there: os.stat_result) -> Found:
    identity = (there.st_dev, there.st_ino, there.st_size, there.st_mtime_ns, there.st_ctime_ns)
    return Found(path, there.st_size, identity, there.st_mtime)
