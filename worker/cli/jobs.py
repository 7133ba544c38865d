"""``jobs``: all jobs, or some of them, the newest first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import typer

from bcd_model.errors import UsageError
from worker.cli.shared.console import note, say, say_json, table_lines
from worker.cli.shared.figures import counted
from worker.cli.shared.options import BATCH, JSON, WATCH
from worker.cli.shared.selection import LOST, ids_of_batch, lost_of
from worker.cli.shared.session import Queue, open_queue
from worker.cli.shared.watching import Changes, Frame, count_of, follow, reason_of
from worker.queue.job import Record
from worker.settings import load_settings
from worker.study.outcome import STATES, UNDER_WAY, State

if TYPE_CHECKING:
    from worker.queue.records import Records


_OPTIONAL = ("BATCH", "REASON")  # columns that are left out if they are empty


def jobs(
    batch: str | None = BATCH,
    state: str | None = typer.Option(
        None, "--state", metavar="STATE", help="Those that are queued, running, done, failed, ..."
    ),
    limit: int = typer.Option(50, "--limit", "-n", metavar="N", min=0, help="The newest so many; 0: all."),
    watch: bool = WATCH,
    as_json: bool = JSON,
) -> None:
    """List jobs, the newest first, and count them by state.

    With --watch it is redrawn every 2 seconds on a terminal, until nothing is under way or Ctrl-C; elsewhere
    it prints a line for every job whose state changes. With --json it then answers once, at the end.
    """
    wanted = None if state is None else _state(state)
    with open_queue(load_settings()) as queue:
        if watch:
            _watch(queue, batch, wanted, limit, silent=as_json)
        if batch is None and wanted is None:
            page = _newest(queue, limit)
        else:
            page = _chosen(queue, queue.records, _state_of(queue, queue.records, batch), wanted, limit)
    if as_json:
        records = [record.as_json() for record in page.records]
        facts = {"total": page.total, "states": dict(page.states), "lost": list(page.lost)}
        say_json(facts | {"jobs": records})
    elif not page.total and not page.lost:
        note("no jobs yet")
    else:
        for line in page.table():
            say(line)
        say(page.count())


@dataclass(frozen=True, slots=True)
class _Page:
    """The jobs that are listed, of all there are.

    Attributes:
        states: all jobs by state.
        wanted: the state of those that are listed, None for any.
        looked_at: how many were to be listed.
        lost: jobs that are not, as their records are gone or cannot be read.
    """

    states: Mapping[State, int]
    wanted: State | None
    records: Sequence[Record]
    looked_at: int
    lost: Sequence[str]

    @property
    def total(self) -> int:
        return sum(self.states.values())

    def table(self) -> list[str]:
        if not self.records:
            return []
        columns = ["JOB", "STATE", "FILMS", "CREATED", "STUDY", "BATCH", "REASON"]
        rows: list[list[object]] = [
            [
                record.job_id,
                record.description,
                record.films,
                f"{record.created:%Y-%m-%d %H:%M:%S}",
                record.study_instance_uid,
                record.batch,
                reason_of(record),
            ]
            for record in self.records
        ]
        shown = [n for n, name in enumerate(columns) if name not in _OPTIONAL or any(row[n] for row in rows)]
        return table_lines([columns[n] for n in shown], [[row[n] for n in shown] for row in rows])

    def count(self) -> str:
        text = f"{counted(self.total, 'job')}: {count_of(self.states)}"
        matching = self.states[self.wanted] if self.wanted else self.total
        if self.lost:
            text += f"; {len(self.lost):,} {LOST}"
        if self.looked_at >= matching:
            return text
        of = f" of {matching:,} {self.wanted}" if self.wanted else ""
        return f"{text}; the newest {self.looked_at:,}{of} are shown"


def _newest(queue: Queue, limit: int) -> _Page:
    """The newest of all jobs; only their records are read."""
    ids = queue.records.ids(limit=limit or None)
    states, shown = queue.counted(queue.records.states()), queue.shown(queue.records.each(ids))
    return _Page(states, None, shown, len(ids), lost_of(ids, shown))


def _state_of(queue: Queue, records: Records, batch: str | None) -> dict[str, State | None]:
    """The state of each job as it is to be shown, the newest job first; None if it is lost."""
    ids = records.ids() if batch is None else ids_of_batch(records, batch)
    found = records.state_of(ids)
    if not queue.at_work():
        found = {job: "queued" if state == "running" else state for job, state in found.items()}
    return {job: found.get(job) for job in ids}


def _chosen(
    queue: Queue, records: Records, state_of: Mapping[str, State | None], wanted: State | None, limit: int
) -> _Page:
    """The newest of the jobs in ``state_of`` that are in the state that is ``wanted``."""
    found = list(state_of.values())
    matching = (job for job, state in state_of.items() if state and wanted in (None, state))
    ids = list(islice(matching, limit or None))
    shown = queue.shown(records.each(ids))
    lost = lost_of([*ids, *(job for job, state in state_of.items() if state is None)], shown)
    return _Page({state: found.count(state) for state in STATES}, wanted, shown, len(ids), lost)


def _watch(queue: Queue, batch: str | None, wanted: State | None, limit: int, *, silent: bool) -> None:
    records, changes = queue.patient(), Changes(wanted)

    def look() -> Frame:
        state_of = _state_of(queue, records, batch)
        page = _chosen(queue, records, state_of, wanted, limit)
        under_way = [job for job, state in state_of.items() if state in UNDER_WAY]
        # One whose record cannot be read may never end; the first that can be read is enough.
        over = next(records.each(under_way), None) is None
        return Frame([page.count(), *page.table()], changes.lines(records, state_of), over)

    follow(queue, look, silent=silent)


def _state(name: str) -> State:
    for state in STATES:
        if name.lower().replace("-", " ") == state:
            return state
    raise UsageError(f"{name!r} is not a state of a job", f"--state takes one of: {', '.join(STATES)}")
