"""What is shown while a command works: a bar on a terminal, elsewhere a line now and then."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from worker.cli.shared.console import note

LINE_EVERY = 60.0  # seconds, where no terminal shows a bar


class Lines:
    """Lines on standard error for a log: the first after a minute, then one a minute at most."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def offer(self, text: str) -> None:
        """Write ``text`` if it is time for a line."""
        if time.monotonic() - self._last >= LINE_EVERY:
            self._last = time.monotonic()
            note(text)


class FilmProgress:
    """Progress a film at a time."""

    def __init__(self, show: Callable[[int, str], None] | None = None) -> None:
        self._show = show

    def update(self, films: int, text: str = "") -> None:
        """``films`` of the total are done; ``text`` says what is at work."""
        if self._show is not None:
            self._show(films, text)


@contextmanager
def film_progress(total: int, unit: str = "films", *, lines: bool = False) -> Iterator[FilmProgress]:
    """Show how many of ``total`` films (or another ``unit``) are done, on standard error if a terminal.

    Args:
        lines: whether a line a minute is written elsewhere.
    """
    if not sys.stderr.isatty():
        log = Lines()
        yield FilmProgress((lambda films, _: log.offer(f"{films:,} of {total:,} {unit}")) if lines else None)
        return
    from rich.console import Console  # rich: only where there is a terminal
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
    """Show on a terminal that something is going on whose end is not known."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console  # rich: only where there is a terminal

    with Console(stderr=True).status(text):
        yield
