"""What the commands print: answers on standard output, everything else on standard error."""

from __future__ import annotations

import csv
import io
import json
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from worker.text import on_one_line

PROGRAM = "bcd-admin"

_debug = False


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


def note(text: str) -> None:
    """A line beside the answer."""
    print(on_one_line(text), file=sys.stderr, flush=True)


def warn(text: str) -> None:
    """A warning: the command goes on."""
    note(f"{PROGRAM}: warning: {text}")


def set_debug(wanted: bool) -> None:
    """Whether tracebacks are shown."""
    global _debug
    _debug = wanted


def show_traceback(error: Exception) -> None:
    """Print it, if ``--debug`` asks for it."""
    if _debug:
        traceback.print_exception(error)


def unexpected(error: Exception) -> str:
    """Words for an error that nobody expects.

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
    line = io.StringIO(newline="")
    writer = csv.writer(line)
    for row in rows:
        writer.writerow([_no_formula(value) if isinstance(value, str) else value for value in row])
        say(line.getvalue().removesuffix("\n"))
        line.seek(0)
        line.truncate()


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


def percent(value: float) -> str:
    """A probability for people: one decimal, or two digits where abnormal films are rare."""
    return f"{100 * value:.1f} %" if value >= 0.00995 or value < 1e-6 else f"{100 * value:.2g} %"


def counted(count: int, one: str, many: str = "") -> str:
    """``1 film``, ``2 films``, ``10,000 films``."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def clock(seconds: float, *, day: bool = False) -> str:
    """A time in seconds since 1970 as the clock of this machine shows it, with the ``day`` if wanted."""
    return f"{datetime.fromtimestamp(seconds):{'%Y-%m-%d %H:%M:%S' if day else '%H:%M:%S'}}"


def duration(seconds: float) -> str:
    """``7 s``, ``3 min 7 s``, ``2 h 5 min``, ``1 d 2 h``."""
    whole = max(0, round(seconds))
    for size, unit, part, part_unit in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // part
            return f"{whole // size} {unit}" + (f" {rest} {part_unit}" if rest else "")
    return f"{whole} s"


class FilmProgress:
    """Progress a film at a time; shown on a terminal, silent elsewhere."""

    def __init__(self, show: Callable[[int, str], None] | None = None) -> None:
        self._show = show

    def update(self, films: int, text: str = "") -> None:
        """``films`` of the total are done; ``text`` says what is at work."""
        if self._show is not None:
            self._show(films, text)


@contextmanager
def film_progress(total: int, unit: str = "films") -> Iterator[FilmProgress]:
    """Show how many of ``total`` films (or another ``unit``) are done, on standard error if a terminal."""
    if not sys.stderr.isatty():
        yield FilmProgress()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn(unit),
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


@contextmanager
def busy(text: str) -> Iterator[None]:
    """Show on a terminal that something is going on whose end cannot be told."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(text):
        yield


@contextmanager
def redrawn() -> Iterator[Callable[[Sequence[str]], None]]:
    """A place on the terminal whose lines are replaced by the next ones.

    It is cleared at the end, for the answer in full; after Ctrl-C the last lines stay.
    """
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    console = Console(highlight=False)
    with Live(console=console, auto_refresh=False) as live:

        def show(lines: Sequence[str]) -> None:
            fitting = "\n".join(lines[: console.size.height - 1])
            live.update(Text(fitting, no_wrap=True, overflow="ellipsis"), refresh=True)

        yield show
        live.transient = True
