"""What a worker does with a message: look the job up, scan the study, publish, keep the record."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from celery import Celery
from celery.exceptions import Reject, SoftTimeLimitExceeded

from bcd_model.errors import BcdError, InputError, ModelError, QueueError, UsageError
from converters.result import JobIdentity, StudyResult
from converters.studies import StudyInput
from worker.app import TASK
from worker.job import UNDER_WAY, Record, State
from worker.pipeline import scan_study
from worker.publish import check_target, prepare_root, publish
from worker.records import Records
from worker.settings import Settings

if TYPE_CHECKING:
    from bcd_model.scan import Scanner

log = logging.getLogger("bcd.worker")

MAX_ATTEMPTS = 3
"""So often may a job end the process that works on it, before it is put aside."""


class JobCancelledError(Exception):
    """The job was cancelled while it ran."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a study ended: its state, why it failed, and the exit code that belongs to it."""

    state: State
    reason: str = ""
    exit_code: int = 0


def register(app: Celery, settings: Settings) -> None:
    """Give ``app`` the one task there is."""

    def scan_study_task(job_id: str) -> None:
        try:
            run_job(job_id, settings)
        except QueueError as error:
            # Redis is gone: nothing could be recorded, so the message must not count as done
            raise Reject(str(error), requeue=True) from error

    app.task(scan_study_task, name=TASK)


def run_job(job_id: str, settings: Settings) -> None:
    """Do one job, from its record to its published result and its last state.

    Raises:
        QueueError: Redis cannot be reached.
    """
    records = Records(settings.broker_url or "")
    record = records.get(job_id)
    if record is None:
        log.warning("job %s refused: there is no record of it", job_id)
        return
    if record.state == "running" and record.attempts >= MAX_ATTEMPTS:
        reason = f"it ended its worker, or took too long, {record.attempts} times; put aside"
        records.advance(job_id, allowed=UNDER_WAY, state="failed", reason=reason, exit_code=1)
        log.error("job %s %s", job_id, reason)
        return
    begun = {"state": "running", "film": 0, "attempts": record.attempts + 1, "reason": ""}
    if not records.advance(job_id, allowed=UNDER_WAY, **begun):
        log.info("job %s passed over: it is %s", job_id, record.state)
        return
    log.info("job %s begun: study %s films %d", job_id, record.study_instance_uid, record.films)
    try:
        outcome = _work(record, records, settings)
    except JobCancelledError:
        log.info("job %s cancelled", job_id)
        return
    except QueueError:
        raise
    except BcdError as error:
        outcome = Outcome("failed", str(error), error.exit_code)
    except SoftTimeLimitExceeded:
        reason = f"not done within its share of {settings.visibility_timeout} s; raise BCD_VISIBILITY_TIMEOUT"
        outcome = Outcome("failed", reason, BcdError.exit_code)
    except Exception as error:  # noqa: BLE001 - whatever happens, the job ends with a reason
        # where it happened, not what it says: a library's message may quote the header of a film
        frames = "".join(traceback.format_tb(error.__traceback__))
        log.error("job %s: unexpected %s\n%s", job_id, type(error).__name__, frames)
        outcome = Outcome("failed", f"unexpected {type(error).__name__}; see the worker's log", 1)
    if outcome.state == "failed":
        fields = {"state": outcome.state, "reason": outcome.reason, "exit_code": outcome.exit_code}
        records.advance(job_id, allowed=frozenset({"running"}), **fields)
    log.info("job %s ended: %s %s", job_id, outcome.state, outcome.reason)


def _work(record: Record, records: Records, settings: Settings) -> Outcome:
    """Scan and publish; a job that is not "failed" is also recorded here."""
    study = _study(record)
    _check_roots("read", [film.path for film in study.films], settings.input_roots, "BCD_INPUT_ROOTS")
    scanner = _scanner_for(record, settings)
    job = JobIdentity(record.job_id, record.created, str(record.settings["uid_root"]))

    def progress(film: int, _: int) -> None:
        if not records.advance(record.job_id, allowed=frozenset({"running"}), film=film):
            raise JobCancelledError

    _check_targets(record, settings)
    result = scan_study(study, scanner, job, settings=record.settings, progress=progress)
    outcome = outcome_of(result)
    fields = {"state": outcome.state, "reason": outcome.reason, "exit_code": outcome.exit_code}
    published: set[Path] = set()
    while True:
        for out in record.outs:
            if out not in published:
                publish(result, out, replace=record.replace)
                published.add(out)
        if records.finish(record, **fields):
            return outcome
        current = records.get(record.job_id)  # a submission has asked for one more folder meanwhile
        if current is None:
            return outcome
        record = replace(record, outs=current.outs)
        _check_targets(record, settings)


def outcome_of(result: StudyResult) -> Outcome:
    """Done if every film was scanned, failed if none was, else done with failures."""
    failed = [film for film in result.films if film.failed]
    if not failed:
        return Outcome("done")
    first = failed[0].reason or ""
    if failed[0].file not in first:
        first = f"{failed[0].file}: {first}"
    if len(failed) == len(result.films):
        return Outcome("failed", f"no film of {len(failed)} could be scanned; {first}", InputError.exit_code)
    reason = f"{len(failed)} of {len(result.films)} films failed; {first}"
    return Outcome("done with failures", reason, BcdError.exit_code)


def _study(record: Record) -> StudyInput:
    if record.study is None or record.study.digest != record.input_digest:
        raise QueueError(f"the record of job {record.job_id} is damaged", "submit the study again")
    return record.study


def _check_targets(record: Record, settings: Settings) -> None:
    _check_roots("write", record.outs, settings.output_roots, "BCD_OUTPUT_ROOTS")
    for out in record.outs:
        prepare_root(out)
        check_target(out / record.study_instance_uid, record.job_id, replace=record.replace)


def _check_roots(what: str, paths: Sequence[Path], roots: Sequence[Path], variable: str) -> None:
    if not roots:
        return
    allowed = [root.resolve() for root in roots]
    for path in paths:
        real = path.resolve()
        if not any(real.is_relative_to(root) for root in allowed):
            raise UsageError(
                f"this worker may not {what} {path.parent}", f"mend {variable} or move the files"
            )


def _scanner_for(record: Record, settings: Settings) -> Scanner:
    scanner = make_scanner(settings.model, settings.threads_per_scan, float(record.settings["threshold"]))
    if scanner.identity != record.model:
        ours, wanted = scanner.identity, record.model
        raise ModelError(
            f"this worker has model {ours.name} {ours.version} ({ours.digest[:12]}), "
            f"the job wants {wanted.name} {wanted.version} ({wanted.digest[:12]})",
            "give submit and worker the same BCD_MODEL",
        )
    return scanner


@lru_cache(maxsize=1)
def make_scanner(path: Path | None, threads: int, threshold: float | None) -> Scanner:
    """The scanner of this process: loaded at the first job, then kept.

    Args:
        threshold: in place of the model's own operating point, whose figures then do not apply.

    Raises:
        ModelError: the weight file cannot be used.
    """
    from bcd_model.model import load_model
    from bcd_model.scan import Scanner
    from bcd_model.words import OperatingPoint

    model = load_model(path)
    if threshold is not None and threshold != model.operating_point.threshold:
        point = OperatingPoint(threshold, basis="set by the user; not measured")
        model = replace(model, operating_point=point)
    return Scanner(model, threads=threads)
