"""What holds for every request: its id, its headers, its line in the log, and an end to slow bodies.

An answer that is given before the body has come (no token, too large, too many) would be lost if the
connection were simply closed: the client is still sending and sees a reset. So the rest is read and
thrown away for a moment, before the answer ends; then the connection is closed whatever comes.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import MutableMapping
from typing import Any, Final

from anyio import fail_after, move_on_after
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from worker.gateway.problems import ProblemError
from worker.logs import event

REPORT_POLICY: Final = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; sandbox"
"""Content-Security-Policy of a page: its own pictures and styles, no script, no form, no other address."""

_POLICY = "default-src 'none'; frame-ancestors 'none'"
_DRAIN_SECONDS = 5.0
_DRAIN_IDLE_SECONDS = 1.0  # a client that sends nothing more waits for the answer
_DRAIN_BYTES = 64 << 20
_METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
_CLIENT_GONE = 499  # nginx's number for it; it stands in the log alone
_ALWAYS = {
    b"cache-control": b"no-store",
    b"content-security-policy": _POLICY.encode(),
    b"referrer-policy": b"no-referrer",
    b"x-content-type-options": b"nosniff",
}


class Middleware:
    """ASGI middleware around everything else.

    Args:
        idle_seconds: for which a client may send nothing of a body.
    """

    def __init__(self, app: ASGIApp, idle_seconds: float) -> None:
        self._app = app
        self._idle = idle_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request: uvicorn is set to nothing but HTTP."""
        await _Exchange(scope, receive, send, self._idle).run(self._app)


class _Exchange:
    """One request and its answer."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, idle: float) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._idle = idle
        self._id = secrets.token_hex(8)
        self._status = 0
        self._received = self._sent = 0
        self._all_received = _has_no_body(scope)
        self._waits = _waits_before_body(scope)
        self._gone = False
        scope.setdefault("state", {})["request_id"] = self._id

    async def run(self, app: ASGIApp) -> None:
        since = time.perf_counter()
        scope = self._scope
        if scope["method"] == "HEAD":  # it is GET, whose header is sent alone (RFC 9110 9.3.2)
            scope["state"]["head"] = True
            scope = {**scope, "method": "GET"}
        try:
            await app(scope, self.receive, self.send)
        except ClientDisconnect:
            pass  # no client is left for an answer
        except Exception as error:  # noqa: BLE001 - the client has got its 500 already, and no more
            event("request broke", logging.ERROR, request=self._id, error=error)
        finally:
            self._log(scope.get("route"), time.perf_counter() - since)

    async def receive(self) -> Message:
        if self._all_received or self._status:
            message = await self._receive()
        else:
            try:
                with fail_after(self._idle):
                    message = await self._receive()
            except TimeoutError as error:
                raise ProblemError(408, "nothing came for too long; send it again") from error
        self._note(message)
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = _CLIENT_GONE if self._gone else message["status"]
            message = {**message, "headers": self._headers(message)}
        elif message["type"] == "http.response.body":
            if self._scope["method"] == "HEAD":
                message = {**message, "body": b""}
            self._sent += len(message.get("body", b""))
            if not message.get("more_body", False) and self._is_sending():
                # A proxy that has the whole answer stops passing the body on: the last byte has to wait.
                body = message.get("body", b"")
                await self._send({**message, "body": body[:-1], "more_body": True})
                await self._drain()
                message = {**message, "body": body[-1:]}
        await self._send(message)

    def _is_sending(self) -> bool:
        """Whether the client has not sent the whole body, and goes on with it as far as is known."""
        return not (self._all_received or self._gone or (self._waits and self._received == 0))

    def _note(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.disconnect":
            self._gone = True
        elif message["type"] == "http.request":
            self._received += len(message.get("body", b""))
            self._all_received = not message.get("more_body", False)

    def _headers(self, message: Message) -> list[tuple[bytes, bytes]]:
        headers = list(message.get("headers", ()))
        given = {name.lower() for name, _ in headers}
        headers += [(name, value) for name, value in _ALWAYS.items() if name not in given]
        headers.append((b"x-request-id", self._id.encode()))
        if not self._all_received:
            headers.append((b"connection", b"close"))
        return headers

    async def _drain(self) -> None:
        most = self._received + _DRAIN_BYTES
        with move_on_after(_DRAIN_SECONDS):
            while self._is_sending() and self._received < most:
                with move_on_after(_DRAIN_IDLE_SECONDS) as idle:
                    self._note(await self._receive())
                if idle.cancelled_caught:
                    return

    def _log(self, route: object, seconds: float) -> None:
        method = self._scope["method"]
        event(
            "request",
            request=self._id,
            method=method if method in _METHODS else "other",
            route=getattr(route, "path", None),  # the pattern: no id, no words of the client's
            status=self._status or _CLIENT_GONE,
            token=self._scope["state"].get("token"),
            received=self._received,
            sent=self._sent,
            seconds=round(seconds, 3),
        )


def _waits_before_body(scope: Scope) -> bool:
    """Whether the client sends its body only after a 100 Continue (RFC 9110 10.1.1)."""
    expected: bytes = dict(scope["headers"]).get(b"expect", b"")
    return expected.lower() == b"100-continue"


def _has_no_body(scope: Scope) -> bool:
    """Whether the header says so already (RFC 9112 6.3)."""
    headers = dict(scope["headers"])
    return b"transfer-encoding" not in headers and headers.get(b"content-length", b"0") == b"0"
