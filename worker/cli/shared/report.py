"""What came of the jobs that a command has queued, and how to watch those that go on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from worker.cli.shared.console import say, say_json, say_table
from worker.queue.job import Record

if TYPE_CHECKING:
    from worker.queue.submission import Submitted

_LISTED = 40  # jobs that went well and are still listed one by one


def how_to_watch(ids: Sequence[str], batch: str | None) -> str:
    """What to type to see how these jobs get on."""
    one = f"status {ids[0]}" if len(ids) == 1 else "jobs"
    what = one if batch is None else f"status --batch {batch}"
    return f"to watch: bcd-admin {what} --watch"


def report(
    submitted: Sequence[Submitted],
    records: Sequence[Record],
    unplaced: Sequence[Mapping[str, str]] = (),
    *,
    as_json: bool,
) -> None:
    """What came of a submission: the jobs, and where their results are; the files that are of no study."""
    from worker.queue.submission import heirs  # brings Redis

    by_id = heirs(records)
    if as_json:
        jobs = [_as_json(answer, by_id.get(answer.job_id)) for answer in submitted]
        say_json({"jobs": jobs, "unplaced": list(unplaced)})
        return
    rows = []
    for answer in submitted:
        record = by_id.get(answer.job_id)
        well = answer.answer != "refused" and (record is None or record.exit_code == 0)
        if well and len(submitted) > _LISTED:
            continue
        state, reason = answer.answer, _said(answer)
        if record is not None:
            state, reason = record.state, record.why(with_place=True) or reason
        job = record.job_id if record is not None else answer.job_id
        rows.append((job, state, answer.study_instance_uid, reason))
    if rows:
        say_table(("JOB", "STATE", "STUDY", "REASON"), rows)
    if records:
        say(_outcome(records))


def _outcome(records: Sequence[Record]) -> str:
    from worker.queue.submission import last_of  # brings Redis

    records = last_of(records)
    states = [record.state for record in records]
    parts = [f"{states.count(state):,} {state}" for state in dict.fromkeys(sorted(states))]
    roots = sorted({str(record.outs[-1]) for record in records})
    return f"{', '.join(parts)}; results in {', '.join(roots)}"


def _as_json(answer: Submitted, record: Record | None) -> dict[str, object]:
    start: dict[str, object] = {
        "job_id": answer.job_id,
        "study_instance_uid": answer.study_instance_uid,
        "submission": answer.answer,
    }
    if record is not None:
        return start | record.as_json()
    return start | {"state": answer.answer, "reason": _said(answer) or None}


def _said(answer: Submitted) -> str:
    return answer.reason.with_place if answer.reason else ""
