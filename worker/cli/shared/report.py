"""What came of the jobs that a command has queued, and how to watch those that go on."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from bcd_model.errors import InputError
from converters.results.result_json import read_result
from worker.cli.shared.console import PROGRAM, say, say_json, say_table, warn
from worker.cli.shared.figures import counted
from worker.cli.shared.result import study_line
from worker.queue.job import Record

if TYPE_CHECKING:
    from worker.queue.submission import Submitted

_LISTED = 40  # jobs that went well, and studies, that are still listed one by one


def how_to_watch(ids: Sequence[str], batch: str | None) -> str:
    """What to type to see how these jobs get on."""
    one = f"status {ids[0]}" if len(ids) == 1 else "jobs"
    what = one if batch is None else f"status --batch {batch}"
    return f"to watch: {PROGRAM} {what} --watch"


def next_command(*what: str) -> str:
    """What to type to see the results of a job, a batch or a folder."""
    return f"next: {PROGRAM} results {shlex.join(what)}"


def report(
    submitted: Sequence[Submitted],
    records: Sequence[Record],
    unplaced: Sequence[Mapping[str, str]] = (),
    *,
    as_json: bool,
    batch: str | None = None,
) -> None:
    """What came of a submission: the jobs, what was found, and where the results are.

    Args:
        unplaced: the files that are of no study.
        batch: whose jobs they are.
    """
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
        _say_findings(records, batch)


def _say_findings(records: Sequence[Record], batch: str | None) -> None:
    """The findings in one line a study, the worst first, and what to type next."""
    from worker.queue.submission import last_of  # brings Redis

    published = [
        (record, folder)
        for record in sorted(last_of(records), key=lambda record: -record.tally.highest)
        if (folder := record.result_folder()) is not None
    ]
    for record, folder in published[:_LISTED]:
        try:
            say(study_line(read_result(folder)))
        except InputError as error:
            warn(f"study {record.study_instance_uid}: {error}")
    if published[_LISTED:]:
        say(f"and {counted(len(published) - _LISTED, 'more study', 'more studies')}")
    if published:
        say(next_command("--batch", batch) if batch else next_command(published[0][0].job_id))


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
