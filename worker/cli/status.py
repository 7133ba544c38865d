"""``status``: one job, or a batch as a whole: the summary in the morning."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from bcd_model.words import DISCLAIMER
from converters.results import wording
from worker.cli.shared.console import PROGRAM, say, say_json
from worker.cli.shared.figures import clock, counted, duration, percent
from worker.cli.shared.options import BATCH, JSON, WATCH
from worker.cli.shared.selection import LOST, check_selection, ids_of_batch
from worker.cli.shared.session import Queue, open_queue
from worker.cli.shared.watching import Changes, Frame, change, count_of, follow, reason_of
from worker.queue.job import Record
from worker.queue.summary import Group, Summary, summarise
from worker.settings import load_settings
from worker.text import on_one_line

if TYPE_CHECKING:
    from worker.queue.records import Records

_NAMED = 3  # jobs of a group that are named
_GROUPS = 20  # reasons that are shown; JSON has them all


def status(
    job: str | None = typer.Argument(
        None, metavar="ID", help="Job id, its beginning, or a Study Instance UID.", show_default=False
    ),
    batch: str | None = BATCH,
    watch: bool = WATCH,
    as_json: bool = JSON,
) -> None:
    """Show one job, or what became of a batch.

    With --watch it is redrawn every 2 seconds on a terminal until the end or Ctrl-C; elsewhere it prints a
    line for every change. With --json it then answers once, at the end. For a batch the exit code is 1
    if a job failed, was cancelled, is done with failures, or has lost its record.
    """
    check_selection("status", [job] if job is not None else [], batch)
    with open_queue(load_settings()) as queue:
        if batch is not None:
            if watch:
                _watch_batch(queue, batch, silent=as_json)
            summary = _Reader(queue, queue.records, batch).read()
        else:
            record = queue.records.find(job or "")
            if watch:
                _watch_job(queue, record.job_id, silent=as_json)
            (record,) = queue.shown([queue.records.find(record.job_id)])
    if batch is None:
        if as_json:
            say_json(record.as_json())
        else:
            _say_lines(_job_lines(record))
        return
    if as_json:
        say_json({"batch": batch, **summary.as_json()})
    else:
        _say_lines([*_batch_lines(batch, summary), *_next_lines(batch, summary)])
    raise typer.Exit(1 if summary.missed or summary.gone or summary.unplaced else 0)


class _Reader:
    """Reads the records of a batch again and again, those that have ended only when they change."""

    def __init__(self, queue: Queue, records: Records, batch: str) -> None:
        self._queue, self._records, self._batch = queue, records, batch
        self._known: dict[str, Record] = {}
        self._changes = Changes()
        self.news: list[str] = []

    def read(self) -> Summary:
        ids = ids_of_batch(self._records, self._batch)
        states = self._records.state_of(ids)
        self.news = self._changes.lines(self._records, states)
        known = self._known
        again = [
            job
            for job in ids
            if job not in known or known[job].state != states.get(job) or not known[job].final
        ]
        for job in again:
            known.pop(job, None)
        known |= {record.job_id: record for record in self._records.each(again)}
        records = [known[job] for job in ids if job in known]
        return summarise(
            self._queue.shown(records),
            since=self._records.batch_begun(self._batch),
            gone=len(ids) - len(records),
            unplaced=self._records.unplaced(self._batch),
            at_work=self._is_worked_on(),
        )

    def _is_worked_on(self) -> bool:
        return self._queue.at_work() and (self._queue.embedded or bool(self._records.workers()))


def _watch_batch(queue: Queue, batch: str, *, silent: bool) -> None:
    reader = _Reader(queue, queue.patient(), batch)

    def look() -> Frame:
        summary = reader.read()
        return Frame(list(_batch_lines(batch, summary)), reader.news, not summary.under_way)

    follow(queue, look, silent=silent)


def _watch_job(queue: Queue, job: str, *, silent: bool) -> None:
    records = queue.patient()
    seen: list[str] = []

    def look() -> Frame:
        record = records.find(job)
        now = f"{record.description}, {reason_of(record)}"
        news = [change(record)] if [now] != seen else []
        seen[:] = [now]
        return Frame(list(_job_lines(record)), news, record.final)

    follow(queue, look, silent=silent)


def _say_lines(lines: Sequence[str] | Iterator[str]) -> None:
    for line in lines:
        say(line)


def _job_lines(record: Record) -> Iterator[str]:
    standing = record.standing()
    tally = record.tally
    failed = f", {tally.failed} failed" if tally.failed else ""
    failed += f", {tally.excluded} excluded" if tally.excluded else ""
    lines = {
        "job": record.job_id,
        "study": record.study_instance_uid,
        "state": record.description,
        "reason": reason_of(record),
        "films": f"{record.films}: {tally.scanned} scanned{failed}" if record.final else record.films,
        "findings": f"in {counted(tally.flagged, 'film')} at or above the operating point"
        if tally.scanned
        else "",
        **_films(record),
        "batch": record.batch,
        "priority": record.priority,
        "created": record.created.isoformat(sep=" "),
        "updated": record.updated.isoformat(sep=" "),
        "begun": clock(record.begun, day=True) if record.begun else "",
        "ended": clock(record.ended, day=True) if record.ended else "",
        "attempts": record.attempts,
        "model": f"{record.model.name} {record.model.version} ({record.model.digest[:12]})",
        "software": record.software_version,
        "settings": ", ".join(f"{name} {_rounded(value)}" for name, value in asdict(record.settings).items()),
        "result": standing.folder or (standing.explained() if record.final else "") or "none",
    }
    return (on_one_line(f"{name:9} {value}") for name, value in lines.items() if value != "")


def _rounded(value: object) -> object:
    return f"{value:.4g}" if isinstance(value, float) else value


def _films(record: Record) -> dict[str, str]:
    """What each film shows, its file and its UID; the file for the user who named it alone."""
    films = {}
    for number, film in enumerate(record.study.films if record.study else (), start=1):
        shown = film.shown.projection if film.shown else None
        view = " ".join(filter(None, (shown.laterality, shown.view))) if shown else ""
        file = film.path.name if record.names_files else ""
        films[f"film {number}"] = ", ".join(filter(None, (view, file, film.sop_instance_uid)))
    return films


def _batch_lines(batch: str, summary: Summary) -> Iterator[str]:
    """The summary for people."""
    lost = f"; {summary.gone:,} {LOST}" if summary.gone else ""
    films = [f"{summary.scanned:,} scanned", f"{summary.failed:,} failed"]
    films += [f"{summary.excluded:,} excluded"] if summary.excluded else []
    films += [f"{summary.not_reached:,} not reached"] if summary.not_reached else []
    films += [f"{summary.left:,} left"] if summary.left else []
    pace = summary.films_per_minute
    points = " or ".join(percent(threshold) for threshold in summary.thresholds)
    holding = wording.prevalence(*summary.prevalences)
    facts = {
        "batch": batch,
        "studies": f"{summary.jobs:,}{': ' if summary.jobs else ''}{count_of(summary.states)}{lost}",
        "films": f"{summary.films:,}: {', '.join(films)}" if summary.jobs else "",
        "unplaced": f"{counted(summary.unplaced, 'file')} NOT SCANNED that may be films of any study"
        if summary.unplaced
        else "",
        "findings": f"in {counted(summary.flagged_films, 'film')} of "
        f"{counted(summary.flagged_studies, 'study', 'studies')}, from P(abnormal) {points}; {holding}"
        if summary.jobs
        else "",
        "began": clock(summary.began, day=True) if summary.began else "",
        "ended": f"{clock(summary.ended, day=True)}, {duration(summary.ended - summary.began)} later"
        if summary.ended and summary.began
        else "",
        "pace": f"{pace:,.1f} films a minute" if pace else "",
        "time left": _time_left(summary),
        "model": ", ".join(summary.models),
    }
    for name, value in facts.items():
        if value:
            yield on_one_line(f"{name:9} {value}")
    yield DISCLAIMER
    yield from _group_lines("failed, or done with failures:", summary.failures)
    yield from _group_lines("waiting to be tried again:", summary.again)


def _time_left(summary: Summary) -> str:
    if not summary.under_way:
        return ""
    if not summary.at_work:
        return "no worker is at work"
    if summary.seconds_left is None:
        return "not known yet"
    return f"about {duration(summary.seconds_left)}, at the pace of the last studies"


def _group_lines(title: str, groups: Sequence[Group]) -> Iterator[str]:
    if not groups:
        return
    yield ""
    yield title
    width = len(f"{len(groups[0].jobs):,}")
    for group in groups[:_GROUPS]:
        due = f"the first at {clock(group.due)}: " if group.due else ""
        yield on_one_line(f"  {len(group.jobs):>{width},}  {due}{group.reason}")
        named, more = ", ".join(group.jobs[:_NAMED]), len(group.jobs) - _NAMED
        yield f"  {'':{width}}  {named}" + (f" and {more:,} more" if more > 0 else "")
    if groups[_GROUPS:]:
        rest = sum(len(group.jobs) for group in groups[_GROUPS:])
        yield f"  and {rest:,} more for {len(groups) - _GROUPS:,} other reasons; --json lists them"


def _next_lines(batch: str, summary: Summary) -> Iterator[str]:
    """What to type next."""
    lines = []
    if summary.states["done"] or summary.states["done with failures"]:
        lines.append((f"results --batch {batch}", "the studies to look at first"))
    if summary.missed or summary.again:
        lines.append((f"retry --batch {batch}", "once more what failed, was cancelled or waits"))
    if summary.under_way:
        lines.append((f"status --batch {batch} --watch", "until all have ended"))
    if lines:
        yield ""
    width = max((len(command) for command, _ in lines), default=0)
    for number, (command, what) in enumerate(lines):
        yield f"{'' if number else 'next:':9} {PROGRAM} {command:{width}}  # {what}"
