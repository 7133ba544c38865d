"""Files that are either written whole or not there."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a name beside ``path`` to write under; at the end that file takes its place in one step.

    Missing folders are made. If the writing fails, or is interrupted, nothing is left, and ``path`` is as
    it was.

    Raises:
        OSError: the folder or the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    staged = path.with_name(f".{uuid.uuid4().hex}.part")
    try:
        yield staged
        staged.replace(path)
    except BaseException:  # an interrupt, too, leaves no half-written file behind
        staged.unlink(missing_ok=True)
        raise
