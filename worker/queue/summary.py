"""What became of a batch: the figures of the morning after. Nothing is printed here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from bcd_model.reasons import Reason
from worker.queue.job import Record, iso
from worker.study.outcome import STATES, State

FAILED: Final[frozenset[State]] = frozenset({"failed", "done with failures"})
"""States with films that were not scanned."""

MISSED: Final[frozenset[State]] = FAILED | {"cancelled"}
"""States of jobs that ended without all there was to do."""

_RECENT = 200  # jobs; how long the rest takes is judged by the pace of so many

_NO_REASON = Reason("failed", "no reason given")
_LIKE_IT = ", and the like"


@dataclass(frozen=True, slots=True)
class Group:
    """Jobs that failed, or wait to be tried again, for the same reason.

    Attributes:
        code: of the reason (`bcd_model.reasons`).
        reason: one line; where the jobs' reasons differ in particulars, that of most of them.
        jobs: their ids.
        due: when the first of them is tried again, seconds since 1970; 0 if none is.
    """

    code: str
    reason: str
    jobs: tuple[str, ...]
    due: float = 0.0

    def as_json(self) -> dict[str, object]:
        """The group for ``--json``."""
        due = {"first_tried_again_at": iso(self.due)} if self.due else {}
        return {
            "code": self.code,
            "reason": self.reason,
            "studies": len(self.jobs),
            "jobs": list(self.jobs),
        } | due


@dataclass(frozen=True, slots=True)
class Summary:
    """The figures of some jobs. Times are seconds since 1970 by Redis's clock, 0 if there is none.

    Attributes:
        jobs: how many there are; the records of ``gone`` more are gone, or cannot be read.
        unplaced: files that may be films of any study, and are in none of the jobs.
        at_work: whether a worker is at work.
        states: jobs by state.
        films: of all jobs; ``scanned``, ``failed`` and ``excluded`` (by a rule) of those that have ended,
            ``left`` of those that have not. What is missing from the sum belongs to jobs that ended before
            they came to it.
        flagged_studies: studies with a finding at or above the operating point; ``flagged_films`` likewise.
        thresholds: P(abnormal) at the operating points of the jobs, as a rule one.
        prevalences: shares of abnormal films where their probabilities hold, as a rule one.
        models: name and version of their models, as a rule one.
        began: when the first job was begun.
        ended: when the last one ended; 0 while one is under way.
        films_per_minute: over the time in which any job was worked on; None if that is not known.
        seconds_left: by the pace of the last jobs; None if no worker is at work or none has ended yet.
        failures: why jobs failed, the most frequent reason first.
        again: why jobs wait to be tried again, likewise.
    """

    jobs: int
    gone: int
    unplaced: int
    at_work: bool
    states: Mapping[State, int]
    films: int
    scanned: int
    failed: int
    excluded: int
    left: int
    flagged_studies: int
    flagged_films: int
    thresholds: tuple[float, ...]
    prevalences: tuple[float, ...]
    models: tuple[str, ...]
    began: float
    ended: float
    films_per_minute: float | None
    seconds_left: float | None
    failures: tuple[Group, ...]
    again: tuple[Group, ...]

    @property
    def under_way(self) -> int:
        """Jobs that have not ended."""
        return self.states["queued"] + self.states["running"]

    @property
    def missed(self) -> int:
        """Jobs that ended without all there was to do."""
        return sum(self.states[state] for state in MISSED)

    @property
    def not_reached(self) -> int:
        """Films of jobs that ended before they came to them."""
        return self.films - self.scanned - self.failed - self.excluded - self.left

    def as_json(self) -> dict[str, object]:
        """The summary for ``--json``."""
        pace, left = self.films_per_minute, self.seconds_left
        return {
            "studies": self.jobs,
            "records_gone": self.gone,
            "files_unplaced": self.unplaced,
            "at_work": self.at_work,
            "states": dict(self.states),
            "began": iso(self.began),
            "ended": iso(self.ended),
            "films": self.films,
            "films_scanned": self.scanned,
            "films_failed": self.failed,
            "films_excluded": self.excluded,
            "films_not_reached": self.not_reached,
            "films_left": self.left,
            "films_per_minute": None if pace is None else round(pace, 2),
            "seconds_left": None if left is None else round(left),
            "studies_flagged": self.flagged_studies,
            "films_flagged": self.flagged_films,
            "thresholds": list(self.thresholds),
            "prevalences": list(self.prevalences),
            "models": list(self.models),
            "failures": [group.as_json() for group in self.failures],
            "tried_again": [group.as_json() for group in self.again],
        }


def summarise(
    records: Sequence[Record],
    *,
    since: float = 0.0,
    gone: int = 0,
    unplaced: int = 0,
    at_work: bool = True,
) -> Summary:
    """The figures of ``records``.

    Args:
        since: when they were first submitted together; what was done before says nothing of their pace.
        gone: how many records are not there any more, or cannot be read.
        unplaced: how many files of the submission may be films of any study.
        at_work: whether a worker is at work.
    """
    states = [record.state for record in records]
    ended = [record for record in records if record.final]
    under_way = [record for record in records if not record.final]
    to_scan = sum(record.films - max(0, record.film - 1) for record in under_way)  # film is 0 while it waits
    begun = [record for record in records if record.begun and record.begun >= since]
    worked = sorted((record for record in begun if _was_worked_on(record)), key=lambda r: r.ended)
    pace, recent = _films_per_second(worked), _films_per_second(worked[-_RECENT:])
    failed = [record for record in records if record.state in FAILED]
    waiting = [record for record in under_way if record.due]
    return Summary(
        jobs=len(records),
        gone=gone,
        unplaced=unplaced,
        at_work=at_work,
        states={state: states.count(state) for state in STATES},
        films=sum(record.films for record in records),
        scanned=sum(record.tally.scanned for record in ended),
        failed=sum(record.tally.failed for record in ended),
        excluded=sum(record.tally.excluded for record in ended),
        left=sum(record.films for record in under_way),
        flagged_studies=sum(record.tally.flagged > 0 for record in ended),
        flagged_films=sum(record.tally.flagged for record in ended),
        thresholds=values_of(records, "threshold"),
        prevalences=values_of(records, "prevalence"),
        models=tuple(sorted({f"{record.model.name} {record.model.version}" for record in records})),
        began=min((record.begun for record in begun), default=0.0),
        ended=0.0 if under_way else max((record.ended for record in ended), default=0.0),
        films_per_minute=None if pace is None else 60 * pace,
        seconds_left=to_scan / recent if recent and to_scan and at_work else None,
        failures=grouped(failed),
        again=grouped(waiting),
    )


def values_of(records: Iterable[Record], setting: str) -> tuple[float, ...]:
    """The different values that a setting has in jobs, the least first."""
    return tuple(sorted({getattr(record.settings, setting) for record in records}))


def grouped(records: Iterable[Record]) -> tuple[Group, ...]:
    """Jobs by the kind of their trouble, the most frequent first. Files and folders are not named."""
    groups: dict[str, list[tuple[Record, Reason]]] = {}
    for record in records:
        reason = record.reason or _NO_REASON
        groups.setdefault(reason.code, []).append((record, reason))
    found = []
    for code, members in groups.items():
        said = Counter(str(replace(reason, film="")) for _, reason in members)
        ((text, _),) = said.most_common(1)
        found.append(
            Group(
                code=code,
                reason=text if len(said) == 1 else text + _LIKE_IT,
                jobs=tuple(record.job_id for record, _ in members),
                due=min((record.due for record, _ in members if record.due), default=0.0),
            )
        )
    return tuple(sorted(found, key=lambda group: (-len(group.jobs), group.reason)))


def _was_worked_on(record: Record) -> bool:
    """Whether its times and its tally say how long so many films took."""
    return record.final and 0 < record.begun < record.ended and record.state != "cancelled"


def _films_per_second(records: Sequence[Record]) -> float | None:
    """Over the time in which at least one of the jobs was worked on, so that a pause does not count."""
    busy = until = 0.0
    for record in sorted(records, key=lambda record: record.begun):
        busy += max(0.0, record.ended - max(until, record.begun))
        until = max(until, record.ended)
    films = sum(record.tally.scanned + record.tally.failed for record in records)
    return films / busy if busy and films else None
