"""HTTP/1.1 over one connection: uvicorn's, which takes chunks of any size.

A body in chunks of one byte would keep every other request waiting, also one that comes through a proxy. Who
sends a header slowly, or takes an answer slowly, is not dealt with here: a proxy in front does that
(``docker/Caddyfile``), and on this machine's own address the clients are one's own.
"""

from __future__ import annotations

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


class Protocol(H11Protocol):
    """uvicorn's, with the limits above."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self.conn = _Connection(h11.SERVER, HEADER_BYTES)

    def data_received(self, data: bytes) -> None:
        """As in uvicorn, which raises if a body breaks the rules after the answer has begun."""
        try:
            super().data_received(data)
        except h11.LocalProtocolError:
            self.transport.abort()
