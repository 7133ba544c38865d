"""``submit``: studies become jobs."""

from __future__ import annotations

from pathlib import Path

import typer

from bcd_model.errors import UsageError
from worker.cli.shared.console import note
from worker.cli.shared.options import JSON, OUT, PATHS, check_batch_name
from worker.cli.shared.report import how_to_watch, report
from worker.cli.shared.session import open_queue, warn_without_worker
from worker.cli.shared.studies import read_studies, results_root, unplaced_json
from worker.cli.shared.submission import cancelled_on_interrupt, make_submitter, queue_studies, wait_for_jobs
from worker.cli.shared.zips import make_films_folder, unpacked
from worker.engine.client import worker_wanted
from worker.queue.job import Priority
from worker.settings import load_settings
from worker.study.publish import prepare_root

FORCE = typer.Option(False, "--force", "-f", help="Run again, and replace a result that is there already.")


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
    priority: Priority | None = typer.Option(
        None,
        "--priority",
        metavar="interactive|batch",
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
    from worker.queue.submission import exit_code, priority_for  # brings Redis

    settings = load_settings()
    if settings.embedded and wait is False:
        check_engine_is_kept(settings.state_dir)
    root = results_root(out, settings)
    if settings.embedded:
        # not at a site: its worker may see other disks than this machine
        prepare_root(root, mode=settings.results_mode)
    with unpacked(
        paths, lambda: make_films_folder(root, settings.results_mode), settings.results_mode
    ) as films:
        found = read_studies(films.paths, films.shown)
        studies = found.studies
        with open_queue(settings) as queue:
            waiting = settings.embedded if wait is None else wait
            films.needed = True  # by jobs, also if this command ends early
            with cancelled_on_interrupt(queue, len(studies)) as submitted:
                wanted = priority_for(len(studies), batch or "", priority)
                submitter = make_submitter(queue, root, wanted, batch or "", force=force)
                queue_studies(submitter, studies, submitted, quiet=as_json)
                if batch is not None:
                    placed = [film.path for study in studies for film in study.films]
                    queue.records.note_unplaced(batch, [lost.path for lost in found.unplaced], placed)
                if waiting:
                    records = wait_for_jobs(queue, submitted)
                else:  # what is done may be so in part
                    records = queue.records.listing([a.job_id for a in submitted if a.answer == "done"])
            ended = {record.job_id for record in records if record.state == "done"}
            films.needed = any(a.answer != "refused" and a.job_id not in ended for a in submitted)
            under_way = (
                [] if waiting else [a.job_id for a in submitted if a.answer in ("queued", "under way")]
            )
            if under_way:
                warn_without_worker(queue)
    report(submitted, records, unplaced_json(found, films.shown), as_json=as_json, batch=batch)
    if under_way and not as_json:
        note(how_to_watch(under_way, batch))
    code = exit_code(records, submitted)
    raise typer.Exit(code or (1 if found.unplaced else 0))


def check_engine_is_kept(state_dir: Path) -> None:
    """Raise UsageError if nothing would work on a job that is not waited for."""
    if not worker_wanted(state_dir):
        raise UsageError("--no-wait needs an engine that stays", "start 'bcd-admin up' in another terminal")
