"""Garbage on the queue: what is not even in the form of a message must not end the worker that reads it."""

from __future__ import annotations

from typing import Any

from kombu.transport import TRANSPORT_ALIASES
from kombu.transport import redis as kombu_redis
from kombu.transport.virtual import Empty

from worker.consumer import refuse

_SCHEMES = ("redis", "rediss")


def refuse_garbage(broker_url: str) -> None:
    """Have kombu, in this process, refuse and count what is no message where it would break.

    What is refused here is off its list already, and was not delivered: there is nothing to acknowledge.
    """

    class Channel(kombu_redis.Channel):
        """kombu's channel, but for what is no JSON."""

        def _brpop_read(self, **options: Any) -> Any:
            try:
                return super()._brpop_read(**options)  # type: ignore[no-untyped-call]
            except (ValueError, RecursionError):
                refuse(broker_url, "no message")
                raise Empty from None

    class Transport(kombu_redis.Transport):
        """kombu's transport with our channel, but for what has not the parts of a message."""

        def _deliver(self, message: Any, queue: str) -> None:
            try:
                if "compression" in message["headers"]:  # kombu would unpack it, however large it becomes
                    raise ValueError
                super()._deliver(message, queue)  # type: ignore[no-untyped-call]
            except (LookupError, TypeError, ValueError, AttributeError):
                refuse(broker_url, "no message")

    Transport.Channel = Channel
    aliases: dict[str, Any] = TRANSPORT_ALIASES  # takes a callable too
    for scheme in _SCHEMES:
        aliases[scheme] = lambda: Transport
