"""``submit``, ``jobs`` and ``status``: work through the queue."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from worker.cli.console import counted, film_progress, note, say, say_json, say_table, warn
from worker.cli.session import Queue, open_queue, read_studies, results_root

if TYPE_CHECKING:
    from converters.studies import StudyInput
    from worker.job import Record
    from worker.submission import Submitted

PATHS = typer.Argument(metavar="PATH...", help="DICOM files, or folders of any shape.", show_default=False)
OUT = typer.Option(None, "--out", "-o", metavar="DIR", help="Results folder.", show_default="bcd-results")
FORCE = typer.Option(False, "--force", "-f", help="Run again, and replace a result that is there already.")
JSON = typer.Option(False, "--json", help="Answer in JSON.")

_LISTED = 40  # jobs that went well and are still listed one by one


def submit(
    paths: list[Path] = PATHS,
    out: Path | None = OUT,
    wait: bool | None = typer.Option(
        None, "--wait/--no-wait", help="Wait for the results; by default with the embedded engine only."
    ),
    force: bool = FORCE,
    as_json: bool = JSON,
) -> None:
    """Scan studies through the queue: one job a study.

    Submitting the same work again does nothing. With the embedded engine, Ctrl-C cancels what this
    command has queued; with a queue of your own (BCD_BROKER_URL) the jobs go on.
    """
    from worker.publish import prepare_root
    from worker.settings import load_settings
    from worker.submission import exit_code

    settings = load_settings()
    if settings.embedded and wait is False:
        check_engine_is_kept(settings.state_dir)
    root = results_root(out, settings)
    if settings.embedded:
        prepare_root(root)  # a site's worker may see other disks than this machine
    studies = read_studies(paths)
    with open_queue(settings) as queue:
        waiting = settings.embedded if wait is None else wait
        with cancelled_on_interrupt(queue) as submitted:
            queue_studies(queue, studies, root, submitted, force=force, quiet=as_json)
            records = wait_for_jobs(queue, submitted) if waiting else []
    report(submitted, records, as_json=as_json)
    raise typer.Exit(exit_code(records, submitted))


def check_engine_is_kept(state_dir: Path) -> None:
    """Raise UsageError if nothing would work on a job that nobody waits for."""
    from bcd_model.errors import UsageError
    from worker.engine import worker_wanted

    if not worker_wanted(state_dir):
        raise UsageError("--no-wait needs an engine that stays", "start 'bcd-admin up' in another terminal")


@contextmanager
def cancelled_on_interrupt(queue: Queue) -> Iterator[list[Submitted]]:
    """A list for what is submitted; on Ctrl-C the embedded engine's jobs in it are cancelled."""
    from worker.submission import cancel

    submitted: list[Submitted] = []
    try:
        yield submitted
    except KeyboardInterrupt:
        if queue.embedded:
            ours = [answer.job_id for answer in submitted if answer.answer == "queued"]
            stopped = cancel(queue.records, ours)
            note(f"{counted(stopped, 'job')} cancelled; submit again to do what is missing")
        else:
            note("the jobs go on; see bcd-admin jobs")
        raise


def queue_studies(
    queue: Queue,
    studies: Sequence[StudyInput],
    root: Path,
    submitted: list[Submitted],
    *,
    force: bool,
    quiet: bool = False,
) -> None:
    """Submit every study, append to ``submitted`` what came of it, and say it."""
    from bcd_model.weights import read_info
    from worker.app import make_app
    from worker.submission import submit_study

    weights = read_info(queue.settings.model)
    app = make_app(queue.settings)
    for study in studies:
        answer = submit_study(
            study,
            root,
            records=queue.records,
            app=app,
            weights=weights,
            settings=queue.settings,
            force=force,
        )
        submitted.append(answer)
    if not quiet:
        note(_summary(studies, submitted))


