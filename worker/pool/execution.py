"""One job from its record to its published result: claim it, scan the study, publish, record how it ended."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from billiard.exceptions import SoftTimeLimitExceeded

from bcd_model.errors import BcdError, ModelError, QueueError, UsageError
from bcd_model.reasons import Reason
from converters.films.studies import StudyInput
from converters.product import PRODUCT, SOFTWARE_VERSION
from converters.results.predecessor import read_predecessor
from converters.results.study_result import FilmResult, JobIdentity, Predecessor
from worker import metrics
from worker.logs import event
from worker.pool.backoff import delay_before_next, patience_of
from worker.queue.job import Record
from worker.queue.records import Records
from worker.settings import Settings
from worker.study.growth import contents_of
from worker.study.outcome import Outcome, outcome_of
from worker.study.publish import ResultWriter, check_target, prepare_root, publish
from worker.study.scan import may_pass, scan_study
from worker.study.scanner import check_roots, load_scanner
from worker.study.staging import FILMS

if TYPE_CHECKING:
    from bcd_model.detector.scan import Scanner

PATIENCE = 600.0
"""Seconds for which a process that works on a job waits for a Redis that is away."""

_RENEWALS = 4  # in the length of a lease


class JobLostError(Exception):
    """The job was cancelled, or given to another process, while it ran."""


_ENDING = (SoftTimeLimitExceeded, JobLostError)
"""What ends an attempt and is no fault of the film that it interrupts."""


def run_job(job_id: str, holder: str, settings: Settings) -> None:
    """Do one job, if it is there to be done.

    Args:
        holder: the name of this attempt; no other attempt has it.

    Raises:
        QueueError: Redis cannot be reached.
    """
    records = Records(settings.broker_url or "", PATIENCE)
    claimed = records.claim(job_id, holder, settings.lease_seconds)
    if claimed != "claimed":
        if claimed == "unknown":
            records.count_refused("unknown job")
            event("message refused", logging.WARNING, reason="unknown job")
        elif claimed == "quarantined":
            event("job quarantined", logging.ERROR, job=job_id)
        else:
            event("job passed over", job=job_id, state=claimed)
        return
    record = records.get(job_id)
    if record is None:
        reason = Reason("record-damaged", "its record was damaged", "submit the study again")
        records.end(job_id, holder, state="failed", reason=reason, exit_code=BcdError.exit_code)
        return
    event(
        "job begun", job=job_id, study=record.study_instance_uid, films=record.films, priority=record.priority
    )
    try:
        with _lease(records, record, holder, settings):
            _run(_Attempt(record, records, holder, settings))
    except JobLostError:
        event("job dropped", job=job_id, reason="it was cancelled, given to another worker, or is lost")


@dataclass(frozen=True, slots=True)
class _Attempt:
    record: Record
    records: Records
    holder: str
    settings: Settings


def _run(attempt: _Attempt) -> None:
    record, settings = attempt.record, attempt.settings
    since = time.monotonic()
    ended = False
    try:
        outcome = _work(attempt)
        ended = True
    except QueueError:
        raise
    except BcdError as error:
        if may_pass(error) and _try_later(attempt, error):
            return
        outcome = Outcome("failed", error.reason, error.exit_code)
    except SoftTimeLimitExceeded:
        detail = f"not done within its share of {settings.visibility_timeout} s"
        reason = Reason("time-limit", detail, "raise BCD_VISIBILITY_TIMEOUT")
        outcome = Outcome("failed", reason, BcdError.exit_code)
    except JobLostError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever happens, the job ends with a reason
        event("job broke", logging.ERROR, job=record.job_id, error=error)
        reason = Reason("unexpected", f"unexpected {type(error).__name__}", "see the worker's log")
        outcome = Outcome("failed", reason, BcdError.exit_code)
    if not ended:
        _end(attempt, outcome)
    metrics.films(outcome.tally.scanned, outcome.tally.failed)
    seconds = time.monotonic() - since
    metrics.job_ended(outcome.state, record.priority, seconds)
    event(
        "job ended",
        job=record.job_id,
        study=record.study_instance_uid,
        state=outcome.state,
        exit_code=outcome.exit_code,
        reason=outcome.reason.code if outcome.reason else None,
        films_scanned=outcome.tally.scanned,
        films_failed=outcome.tally.failed,
        seconds=round(seconds, 3),
    )


def _work(attempt: _Attempt) -> Outcome:
    """Scan, publish and record the end."""
    record, records, settings = attempt.record, attempt.records, attempt.settings
    study = _study(record)
    roots = settings.input_roots
    if roots:
        roots += tuple(out / FILMS for out in record.outs)  # of zips; `_check_targets` checks the folders
    check_roots("read", [film.path for film in study.films], roots, "BCD_INPUT_ROOTS")
    scanner = _scanner_for(record, settings)
    job = JobIdentity(record.job_id, record.created, record.settings.uid_root)

    def progress(film: int, _: int) -> None:
        if not records.renew(record.job_id, attempt.holder, settings.lease_seconds, film):
            raise JobLostError

    def scanned(number: int, film: FilmResult, seconds: float) -> None:
        metrics.film_seconds(seconds)
        job, instance, took = record.job_id, film.sop_instance_uid, round(seconds, 3)
        if film.outcome == "failed":
            event("film failed", logging.WARNING, job=job, film=number, sop_instance=instance, seconds=took)
        elif film.outcome == "excluded":
            event("film excluded", job=job, film=number, sop_instance=instance, seconds=took)
        else:
            event("film scanned", job=job, film=number, sop_instance=instance, seconds=took)

    def broke(number: int, error: Exception) -> None:
        event("film broke", logging.ERROR, job=record.job_id, film=number, error=error)

    _check_targets(record, settings)
    result = scan_study(
        study,
        scanner,
        job,
        predecessor=_predecessor(record),
        progress=progress,
        scanned=scanned,
        broke=broke,
        ending=_ENDING,
        patient=True,
    )
    outcome = outcome_of(result)
    write = ResultWriter(_ENDING)
    done: set[Path] = set()
    while True:
        # as it stands now: a submission may have added a folder, or --force
        current = records.get(record.job_id)
        if current is None or current.holder != attempt.holder:
            raise JobLostError
        _check_targets(current, settings)
        for out in current.outs:
            if out not in done:
                since = time.perf_counter()
                write.names_files = out in current.homes
                publish(
                    result,
                    out,
                    replace=current.replace,
                    make_root=False,
                    roots=settings.output_roots,
                    mode=settings.results_mode,
                    write=write,
                )
                outcome = outcome_of(write.written or result)
                done.add(out)
                seconds = round(time.perf_counter() - since, 3)
                event("result published", job=record.job_id, seconds=seconds)
        if _end(attempt, outcome, outs=len(current.outs)):
            return outcome


def _predecessor(record: Record) -> Predecessor | None:
    """The result that the job's own is to replace, in the folder that was asked for last."""
    for out in reversed(record.outs):
        found = read_predecessor(out / record.study_instance_uid, record.job_id, record.model)
        if found is not None:
            return found
    return None


