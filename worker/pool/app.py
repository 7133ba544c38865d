"""The Celery application: how messages travel. What a task does is in `worker.pool.tasks`.

At-least-once, on purpose: a message is acknowledged after the work (``acks_late``), goes back when the
process that had it dies (``reject_on_worker_lost``), and a worker takes no more studies than it has
processes. A message holds a job's id and nothing else; everything about the job is in its record, and so
is the outcome: there is no Celery result backend, hence nothing that would have to expire. What a message
cannot carry safely through a crash of Redis or of a worker, the records do (`worker.queue.transitions`).
"""

from __future__ import annotations

from dataclasses import dataclass

from celery import Celery
from kombu.entity import Queue
from kombu.exceptions import OperationalError

from bcd_model.errors import QueueError
from worker.environment import ignore_variables
from worker.queue.job import PRIORITIES, Priority
from worker.queue.messages import queue_name
from worker.settings import Settings, hide_secrets

TASK = "bcd.scan_study"
REGION_TASK = "bcd.classify_region"

_LOST_AFTER = 2.0  # seconds a process may be gone before its parent gives its study back


def make_app(settings: Settings) -> Celery:
    """The Celery application for the broker in ``settings``.

    Raises:
        ValueError: ``settings`` names no broker.
    """
    if settings.broker_url is None:
        raise ValueError("an application needs a broker")
    ignore_variables()  # Celery looks at them whenever it is asked for its broker
    app = Celery(
        "bcd",
        broker=settings.broker_url,
        loader="celery.loaders.app:AppLoader",  # looks for no module with settings of its own
        fixups=(),  # Django's, for its DJANGO_SETTINGS_MODULE
        set_as_current=False,
    )
    app.conf.update(
        accept_content=["json"],
        broker_connection_retry_on_startup=True,
        broker_connection_timeout=5,
        broker_transport_options={
            # a study that no worker acknowledged within this time is given to another one
            "visibility_timeout": settings.visibility_timeout,
            "socket_timeout": 30,
            "socket_connect_timeout": 5,
            "socket_keepalive": True,
            # BRPOP looks at the lists in this order, so one study at noon is served before the batch
            "queue_order_strategy": "priority",
            "priority_steps": [0],
        },
        broker_connection_max_retries=None,  # however long Redis is away
        broker_channel_error_retry=True,  # nor is one that is full, or cannot write to its disk
        enable_utc=True,
        task_acks_late=True,
        task_acks_on_timeout=False,  # the hard limit counts as an attempt, not as an end without a record
        task_create_missing_queues=False,
        task_default_queue=queue_name("batch"),
        task_queues=[Queue(queue_name(priority)) for priority in PRIORITIES],
        task_ignore_result=True,
        task_reject_on_worker_lost=True,
        task_serializer="json",
        # shorter than the visibility timeout, so that a slow study ends before its message comes again;
        # the soft limit lets the job say why it failed, the hard one ends what does not listen
        task_soft_time_limit=settings.visibility_timeout * 0.8,
        task_time_limit=settings.visibility_timeout * 0.9,
        # a study goes on while Redis is away: its lease keeps others off, and its end is recorded later
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_consumer="worker.pool.consumer:Consumer",
        worker_enable_remote_control=False,  # any client of Redis could stop the workers
        worker_lost_wait=_LOST_AFTER,
        worker_concurrency=settings.worker_processes,
        worker_hijack_root_logger=False,
        worker_prefetch_multiplier=1,
        worker_proc_alive_timeout=60,
        worker_send_task_events=False,
    )
    return app


@dataclass(frozen=True, slots=True)
class CeleryMessages:
    """Sends messages through Celery, as `worker.queue.messages.Messages`."""

    app: Celery

    def send(self, job_id: str, priority: Priority, *, is_next: bool = False) -> None:
        """Put a message for the job on its priority queue.

        Args:
            is_next: whether it goes in front of all that waits, as the job has been begun before; in workers,
                which have the transport for it (`worker.pool.transport`).
        """
        self._send(TASK, job_id, priority, {"redelivered": True} if is_next else {})

    def send_region(self, region_id: str) -> None:
        """Put a message for a region that is to be classified on the interactive priority queue."""
        self._send(REGION_TASK, region_id, "interactive", {})

    def _send(self, task: str, identifier: str, priority: Priority, headers: dict[str, object]) -> None:
        queue = queue_name(priority)
        try:
            self.app.send_task(task, args=[identifier], queue=queue, retry=False, headers=headers)
        except OperationalError as error:
            shown = hide_secrets(self.app.conf.broker_url)
            reason = " ".join(str(error).split())
            message = f"the queue at {shown} takes no job: {reason}"
            raise QueueError(message, "see bcd-admin doctor") from error


def make_messages(settings: Settings) -> CeleryMessages:
    """What sends messages to the broker in ``settings``.

    Raises:
        ValueError: ``settings`` names no broker.
    """
    return CeleryMessages(make_app(settings))
