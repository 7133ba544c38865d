"""Publishing: a result becomes visible whole or not at all.

The objects are written into a hidden folder inside the results root (the same file system), flushed to
the disk, and made visible by one rename. A result that stands there already is exchanged for the new
one in one step where the system offers it (Linux ``renameat2``); elsewhere it is moved aside first, and
for that moment there is no result at its place.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from bcd_model.errors import OutputError
from converters.outcome import Extent
from converters.result import StudyResult
from converters.result_objects import write_results

_STAGING = ".bcd-staging"  # below the results folder, which may hold a hundred thousand results to list
_RACES = 100
_YOUNG_SECONDS = 5.0  # between making a folder and locking it
_STALE_SECONDS = 3600.0  # where folders cannot be locked: writing a study takes seconds, not an hour
_PROBE = 1 << 16  # bytes that must fit
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2

Writer = Callable[[StudyResult, Path], object]


class ResultWriter:
    """Writes results as `write_results` does, and keeps what was written last.

    Args:
        ending: as there.

    Attributes:
        written: in it a film has failed whose objects could not be made.
    """

    def __init__(self, ending: tuple[type[BaseException], ...] = ()) -> None:
        self._ending = ending
        self.written: StudyResult | None = None

    def __call__(self, result: StudyResult, folder: Path) -> None:
        """Write the objects of ``result`` into ``folder``."""
        self.written = write_results(result, folder, self._ending)


@dataclass(frozen=True, slots=True)
class Published:
    """What a results folder says of the job that made it.

    Attributes:
        created: the time of the job from which the UIDs and dates of its objects follow.
        films: how many there are; of these, ``failed`` could not be scanned, ``excluded`` were left out by a
            rule, and ``flagged`` have a finding at or above the operating point.
        looked_at: how much of the study was looked at.
        highest: the highest probability of abnormality of any finding; 0 if there is none.
    """

    job_id: str
    created: datetime | None
    films: int
    failed: int
    excluded: int
    looked_at: Extent
    flagged: int
    highest: float


def published(folder: Path) -> Published | None:
    """The result that stands in ``folder``; None if there is none that can be read."""
    try:
        content = json.loads((folder / "result.json").read_text(encoding="utf-8"))
        films = content["films"]
        outcomes = [film["status"] for film in films]
        findings = [film.get("findings", []) for film in films]
        told = content.get("created")
        created = datetime.fromisoformat(told) if told else None
        return Published(
            str(content["job_id"]),
            created if created is not None and created.tzinfo is not None else None,
            len(films),
            failed=outcomes.count("failed"),
            excluded=outcomes.count("excluded"),
            looked_at=content.get("looked_at") or _looked_at(outcomes),
            flagged=sum(any(finding["presented"] for finding in of_film) for of_film in findings),
            highest=max(
                (1.0 - f["probability"]["normal"] for of_film in findings for f in of_film), default=0.0
            ),
        )
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _looked_at(outcomes: Sequence[str]) -> Extent:
    """How much of a study was looked at, of a result of version 0.1, which does not say so."""
    scanned = outcomes.count("scanned")
    return "all" if scanned == len(outcomes) else "some" if scanned else "none"


def check_target(folder: Path, job_id: str, *, replace: bool) -> None:
    """Make sure that ``job_id`` may publish in ``folder``.

    Raises:
        OutputError: it holds another job's result and ``replace`` is False, or something that is no result.
    """
    if not os.path.lexists(folder):
        return
    there = published(folder)
    if there is None:
        message = f"{folder} is there already and is no result of this software"
        raise OutputError(message, "move it away or give another --out")
    if there.job_id != job_id and not replace:
        message = f"{folder} holds the result of another job ({there.job_id})"
        raise OutputError(message, "replace it with --force or give another --out")


def prepare_root(root: Path, *, make: bool = True) -> None:
    """Make the results folder, clear what killed processes left in it, and see that it can be written.

    Args:
        make: whether it is made; if not, it has to be there.

    Raises:
        OutputError: it cannot, or is not there.
    """
    with _output_errors(root):
        if make:
            root.mkdir(parents=True, exist_ok=True)
        elif not root.is_dir():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(root))
        _remove_abandoned(root)
        with tempfile.TemporaryFile(dir=root) as probe:  # no scan for a disk that has no room for its result
            probe.write(bytes(_PROBE))
            probe.flush()
            _sync(probe.fileno())


def publish(
    result: StudyResult,
    root: Path,
    *,
    replace: bool = False,
    make_root: bool = True,
    write: Writer = write_results,
) -> Path:
    """Write ``result`` into ``root/<StudyInstanceUID>`` in one step.

    Args:
        root: the results folder.
        replace: whether the result of another job may be replaced.
        make_root: whether the results folder is made if need be.
        write: what writes the objects into an empty folder.

    A result of the same job that somebody else has published first, under the UIDs of another time, is
    left as it is: whoever has seen it keeps what they have seen.

    Returns:
        the published folder.

    Raises:
        OutputError: it cannot be written, or another job's result is in the way.
    """
    target = root / result.study_instance_uid
    prepare_root(root, make=make_root)
    check_target(target, result.job.job_id, replace=replace)
    with _output_errors(root):
        stage = _new_stage(root / _STAGING)
    try:
        with _output_errors(target), _held(stage):
            write(result, stage)
            stage.chmod(0o777 & ~_umask())  # mkdtemp's 0700 would hide the result from the site's readers
            _flush(stage)
            with _held(root):  # one at a time, so that what is checked is what is replaced
                check_target(target, result.job.job_id, replace=replace)
                if not _won_by_another(target, result):
                    _make_visible(stage, target)
            _flush_entry(root)
    finally:
        _remove(stage)
        with suppress(OSError):  # another worker uses it
            stage.parent.rmdir()
    return target


def _new_stage(staging: Path) -> Path:
    for _ in range(_RACES):
        staging.mkdir(exist_ok=True)
        with suppress(FileNotFoundError):  # another worker has just removed it, as it was empty
            return Path(tempfile.mkdtemp(dir=staging))
    raise OSError(errno.ENOENT, os.strerror(errno.ENOENT), str(staging))


def _won_by_another(target: Path, result: StudyResult) -> bool:
    there = published(target)
    return (
        there is not None
        and there.job_id == result.job.job_id
        and there.created is not None
        and there.created != result.job.created
    )


@contextmanager
def _output_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, OutputError) as caught:
        # the writers name the file in the hidden folder; the user knows only its final place
        error = caught.__cause__ if isinstance(caught, OutputError) else caught
        if not isinstance(error, OSError):
            raise
        remedy = {
            errno.ENOSPC: "free space on this disk or give another --out",
            errno.EDQUOT: "free space or give another --out",
            errno.ENOENT: "mount its share, or submit again if it was deleted",
        }.get(error.errno or 0, "give another --out or mend its permissions")
        raise OutputError(f"{path} cannot be written: {error.strerror or error}", remedy) from error


def _make_visible(stage: Path, target: Path) -> None:
    if not os.path.lexists(target):
        try:
            stage.rename(target)
            return
        except OSError as error:  # another worker may have been first
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
    if not _exchange(stage, target):
        aside = stage.with_name(stage.name + "-old")
        target.rename(aside)
        stage.rename(target)
        aside.rename(stage)  # the caller removes it


def _exchange(one: Path, other: Path) -> bool:
    """Swap two paths in one step; False if this system or file system cannot."""
    if not sys.platform.startswith("linux"):
        return False
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is None:
        return False
    arguments = (_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE)
    if renameat2(*arguments) == 0:
        return True
    number = ctypes.get_errno()
    if number in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
        return False
    raise OSError(number, os.strerror(number), str(other))


def _flush(folder: Path) -> None:
    for parent, _, files in os.walk(folder, topdown=False):
        for name in files:
            _flush_entry(Path(parent, name))
        _flush_entry(Path(parent))


def _flush_entry(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        _sync(descriptor)
    finally:
        os.close(descriptor)


def _sync(descriptor: int) -> None:
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network file systems have no fsync
            raise


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Lock the folder itself while it is written: a lock that is free shows that the writer was killed."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # some network file systems lock no folders: see _abandoned
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _abandoned(stage: Path) -> bool:
    try:
        age = time.time() - stage.stat().st_mtime
        descriptor = os.open(stage, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return age > _YOUNG_SECONDS
    except BlockingIOError:
        return False
    except OSError:
        return age > _STALE_SECONDS
    finally:
        os.close(descriptor)


def _remove_abandoned(root: Path) -> None:
    staging = root / _STAGING
    if not staging.is_dir():
        return
    for stage in staging.iterdir():
        if _abandoned(stage):
            _remove(stage)
    with suppress(OSError):  # it is in use
        staging.rmdir()


def _remove(stage: Path) -> None:
    if stage.is_symlink():  # what stood in the result's place was a link to one
        stage.unlink(missing_ok=True)
    else:
        shutil.rmtree(stage, ignore_errors=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
