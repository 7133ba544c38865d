"""What the middleware does with a body that is not wanted, without a server."""

from __future__ import annotations

from typing import Any

import anyio
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send

from worker.gateway.middleware import Middleware


async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("too large", 413)(scope, receive, send)


def exchange(headers: dict[str, str], body: list[Message]) -> tuple[bytes, int]:
    """The answer to a refused request, and how many pieces of its body were taken; after them none comes."""
    sent, taken = [], 0

    async def receive() -> Message:
        nonlocal taken
        if taken == len(body):
            await anyio.sleep_forever()
        taken += 1
        return body[taken - 1]

    async def send(message: Message) -> None:
        sent.append(message.get("body", b""))

    scope: dict[str, Any] = {"type": "http", "method": "POST", "path": "/"}
    scope["headers"] = [(name.encode(), value.encode()) for name, value in headers.items()]
    anyio.run(Middleware(refuse, idle_seconds=5.0), scope, receive, send)
    return b"".join(sent), taken


def piece(last: bool = False) -> Message:
    return {"type": "http.request", "body": b"x" * 100, "more_body": not last}


def test_the_rest_of_a_refused_body_is_taken_before_the_answer_ends() -> None:
    pieces = [piece(), piece(), piece(last=True)]
    assert exchange({"content-length": "300"}, pieces) == (b"too large", 3)


def test_a_client_that_stops_gets_its_whole_answer() -> None:
    assert exchange({"content-length": "300"}, [piece()]) == (b"too large", 1)


def test_no_body_is_awaited_of_a_client_that_asks_first() -> None:
    """It sends none before a 100 Continue (RFC 9110 10.1.1)."""
    pieces = [piece(), piece(), piece(last=True)]
    assert exchange({"content-length": "300", "expect": "100-continue"}, pieces) == (b"too large", 0)
