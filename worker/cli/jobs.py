"""``submit``: studies become jobs; and what the other commands that put jobs on the queue share with it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import Enum
from operator import length_hint
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from worker.cli.console import counted, film_progress, note, say, say_json, say_table, warn
from worker.cli.session import Queue, open_queue, read_studies, results_root, unplaced_json

if TYPE_CHECKING:
    from converters.films.studies import StudyInput
    from worker.queue.job import Lane as LaneName
    from worker.queue.job import Record
    from worker.queue.submission import Submitted, Submitter

PATHS = typer.Argument(metavar="PATH...", help="DICOM files, or folders of any shape.", show_default=False)
OUT = typer.Option(None, "--out", "-o", metavar="DIR", help="Results folder.", show_default="bcd-results")
FORCE = typer.Option(False, "--force", "-f", help="Run again, and replace a result that is there already.")
JSON = typer.Option(False, "--json", help="Answer in JSON.")

_BATCH_NAME = re.compile(r"[\w.:@+][\w.:@+-]{0,63}")  # \w: letters and digits of any script, and _


def check_batch_name(name: str | None) -> str | None:
    """The ``name`` of a batch, if it is one.

    Raises:
        UsageError: it is none.
    """
    from bcd_model.errors import UsageError

    if name is not None and not _BATCH_NAME.fullmatch(name):
        remedy = "use up to 64 letters, digits and _ . : @ + -, the last not at the start"
        raise UsageError(f"{name!r} is no name for a batch", remedy)
    return name


BATCH = typer.Option(
    None, "--batch", "-b", metavar="NAME", help="The jobs of this batch.", callback=check_batch_name
)
WATCH = typer.Option(False, "--watch", "-w", help="Keep showing it until nothing is left to wait for.")


class Lane(str, Enum):
    """Which queue a job waits in."""

    INTERACTIVE = "interactive"
    BATCH = "batch"


_UNREADABLE = ("unreadable", "its record cannot be read")  # state and reason
_LISTED = 40  # jobs that went well and are still listed one by one


def submit(
    paths: list[Path] = PATHS,
    out: Path | None = OUT,
    wait: bool | None = typer.Option(
        None, "--wait/--no-wait", help="Wait for the results; by default with the embedded engine only."
    ),
    batch: str | None = typer.Option(
        None,
        "--batch",
        "-b",
        metavar="NAME",
        help="A name for these studies together.",
        callback=check_batch_name,
    ),
    lane: Lane | None = typer.Option(
        None,
        "--lane",
        help="Which queue they wait in.",
        show_default="batch with --batch or more than 20 studies, else interactive",
    ),
    force: bool = FORCE,
    as_json: bool = JSON,
) -> None:
    """Scan studies through the queue: one job a study.

    Submitting the same work again does nothing. With the embedded engine, Ctrl-C cancels what this
    command has queued; with a queue of your own (BCD_BROKER_URL) the jobs go on.
    """
    from worker.queue.submission import exit_code, lane_for
    from worker.settings import load_settings
    from worker.study.publish import prepare_root

    settings = load_settings()
    if settings.embedded and wait is False:
        check_engine_is_kept(settings.state_dir)
    root = results_root(out, settings)
    if settings.embedded:
        # not at a site: its worker may see other disks than this machine
        prepare_root(root, mode=settings.results_mode)
    found = read_studies(paths)
    studies = found.studies
    with open_queue(settings) as queue:
        waiting = settings.embedded if wait is None else wait
        with cancelled_on_interrupt(queue, len(studies)) as submitted:
            wanted = lane_for(len(studies), batch or "", lane.value if lane else None)
            submitter = make_submitter(queue, root, wanted, batch or "", force=force)
            queue_studies(submitter, studies, submitted, quiet=as_json)
            if batch is not None:
                placed = [film.path for study in studies for film in study.films]
                queue.records.note_unplaced(batch, [lost.path for lost in found.unplaced], placed)
            if waiting:
                records = wait_for_jobs(queue, submitted)
            else:  # what is done may be so in part
                records = queue.records.listing([a.job_id for a in submitted if a.answer == "done"])
        under_way = [] if waiting else [a.job_id for a in submitted if a.answer in ("queued", "under way")]
        if under_way:
            warn_if_nobody_works(queue)
    report(submitted, records, queue.unreadable, unplaced_json(found), as_json=as_json)
    if under_way and not as_json:
        note(how_to_watch(under_way, batch))
    code = exit_code(records, submitted, unreadable=queue.unreadable)
    raise typer.Exit(code or (1 if found.unplaced else 0))


def check_engine_is_kept(state_dir: Path) -> None:
    """Raise UsageError if nothing would work on a job that nobody waits for."""
    from bcd_model.errors import UsageError
    from worker.engine.client import worker_wanted

    if not worker_wanted(state_dir):
        raise UsageError("--no-wait needs an engine that stays", "start 'bcd-admin up' in another terminal")


@contextmanager
def cancelled_on_interrupt(queue: Queue, studies: int = 0) -> Iterator[list[Submitted]]:
    """A list for what is submitted; on Ctrl-C the embedded engine's jobs in it are cancelled.

    Args:
        studies: how many are to be submitted, to tell how far it came.
    """
    from bcd_model.errors import QueueError

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


def make_submitter(queue: Queue, root: Path, lane: LaneName, batch: str = "", *, force: bool) -> Submitter:
    """What submits to ``queue``, for the results folder ``root``."""
    from bcd_model.weights import read_info
    from worker.pool.app import make_app
    from worker.queue.submission import Submitter

    weights, app = read_info(queue.settings.model), make_app(queue.settings)
    return Submitter(queue.records, app, weights, queue.settings, root, lane, batch, force)


def queue_studies(
    submitter: Submitter, studies: Iterable[StudyInput], submitted: list[Submitted], *, quiet: bool = False
) -> None:
    """Submit every study, append to ``submitted`` what came of it, and say it."""
    films = 0
    with film_progress(length_hint(studies), "studies") as progress:
        for number, study in enumerate(studies, start=1):
            submitted.append(submitter.submit(study))
            films += len(study.films)
            progress.update(number)
    if not quiet:
        note(_summary(submitted, films))


def wait_for_jobs(queue: Queue, submitted: Sequence[Submitted]) -> list[Record]:
    """Wait for all jobs that were not refused, showing progress a film at a time."""
    from worker.queue.submission import wait

    ids = [answer.job_id for answer in submitted if answer.answer != "refused"]
    records = queue.records.listing(ids)
    ids = [job for job in ids if job not in queue.unreadable]
    if len(records) == len(ids) and all(record.final and not record.superseded_by for record in records):
        return records
    films = {record.job_id: record.films for record in records}
    scanned: dict[str, int] = {}
    queue.start_worker()
    warn_if_nobody_works(queue)
    with film_progress(sum(films.values())) as progress:

        def changed(record: Record) -> None:
            scanned[record.job_id] = record.films if record.final else max(0, record.film - 1)
            progress.update(sum(scanned.values()), f"{record.job_id} {record.description}")

        return wait(queue.patient(), ids, check=queue.check, changed=changed)


def warn_if_nobody_works(queue: Queue) -> None:
    """Tell the user if a site's queue has no worker; the embedded engine has its own."""
    if not queue.embedded and not queue.records.workers():
        warn("no worker is at work: the jobs wait until one is started with 'bcd-admin worker'")


