"""Deleting folders of our own by descriptor: never through a link, nobody else's, nothing mounted there."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
"""Flags that open a folder, and no link to one."""

_DEEPEST = 16  # folders in folders; what we make has three


@contextmanager
def opened(path: Path | str, parent: int | None = None) -> Iterator[int]:
    """The descriptor of a folder; a name is one in the open folder ``parent``.

    Raises:
        OSError: it is not there, or is a link.
    """
    descriptor = os.open(path, FOLDER, dir_fd=parent)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def names_in(folder: int) -> list[str]:
    """What is in an open folder."""
    return os.listdir(folder)


def is_ours(found: os.stat_result, parent: int) -> bool:
    """Whether something in the folder ``parent`` is this user's, and on its file system."""
    return found.st_uid == os.getuid() and found.st_dev == os.fstat(parent).st_dev


def remove_folder(parent: int, name: str) -> bool:
    """Delete the folder ``name`` in the open folder ``parent``, with all that is ours in it.

    A link in it is deleted, not what it leads to. What belongs to somebody else or lies on another file
    system is left, and so is the folder then.

    Returns:
        whether it is gone.
    """
    return _removed(parent, name, 0)


def _removed(parent: int, name: str, depth: int) -> bool:
    gone = False
    with suppress(OSError):  # it has gone, or is no folder any more
        folder = os.open(name, FOLDER, dir_fd=parent)
        try:
            empty = depth < _DEEPEST and is_ours(os.fstat(folder), parent) and _emptied(folder, depth)
        finally:
            os.close(folder)
        if empty:
            os.rmdir(name, dir_fd=parent)
            gone = True
    return gone


def _emptied(folder: int, depth: int) -> bool:
    empty = True
    for name in names_in(folder):
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if stat.S_ISDIR(found.st_mode):
            empty &= _removed(folder, name, depth + 1)
        elif is_ours(found, folder):
            os.unlink(name, dir_fd=folder)
        else:
            empty = False
    return empty
