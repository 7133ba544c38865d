"""kombu's transport to Redis, mended: garbage does not break it, and what comes back is next.

What is not even in the form of a message would end the worker that reads it. And what is sent again, as its
process has died, would go behind everything that waits: after a night's ten thousand.
"""

from __future__ import annotations

from typing import Any

from kombu.transport import TRANSPORT_ALIASES
from kombu.transport import redis as kombu_redis
from kombu.transport.virtual import Empty
from kombu.utils.json import dumps

from worker.pool.consumer import refuse

_SCHEMES = ("redis", "rediss")


def mend_transport(broker_url: str) -> None:
    """Have kombu, in this process, refuse and count what is no message, and put what comes back in front.

    What is refused here is off its list already, and was not delivered: there is nothing to acknowledge.
    """

    class HandBack(kombu_redis.QoS):
        """kombu's, but what is handed back is next."""

        def restore_by_tag(self, tag: Any, client: Any = None, leftmost: bool = False) -> None:
            super().restore_by_tag(tag, client)  # type: ignore[no-untyped-call]  # kombu has no types

    class Channel(kombu_redis.Channel):
        """kombu's channel, but for what is no JSON and for what comes back."""

        QoS = HandBack

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
                refuse(broker_url, "no message")
                raise Empty from None

    class Transport(kombu_redis.Transport):
        """kombu's transport with our channel, but for what has not the parts of a message."""

        def _deliver(self, message: Any, queue: str) -> None:
            try:
                if "compression" in message["headers"]:  # kombu would unpack it, however large it becomes
                    raise ValueError
                super()._deliver(message, queue)  # type: ignore[no-untyped-call]  # kombu has no types
            except (LookupError, TypeError, ValueError, AttributeError):
                refuse(broker_url, "no message")

    Transport.Channel = Channel
    aliases: dict[str, Any] = TRANSPORT_ALIASES  # takes a callable too
    for scheme in _SCHEMES:
        aliases[scheme] = lambda: Transport
