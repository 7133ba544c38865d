"""Deleting folders of our own by descriptor: never through a link, no other user's, nothing mounted there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
"""Flags that open a folder, and no link to one."""

_DEEPEST = 16  # folders in folders; what we make has three


@contextmanager
def opened(path: Path | str, parent: int | None = None, flags: int = FOLDER) -> Iterator[int]:
    """The descriptor of a folder; a name is one in the open folder ``parent``.

    Raises:
        OSError: it is not there, or is a link.
    """
    descriptor = os.open(path, flags, dir_fd=parent)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def names_in(folder: int) -> list[str]:
    """What is in an open folder."""
    return os.listdir(folder)


def is_of(found: os.stat_result, folder: os.stat_result) -> bool:
    """Whether something is of the owner of a folder, and on its file system."""
    return (found.st_uid, found.st_dev) == (folder.st_uid, folder.st_dev)


def remove_folder(parent: int, name: str) -> bool:
    """Delete the folder ``name`` in the open folder ``parent``, with all that is of its owner in it.

    A link in it is deleted, not what it leads to. What belongs to another user or lies on another file
    system is left, and so is the folder then.

    Returns:
        whether it is gone.
    """
    with suppress(OSError), opened(name, parent) as folder:
        return is_of(os.fstat(folder), os.fstat(parent)) and remove_opened(parent, name, folder)
    return False


def remove_opened(parent: int, name: str, folder: int, depth: int = 0) -> bool:
    """As `remove_folder`, of a folder that is open."""
    own = os.fstat(folder)
    for inner in names_in(folder):
        with suppress(OSError):
            found = os.stat(inner, dir_fd=folder, follow_symlinks=False)
            if not is_of(found, own):
                continue
            try:
                os.unlink(inner, dir_fd=folder)
            except (IsADirectoryError, PermissionError):  # what POSIX has for a folder
                with opened(inner, folder) as below:
                    if depth < _DEEPEST and is_of(os.fstat(below), own):
                        remove_opened(folder, inner, below, depth + 1)
    with suppress(OSError):  # it is not empty
        os.rmdir(name, dir_fd=parent)
        return True
    return False
