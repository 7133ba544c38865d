"""What the panel asks of the gateway, as work for a thread: scan, region.

Nothing here touches a MRML node or a widget.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from . import result_reader
from .answers import Job
from .client import Gateway
from .errors import (
    BadAnswerError,
    CancelledError,
    DetectorError,
    GatewayError,
    InputError,
    NotFoundError,
    OverloadedError,
    TooManyError,
    UnreachableError,
)
from .tasks import Task
from .words import Point, Probability, Study

POLL_SECONDS = 1.0
PATIENCE_SECONDS = 600.0
"""How long a gateway that has our job may be away before the panel gives up waiting for it."""


_LONGEST_PAUSE = 60.0  # however long the gateway asks to wait
_CANCEL_SECONDS = 10.0  # for which a job's cancelling waits its turn


@dataclass(frozen=True)
class ScanOutcome:
    """A study's result and where its files are."""

    study: Study
    folder: Path
    earlier: bool
    skipped: tuple[str, ...] = ()


def scan(
    task: Task,
    gateway: Gateway,
    study_instance_uid: str,
    films: Sequence[tuple[str, Path]],
    *,
    again: bool = False,
    root: Path | None = None,
    poll: float = POLL_SECONDS,
    patience: float = PATIENCE_SECONDS,
) -> ScanOutcome:
    """The result of a study: an earlier one that has these films, or that of a new scan.

    Args:
        films: (SOP Instance UID, file).
        again: scan even if there is an earlier result.
        poll: seconds between two looks at the job.
        patience: seconds for which a gateway that has our job may be away.
    """
    gateway = gateway.patient(task.wait)
    wanted = {uid for uid, _ in films}
    if not again:
        task.say("Looking for an earlier result")
        for job in gateway.jobs(study_instance_uid):
            if job.state == "queued" or job.state == "running":
                job = follow(task, gateway, job, poll, patience)
            if job.has_result:
                try:
                    study, folder = _fetch(task, gateway, job, root)
                except NotFoundError:
                    continue  # the gateway keeps records longer than results
                if wanted <= {film.sop_instance_uid for film in study.films}:
                    return ScanOutcome(study, folder, earlier=True)
                shutil.rmtree(folder, ignore_errors=True)
    task.say("Sending films", 0.0)
    submission = gateway.submit(
        [path for _, path in films],
        force=again,
        cancelled=task.cancelled,
        progress=lambda sent, total: task.say(
            f"Sending films: {sent / 1e6:.1f} of {total / 1e6:.1f} MB", sent / total
        ),
    )
    mine = [job for job in submission.jobs if job.study_instance_uid == study_instance_uid]
    if not mine:
        reasons = "\n".join(submission.skipped)
        raise InputError("the gateway took none of the films", reasons)
    job = follow(task, gateway, mine[0], poll, patience)
    if job.state == "cancelled":
        raise InputError("the job was cancelled at the gateway; press Apply to scan again")
    if not job.has_result:
        raise InputError(f"the scan has failed: {job.reason or 'no reason given'}", f"job {job.job_id}")
    study, folder = _fetch(task, gateway, job, root)
    return ScanOutcome(study, folder, earlier=False, skipped=submission.skipped)


def follow(task: Task, gateway: Gateway, job: Job, poll: float, patience: float) -> Job:
    """Wait until the job has ended; a gateway that goes away meanwhile is waited for.

    Raises:
        CancelledError: by the user; the job is cancelled too, unless the task is to keep it.
    """
    etag, seen = "", time.monotonic()
    pause = poll
    _tell(task, job)
    while not job.ended:
        try:
            task.wait(pause)
            found, etag = gateway.job(job.job_id, etag)
        except CancelledError:
            if not task.keep_job:
                _cancel(gateway, job)
            raise
        except (UnreachableError, OverloadedError, BadAnswerError) as error:
            away = time.monotonic() - seen
            if away > patience:
                raise type(error)(
                    f"the gateway has been away for {away:.0f} s; it keeps the job, press Apply to go on",
                    error.details,
                ) from error
            pause, what = poll, "is away"
            if isinstance(error, TooManyError):
                pause = max(poll, min(error.retry_after or 0.0, _LONGEST_PAUSE))
                what = "takes no more requests for a while"
            task.say(f"The gateway {what}; waiting for it ({away:.0f} s)")
            continue
        seen, pause = time.monotonic(), poll
        job = found or job
        _tell(task, job)
    return job


def _tell(task: Task, job: Job) -> None:
    if job.state == "queued":
        task.say("Queued")
    elif job.state == "running":
        films = max(job.films, 1)
        task.say(f"Scanning film {max(job.film, 1)} of {films}", min(max(job.film - 1, 0) / films, 1.0))


def _cancel(gateway: Gateway, job: Job) -> None:
    try:
        # The task is over and waits no more; without a turn of its own the cancelling would be lost.
        gateway.patient(time.sleep, _CANCEL_SECONDS).cancel(job.job_id)
    except GatewayError:
        return  # the user has moved on; a job that goes on does no harm


def _fetch(task: Task, gateway: Gateway, job: Job, root: Path | None) -> tuple[Study, Path]:
    """The job's result, and the temporary folder in which its files are; no folder stays on an error."""
    task.say("Fetching results", 1.0)
    folder = Path(tempfile.mkdtemp(prefix="bcd-", dir=root))
    try:
        gateway.fetch(job.job_id, folder, cancelled=task.cancelled)
        return result_reader.read_result(folder), folder
    except DetectorError:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def classify(
    task: Task, gateway: Gateway, file: Path, center: Point, radius: float
) -> tuple[str, Probability]:
    """Class and probabilities of a circle on a film."""
    gateway = gateway.patient(task.wait)
    task.say("Sending the film", 0.0)
    region_id = gateway.submit_region(file, center, radius, cancelled=task.cancelled)
    task.say("Classifying the circle")
    begun = time.monotonic()
    while True:
        try:
            answer = gateway.region(region_id)
        except (UnreachableError, OverloadedError):
            answer = None
        except NotFoundError as error:
            raise InputError("the gateway has lost the region; draw it again", error.details) from error
        if answer is not None:
            return answer
        if time.monotonic() - begun > PATIENCE_SECONDS:
            raise UnreachableError("the gateway does not answer for the circle; is a worker running?")
        task.wait(POLL_SECONDS / 4)  # a circle is answered sooner than a film