def how_to_watch(ids: Sequence[str], batch: str | None) -> str:
    """What to type to see how these jobs get on."""
    one = f"status {ids[0]}" if len(ids) == 1 else "jobs"
    what = one if batch is None else f"status --batch {batch}"
    return f"to watch: bcd-admin {what} --watch"


def report(
    submitted: Sequence[Submitted],
    records: Sequence[Record],
    unreadable: Collection[str],
    unplaced: Sequence[Mapping[str, str]] = (),
    *,
    as_json: bool,
) -> None:
    """What came of a submission: the jobs, and where their results are; the files that are of no study."""
    from worker.queue.submission import heirs

    by_id = heirs(records)
    if as_json:
        jobs = [
            _as_json(answer, by_id.get(answer.job_id), answer.job_id in unreadable) for answer in submitted
        ]
        say_json({"jobs": jobs, "unplaced": list(unplaced)})
        return
    rows = []
    for answer in submitted:
        record = by_id.get(answer.job_id)
        lost = answer.job_id in unreadable
        well = answer.answer != "refused" and not lost and (record is None or record.exit_code == 0)
        if well and len(submitted) > _LISTED:
            continue
        state, reason = _UNREADABLE if lost else (answer.answer, answer.reason)
        if record is not None:
            state, reason = record.state, record.reason or reason
        job = record.job_id if record is not None else answer.job_id
        rows.append((job, state, answer.study_instance_uid, reason))
    if rows:
        say_table(("JOB", "STATE", "STUDY", "REASON"), rows)
    if records:
        say(_outcome(records))


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


def _outcome(records: Sequence[Record]) -> str:
    from worker.queue.submission import last_of

    records = last_of(records)
    states = [record.state for record in records]
    parts = [f"{states.count(state):,} {state}" for state in dict.fromkeys(sorted(states))]
    roots = sorted({str(record.outs[-1]) for record in records})
    return f"{', '.join(parts)}; results in {', '.join(roots)}"


def _as_json(answer: Submitted, record: Record | None, lost: bool) -> dict[str, object]:
    start: dict[str, object] = {
        "job_id": answer.job_id,
        "study_instance_uid": answer.study_instance_uid,
        "submission": answer.answer,
    }
    if record is not None:
        return start | record.as_json()
    state, reason = _UNREADABLE if lost else (answer.answer, answer.reason)
    return start | {"state": state, "reason": reason or None}
