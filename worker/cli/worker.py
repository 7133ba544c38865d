"""``worker``: works on the jobs of a site's queue."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

import typer

from worker.cli.shared.options import Lane

if TYPE_CHECKING:
    from worker.settings import Settings


def worker(
    processes: int | None = typer.Option(
        None,
        "--processes",
        min=1,
        max=256,
        help="Films at the same time.",
        show_default="BCD_WORKER_PROCESSES",
    ),
    resume: bool = typer.Option(
        False,
        "--resume",
        help="Take up at once what a worker that is gone left unfinished; only if no other one runs.",
    ),
    lane: Lane | None = typer.Option(
        None, "--lane", help="Serve this lane alone.", show_default="interactive before batch"
    ),
    health: bool = typer.Option(
        False, "--health", help="Start nothing; exit with 0 if a worker of this machine is at work."
    ),
) -> None:
    """Work on jobs of the queue that BCD_BROKER_URL names, until told to end."""
    from bcd_model.errors import UsageError
    from worker.settings import load_settings

    settings = load_settings(worker_processes=processes)
    if settings.embedded:
        raise UsageError("a worker needs a queue", "set BCD_BROKER_URL, or use 'bcd-admin up'")
    if health:
        check_health(settings)
        return
    from worker.pool.serve import run_worker
    from worker.queue.job import LANES

    raise typer.Exit(run_worker(settings, alone=resume, lanes=(lane.value,) if lane else LANES))


def check_health(settings: Settings) -> None:
    """Raise QueueError if no worker of this machine has given a sign of life lately."""
    from bcd_model.errors import QueueError
    from worker.queue.records import Records

    host = platform.node()
    if all(about["host"] != host for about in Records(settings.broker_url or "").workers().values()):
        raise QueueError(f"no worker of {host} is at work", "see its log")
