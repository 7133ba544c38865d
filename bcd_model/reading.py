"""JSON files of ours that are read back: what keeps one from being read, in one line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from bcd_model.errors import BcdError

_OURS = re.compile(r"[a-z_0-9]+")
_UID = re.compile(r"[0-9.]+")


@contextmanager
def reading(path: Path, kind: type[BcdError], remedy: str, *, unopened: str = "") -> Iterator[None]:
    """Make an error of ``kind`` about ``path`` of what keeps its content from being read.

    Args:
        remedy: for a file that is not as we write it.
        unopened: for one that cannot be opened, if that has another remedy.
    """
    try:
        yield
    except OSError as error:
        raise kind(f"cannot be read ({error.strerror or error})", unopened or remedy, path) from error
    except ValidationError as error:
        raise kind(first_fault(error), remedy, path) from None  # its own text quotes the file
    except (ValueError, RecursionError) as error:
        raise kind("is not JSON", remedy, path) from error


def first_fault(error: ValidationError) -> str:
    """Where a file first departs from its schema, and how: ``films[0].radius should be a valid number``.

    The file may be about a patient: the line has no value of it, and no key but UIDs and such as ours.
    """
    fault = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = "".join(map(_step, fault["loc"])).lstrip(".")
    if fault["type"] == "missing":
        return f"{place} is missing"
    what = fault["msg"].removeprefix("Value error, ")
    if what.startswith("Input "):
        return what.replace("Input", place or "the content", 1)
    return f"{place}: {what}" if place else what


def _step(part: int | str) -> str:
    if isinstance(part, int) or _UID.fullmatch(part):
        return f"[{part}]"
    return f".{part}" if _OURS.fullmatch(part) else "[...]"
