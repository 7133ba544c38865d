"""Studies become jobs, and jobs are waited for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from operator import length_hint
from pathlib import Path
from typing import TYPE_CHECKING

from bcd_model.errors import QueueError
from bcd_model.weights import read_info
from converters.films.studies import StudyInput
from worker.cli.shared.console import note
from worker.cli.shared.figures import counted
from worker.cli.shared.progress import film_progress
from worker.cli.shared.session import Queue, warn_without_worker
from worker.queue.job import Priority, Record

if TYPE_CHECKING:
    from worker.queue.submission import Submitted, Submitter


@contextmanager
def cancelled_on_interrupt(queue: Queue, studies: int = 0) -> Iterator[list[Submitted]]:
    """A list for what is submitted; on Ctrl-C the embedded engine's jobs in it are cancelled.

    Args:
        studies: how many are to be submitted, to say how far it came.
    """
    submitted: list[Submitted] = []
    try:
        yield submitted
    except QueueError:
        if len(submitted) < studies:
            note(_how_far(submitted, studies))
        raise
    except KeyboardInterrupt:
        if queue.embedded:
            ours = [answer.job_id for answer in submitted if answer.answer == "queued"]
            reason = "interrupted; submit the study again"
            stopped = sum(queue.records.cancel(job, reason, unless_shared=True) for job in ours)
            note(f"{counted(stopped, 'job')} cancelled; submit again to do what is missing")
        elif len(submitted) < studies:
            note(_how_far(submitted, studies))
        else:
            note("the jobs go on; see bcd-admin jobs")
        raise


def _how_far(submitted: Sequence[Submitted], studies: int) -> str:
    queued = sum(answer.answer in ("queued", "under way") for answer in submitted)
    return (
        f"{queued:,} of {counted(studies, 'study', 'studies')} are queued; "
        "submit the same again: it goes on where it stopped"
    )


def make_submitter(
    queue: Queue, root: Path, priority: Priority, batch: str = "", *, force: bool
) -> Submitter:
    """What submits to ``queue``, for the results folder ``root``."""
    from worker.pool.app import make_messages  # brings Celery
    from worker.queue.submission import Submitter  # brings Redis

    weights, messages = read_info(queue.settings.model), make_messages(queue.settings)
    return Submitter(queue.records, messages, weights, queue.settings, root, priority, batch, force)


def queue_studies(
    submitter: Submitter, studies: Iterable[StudyInput], submitted: list[Submitted], *, quiet: bool = False
) -> None:
    """Submit every study, append to ``submitted`` what came of it, and say it."""
    films = 0
    with film_progress(length_hint(studies), "studies") as progress:
        for number, study in enumerate(studies, start=1):
            submitted.append(submitter.submit(study))
            films += len(study.films)
            progress(number)
    if not quiet:
        note(_summary(submitted, films))


def _summary(submitted: Sequence[Submitted], films: int) -> str:
    answers = [answer.answer for answer in submitted]
    parts = [
        f"{answers.count(answer):,} {words}"
        for answer, words in (
            ("queued", "queued"),
            ("done", "done already: nothing to do (--force runs them again)"),
            ("under way", "under way already"),
            ("refused", "refused"),
        )
        if answer in answers
    ]
    return f"{counted(len(submitted), 'study', 'studies')}, {counted(films, 'film')}: {', '.join(parts)}"


def wait_for_jobs(queue: Queue, submitted: Sequence[Submitted]) -> list[Record]:
    """Wait for all jobs that were not refused, showing progress a film at a time."""
    from worker.queue.submission import wait  # brings Redis

    ids = [answer.job_id for answer in submitted if answer.answer != "refused"]
    records = queue.records.listing(ids)
    if len(records) == len(ids) and all(record.final and not record.superseded_by for record in records):
        return records
    films = {record.job_id: record.films for record in records}
    scanned: dict[str, int] = {}
    queue.start_worker()
    warn_without_worker(queue)
    with film_progress(sum(films.values())) as progress:

        def changed(record: Record) -> None:
            scanned[record.job_id] = record.films if record.final else max(0, record.film - 1)
            progress(sum(scanned.values()), f"{record.job_id} {record.description}")

        return wait(queue.patient(), ids, check=queue.check, changed=changed)
