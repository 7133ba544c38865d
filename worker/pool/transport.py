"""kombu's transport to Redis, where what comes back is next.

What is sent again, as its process has died, would go behind everything that waits: after a night's ten
thousand.
"""

from __future__ import annotations

from typing import Any

from kombu.transport import TRANSPORT_ALIASES
from kombu.transport import redis as kombu_redis
from kombu.utils.json import dumps


class _HandBack(kombu_redis.QoS):
    """What is handed back is next."""

    def restore_by_tag(self, tag: Any, client: Any = None, leftmost: bool = False) -> None:
        super().restore_by_tag(tag, client)  # type: ignore[no-untyped-call]  # kombu has no types


class _Channel(kombu_redis.Channel):
    """What is sent again is next."""

    QoS = _HandBack

    def _put(self, queue: str, message: Any, **options: Any) -> None:
        if not message["headers"].get("redelivered"):
            super()._put(queue, message, **options)  # type: ignore[no-untyped-call]  # kombu has no types
            return
        with self.conn_or_acquire() as client:  # the right end is the one that is read
            client.rpush(queue, dumps(message))


class Transport(kombu_redis.Transport):
    """kombu's transport to Redis with that channel."""

    Channel = _Channel


def use_transport() -> None:
    """Have kombu, in this process, reach Redis through it."""
    TRANSPORT_ALIASES.update(dict.fromkeys(("redis", "rediss"), "worker.pool.transport:Transport"))
