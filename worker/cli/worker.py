"""``worker``: works on the jobs of a site's queue."""

from __future__ import annotations

import platform

import typer

from bcd_model.errors import QueueError, UsageError
from worker.cli.shared.console import warn_of_unknown_settings
from worker.queue.job import PRIORITIES, Priority
from worker.settings import Settings, load_settings


def worker(
    processes: int | None = typer.Option(
        None,
        "--processes",
        metavar="N",
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
    priority: Priority | None = typer.Option(
        None,
        "--priority",
        metavar="interactive|batch",
        help="Serve this priority queue alone.",
        show_default="interactive before batch",
    ),
    health: bool = typer.Option(
        False, "--health", help="Start nothing; exit with 0 if a worker of this machine is at work."
    ),
) -> None:
    """Work on jobs of the queue that BCD_BROKER_URL names, until it is stopped."""
    settings = load_settings(worker_processes=processes)
    if settings.embedded:
        warn_of_unknown_settings()  # BCD_BROKER_URL may be misspelt
        raise UsageError("a worker needs a queue", "set BCD_BROKER_URL, or use 'bcd-admin up'")
    if health:
        check_health(settings)
        return
    from worker.pool.serve import run_worker  # brings Celery

    raise typer.Exit(run_worker(settings, alone=resume, priorities=(priority,) if priority else PRIORITIES))


def check_health(settings: Settings) -> None:
    """Raise QueueError if no worker of this machine has sent a heartbeat lately."""
    from worker.queue.records import Records  # brings redis

    host = platform.node()
    if all(about["host"] != host for about in Records(settings.broker_url or "").workers().values()):
        raise QueueError(f"no worker of {host} is at work", "see its log")
