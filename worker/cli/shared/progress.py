"""What a terminal shows while a command works."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


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
    """Show on a terminal that something is going on whose end cannot be told."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console  # rich: only where there is a terminal

    with Console(stderr=True).status(text):
        yield
