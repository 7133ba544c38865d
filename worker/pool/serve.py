"""Running a worker in this process: Celery's prefork pool; the model is loaded in its children only."""

from __future__ import annotations

import logging
import multiprocessing
import os
import platform
import secrets
import signal
import tempfile
from collections.abc import Sequence
from typing import Any

from celery import Celery, signals
from celery.apps import worker as celery_worker

from bcd_model.errors import ModelError, QueueError
from bcd_model.weights import read_info
from worker import metrics
from worker.engine.host import die_with_parent
from worker.logs import event, set_up_logging
from worker.pool.app import CeleryMessages, make_app
from worker.pool.tasks import register
from worker.pool.transport import use_transport
from worker.pool.upkeep import add_upkeep, resume
from worker.queue.job import PRIORITIES, Priority
from worker.queue.messages import queue_name
from worker.queue.records import Records
from worker.settings import Settings
from worker.study.scanner import load_scanner
from worker.unknown_settings import log_unknown_settings


def run_worker(
    settings: Settings, *, alone: bool = False, priorities: Sequence[Priority] = PRIORITIES
) -> int:
    """Work on jobs until asked to end (SIGTERM, Ctrl-C); returns the exit code.

    SIGTERM, or the first Ctrl-C, lets the studies that are being scanned end; SIGQUIT, or the second Ctrl-C,
    gives them back.

    Args:
        alone: no other worker uses this queue, so what an earlier one left unfinished is taken up at once.
        priorities: the priority queues to serve, the first before the second.

    Raises:
        QueueError: Redis cannot be reached at the start.
        ModelError: the weight file cannot be used.
    """
    # the parent of this process may have blocked them, and a worker would never learn that it is to end
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGQUIT, signal.SIGTERM})
    set_up_logging(settings.log_level, settings.log_format)
    log_unknown_settings()
    model = read_info(settings.model).identity
    records = Records(settings.broker_url or "")
    records.ping()
    use_transport(settings.broker_url or "")
    app = make_app(settings)
    messages = CeleryMessages(app)
    register(app, settings)
    add_upkeep(app, settings, {"priorities": list(priorities), "model": model.digest})
    if alone:
        resume(messages, records)

    def set_up_child(**_: Any) -> None:
        die_with_parent()
        try:
            # not at the cost of the first study
            load_scanner(settings.model, threads=settings.threads_per_scan)
        except ModelError as error:
            event("model lost", logging.ERROR, error=str(error))  # every job says so too

    signals.worker_process_init.connect(set_up_child, weak=False)
    signals.worker_ready.connect(lambda **_: event("ready", priorities=list(priorities)), weak=False)
    signals.worker_shutting_down.connect(lambda how, **_: event("stopping", how=how), weak=False)
    # OpenMP reads this when torch is first imported, in a child; more threads than cores only fight.
    os.environ.setdefault("OMP_NUM_THREADS", str(settings.threads_per_scan))
    # The pool's shared memory is a file that is unlinked at once; its folder would outlive a killed worker.
    multiprocessing.current_process()._config["tempdir"] = tempfile.gettempdir()  # type: ignore[attr-defined]
    celery_worker.safe_say = lambda *_, **__: None  # no JSON, and the events say the same
    metrics.start(settings, records.figures)
    worker = _make_worker(app, settings, priorities)
    try:
        worker.start()
    except OSError as error:
        raise QueueError(
            f"the worker lost its queue: {error.strerror or error}", "see bcd-admin doctor"
        ) from error
    finally:
        _hand_back(messages, records, worker.hostname)
        metrics.stop()
    return int(worker.exitcode or 0)


def _make_worker(app: Celery, settings: Settings, priorities: Sequence[Priority]) -> Any:
    return app.Worker(
        hostname=f"bcd-{os.getpid()}-{secrets.token_hex(2)}@{platform.node()}",  # no two have the same
        concurrency=settings.worker_processes,
        pool="prefork",
        queues=[queue_name(priority) for priority in priorities],
        loglevel=settings.log_level,
        quiet=True,
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
    )


def _hand_back(messages: CeleryMessages, records: Records, node: str) -> None:
    """Queue again what this worker's processes were at; that they were ended was not the studies' fault."""
    try:
        for job, holder in records.held_by(node).items():
            if records.release(job, holder, lost=False):
                event("job handed back", job=job)
                for record in records.listing([job]):  # one that cannot be read is logged
                    messages.send(job, record.priority, is_next=True)
        records.leave(node)
    except QueueError as error:
        event("queue lost", logging.ERROR, error=str(error))  # their leases run out instead
