"""kombu's transport to Redis, where what comes back is next, and what is not a message ends no worker.

What is sent again, as its process has died, would go behind everything that waits: after a night's ten
thousand. What another program pushes onto our lists would end each worker that reads it.
"""

from __future__ import annotations

from typing import Any

from kombu.transport import TRANSPORT_ALIASES
from kombu.transport import redis as kombu_redis
from kombu.transport.virtual import Empty
from kombu.utils.json import dumps

from worker.pool.consumer import refuse


class _HandBack(kombu_redis.QoS):
    """What is handed back is next."""

    def restore_by_tag(self, tag: Any, client: Any = None, leftmost: bool = False) -> None:
        super().restore_by_tag(tag, client)  # type: ignore[no-untyped-call]  # kombu has no types


class _Channel(kombu_redis.Channel):
    """What is sent again is next; what is not JSON is refused, and off its list already."""

    QoS = _HandBack

    def _put(self, queue: str, message: Any, **options: Any) -> None:
        if not message["headers"].get("redelivered"):
            super()._put(queue, message, **options)  # type: ignore[no-untyped-call]  # kombu has no types
            return
        with self.conn_or_acquire() as client:  # the right end is the one that is read
            client.rpush(queue, dumps(message))

    def _brpop_read(self, **options: Any) -> Any:
        try:
            return super()._brpop_read(**options)  # type: ignore[no-untyped-call]  # kombu has no types
        except (ValueError, RecursionError):
            refuse(Transport.broker_url)
            raise Empty from None


class Transport(kombu_redis.Transport):
    """kombu's transport to Redis with that channel; what has not the parts of a message is refused."""

    Channel = _Channel
    broker_url = ""

    def _deliver(self, message: Any, queue: str) -> None:
        try:
            super()._deliver(message, queue)  # type: ignore[no-untyped-call]  # kombu has no types
        except (LookupError, TypeError, ValueError, AttributeError):
            refuse(self.broker_url)


def use_transport(broker_url: str) -> None:
    """Have kombu, in this process, reach Redis through it."""
    Transport.broker_url = broker_url
    TRANSPORT_ALIASES.update(dict.fromkeys(("redis", "rediss"), "worker.pool.transport:Transport"))