def wait_for_jobs(queue: Queue, submitted: Sequence[Submitted]) -> list[Record]:
    """Wait for all jobs that were not refused, showing progress a film at a time."""
    from worker.submission import wait

    ids = [answer.job_id for answer in submitted if answer.answer != "refused"]
    records = queue.records.listing(ids)
    if all(record.final for record in records):
        return records
    films = {record.job_id: record.films for record in records}
    scanned: dict[str, int] = {}
    queue.start_worker()
    warn_if_nobody_works(queue)
    with film_progress(sum(films.values())) as progress:

        def changed(record: Record) -> None:
            scanned[record.job_id] = record.films if record.final else max(0, record.film - 1)
            progress.update(sum(scanned.values()), f"{record.job_id} {record.description}")

        return wait(queue.records, ids, check=queue.check, changed=changed)


def warn_if_nobody_works(queue: Queue) -> None:
    """Tell the user if a site's queue has no worker; the embedded engine has its own."""
    from worker.app import answering_workers, make_app

    if not queue.embedded and not answering_workers(make_app(queue.settings)):
        warn("no worker answers: the jobs wait until one is started with 'bcd-admin worker'")


def report(submitted: Sequence[Submitted], records: Sequence[Record], *, as_json: bool) -> None:
    """What came of a submission: the jobs, and where their results are."""
    by_id = {record.job_id: record for record in records}
    if as_json:
        say_json({"jobs": [_as_json(answer, by_id.get(answer.job_id)) for answer in submitted]})
        return
    rows = []
    for answer in submitted:
        record = by_id.get(answer.job_id)
        well = answer.answer != "refused" and (record is None or record.exit_code == 0)
        if well and len(submitted) > _LISTED:
            continue
        state = record.state if record else answer.answer
        reason = (record.reason if record else "") or answer.reason
        rows.append((answer.job_id, state, answer.study_instance_uid, reason))
    if rows:
        say_table(("JOB", "STATE", "STUDY", "REASON"), rows)
    if records:
        say(_outcome(records))


def jobs(as_json: bool = JSON) -> None:
    """List all jobs, the newest first."""
    from worker.settings import load_settings

    with open_queue(load_settings()) as queue:
        records = [queue.shown(record) for record in queue.records.listing()]
    if as_json:
        say_json({"jobs": [record.as_json() for record in records]})
        return
    if not records:
        note("no jobs yet")
        return
    say_table(
        ("JOB", "STATE", "FILMS", "CREATED", "STUDY", "REASON"),
        [
            (
                record.job_id,
                record.description,
                record.films,
                f"{record.created:%Y-%m-%d %H:%M:%S}",
                record.study_instance_uid,
                record.reason,
            )
            for record in records
        ],
    )


def status(
    job: str = typer.Argument(metavar="ID", help="Job id, its beginning, or a Study Instance UID."),
    as_json: bool = JSON,
) -> None:
    """Show one job."""
    from worker.settings import load_settings

    with open_queue(load_settings()) as queue:
        record = queue.shown(queue.records.find(job))
    if as_json:
        say_json(record.as_json())
        return
    folder = record.result_folder()
    lines = {
        "job": record.job_id,
        "study": record.study_instance_uid,
        "state": record.description,
        "reason": record.reason,
        "films": record.films,
        "created": record.created.isoformat(sep=" "),
        "updated": record.updated.isoformat(sep=" "),
        "attempts": record.attempts,
        "model": f"{record.model.name} {record.model.version} ({record.model.digest[:12]})",
        "settings": ", ".join(f"{name} {value}" for name, value in record.settings.items()),
        "result": folder or "none",
    }
    for name, value in lines.items():
        if value != "":
            say(f"{name:9} {value}")


def _summary(studies: Sequence[StudyInput], submitted: Sequence[Submitted]) -> str:
    films = sum(len(study.films) for study in studies)
    answers = [answer.answer for answer in submitted]
    parts = [
        f"{answers.count(answer)} {words}"
        for answer, words in (
            ("queued", "queued"),
            ("done", "done already: nothing to do (--force runs them again)"),
            ("under way", "under way already"),
            ("refused", "refused"),
        )
        if answer in answers
    ]
    return f"{counted(len(studies), 'study', 'studies')}, {counted(films, 'film')}: {', '.join(parts)}"


def _outcome(records: Sequence[Record]) -> str:
    states = [record.state for record in records]
    parts = [f"{states.count(state)} {state}" for state in dict.fromkeys(sorted(states))]
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
    return start | {"state": answer.answer, "reason": answer.reason or None}
