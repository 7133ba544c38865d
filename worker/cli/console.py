"""What the commands print: answers on standard output, everything else on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

PROGRAM = "bcd-admin"


class ReaderGoneError(Exception):
    """Whoever read the answer has gone, as in ``bcd-admin jobs | head``."""


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


def on_one_line(text: str) -> str:
    """``text`` with what would break the line (a file's name may hold it) or steer the terminal escaped."""
    return "".join(c if c.isprintable() or c == " " else repr(c)[1:-1] for c in text)


def note(text: str) -> None:
    """A line beside the answer."""
    print(on_one_line(text), file=sys.stderr, flush=True)


def warn(text: str) -> None:
    """A warning: the command goes on."""
    note(f"{PROGRAM}: warning: {text}")


def say_json(content: object) -> None:
    """The answer for programs."""
    say(json.dumps(content, indent=2, ensure_ascii=False))


def say_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """An aligned table; numbers to the right, nothing cut off, the same on a terminal and in a pipe."""
    text = [[on_one_line(str(value)) for value in row] for row in rows]
    widths = [max(len(line[i]) for line in [list(columns), *text]) for i in range(len(columns))]
    right = [bool(rows) and all(isinstance(row[i], int | float) for row in rows) for i in range(len(columns))]
    for line in [list(columns), *text]:
        cells = [
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(line, widths, right, strict=True)
        ]
        say("  ".join(cells).rstrip())


def percent(value: float) -> str:
    """A probability for people."""
    return f"{100 * value:.1f} %"


def counted(count: int, one: str, many: str = "") -> str:
    """``1 film``, ``2 films``."""
    return f"{count} {one if count == 1 else many or one + 's'}"


class FilmProgress:
    """Progress a film at a time; shown on a terminal, silent elsewhere."""

    def __init__(self, show: Callable[[int, str], None] | None = None) -> None:
        self._show = show

    def update(self, films: int, text: str = "") -> None:
        """``films`` of the total are done; ``text`` says what is at work."""
        if self._show is not None:
            self._show(films, text)


@contextmanager
def film_progress(total: int) -> Iterator[FilmProgress]:
    """Show how many of ``total`` films are done, on standard error if that is a terminal."""
    if not sys.stderr.isatty():
        yield FilmProgress()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("films"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=total)

        def show(films: int, text: str) -> None:
            progress.update(task, completed=films, description=text)

        yield FilmProgress(show)
