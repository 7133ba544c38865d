"""``--watch``: the same answer again and again, until nothing is left to wait for."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from worker.cli.shared.console import flush, say
from worker.cli.shared.figures import clock
from worker.cli.shared.session import Queue, warn_without_worker
from worker.queue.job import Record
from worker.study.outcome import State
from worker.text import on_one_line

if TYPE_CHECKING:
    from worker.queue.records import Records

_PAUSE = 2.0  # seconds between two looks
_ORDER: tuple[State, ...] = ("done", "done with failures", "failed", "cancelled", "running", "queued")
_SHARE = 4  # a look that takes long is followed by a pause of so many times as long


@dataclass(frozen=True, slots=True)
class Frame:
    """What there is to see at one moment.

    Attributes:
        lines: in full, for a terminal.
        news: what has changed since the last look, for anything else.
        over: whether all that is watched has ended.
    """

    lines: Sequence[str]
    news: Sequence[str]
    over: bool


def follow(queue: Queue, look: Callable[[], Frame], *, silent: bool) -> None:
    """Show what ``look`` finds until it is over: redrawn on a terminal, else a line for each change.

    It also ends when nothing works on jobs any more.

    Args:
        silent: show nothing, only wait.

    Raises:
        QueueError: the queue has gone.
    """
    if silent:
        _follow(queue, look, lambda _: None)
    elif sys.stdout.isatty():
        with redrawn() as show:
            _follow(queue, look, lambda frame: show(frame.lines))
    else:
        _follow(queue, look, _say_news)


def _follow(queue: Queue, look: Callable[[], Frame], show: Callable[[Frame], None]) -> None:
    warned = False
    while True:
        since = time.monotonic()
        queue.check()
        frame = look()
        show(frame)
        if frame.over or not queue.at_work():
            return
        if not warned:
            warn_without_worker(queue)
            warned = True
        time.sleep(max(_PAUSE, _SHARE * (time.monotonic() - since)))


def _say_news(frame: Frame) -> None:
    for line in frame.news:
        say(line)
    flush()


@contextmanager
def redrawn() -> Iterator[Callable[[Sequence[str]], None]]:
    """A place on the terminal whose lines are replaced by the next ones.

    It is cleared at the end, for the answer in full; after Ctrl-C the last lines stay.
    """
    from rich.console import Console  # rich: only where there is a terminal
    from rich.live import Live
    from rich.text import Text

    console = Console(highlight=False)
    with Live(console=console, auto_refresh=False) as live:

        def show(lines: Sequence[str]) -> None:
            fitting = "\n".join(lines[: console.size.height - 1])
            live.update(Text(fitting, no_wrap=True, overflow="ellipsis"), refresh=True)

        yield show
        live.transient = True


class Changes:
    """Which jobs have changed their state from one look to the next.

    Args:
        wanted: report only those that came to this state; None: of all.
    """

    def __init__(self, wanted: State | None = None) -> None:
        self._wanted = wanted
        self._seen: dict[str, State | None] | None = None

    def lines(self, records: Records, states: Mapping[str, State | None]) -> list[str]:
        """A line for every job that has changed since the last look, the oldest job first."""
        before, self._seen = self._seen, dict(states)
        if before is None:
            return []
        changed = [
            job for job, state in states.items() if before.get(job) != state and self._wanted in (None, state)
        ]
        return [change(record) for record in records.each(changed[::-1])]


def change(record: Record) -> str:
    """A job's new state in one line."""
    parts = (record.job_id, record.description, record.study_instance_uid, reason_of(record))
    return on_one_line("  ".join((clock(record.updated.timestamp()), *filter(None, parts))))


def count_of(states: Mapping[State, int]) -> str:
    """``9,120 done, 2 running, 878 queued``."""
    return ", ".join(f"{states[state]:,} {state}" for state in _ORDER if states.get(state))


def reason_of(record: Record) -> str:
    """Why a job failed, or waits and until when."""
    why = record.why(with_place=True)
    if record.due:
        return f"tries again at {clock(record.due)}: {why}"
    return f"is tried again: {why}" if record.reason and not record.final else why
