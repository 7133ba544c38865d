"""Where the gateway keeps what it was sent and what came of it, and for how long.

::

    clock.json                         the time that ages are counted by (`worker.gateway.storage.clock`)
    uploads/.incoming/upload-<random>/ an upload while it is received, locked by the gateway that receives it
    uploads/<job>/<SOP UID>.dcm        the films of a job, once, however often they are sent
    uploads/regions/<region>.dcm       a film of which one region is to be classified
    results/<job>/<Study UID>/         the result, as it is published everywhere

A results folder for each job, so that a study which was sent with other films, or by another token, is
never in the way of another, and never replaces it. Nothing is deleted but what has such a name, is this
user's and lies on the same file system; no link is followed (`worker.study.removal`).
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from bcd_model.errors import OutputError
from converters.films.studies import FilmSource, StudyInput
from worker.engine.host import make_private
from worker.gateway.storage.clock import Clock
from worker.gateway.storage.disk import check_room
from worker.gateway.storage.result_files import ResultFolder, with_result
from worker.settings import Settings
from worker.study.removal import is_of, names_in, opened, remove_folder

_REGION_SECONDS = 3600.0
_HASHED = 32  # hex digits of a file's SHA-256 in its name
_JOB = re.compile(r"[0-9a-f]{16}")
_REGION = re.compile(r"[0-9a-f]{32}\.dcm")
_GONE = re.compile(r"\.gone-[0-9a-f]{16}")
_AHEAD = 60.0  # seconds by which a time may be ahead of ours


def private_root(settings: Settings) -> Path:
    """The gateway's folder, made for this user alone; the state folder too, if it is in there.

    Raises:
        OutputError: it cannot be made, or is open to others.
    """
    root = settings.gateway_folder
    with _errors(root):
        if settings.gateway_dir is None:
            make_private(settings.state_dir.absolute())
        make_private(root)
    return root


@contextmanager
def _errors(root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        message = f"the gateway's folder {root} cannot be used: {error.strerror or error}"
        raise OutputError(message, "set BCD_GATEWAY_DIR to a folder of your own") from error


class Folders:
    """The folders of one gateway, below its private ``root``.

    Args:
        free_bytes: that uploads are to leave free, for the results if nothing else.
        away_seconds: that count as age at most while no gateway runs.

    Raises:
        OutputError: they cannot be made, or one of them is a link.
    """

    def __init__(self, root: Path, free_bytes: int = 0, away_seconds: float = 43200.0) -> None:
        self._free_bytes = free_bytes
        self.uploads = root / "uploads"
        self.results = root / "results"
        self.regions = self.uploads / "regions"
        self._incoming = self.uploads / ".incoming"
        self._lock = self.uploads / ".lock"
        self._incoming_lock = self.uploads / ".incoming.lock"
        folders = (self.uploads, self.results, self.regions, self._incoming)
        with _errors(root):
            for folder in folders:
                folder.mkdir(mode=0o700, exist_ok=True)
                with opened(folder):  # fails, if it is a link
                    pass
            self.clock = Clock(root / "clock.json", away_seconds)
            self.clock.keep()

    def begin(self) -> tuple[Path, int]:
        """A folder for one upload, and a descriptor that keeps it from being taken for abandoned."""
        with _lock(self._incoming_lock):
            folder = Path(tempfile.mkdtemp(prefix="upload-", dir=self._incoming))
            held = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
            with suppress(OSError):  # some network file systems lock no folders: see _abandoned
                fcntl.flock(held, fcntl.LOCK_EX)
        return folder, held

    def end(self, folder: Path, held: int) -> None:
        """Delete the folder of an upload, with what is left in it."""
        with suppress(OSError), opened(self._incoming) as incoming:
            remove_folder(incoming, folder.name)
        os.close(held)

    def check_room(self, wanted: int = 0) -> None:
        """Raise OSError (ENOSPC) if ``wanted`` more bytes would leave less than is to be left free."""
        check_room(self.uploads, self._free_bytes, wanted)

    def result_root(self, job: str) -> Path:
        """The results folder of a job."""
        return self.results / job

    def keep(self, study: StudyInput, job: str, upload: Path) -> StudyInput:
        """Move the films of ``study`` to the folder of ``job``, if they are not there already.

        Args:
            upload: the folder of the upload; films in that of another job are copied.

        Returns:
            the study, with its films where they are now.
        """
        target = self.uploads / job
        named = [(film, target / _film_name(film)) for film in study.films]
        times = (self.clock.now(),) * 2
        staged = Path(tempfile.mkdtemp(dir=upload))
        for film, path in named:
            if film.path.is_relative_to(upload):
                film.path.replace(staged / path.name)
            else:
                self.check_room(film.path.stat().st_size)
                shutil.copyfile(film.path, staged / path.name, follow_symlinks=False)
        with _lock(self._lock):
            with suppress(FileNotFoundError):
                os.utime(self.results / job, times, follow_symlinks=False)  # kept for longer
            if target.is_dir() and not target.is_symlink():
                for _, path in named:  # what is there may have come to harm, or be the film in another file
                    (staged / path.name).replace(path)
            else:
                with suppress(FileNotFoundError):  # it goes with the folder of the upload
                    target.rename(upload / f"{staged.name}-old")
                staged.replace(target)
            os.utime(target, times)
        return replace(study, films=tuple(replace(film, path=path) for film, path in named))

    def put_before(self, earlier: str, job: str, study: str, upload: Path) -> None:
        """Let the result of an earlier job stand where that of ``job`` will replace it, as its predecessor.

        The earlier job keeps its own. Nothing is done if it has none, or something stands there.
        """
        target = self.results / job / study
        if os.path.lexists(target):
            return
        staged = Path(tempfile.mkdtemp(dir=upload))

        def copied(result: ResultFolder) -> None:
            for found in result.files():
                with result.open(found.path) as file:
                    path = staged / found.path
                    path.parent.mkdir(parents=True, exist_ok=True)
                    with path.open("wb") as stream:
                        stream.writelines(file.all_blocks())

        try:
            with_result(self.results, earlier, study, copied)
        except FileNotFoundError:
            return
        target.parent.mkdir(mode=0o700, exist_ok=True)
        with suppress(OSError):  # another file system, or a worker was quicker
            staged.replace(target)

    def keep_region(self, film: Path, region: str) -> Path:
        """Move the film of a region to its place."""
        kept = film.replace(self.regions / f"{region}.dcm")
        os.utime(kept, (self.clock.now(),) * 2)
        return kept

    def expire(
        self, under_way: Callable[[list[str]], Iterable[str]], upload_seconds: float, result_seconds: float
    ) -> tuple[int, int]:
        """Remove what is older than that, and what a gateway that was killed has left.

        Args:
            under_way: which of these jobs have not ended; they are left alone.

        Returns:
            how many jobs' films and how many results were removed.

        Raises:
            QueueError: from ``under_way``.
            OSError: a folder cannot be read.
        """
        self._clear_incoming()
        with opened(self.regions) as regions:
            for film in self._older(regions, _REGION, stat.S_IFREG, _REGION_SECONDS):
                with suppress(FileNotFoundError):
                    os.unlink(film, dir_fd=regions)
        uploads = self._expire_in(self.uploads, under_way, upload_seconds)
        results = self._expire_in(self.results, under_way, result_seconds)
        self.clock.keep()
        return uploads, results

    def _expire_in(self, root: Path, under_way: Callable[[list[str]], Iterable[str]], seconds: float) -> int:
        removed = 0
        with opened(root) as folder:
            with _lock(self._lock):  # no upload may come to rely on what is about to be removed
                old = self._older(folder, _JOB, stat.S_IFDIR, seconds)
                for job in set(old) - set(under_way(sorted(old))) if old else ():
                    os.rename(job, f".gone-{secrets.token_hex(8)}", src_dir_fd=folder, dst_dir_fd=folder)
                    removed += 1
            # what takes long is done when no upload waits for it
            for name in names_in(folder):
                if _GONE.fullmatch(name):
                    remove_folder(folder, name)
        return removed

    def _older(self, folder: int, names: re.Pattern[str], kind: int, seconds: float) -> list[str]:
        """What is older than that in an open folder, of those names and that kind, and ours.

        What is from the future is as old as if it had come just now.
        """
        now = self.clock.now()
        found = []
        for name in names_in(folder):
            if not names.fullmatch(name):
                continue
            with suppress(FileNotFoundError):  # it has gone meanwhile
                there = os.stat(name, dir_fd=folder, follow_symlinks=False)
                if stat.S_IFMT(there.st_mode) != kind or not is_of(there, os.fstat(folder)):
                    continue
                if there.st_mtime > now + _AHEAD:
                    os.utime(name, (now, now), dir_fd=folder, follow_symlinks=False)
                elif there.st_mtime < now - seconds:
                    found.append(name)
        return found

    def _clear_incoming(self) -> None:
        """Remove the uploads whose gateway was killed."""
        with opened(self._incoming) as incoming:
            with _lock(self._incoming_lock):  # none is made and not yet locked
                left = [name for name in names_in(incoming) if _abandoned(incoming, name)]
            for name in left:
                remove_folder(incoming, name)


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Hold a lock; one at a time, of all gateways that use it."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    lock = os.open(path, flags, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _film_name(film: FilmSource) -> str:
    """Made of what identifies the film and its file: a job may have the same film in several files."""
    file = film.sha256[:_HASHED]
    return f"{film.sop_instance_uid}-{file}.dcm" if film.sop_instance_uid else f"{file}.dcm"


def _abandoned(incoming: int, name: str) -> bool:
    """Whether no gateway holds the folder of an upload; never where folders cannot be locked."""
    try:
        with opened(name, incoming) as folder:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
    except OSError:
        return False
