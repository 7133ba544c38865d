"""The Celery application: how messages travel. What a task does is in `worker.tasks`.

At-least-once, on purpose: a message is acknowledged after the work (``acks_late``), goes back when the
process that had it dies (``reject_on_worker_lost``), and a worker takes one study at a time. A message
holds a job's id and nothing else; everything about the job is in its record, and so is the outcome:
there is no Celery result backend, hence nothing that would have to expire.
"""

from __future__ import annotations

from celery import Celery
from kombu.exceptions import OperationalError

from bcd_model.errors import QueueError
from worker.settings import Settings, hide_secrets

QUEUE = "bcd"
TASK = "bcd.scan_study"


def make_app(settings: Settings) -> Celery:
    """The Celery application for the broker in ``settings``.

    Raises:
        ValueError: ``settings`` names no broker.
    """
    if settings.broker_url is None:
        raise ValueError("an application needs a broker")
    app = Celery("bcd", broker=settings.broker_url, set_as_current=False)
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
        },
        enable_utc=True,
        task_acks_late=True,
        task_acks_on_timeout=False,  # the hard limit counts as an attempt, not as an end without a record
        task_default_queue=QUEUE,
        task_ignore_result=True,
        task_reject_on_worker_lost=True,
        task_serializer="json",
        # shorter than the visibility timeout, or a slow study would run twice at the same time;
        # the soft limit lets the job say why it failed, the hard one ends what does not listen
        task_soft_time_limit=settings.visibility_timeout * 0.8,
        task_time_limit=settings.visibility_timeout * 0.9,
        worker_cancel_long_running_tasks_on_connection_loss=True,
        worker_concurrency=settings.worker_processes,
        worker_hijack_root_logger=False,
        worker_prefetch_multiplier=1,
        worker_proc_alive_timeout=60,
        worker_send_task_events=False,
    )
    return app


def send(app: Celery, job_id: str) -> None:
    """Put the job's message on the queue.

    Raises:
        QueueError: the broker does not take it.
    """
    try:
        app.send_task(TASK, args=[job_id], retry=False)
    except OperationalError as error:
        shown = hide_secrets(app.conf.broker_url)
        reason = " ".join(str(error).split())
        raise QueueError(f"the queue at {shown} takes no job: {reason}", "see bcd-admin doctor") from error


def answering_workers(app: Celery, seconds: float = 1.0) -> list[str]:
    """Names of the workers that answer within ``seconds``.

    Raises:
        QueueError: the broker cannot be reached.
    """
    try:
        replies = app.control.ping(timeout=seconds)
    except OperationalError as error:
        shown = hide_secrets(app.conf.broker_url)
        raise QueueError(
            f"the queue at {shown} does not answer", "start Redis or mend BCD_BROKER_URL"
        ) from error
    return sorted(name for reply in replies for name in reply)
