"""HTTP/1.1 over one connection: uvicorn's, for clients that may be slow on purpose.

uvicorn waits for the rest of a request's header, and for a client that takes nothing of its answer, for
ever. Here both get so many seconds and no more. How long a body may take is up to `worker.gateway.frame`.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol


def patient_protocol(idle_seconds: float) -> type[asyncio.Protocol]:
    """A protocol for uvicorn that waits ``idle_seconds`` for a header, and for room to write."""

    class PatientProtocol(H11Protocol):
        def __init__(self, *args: Any, **named: Any) -> None:
            super().__init__(*args, **named)
            self._header: asyncio.TimerHandle | None = None
            self._stalled: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
            super().connection_made(transport)
            self._watch_header()

        def connection_lost(self, exc: Exception | None) -> None:
            for timer in (self._header, self._stalled):
                if timer is not None:
                    timer.cancel()
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._watch_header()

        def on_response_complete(self) -> None:
            super().on_response_complete()
            if not self.transport.is_closing():
                self._watch_header()

        def pause_writing(self) -> None:
            super().pause_writing()
            if self._stalled is None:
                self._stalled = self.loop.call_later(idle_seconds, self.transport.abort)

        def resume_writing(self) -> None:
            if self._stalled is not None:
                self._stalled.cancel()
                self._stalled = None
            super().resume_writing()

        def _watch_header(self) -> None:
            """Give the client time for a header if one is due; it is not renewed by single bytes."""
            at_work = self.cycle is not None and not self.cycle.response_complete
            if at_work and self._header is not None:
                self._header.cancel()
                self._header = None
            elif not at_work and self._header is None:
                self._header = self.loop.call_later(idle_seconds, self._close)

        def _close(self) -> None:
            self._header = None
            if not self.transport.is_closing():
                self.transport.close()

    return PatientProtocol
