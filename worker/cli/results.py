"""``results``: what was found in a study, or in a batch of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from bcd_model.errors import InputError, UsageError
from converters.results.result_json import read_result
from worker.cli.shared import batch_results
from worker.cli.shared.console import say, say_json
from worker.cli.shared.options import ALL, BATCH, JSON
from worker.cli.shared.result import PROBABILITIES, show_result
from worker.cli.shared.selection import check_selection
from worker.cli.shared.session import open_queue
from worker.queue.job import Standing
from worker.settings import load_settings


def results(
    job: str | None = typer.Argument(
        None,
        metavar="ID",
        help="Job id, its beginning, a Study Instance UID, or a result's folder.",
        show_default=False,
    ),
    batch: str | None = BATCH,
    everything: bool = ALL,
    as_csv: bool = typer.Option(False, "--csv", help="A row for every finding, also those that are hidden."),
    as_json: bool = JSON,
) -> None:
    """Show what was found in a study, or list the studies of a batch, the most suspicious first.

    With --csv a film without a finding has a row too, and so has a study without a result: with the reason.
    """
    check_selection("results", [job] if job is not None else [], batch)
    if as_csv and as_json:
        raise UsageError("--csv and --json are two answers", "choose one")
    if batch is not None:
        batch_results.show_batch(batch, as_csv=as_csv, as_json=as_json)
    elif as_csv:
        batch_results.show_csv(job or "")
    else:
        _show_study(job or "", everything=everything, as_json=as_json)


def _show_study(job: str, *, everything: bool, as_json: bool) -> None:
    """Every film of a study with its findings, and where the files are."""
    folder = Path(job)
    if job and folder.is_dir():
        result = read_result(folder)
    else:
        folder, result = _result_of(job)
    files = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    if as_json:
        say_json(result | {"folder": str(folder.absolute()), "files": [str(path) for path in files]})
        return
    show_result(result, everything=everything)
    say()
    say(PROBABILITIES)
    say(f"files in {folder.absolute()}:")
    for path in files:
        say(f"  {path}")


def _result_of(job: str) -> tuple[Path, dict[str, Any]]:
    """The folder and the content of the job's result."""
    with open_queue(load_settings()) as queue:
        record = queue.records.find_result(job)
    standing = record.standing()
    if standing.folder is not None:
        result = read_result(standing.folder)
        if result["job_id"] == record.job_id:
            return standing.folder, result
        standing = Standing(None, standing.folder, result["job_id"])  # replaced since it was looked at
    if not record.final:
        raise InputError(f"job {record.job_id} is {record.description}", "wait until it is done")
    if standing.other is not None and batch_results.has_result(record):
        message = f"the result of job {record.job_id} is gone: {standing.explained()}"
        raise InputError(message, f"bcd-admin results {standing.other} shows that one")
    reason = f": {record.why(with_place=True)}" if record.reason else ", and its result is gone"
    raise InputError(f"job {record.job_id} is {record.state}{reason}", "submit the study again")
