"""What a worker's main process does beside its work: it sends heartbeats, and sweeps the queue.

Both run on the timer of Celery's event loop, hence neither in a thread that a fork would cut in two nor
while the connection to Redis is being made again.
"""

from __future__ import annotations

import logging
import os
import platform
from typing import Any

from celery import Celery, bootsteps
from kombu.exceptions import OperationalError

from bcd_model.errors import QueueError
from worker import metrics
from worker.logs import event
from worker.pool.app import CeleryMessages
from worker.queue.reader import log_damage
from worker.queue.records import Records, Swept
from worker.settings import Settings
from worker.study.outcome import UNDER_WAY


def add_upkeep(app: Celery, settings: Settings, about: dict[str, object]) -> None:
    """Have the workers of ``app`` look after the queue.

    Args:
        about: what a worker says of itself beside its host and process.
    """
    records, messages = Records(settings.broker_url or ""), CeleryMessages(app)
    interval = sweep_interval(settings)
    facts = {"host": platform.node(), "pid": os.getpid(), "processes": settings.worker_processes, **about}

    class Upkeep(bootsteps.StartStopStep):  # type: ignore[misc]  # Celery has no types
        """Runs between the start and the stop of the consumer, so only while Redis is there."""

        requires = ("celery.worker.consumer.tasks:Tasks",)

        def __init__(self, parent: Any, **options: Any) -> None:
            super().__init__(parent, **options)
            self._entry: Any = None
            self._lost = False

        def start(self, parent: Any) -> None:
            self.stop(parent)
            self._entry = parent.timer.call_repeatedly(interval, self._look_after, (parent.hostname,))
            self._look_after(parent.hostname)

        def stop(self, parent: Any) -> None:
            if self._entry is not None:
                self._entry.cancel()
                self._entry = None

        def shutdown(self, parent: Any) -> None:
            self.stop(parent)
            try:
                records.leave(parent.hostname)
            except QueueError:
                return  # it is counted as gone a little later

        def _look_after(self, node: str) -> None:
            try:
                records.beat(node, facts, settings.lease_seconds)
                sweep(records, messages, settings)
            except (QueueError, OperationalError) as error:
                if not self._lost:
                    event("queue lost", logging.ERROR, error=str(error))
                self._lost = True
                return
            if self._lost:
                event("queue back")
            self._lost = False

    app.steps["consumer"].add(Upkeep)


def sweep_interval(settings: Settings) -> float:
    """Seconds between two sweeps."""
    return max(0.5, settings.lease_seconds / 4)


def sweep(records: Records, messages: CeleryMessages, settings: Settings) -> Swept:
    """Put right what went wrong on the queue unnoticed.

    Raises:
        QueueError: the queue cannot be reached.
    """
    found = records.sweep(sweep_interval(settings), settings.lease_seconds, settings.record_days)
    for jobs, state in ((found.requeued, "queued"), (found.quarantined, "failed")):
        for job in jobs:
            metrics.attempt_lost("its worker was gone")
            event("attempt lost", logging.ERROR, job=job, cause="its worker was gone", state=state)
    for job in found.damaged:
        log_damage(job)
    for job, priority, is_next in found.send:
        messages.send(job, priority, is_next=is_next)
    if found.send:
        event("sweep", sent=len(found.send), requeued=len(found.requeued), quarantined=len(found.quarantined))
    return found


def resume(messages: CeleryMessages, records: Records) -> int:
    """Queue again what a worker that is gone left unfinished; returns how many jobs.

    Only for a worker that has the queue to itself, as in the embedded engine: the messages that are
    there are thrown away, and every job that waits or runs gets a new one. One whose record cannot be
    read costs only itself.
    """
    records.forget_messages()
    waiting = [job for job, state in records.state_of(records.ids()).items() if state in UNDER_WAY]
    unfinished = records.listing(waiting[::-1])  # the oldest first
    for record in unfinished:
        # that it was interrupted is not the job's fault: the attempt does not count
        records.release(record.job_id, "", lost=False)
        messages.send(record.job_id, record.priority)
    return len(unfinished)
