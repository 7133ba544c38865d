"""Files that are either written whole or not there."""

from __future__ import annotations

import uuid
from pathlib import Path

from bcd_model.errors import OutputError


def write_atomically(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path``: under another name in the same folder first, then renamed.

    Missing folders are made. A file that is there already is replaced in one step.

    Raises:
        OutputError: the folder or the file cannot be written.
    """
    staged = path.with_name(f".{uuid.uuid4().hex}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            staged.write_bytes(data)
            staged.replace(path)
        except BaseException:  # an interrupt, too, leaves no half-written file behind
            staged.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be written ({error.strerror or error})",
            "choose a folder that can be written and has room",
        ) from error
