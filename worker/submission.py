"""Submitting: studies become job records and messages; then, if wanted, waiting for their end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from celery import Celery

from bcd_model.errors import BcdError, OutputError, QueueError
from bcd_model.weights import WeightsInfo
from converters.studies import StudyInput
from worker.app import QUEUE, send
from worker.job import UNDER_WAY, Record, State, job_id, now
from worker.pipeline import shaping
from worker.publish import Published, check_target, published
from worker.records import Answer, Records
from worker.settings import Settings

_POLL = 0.2  # seconds
_LOOK = 100  # records


@dataclass(frozen=True, slots=True)
class Submitted:
    """What became of one study at submission.

    ``answer`` is "refused" if its place in the results folder is taken; ``reason`` then says by what.
    """

    job_id: str
    study_instance_uid: str
    answer: Answer | str
    reason: str = ""


def submit_study(
    study: StudyInput,
    out: Path,
    *,
    records: Records,
    app: Celery,
    weights: WeightsInfo,
    settings: Settings,
    force: bool,
) -> Submitted:
    """Queue one study, unless the same work is under way or done.

    Args:
        out: results folder, absolute.

    Raises:
        QueueError: the queue cannot be reached.
    """
    record = make_record(study, out, weights, settings, force=force)
    folder = out / study.study_instance_uid
    try:
        check_target(folder, record.job_id, replace=force)
    except OutputError as error:
        return Submitted(record.job_id, study.study_instance_uid, "refused", str(error))
    ours = published(folder)
    if ours is not None and ours.job_id == record.job_id:
        # the published result is the truth, even if the queue has forgotten the job
        record = replace(record, created=ours.created or record.created)
        records.restore(replace(record, state=_state_of(ours), film=ours.films))
    else:
        ours = None
    answer = records.submit(record, published=ours is not None, force=force)
    if answer == "queued":
        try:
            send(app, record.job_id)
        except QueueError as error:
            fields = {"state": "failed", "reason": str(error), "exit_code": error.exit_code}
            records.advance(record.job_id, allowed=UNDER_WAY, **fields)
            raise
    return Submitted(record.job_id, study.study_instance_uid, answer)


def make_record(
    study: StudyInput, out: Path, weights: WeightsInfo, settings: Settings, *, force: bool = False
) -> Record:
    """The record of a job that is new."""
    threshold = weights.operating_point.threshold if settings.threshold is None else settings.threshold
    shape = shaping(settings.uid_root, threshold)
    time_now = now()
    return Record(
        job_id=job_id(study, weights.identity, shape),
        study_instance_uid=study.study_instance_uid,
        input_digest=study.digest,
        model=weights.identity,
        settings=shape,
        created=time_now,
        updated=time_now,
        films=len(study.films),
        outs=(out,),
        replace=force,
        study=study,
    )


def wait(
    records: Records,
    ids: Iterable[str],
    *,
    check: Callable[[], None] = lambda: None,
    changed: Callable[[Record], None] = lambda _: None,
) -> list[Record]:
    """Wait until every job has ended; return their records in the order of ``ids``.

    Args:
        check: called between two looks; raises if waiting has become pointless.
        changed: called with each record that has changed since the last look.

    Raises:
        QueueError: the queue cannot be reached, or has lost a record.
    """
    order = list(dict.fromkeys(ids))
    pending = list(order)
    seen: dict[str, Record] = {}
    while pending:
        looked_at = pending[:_LOOK]  # jobs are taken in order, so those ahead end first
        current = {record.job_id: record for record in records.listing(looked_at)}
        for job in looked_at:
            if job not in current:
                raise QueueError(f"the queue has lost job {job}", "submit the study again")
            if seen.get(job) != current[job]:
                changed(current[job])
        seen |= current
        ended = {job for job in looked_at if seen[job].final}
        pending = [job for job in pending if job not in ended]
        if pending and not ended:
            check()
            time.sleep(_POLL)
    return [seen[job] for job in order]


def cancel(records: Records, ids: Iterable[str]) -> int:
    """Cancel the jobs that have not ended; a running one stops before its next film. Returns how many."""
    reason = "interrupted; submit the study again"
    return sum(
        records.advance(job, allowed=UNDER_WAY, state="cancelled", reason=reason, exit_code=1) for job in ids
    )


def exit_code(records: Sequence[Record], submitted: Sequence[Submitted] = ()) -> int:
    """0 if all is done; if nothing is, the one code all failures share; else 1."""
    codes = [record.exit_code for record in records]
    codes += [OutputError.exit_code for answer in submitted if answer.answer == "refused"]
    if not any(codes):
        return 0
    return codes[0] if len(set(codes)) == 1 else BcdError.exit_code


def resume(app: Celery, records: Records) -> int:
    """Queue again what a worker that is gone left unfinished; returns how many jobs.

    Only for a worker that has the queue to itself, as in the embedded engine: the messages that are
    there are thrown away, and every job whose record has not ended gets a new one.
    """
    records.forget_messages(QUEUE)
    unfinished = [record for record in records.listing() if not record.final]
    for record in reversed(unfinished):  # the oldest first
        # that it was interrupted is not the job's fault: the attempt does not count
        attempts = max(0, record.attempts - (record.state == "running"))
        records.advance(record.job_id, allowed=UNDER_WAY, state="queued", film=0, attempts=attempts)
        send(app, record.job_id)
    return len(unfinished)


def _state_of(result: Published) -> State:
    if result.failures == 0:
        return "done"
    return "failed" if result.failures == result.films else "done with failures"
