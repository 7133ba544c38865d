"""How a worker takes messages: those that are none of ours are refused and counted, never shown or run.

Celery's own consumer writes a message that it does not know into the log, as a whole: whoever put it on
our queue may have put a patient's name into it. And it believes what a message says of itself: to be run
later, or to be followed by other tasks. Ours say nothing but the job, or the region.
"""

from __future__ import annotations

import logging
import os
import re
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import Thread
from typing import Any

from celery.worker.consumer import Consumer as CeleryConsumer
from redis.exceptions import ResponseError

from bcd_model.errors import QueueError
from worker.logs import event
from worker.pool.app import REGION_TASK, TASK
from worker.queue.records import Records

_PROCESSES_KILLED_AFTER = 3.0  # seconds
_WORKER_KILLED_AFTER = 15.0  # seconds more
_REFUSED_PAUSE = 1.0  # seconds
_NAMES = frozenset({"argsrepr", "id", "kwargsrepr", "lang", "origin", "root_id", "task"})
_IDS = {TASK: re.compile(r"[0-9a-f]{16}"), REGION_TASK: re.compile(r"[0-9a-f]{32}")}


class Consumer(CeleryConsumer):  # type: ignore[misc]  # Celery has no types
    """Celery's consumer, for messages that are ours."""

    def create_task_handler(self, *args: Any, **kwargs: Any) -> Callable[[Any], None]:
        """What is done with each message that is taken off the queue."""
        handle = super().create_task_handler(*args, **kwargs)

        def on_message(message: Any) -> None:
            # Celery only logs that an acknowledgement failed, and then takes no other message in its place
            message.ack_log_error = lambda _log, _errors, multiple=False: message.ack(multiple)
            message.reject_log_error = lambda _log, _errors, requeue=False: message.reject(requeue)
            reason = why_foreign(message)
            if reason is None:
                message.headers["timelimit"] = None  # how long a study may take is this worker's to say
                try:
                    handle(message)
                    return
                except Exception as error:  # whatever a stranger wrote, it must not end the worker
                    # kombu counts KeyError, too, as a sign that the connection is lost
                    if isinstance(error, self.connection_errors) and not isinstance(error, KeyError):
                        raise
                    reason = "no task"  # something about it that Celery itself cannot read
            refuse(self.app.conf.broker_url, reason)
            message.ack()  # if that fails the connection is made again; it comes again, and is refused again

        return on_message

    def cancel_active_requests(self) -> None:
        """End at once (SIGQUIT): Celery tells the processes to, and waits for them without a limit."""
        pool = self.pool._pool  # none before it has been started, and once it has ended
        processes = tuple(pool._pool) if pool is not None else ()
        Thread(target=_end_at_last, args=(processes,), name="end", daemon=True).start()
        super().cancel_active_requests()

    def on_connection_error_before_connected(self, exc: Exception) -> None:
        """Redis is there, but full or cannot write: try again, as if it were away, but not at once."""
        super().on_connection_error_before_connected(exc)
        if isinstance(exc, ResponseError):
            time.sleep(_REFUSED_PAUSE)

    def on_decode_error(self, message: Any, exc: Exception) -> None:
        """Refuse a message whose body only Celery finds out not to be readable; it would log it."""
        refuse(self.app.conf.broker_url, "no task")
        message.ack()


def _end_at_last(processes: Sequence[Any]) -> None:
    """Kill a worker's processes that do not end when they are told to; then the worker, if it still waits.

    A process may be stopped, or held up by the storage; Redis may not answer. What it was at is given back,
    or its lease runs out.
    """
    time.sleep(_PROCESSES_KILLED_AFTER)
    for process in processes:
        if process.is_alive():
            event("process killed", logging.ERROR, killed=process.pid)
            with suppress(ProcessLookupError):  # it has ended meanwhile
                os.kill(process.pid, signal.SIGKILL)
    time.sleep(_WORKER_KILLED_AFTER)
    event("worker killed", logging.ERROR)
    os._exit(1)


def why_foreign(message: Any) -> str | None:
    """Why a message is none of ours; None if it is just as `worker.pool.app` sends them."""
    try:
        task = message.headers["task"]
        if task not in _IDS:
            return "another task"
        if any(_says_more(name, value) for name, value in message.headers.items()):
            return "more than a job"
        args, kwargs, then = message.decode()
        if any(then.values()):
            return "more than a job"
    except Exception:  # noqa: BLE001 - kombu decodes with what the message asks for, which may raise anything
        return "no task"
    if kwargs or not (isinstance(args, list) and len(args) == 1 and isinstance(args[0], str)):
        return "no job id"
    return None if _IDS[task].fullmatch(args[0]) else "no job id"


def _says_more(header: str, value: object) -> bool:
    """Whether a header is none that Celery gives a message of ours: a time, a limit, a group, a stamp."""
    if header in _NAMES:
        return not isinstance(value, str)
    if header == "redelivered":  # kombu has put it back: its process died, or its time was over
        return value is not True
    if header == "timelimit":  # a worker that sends a job again states its own
        return not (isinstance(value, list) and all(isinstance(x, int | float | None) for x in value))
    return bool(value) and not (header == "ignore_result" and value is True)


def refuse(broker_url: str, reason: str) -> None:
    """Count and log a message that was none of ours."""
    event("message refused", logging.WARNING, reason=reason)
    try:
        Records(broker_url).count_refused(reason)
    except QueueError as error:
        event("queue lost", logging.ERROR, error=str(error))
