"""The two tasks: what Celery does with a message.

How a job is done is in `worker.pool.execution`, how a region is classified in `worker.pool.regions`.
"""

from __future__ import annotations

import logging
import os
import time
from typing import Any

from billiard.exceptions import WorkerLostError
from celery import Celery, Task
from celery.exceptions import Reject
from celery.worker import state
from celery.worker.request import Request

from bcd_model.errors import QueueError
from worker import metrics
from worker.logs import event
from worker.pool.app import REGION_TASK, TASK
from worker.pool.execution import run_job
from worker.pool.regions import classify_region
from worker.queue.records import Records
from worker.settings import Settings

_PAUSE = 1.0  # seconds


def register(app: Celery, settings: Settings) -> None:
    """Give ``app`` the tasks there are; Celery's own, which run other tasks, are taken out."""
    records = Records(settings.broker_url or "")

    class ScanRequest(Request):  # type: ignore[misc]  # Celery has no types
        """A message in the worker's main process, which sees its children die."""

        def on_failure(self, exc_info: Any, send_failed_event: bool = True, return_ok: bool = False) -> Any:
            error = getattr(exc_info.exception, "exc", exc_info.exception)
            if isinstance(error, WorkerLostError | SystemExit | KeyboardInterrupt):
                # no fault of the study: a worker that ends at once ends its processes, systemd all it knows
                ending = state.should_stop is not None or state.should_terminate is not None
                self._give_back("its process ended", lost=not (self._already_cancelled or ending))
            return super().on_failure(exc_info, send_failed_event, return_ok)

        def on_timeout(self, soft: bool, timeout: float) -> Any:
            if not soft:
                self._give_back("its time was over", lost=True)
            return super().on_timeout(soft, timeout)

        def _give_back(self, cause: str, *, lost: bool) -> None:
            # before Celery puts the message back, or the process that gets it finds the job still held
            job = self.args[0]
            try:
                became = records.release(job, holder(self.id, self.hostname), lost=lost)
            except QueueError as error:
                event("queue lost", logging.ERROR, error=str(error))  # the lease runs out instead
                return
            if became and lost:
                metrics.attempt_lost(cause)
                event("attempt lost", logging.ERROR, job=job, cause=cause, state=became)
            elif became:
                event("job handed back", job=job)

    class ScanTask(Task):  # type: ignore[misc]  # Celery has no types
        """The task, with requests that give back what a dead child had."""

    ScanTask.Request = ScanRequest

    def scan_study(task: Task, job: str) -> None:
        try:
            run_job(job, f"{holder(task.request.id, task.request.hostname)}{os.getpid()}", settings)
        except QueueError as error:
            raise _once_more(error) from None

    def region(region_id: str) -> None:
        try:
            classify_region(region_id, settings)
        except QueueError as error:
            raise _once_more(error) from None

    app.task(scan_study, bind=True, base=ScanTask, name=TASK, typing=False)
    app.task(region, name=REGION_TASK, typing=False)
    app.finalize()
    for name in [name for name in app.tasks if name not in (TASK, REGION_TASK)]:
        app.tasks.unregister(name)


def _once_more(error: QueueError) -> Reject:
    """Redis is gone, or refuses: nothing could be recorded, so the message must not count as done.

    It comes back at once, in front of all others: the next to take it must not ask Redis without a pause.
    """
    event("queue lost", logging.ERROR, error=str(error))
    time.sleep(_PAUSE)
    return Reject("the queue is lost", requeue=True)


def holder(message_id: object, node: object) -> str:
    """What the name of an attempt begins with; the process that makes it comes after."""
    return f"{message_id}/{node}/"
