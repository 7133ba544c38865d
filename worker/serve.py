"""Running a worker in this process: Celery's prefork pool; the model is loaded in its children only."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery, signals

from bcd_model.errors import QueueError
from worker.app import make_app
from worker.engine_host import die_with_parent
from worker.logs import set_up_logging
from worker.records import Records
from worker.settings import Settings
from worker.submission import resume
from worker.tasks import register


def run_worker(settings: Settings, *, alone: bool) -> int:
    """Work on jobs until told to end (SIGTERM, Ctrl-C); returns the exit code.

    Args:
        alone: no other worker uses this queue, so what an earlier one left unfinished is taken up at once.

    Raises:
        QueueError: Redis cannot be reached at the start.
    """
    set_up_logging(settings.log_level)
    records = Records(settings.broker_url or "")
    records.ping()
    app = make_app(settings)
    register(app, settings)
    if alone:
        resume(app, records)
    signals.worker_process_init.connect(_set_up_child, weak=False)
    # OpenMP reads this when torch is first imported, in a child; more threads than cores only fight.
    os.environ.setdefault("OMP_NUM_THREADS", str(settings.threads_per_scan))
    return _serve(app, settings)


def _serve(app: Celery, settings: Settings) -> int:
    worker = app.Worker(
        concurrency=settings.worker_processes,
        pool="prefork",
        loglevel=settings.log_level,
        quiet=True,
        without_gossip=True,
        without_mingle=True,
    )
    try:
        worker.start()
    except OSError as error:
        raise QueueError(
            f"the worker lost its queue: {error.strerror or error}", "see bcd-admin doctor"
        ) from error
    return int(worker.exitcode or 0)


def _set_up_child(**_: Any) -> None:
    die_with_parent()
