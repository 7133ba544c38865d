"""HTTP/1.1 over one connection: uvicorn's, for clients that may be slow on purpose.

uvicorn waits for the rest of a request's header, and for a client that takes nothing of its answer, for
ever. Here both get so many seconds and no more. How long a body may take is up to
`middleware`. And it takes chunks of any size: a body in chunks of one byte would keep everybody else
waiting.
"""

from __future__ import annotations

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEADER_BYTES = 16 << 10
"""Bytes that the header of a request may have."""

_FREE_CHUNKS = 2048  # of a body, however small
_LEAST_CHUNK = 512  # bytes that all further ones have on average; reading one costs as much as 100 KB at once


class _Connection(h11.Connection):
    """Refuses a body in chunks (RFC 9112 7.1) so small that they cost others more than they carry."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._chunks = self._received = 0

    def next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        """As in h11."""
        event = super().next_event()
        if isinstance(event, h11.Request):
            self._chunks = self._received = 0
        elif isinstance(event, h11.Data):
            self._chunks += event.chunk_end
            self._received += len(event.data)
            if self._chunks > _FREE_CHUNKS + self._received // _LEAST_CHUNK:
                raise h11.RemoteProtocolError("chunks too small")
        return event


def patient_protocol(idle_seconds: float) -> type[asyncio.Protocol]:
    """A protocol for uvicorn that waits ``idle_seconds`` for a header, and for room to write."""

    class PatientProtocol(H11Protocol):
        def __init__(self, *args: Any, **named: Any) -> None:
            super().__init__(*args, **named)
            self.conn = _Connection(h11.SERVER, HEADER_BYTES)
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
            try:
                super().data_received(data)
            except h11.LocalProtocolError:  # what is no HTTP, after the answer has begun
                self.transport.abort()
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
