"""The one exception tree; the exit code of ``bcd-admin`` belongs to the exception.

::

    BcdError                 1  some films or jobs failed
    ├── UsageError           2  a wrong argument, path or setting
    │   └── SettingsError    2  a wrong ``BCD_*`` environment variable
    ├── InputError           3  nothing usable in the input
    │   ├── FilmError        3  one film cannot be used
    │   └── TruthError       3  annotations are missing or wrong
    ├── ModelError           3  a weight file cannot be used
    ├── QueueError           4  queue or network unreachable
    └── OutputError          5  a result could not be written

Every message is one line that names the file or setting and says what to do about it. A film's file is
named in front of it (`FilmError.file`).
It never holds patient data beyond UIDs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar


class BcdError(Exception):
    """Root of every error this software raises on purpose.

    Args:
        message: one line: what is wrong, with the file or setting by name.
        remedy: what the user can do about it; printed after the message.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    @property
    def reason(self) -> str:
        """Message and remedy: what is kept of the error, in records, results and answers."""
        return f"{self.message}; {self.remedy}" if self.remedy else self.message

    def __str__(self) -> str:
        return self.reason

    def __reduce__(self) -> tuple[type[BcdError], tuple[str, ...]]:
        return type(self), (self.message, self.remedy)


def exit_code_of(codes: Sequence[int]) -> int:
    """The exit code of several: 0 if all are 0; the one that all share, if none is; else 1."""
    if not any(codes):
        return 0
    return codes[0] if len(set(codes)) == 1 else BcdError.exit_code


class UsageError(BcdError):
    """A wrong argument, path or option."""

    exit_code = 2


class SettingsError(UsageError):
    """A ``BCD_*`` environment variable that cannot be used."""


class InputError(BcdError):
    """The input holds nothing that can be used."""

    exit_code = 3


class FilmError(InputError):
    """One film cannot be used; the study's other films are not touched by it.

    Args:
        message: as of every error, but without the file's name.
        remedy: as of every error.
        file: the name of the film's file, which comes before the message when the error is shown. It may be a
            patient's, so it is no part of the `reason`.
    """

    def __init__(self, message: str, remedy: str = "", file: str = "") -> None:
        super().__init__(message, remedy)
        self.file = file

    def __str__(self) -> str:
        return f"{self.file}: {self.reason}" if self.file else self.reason

    def __reduce__(self) -> tuple[type[BcdError], tuple[str, ...]]:
        return type(self), (self.message, self.remedy, self.file)


class TruthError(InputError):
    """Annotations (``Info.txt``, ``truth.json``) are missing or wrong."""


class ModelError(BcdError):
    """A weight file is missing, damaged or of another kind."""

    exit_code = 3


class QueueError(BcdError):
    """The queue or another network peer cannot be reached."""

    exit_code = 4


class OutputError(BcdError):
    """A result could not be written."""

    exit_code = 5
