"""Files that are either written whole or not there; failures are this software's errors."""

from __future__ import annotations

from pathlib import Path

from bcd_model.atomic import replacing
from bcd_model.errors import OutputError


def write_atomically(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path``: under another name in the same folder first, then renamed.

    Missing folders are made. A file that is there already is replaced in one step.

    Raises:
        OutputError: the folder or the file cannot be written.
    """
    try:
        with replacing(path) as staged:
            staged.write_bytes(data)
    except OSError as error:
        in_place = isinstance(error, (FileExistsError, NotADirectoryError))
        why = "a file stands where its folder would" if in_place else error.strerror or error
        remedy = "choose a folder that can be written and has room"
        raise OutputError(f"cannot be written ({why})", remedy, path) from error
