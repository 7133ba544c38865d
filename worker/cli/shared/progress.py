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


@contextmanager
def film_progress(total: int, unit: str = "films", *, lines: bool = False) -> Iterator[Callable[..., None]]:
    """Show how many of ``total`` films (or another ``unit``) are done, on standard error if a terminal.

    Args:
        lines: whether a line a minute is written elsewhere.

    Yields:
        What is to be called with how many are done, and with a text that says what is worked on.
    """
    if not sys.stderr.isatty():
        log = Lines()
        yield lambda done, _="": log.offer(f"{done:,} of {total:,} {unit}") if lines else None
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

        yield lambda done, text="": progress.update(task, completed=done, description=text)


@contextmanager
def busy(text: str) -> Iterator[None]:
    """Show on a terminal that something is going on whose end is not known."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console  # rich: only where there is a terminal

    with Console(stderr=True).status(text):
        yield
