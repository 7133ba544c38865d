"""Where the gateway keeps what it was sent and what came of it, and for how long.

::

    uploads/.incoming/<random>/        an upload while it is received, locked by whoever receives it
    uploads/<job>/<SOP UID>.dcm        the films of a job, once, however often they are sent
    uploads/regions/<region>.dcm       a film of which one region is to be classified
    results/<job>/<Study UID>/         the result, as it is published everywhere

A results folder for each job, so that a study which was sent with other films, or by somebody else, is
never in the way of another, and never replaces it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from bcd_model.errors import OutputError
from converters.studies import FilmSource, StudyInput
from worker.engine_host import make_private
from worker.gateway.disk import check_room
from worker.settings import Settings

_YOUNG_SECONDS = 5.0  # between making a folder and locking it
_REGION_SECONDS = 3600.0
_HASHED = 32  # hex digits of a film's digest, for one that states no UID


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

    Raises:
        OutputError: they cannot be made.
    """

    def __init__(self, root: Path, free_bytes: int = 0) -> None:
        self._free_bytes = free_bytes
        self.uploads = root / "uploads"
        self.results = root / "results"
        self.regions = self.uploads / "regions"
        self._incoming = self.uploads / ".incoming"
        with _errors(root):
            for folder in (self.uploads, self.results, self.regions, self._incoming):
                folder.mkdir(mode=0o700, exist_ok=True)

    @contextmanager
    def incoming(self) -> Iterator[Path]:
        """A folder for one upload, which is gone afterwards, whatever happens."""
        folder = Path(tempfile.mkdtemp(dir=self._incoming))
        lock = os.open(folder, os.O_RDONLY)
        try:
            with suppress(OSError):  # some network file systems lock no folders: see _abandoned
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)

    def check_room(self, wanted: int = 0) -> None:
        """Raise OSError (ENOSPC) if ``wanted`` more bytes would leave less than is to be left free."""
        check_room(self.uploads, self._free_bytes, wanted)

    def result_root(self, job: str) -> Path:
        """The results folder of a job."""
        return self.results / job

    def keep(self, study: StudyInput, job: str) -> StudyInput:
        """Move the films of ``study`` to the folder of ``job``, if they are not there already.

        Returns:
            the study, with its films where they are now.
        """
        target = self.uploads / job
        result = self.results / job
        named = [(film, target / _film_name(film)) for film in study.films]
        with self._locked():
            with suppress(FileNotFoundError):
                os.utime(result)  # asked for again: it is kept for longer
            if all(path.is_file() for _, path in named):
                for film, path in named:  # the same content, but what is there may have come to harm
                    film.path.replace(path)
                os.utime(target)
            else:
                shutil.rmtree(target, ignore_errors=True)
                staged = Path(tempfile.mkdtemp(dir=study.films[0].path.parent))
                for film, path in named:
                    film.path.replace(staged / path.name)
                staged.replace(target)
        return replace(study, films=tuple(replace(film, path=path) for film, path in named))

    def keep_region(self, film: Path, region: str) -> Path:
        """Move the film of a region to its place."""
        return film.replace(self.regions / f"{region}.dcm")

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
        """
        for folder in self._incoming.iterdir():
            if _abandoned(folder):
                shutil.rmtree(folder, ignore_errors=True)
        for film in _older(self.regions, _REGION_SECONDS):
            film.unlink(missing_ok=True)
        counts = []
        for root, seconds in ((self.uploads, upload_seconds), (self.results, result_seconds)):
            old = [path.name for path in _older(root, seconds) if path not in (self.regions, self._incoming)]
            removed = 0
            with self._locked():  # nobody may come to rely on what is about to be removed
                for job in set(old) - set(under_way(old)):
                    if any(path.name == job for path in _older(root, seconds)):
                        shutil.rmtree(root / job, ignore_errors=True)
                        removed += 1
            counts.append(removed)
        return counts[0], counts[1]

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with (self.uploads / ".lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _film_name(film: FilmSource) -> str:
    """Made of what identifies the film; the same for the same job, since it stands in the result."""
    return f"{film.sop_instance_uid or film.sha256[:_HASHED]}.dcm"


def _older(root: Path, seconds: float) -> list[Path]:
    limit = time.time() - seconds
    found = []
    for path in root.iterdir():
        with suppress(OSError):  # it has gone meanwhile
            if path.name != ".lock" and path.stat().st_mtime < limit:
                found.append(path)
    return found


def _abandoned(folder: Path) -> bool:
    try:
        young = time.time() - folder.stat().st_mtime < _YOUNG_SECONDS
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return not young
    except OSError:
        return False
    finally:
        os.close(descriptor)
