"""What the commands print: answers on standard output, everything else on standard error."""

from __future__ import annotations

import csv
import json
import sys
import traceback
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from worker.text import on_one_line

PROGRAM = "bcd-admin"

_debug = False


class ReaderGoneError(Exception):
    """The reader of the answer has gone, as in ``bcd-admin jobs | head``."""


class AnswerLostError(Exception):
    """The answer cannot be written, as in ``bcd-admin jobs > FILE`` on a full disk."""


def say(text: str = "") -> None:
    """A line of the answer."""
    with _answer_errors():
        print(text)


def flush() -> None:
    """Write what has been said so far."""
    with _answer_errors():
        sys.stdout.flush()


@contextmanager
def _answer_errors() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:  # not left to Typer, for which it is a failure
        raise ReaderGoneError from None
    except OSError as error:
        message = f"the answer cannot be written: {error.strerror or error}; send it to another place"
        raise AnswerLostError(message) from error


def note(text: str) -> None:
    """A line beside the answer."""
    print(on_one_line(text), file=sys.stderr, flush=True)


def warn(text: str) -> None:
    """A warning: the command goes on."""
    note(f"{PROGRAM}: warning: {text}")


def warn_of_unknown_settings() -> None:
    """Warn of every variable, and every key of the settings file, that nothing reads."""
    from worker.unknown_settings import unknown_settings  # brings pydantic

    for unknown in unknown_settings():
        warn(str(unknown))


def set_debug(wanted: bool) -> None:
    """Whether tracebacks are shown."""
    global _debug
    _debug = wanted


def show_traceback(error: Exception) -> None:
    """Print it, if ``--debug`` asks for it."""
    if _debug:
        traceback.print_exception(error)


def unexpected(error: Exception) -> str:
    """Words for an unexpected error.

    Where it happened, not what it says: a library's message may quote the header of a film.
    """
    place = traceback.extract_tb(error.__traceback__)[-1]
    what = f"{type(error).__name__} in {Path(place.filename).name}, line {place.lineno}"
    if isinstance(error, OSError):
        what = " ".join(str(error).split())
    return f"unexpected {what}; run again with --debug and report it"


def say_json(content: object) -> None:
    """The answer for programs."""
    say(json.dumps(content, indent=2, ensure_ascii=False))


def say_csv(rows: Iterable[Sequence[object]]) -> None:
    """The answer for a spreadsheet or a data frame (RFC 4180), a row at a time.

    Text that a spreadsheet would take for a formula gets an apostrophe in front; numbers stay as they are.
    """
    writer = csv.writer(sys.stdout)
    for row in rows:
        cells = [_no_formula(value) if isinstance(value, str) else value for value in row]
        with _answer_errors():
            writer.writerow(cells)


def _no_formula(text: str) -> str:
    shown = on_one_line(text)
    return f"'{shown}" if shown.startswith(("=", "+", "-", "@")) else shown


def table_lines(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """An aligned table; numbers to the right, nothing cut off."""
    text = [[on_one_line(str(value)) for value in row] for row in rows]
    widths = [max(len(line[i]) for line in [list(columns), *text]) for i in range(len(columns))]
    right = [bool(rows) and all(isinstance(row[i], int | float) for row in rows) for i in range(len(columns))]
    lines = []
    for line in [list(columns), *text]:
        cells = [
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(line, widths, right, strict=True)
        ]
        lines.append("  ".join(cells).rstrip())
    return lines


def say_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A table as the answer: the same on a terminal and in a pipe."""
    for line in table_lines(columns, rows):
        say(line)
