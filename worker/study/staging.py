"""The hidden folder in which results are written before they are shown, by descriptor: no link is followed.

A results folder may be written by others than the worker. So a name in it is never trusted twice: every
folder is opened once, as a folder and not through a link, and from then on all is done by its descriptor.
What is deleted is what an open descriptor names: a folder that this process has made, one that it has just
exchanged for a new result, or one that a killed process has left, which is recognised by its name, its
owner, its file system and its free lock.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import re
import secrets
import stat
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final, Literal

from bcd_model.errors import OutputError
from worker.study.removal import FOLDER, is_of, opened, remove_opened

NAME: Final = ".bcd-staging"
"""Below the results folder, which may hold a hundred thousand results to list."""

FILMS = ".bcd-films"
"""Likewise: films from zips whose jobs have not ended (`worker.cli.shared.zips`)."""

ResultsMode = Literal["private", "group", "umask"]
"""Who may read a published result: its owner, the folder's group too, or those whom the umask lets."""

_STAGE = re.compile(r"stage-[0-9a-f]{32}(-old)?")
_RACES = 100
_STALE_SECONDS = 3600.0  # where folders cannot be locked: writing a study takes seconds, not an hour
_PROBE = 1 << 16  # bytes that must fit
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC  # or a link to one
_FILE = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
_SEARCH = getattr(os, "O_PATH", os.O_RDONLY)  # a folder on the way need not be readable
_NO_REPLACE, _EXCHANGE = 1, 2  # of Linux's renameat2
_MODES: Final = {"private": (0o700, 0o600), "group": (0o750, 0o640)}
_REMEDY = "remove it, or give another --out"


class ResultsRoot:
    """A results folder that is open; what stands in it later under its path does not matter.

    Args:
        path: of the folder; it may be a link, unless ``roots`` says where results may be.
        make: whether it is made if it is not there, for its owner alone if that is the ``mode``.
        roots: where it has to be, links resolved; empty: anywhere.

    Raises:
        OutputError: it is outside all ``roots``.
        OSError: it cannot be made or opened, or a link has taken the place of a folder meanwhile.
    """

    def __init__(
        self, path: Path, *, make: bool = True, roots: Sequence[Path] = (), mode: ResultsMode = "private"
    ) -> None:
        self.path = path
        if make:
            make_results_folder(path, mode)
        if roots:
            real = path.resolve(strict=True)
            if not any(real.is_relative_to(root.resolve()) for root in roots):
                raise OutputError(
                    "is in no folder that BCD_OUTPUT_ROOTS names",
                    "correct the variable",
                    path,
                    "outside-roots",
                )
            self.fd = _open_without_links(real)
        else:
            self.fd = os.open(path, _FOLDER)

    def __enter__(self) -> ResultsRoot:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.fd)

    def check_writable(self) -> None:
        """Clear what killed processes left, and write a little: no scan for a disk without room for it.

        Raises:
            OutputError: something else stands in the place of the staging folder.
            OSError: it cannot be written, or is full.
        """
        with staged(self, clear=True) as stage:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            with os.fdopen(os.open("probe", flags, 0o600, dir_fd=stage.fd), "wb") as probe:
                probe.write(bytes(_PROBE))
                probe.flush()
                sync(probe.fileno())


