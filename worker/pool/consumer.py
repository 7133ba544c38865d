"""How a worker takes messages: what it cannot read is counted, and never shown.

Celery's own consumer writes a message that it does not know into the log, as a whole.
"""

from __future__ import annotations

import logging
import os
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
from worker.queue.records import Records

_PROCESSES_KILLED_AFTER = 3.0  # seconds
_WORKER_KILLED_AFTER = 15.0  # seconds more
_REFUSED_PAUSE = 1.0  # seconds


class Consumer(CeleryConsumer):  # type: ignore[misc]  # Celery has no types
    """Celery's consumer; a message that it cannot read is counted and not shown."""

    def create_task_handler(self, *args: Any, **kwargs: Any) -> Callable[[Any], None]:
        """What is done with each message that is taken off the queue."""
        handle = super().create_task_handler(*args, **kwargs)

        def on_message(message: Any) -> None:
            # Celery only logs that an acknowledgement failed, and then takes no other message in its place
            message.ack_log_error = lambda _log, _errors, multiple=False: message.ack(multiple)
            message.reject_log_error = lambda _log, _errors, requeue=False: message.reject(requeue)
            try:
                arguments, named, more = message.decode()
                if named or any(more.values()) or [type(each) for each in arguments] != [str]:
                    raise ValueError("more or less than a job or a region")
                # when to begin, and how long it may take, is this worker's to say
                message.headers |= {"eta": None, "timelimit": None}
                handle(message)
            except Exception as error:  # one message must not end the worker
                # kombu counts KeyError, too, as a sign that the connection is lost
                if isinstance(error, self.connection_errors) and not isinstance(error, KeyError):
                    raise
                self._refuse(message)

        return on_message

    def on_unknown_task(self, _body: Any, message: Any, _exc: Exception | None = None) -> None:
        """Refuse another task, arguments that are none, and what has not the parts of a message."""
        self._refuse(message)

    on_invalid_task = on_unknown_message = on_unknown_task

    def on_decode_error(self, message: Any, _exc: Exception) -> None:
        """Refuse a body that cannot be read."""
        self._refuse(message)

    def _refuse(self, message: Any) -> None:
        refuse(self.app.conf.broker_url)
        message.ack()  # if that fails the connection is made again; it comes again, and is refused again

    def cancel_active_requests(self) -> None:
        """End at once (SIGQUIT): Celery asks the processes to, and waits for them without a limit."""
        pool = self.pool._pool  # none before it has been started, and once it has ended
        processes = tuple(pool._pool) if pool is not None else ()
        Thread(target=_end_at_last, args=(processes,), name="end", daemon=True).start()
        super().cancel_active_requests()

    def on_connection_error_before_connected(self, exc: Exception) -> None:
        """Redis is there, but full or cannot write: try again, as if it were away, but not at once."""
        super().on_connection_error_before_connected(exc)
        if isinstance(exc, ResponseError):
            time.sleep(_REFUSED_PAUSE)


def refuse(broker_url: str) -> None:
    """Count and log a message that cannot be read."""
    event("message refused", logging.WARNING, reason="unreadable")
    try:
        Records(broker_url).count_refused("unreadable")
    except QueueError as error:
        event("queue lost", logging.ERROR, error=str(error))


def _end_at_last(processes: Sequence[Any]) -> None:
    """Kill a worker's processes that do not end when they are asked to; then the worker, if it still waits.

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
