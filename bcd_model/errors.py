"""The one exception tree; the exit code of ``bcd-admin`` belongs to the exception.

::

    BcdError                 1  some films or jobs failed
    ├── UsageError           2  a wrong argument, path or setting
    │   └── SettingsError    2  a wrong setting
    ├── InputError           3  nothing usable in the input
    │   ├── FilmError        3  one film cannot be used
    │   └── TruthError       3  annotations are missing or wrong
    ├── ModelError           3  a weight file cannot be used
    ├── QueueError           4  queue or network unreachable
    └── OutputError          5  a result could not be written

An error carries its reason as fields (`bcd_model.reasons`): a code, one line that says what is wrong without
naming a file, what to do about it, and apart from these the file or folder, which may be named after a
patient.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, TypeVar

from bcd_model.reasons import Reason

E = TypeVar("E", bound="BcdError")


class BcdError(Exception):
    """Root of every error this software raises on purpose.

    Args:
        detail: one line: what is wrong, without the names of files and folders.
        remedy: what the user can do about it; printed after it.
        place: the file or folder that it is about; printed in front.
        code: what kind of trouble it is; by default the class's.

    Attributes:
        reason: all of these.
    """

    exit_code: ClassVar[int] = 1
    code: ClassVar[str] = "failed"

    def __init__(self, detail: str, remedy: str = "", place: Path | str = "", code: str = "") -> None:
        self.reason = Reason(code or self.code, detail, remedy, place=str(place))
        super().__init__(detail)

    @classmethod
    def of(cls: type[E], reason: Reason, place: Path | str = "") -> E:
        """The error whose reason is this one, about ``place``."""
        error = cls(reason.detail, reason.remedy)
        error.reason = replace(reason, place=str(place) or reason.place)
        return error

    def __str__(self) -> str:
        """For the command line, whose user named the files."""
        return self.reason.with_place

    def __reduce__(self) -> tuple[Callable[..., BcdError], tuple[object, ...]]:
        return _remade, (type(self), self.reason)


def _remade(kind: type[BcdError], reason: Reason) -> BcdError:
    """The error that another process has raised."""
    return kind.of(reason)


@contextmanager
def about(place: Path | str) -> Iterator[None]:
    """Give an error that names no place this one."""
    try:
        yield
    except BcdError as error:
        if not error.reason.place:
            error.reason = replace(error.reason, place=str(place))
        raise


def exit_code_of(codes: Sequence[int]) -> int:
    """The exit code of several: 0 if all are 0; the one that all share, if none is; else 1."""
    if not any(codes):
        return 0
    return codes[0] if len(set(codes)) == 1 else BcdError.exit_code


class UsageError(BcdError):
    """A wrong argument, path or option."""

    exit_code = 2
    code = "usage"


class SettingsError(UsageError):
    """A setting, or the settings file, that cannot be used."""

    code = "settings"


class InputError(BcdError):
    """The input holds nothing that can be used."""

    exit_code = 3
    code = "input"


class FilmError(InputError):
    """One film cannot be used; the study's other films are not touched by it."""

    code = "film"


class TruthError(InputError):
    """Annotations (``Info.txt``, ``truth.json``) are missing or wrong."""

    code = "truth"


class ModelError(BcdError):
    """A weight file is missing, damaged or of another kind."""

    exit_code = 3
    code = "model"


class QueueError(BcdError):
    """The queue or another network peer cannot be reached."""

    exit_code = 4
    code = "queue"


class OutputError(BcdError):
    """A result could not be written."""

    exit_code = 5
    code = "output"