def make_results_folder(path: Path, mode: ResultsMode) -> None:
    """Make the folder ``path`` unless it is there; the ``mode`` says who may list it then.

    Raises:
        OSError: it cannot be made, or is not a folder.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.mkdir(mode=_MODES[mode][0] if mode != "umask" else 0o777, exist_ok=True)


class Stage:
    """An empty folder of our own, hidden in a results folder and locked, to be filled and shown."""

    def __init__(self, root: ResultsRoot, staging: int, name: str, fd: int) -> None:
        self.root = root
        self.fd = fd
        self._staging = staging
        self._name = name
        self._mine = {_identity(fd)}

    @property
    def path(self) -> Path:
        """A path that leads into the folder, whatever becomes of its names, where the system has one."""
        by_descriptor = Path(f"/proc/self/fd/{self.fd}")
        return by_descriptor if by_descriptor.is_dir() else self.root.path / NAME / self._name

    @contextmanager
    def alone(self) -> Iterator[None]:
        """One at a time shows a result in this folder, so that what is checked is what is replaced."""
        _lock(self._staging, fcntl.LOCK_EX)
        try:
            yield
        finally:
            _lock(self._staging, fcntl.LOCK_UN)

    def show(self, name: str, there: int | None) -> None:
        """Let the folder stand as ``name`` in the results folder.

        Args:
            there: the open folder that stands there and is replaced; None if there is none.

        Raises:
            OutputError: it belongs to another user.
            OSError: something else stands there; it is left as it is.
        """
        if there is None:
            _rename(self._staging, self._name, self.root.fd, name, _NO_REPLACE)
            return
        if os.fstat(there).st_uid != os.fstat(self.fd).st_uid:
            place = self.root.path / name
            raise OutputError("belongs to another user", "move it away or give another --out", place)
        self._mine.add(_identity(there))
        if _rename(self._staging, self._name, self.root.fd, name, _EXCHANGE):
            if self._holds(self._name, there):
                return
            # Something else came in between: it goes back to where it stood.
            _rename(self._staging, self._name, self.root.fd, name, _EXCHANGE)
            raise FileExistsError(errno.EEXIST, "something else has taken its place", name)
        aside = f"{self._name}-old"
        os.rename(name, aside, src_dir_fd=self.root.fd, dst_dir_fd=self._staging)
        if not self._holds(aside, there):
            _rename(self._staging, aside, self.root.fd, name, _NO_REPLACE)
            raise FileExistsError(errno.EEXIST, "something else has taken its place", name)
        _rename(self._staging, self._name, self.root.fd, name, _NO_REPLACE)
        os.rename(aside, self._name, src_dir_fd=self._staging, dst_dir_fd=self._staging)

    def _holds(self, name: str, folder: int) -> bool:
        found = os.stat(name, dir_fd=self._staging, follow_symlinks=False)
        return (found.st_dev, found.st_ino) == _identity(folder)

    def remove(self) -> None:
        """Delete what has its name by now: itself, or the result that it has replaced."""
        for name in (self._name, f"{self._name}-old"):
            with suppress(OSError), opened(name, self._staging) as fd:
                if _identity(fd) in self._mine:
                    remove_opened(self._staging, name, fd)


@contextmanager
def staged(root: ResultsRoot, *, clear: bool = False) -> Iterator[Stage]:
    """A new stage, gone afterwards with whatever it holds then.

    Args:
        clear: whether what killed processes left is removed first.

    Raises:
        OutputError: something else stands in the place of the staging folder.
        OSError: it cannot be made.
    """
    staging, stage = _new_stage(root, clear=clear)
    try:
        yield stage
    finally:
        stage.remove()
        os.close(stage.fd)
        os.close(staging)
        with suppress(OSError):  # another worker uses it, or it is something else by now
            os.rmdir(NAME, dir_fd=root.fd)


def _new_stage(root: ResultsRoot, *, clear: bool) -> tuple[int, Stage]:
    for _ in range(_RACES):
        with suppress(FileExistsError):
            os.mkdir(NAME, 0o700, dir_fd=root.fd)
        try:
            staging = os.open(NAME, FOLDER, dir_fd=root.fd)
        except FileNotFoundError:  # another worker has just removed it, as it was empty
            continue
        except OSError as error:
            if error.errno not in (errno.ELOOP, errno.ENOTDIR):
                raise
            raise OutputError("is not a folder of this software", _REMEDY, root.path / NAME) from None
        try:
            stage = _made(root, staging, clear=clear)
        except FileNotFoundError:
            os.close(staging)
        except BaseException:
            os.close(staging)
            raise
        else:
            return staging, stage
    raise OSError(errno.ENOENT, os.strerror(errno.ENOENT), str(root.path / NAME))


def _made(root: ResultsRoot, staging: int, *, clear: bool) -> Stage:
    """A new stage in the open folder ``staging``."""
    if os.fstat(staging).st_dev != os.fstat(root.fd).st_dev:
        raise OutputError("is on another file system", _REMEDY, root.path / NAME)
    _lock(staging, fcntl.LOCK_SH)  # who has it alone sees no stage that is made and not yet locked
    name = f"stage-{secrets.token_hex(16)}"
    os.mkdir(name, 0o700, dir_fd=staging)
    fd = os.open(name, FOLDER, dir_fd=staging)
    stage = Stage(root, staging, name, fd)
    try:
        _lock(fd, fcntl.LOCK_EX)
        _lock(staging, fcntl.LOCK_UN)
        # Not this process's user: some network file systems give what is made to another one.
        owner = os.fstat(fd).st_uid
        if os.fstat(staging).st_uid != owner:
            raise OutputError("belongs to another user", _REMEDY, root.path / NAME)
        if os.fstat(staging).st_mode & 0o077:
            _set_mode(staging, 0o700)
        if clear:
            _clear(staging, os.fstat(fd))
    except BaseException:
        stage.remove()
        os.close(fd)
        raise
    return stage


def _clear(staging: int, own: os.stat_result) -> None:
    """Remove the stages in the open folder ``staging`` whose makers are gone.

    Args:
        own: a stage that has just been made there.
    """
    alone = _lock(staging, fcntl.LOCK_EX | fcntl.LOCK_NB)
    if alone is False:  # another worker is at it
        return
    with ExitStack() as held:
        abandoned = []
        with os.scandir(staging) as entries:
            names = [entry.name for entry in entries if _STAGE.fullmatch(entry.name)]
        for name in names:
            with suppress(OSError):  # a link, or gone by now
                fd = held.enter_context(opened(name, staging))
                found = os.fstat(fd)
                if not is_of(found, own) or os.path.samestat(found, own):
                    continue
                free = _lock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if free or (free is None and own.st_mtime - found.st_mtime > _STALE_SECONDS):
                    abandoned.append((name, fd))
        _lock(staging, fcntl.LOCK_UN)
        for name, fd in abandoned:
            remove_opened(staging, name, fd)


def finish(fd: int, mode: ResultsMode) -> None:
    """Set who may read an open folder and all that is in it, and flush them to the disk."""
    with os.scandir(fd) as entries:
        for entry in list(entries):
            if entry.is_dir(follow_symlinks=False):
                with opened(entry.name, fd) as inner:
                    finish(inner, mode)
            elif entry.is_file(follow_symlinks=False):
                with opened(entry.name, fd, _FILE) as inner:
                    if mode != "umask":
                        _set_mode(inner, _MODES[mode][1])
                    sync(inner)
    if mode != "umask":
        inherited = os.fstat(fd).st_mode & stat.S_ISGID  # the group of the results folder goes on
        _set_mode(fd, _MODES[mode][0] | inherited)
    elif stat.S_IMODE(os.fstat(fd).st_mode) == _MODES["private"][0]:
        _set_mode(fd, _mode_of_new(fd))
    sync(fd)


def _mode_of_new(fd: int) -> int:
    """What a folder that is made in the open folder ``fd`` gets: asking for the umask would change it."""
    name = f"mode-{secrets.token_hex(8)}"
    os.mkdir(name, dir_fd=fd)
    try:
        return stat.S_IMODE(os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode)
    finally:
        os.rmdir(name, dir_fd=fd)


def _set_mode(fd: int, mode: int) -> None:
    try:
        os.fchmod(fd, mode)
    except OSError as error:
        # It is ours, so this file system has no modes: who may read is said where it is mounted.
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EINVAL):
            raise


def sync(fd: int) -> None:
    """Flush to the disk; some network file systems have no such call."""
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise


def check_name(name: str) -> None:
    """Raise OutputError if ``name``, a Study Instance UID, would lead elsewhere as the name of a folder."""
    if name in ("", ".", "..") or "/" in name or "\0" in name:
        raise OutputError(f"{name!r} is not a Study Instance UID", "correct it in the films")


def open_folder(root: ResultsRoot, name: str) -> int | None:
    """The folder called ``name`` in a results folder, open; None if nothing is called so.

    Raises:
        OutputError: it is a link, a file, or no name.
        OSError: it cannot be opened.
    """
    path = root.path / name
    check_name(name)
    try:
        return os.open(name, FOLDER, dir_fd=root.fd)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.ENOTDIR):
            raise
        detail = "is there already and is not a folder"
        raise OutputError(detail, "move it away or give another --out", path, "not-a-result") from None


def _open_without_links(path: Path) -> int:
    """The folder ``path``, opened step by step: a link that appears on the way is an error (ELOOP)."""
    fd = os.open(path.anchor, _SEARCH | os.O_DIRECTORY | os.O_CLOEXEC)
    for part, flags in [*((part, _SEARCH | os.O_DIRECTORY) for part in path.parts[1:]), (".", _FOLDER)]:
        try:
            inner = os.open(part, flags | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd)
        finally:
            os.close(fd)
        fd = inner
    return fd


def _identity(fd: int) -> tuple[int, int]:
    found = os.fstat(fd)
    return found.st_dev, found.st_ino


def _lock(fd: int, operation: int) -> bool | None:
    """Lock an open folder; False if another has it, None where folders cannot be locked."""
    try:
        fcntl.flock(fd, operation)
    except BlockingIOError:
        return False
    except OSError:  # some network file systems
        return None
    return True


def _rename(source: int, old: str, target: int, new: str, flags: int) -> bool:
    """Rename between open folders in one step; False if it was to be an exchange, and there is none here."""
    number: int = errno.ENOSYS
    if sys.platform.startswith("linux"):
        renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
        if renameat2 is not None:
            if renameat2(source, os.fsencode(old), target, os.fsencode(new), flags) == 0:
                return True
            number = ctypes.get_errno()
    if number not in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
        raise OSError(number, os.strerror(number), new)
    if flags == _EXCHANGE:
        return False
    os.rename(old, new, src_dir_fd=source, dst_dir_fd=target)  # replaces an empty folder, and nothing else
    return True