def _end(attempt: _Attempt, outcome: Outcome, outs: int | None = None) -> bool:
    ended = attempt.records.end(
        attempt.record.job_id,
        attempt.holder,
        state=outcome.state,
        reason=outcome.reason,
        exit_code=outcome.exit_code,
        tally=outcome.tally,
        outs=outs,
    )
    if ended is None:
        raise JobLostError
    return ended


def _try_later(attempt: _Attempt, error: BcdError) -> bool:
    """Give the job back because of trouble that may pass; False if that has gone on for too long."""
    record, settings = attempt.record, attempt.settings
    patience = patience_of(record.priority, settings)
    delay = delay_before_next(record.priority, record.tries, patience)
    reason = replace(error.reason, remedy="")  # it is done by itself
    later = attempt.records.later(record.job_id, attempt.holder, delay, reason, patience)
    if later is None:
        raise JobLostError
    if later:
        metrics.job_retried("storage")
        event(
            "job tried later",
            logging.WARNING,
            job=record.job_id,
            seconds=round(delay, 1),
            cause=_cause(error),
        )
    return later


def _cause(error: BaseException | None) -> str:
    while error is not None and not isinstance(error, OSError):
        error = error.__cause__
    return (error.strerror or "") if error is not None else ""


@contextmanager
def _lease(records: Records, record: Record, holder: str, settings: Settings) -> Iterator[None]:
    """Renew the lease as long as this process works on the job, whatever it is at.

    A thread of its own, with a connection of its own: it keeps on while a film is scanned. It stops with
    the process, also when that is only stopped (SIGSTOP), which is how others see that the job is free.
    """
    over = threading.Event()
    own = Records(settings.broker_url or "")

    def renew() -> None:
        while not over.wait(settings.lease_seconds / _RENEWALS):
            try:
                if not own.renew(record.job_id, holder, settings.lease_seconds):
                    return  # the next film, or publishing, finds out and ends the attempt
            except QueueError:
                continue  # Redis is away; no other process can take the job meanwhile

    thread = threading.Thread(target=renew, name="lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _study(record: Record) -> StudyInput:
    if record.study is None or record.study.digest != record.input_digest:
        detail = f"the record of job {record.job_id} is damaged"
        raise UsageError(detail, "submit the study again", code="record-damaged")
    return record.study


def _check_targets(record: Record, settings: Settings) -> None:
    targets = [out / record.study_instance_uid for out in record.outs]  # a forged UID may hold ".."
    check_roots("write", targets, settings.output_roots, "BCD_OUTPUT_ROOTS")
    for target in targets:
        # `submit` has made it: if it is not there, its share is away
        prepare_root(target.parent, make=False, roots=settings.output_roots)
        films = contents_of(record.study) if record.study is not None else ()
        check_target(target, record.job_id, replace=record.replace, films=films)


def _scanner_for(record: Record, settings: Settings) -> Scanner:
    if record.software_version != SOFTWARE_VERSION:
        raise UsageError(
            f"this worker is {PRODUCT} {SOFTWARE_VERSION}, "
            f"the job was submitted for version {record.software_version}",
            "submit the study again, with the version of the worker",
            code="other-version",
        )
    scanner = load_scanner(
        settings.model,
        threads=settings.threads_per_scan,
        threshold=record.settings.threshold,
        prevalence=record.settings.prevalence,
    )
    if scanner.identity != record.model:
        ours, wanted = scanner.identity, record.model
        raise ModelError(
            f"this worker has model {ours.name} {ours.version} ({ours.digest[:12]}), "
            f"the job wants {wanted.name} {wanted.version} ({wanted.digest[:12]})",
            "give submit and worker the same BCD_MODEL",
            code="other-model",
        )
    return scanner
