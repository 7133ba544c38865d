"""A folder in which one command works at a time."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from safetensors import SafetensorError

from bcd_model.errors import OutputError, UsageError


@contextmanager
def held(out: Path) -> Iterator[None]:
    """Keep others out of the folder while it is worked in; new ones that stay empty are removed again.

    Raises:
        OutputError: it is a file, or cannot be written in.
        UsageError: another command works in it.
    """
    try:
        with _locked(out):
            yield
    except (OSError, SafetensorError) as error:
        why = str(getattr(error, "strerror", None) or error)
        full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or "No space left" in why
        remedy = (
            "make room, and start again with the same --out" if full else "name another folder with --out"
        )
        raise OutputError(f"cannot be written: {why}", remedy, out) from error


@contextmanager
def _locked(out: Path) -> Iterator[None]:
    new = [folder for folder in (out, *out.parents) if not folder.exists()]
    try:
        out.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(out, os.O_RDONLY)
    except FileExistsError as error:
        raise OutputError("is not a folder", "name another one with --out", out) from error
    except OSError:
        _remove_empty(new)
        raise
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            ours = _is(out, descriptor)
        except BlockingIOError:
            ours = False
        except OSError:  # some network file systems lock no folders
            ours = True
        if not ours:
            new.clear()  # it is the other's by now
            raise UsageError(
                f"another command is at work in {out}", "wait for it, or name another folder with --out"
            )
        yield
    finally:
        _remove_empty(new)  # as long as it is locked
        os.close(descriptor)


def _is(folder: Path, descriptor: int) -> bool:
    """Whether ``folder`` is what was opened: another, refused, may have removed it before it was locked."""
    try:
        return os.path.samestat(folder.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _remove_empty(folders: Sequence[Path]) -> None:
    """Remove the folders that are empty, the inmost first."""
    for folder in folders:
        with suppress(OSError):  # it is not there, or in use
            folder.rmdir()
