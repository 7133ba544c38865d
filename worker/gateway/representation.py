"""Representations as HTTP has them (RFC 9110): validators, preconditions, ranges, one answer for all of them.

Whatever has a validator is answered through `answer`: a job's JSON, a file of a result, a zip of them.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import formatdate, parsedate_to_datetime
from itertools import pairwise
from typing import Protocol

from anyio import create_task_group
from fastapi import Request, Response
from starlette.concurrency import iterate_in_threadpool
from starlette.types import Receive, Scope, Send

from worker.gateway.problems import ProblemError

_TAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')
_RANGE = re.compile(r"(\d*)-(\d*)")
_MOST_RANGES = 16  # of more, or of ranges that overlap, the whole is sent (RFC 9110 14.2)
_DIGITS = 18  # of a position; beyond every file

_Piece = bytes | tuple[int, int | None]  # itself, or so many bytes of the content from there on


class Content(Protocol):
    """The bytes of a representation."""

    size: int
    """Bytes."""

    def blocks(self, start: int, length: int | None) -> Iterator[bytes]:
        """``length`` bytes from ``start`` on, block by block; None: all."""

    def close(self) -> None:
        """Let go of it."""


class Held:
    """Bytes in memory."""

    def __init__(self, body: bytes) -> None:
        self.size = len(body)
        self._body = body

    def blocks(self, start: int, length: int | None) -> Iterator[bytes]:
        """The bytes, in one block."""
        yield self._body[start:] if length is None else self._body[start : start + length]

    def close(self) -> None:
        """Nothing to be let go."""


@dataclass(frozen=True, slots=True)
class Representation:
    """What a resource is now.

    Attributes:
        tag: entity tag without quotes; another one whenever a byte is another one.
        modified: seconds since 1970; None if a date of a second's precision would not tell changes apart.
        ranges: whether parts of it are sent.
        headers: beside those that follow from the others.
    """

    content: Content
    tag: str
    media_type: str
    modified: float | None = None
    ranges: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)


def answer(request: Request, found: Representation) -> Response:
    """The answer to GET or HEAD.

    Raises:
        ProblemError: 412: a precondition does not hold; 416: no such range.
    """
    size = found.content.size
    modified = _date(found.modified)
    validators = {"ETag": f'"{found.tag}"'}
    if modified:
        validators["Last-Modified"] = modified
    try:
        if _unchanged(request, found.tag, modified):
            found.content.close()
            return Response(status_code=304, headers=validators)
        headers = {**validators, "Accept-Ranges": "bytes" if found.ranges else "none", **found.headers}
        parts = _ranges(request, found, modified) if found.ranges else None
        if parts is not None and not parts:
            raise ProblemError(416, f"it has {size} bytes", headers={"Content-Range": f"bytes */{size}"})
    except ProblemError:
        found.content.close()
        raise
    if parts is None:
        return _Sent(200, headers, found.media_type, found.content, [(0, None)], size)
    if len(parts) == 1:
        ((start, length),) = parts
        headers["Content-Range"] = f"bytes {start}-{start + length - 1}/{size}"
        return _Sent(206, headers, found.media_type, found.content, [(start, length)], length)
    boundary = secrets.token_hex(16)
    pieces = list(_multipart(parts, found.media_type, size, boundary))
    length = sum(len(piece) if isinstance(piece, bytes) else piece[1] or 0 for piece in pieces)
    return _Sent(206, headers, f"multipart/byteranges; boundary={boundary}", found.content, pieces, length)


class _Sent(Response):
    """An answer that is sent block by block; for HEAD its header alone."""

    def __init__(
        self,
        status: int,
        headers: Mapping[str, str],
        media_type: str,
        content: Content,
        pieces: Sequence[_Piece],
        length: int,
    ) -> None:
        self.status_code = status
        self.media_type = media_type
        self.background = None
        self.body = b""
        self._content = content
        self._pieces = pieces
        self.init_headers({**headers, "Content-Length": str(length)})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await send(
                {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
            )
            if not scope["state"].get("head"):
                async with create_task_group() as group:

                    async def watch() -> None:  # a client that has gone needs nothing more
                        while (await receive())["type"] != "http.disconnect":
                            pass
                        group.cancel_scope.cancel()

                    group.start_soon(watch)
                    async for block in iterate_in_threadpool(self._blocks()):
                        await send({"type": "http.response.body", "body": block, "more_body": True})
                    group.cancel_scope.cancel()
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            self._content.close()

    def _blocks(self) -> Iterator[bytes]:
        for piece in self._pieces:
            if isinstance(piece, bytes):
                yield piece
            else:
                yield from self._content.blocks(*piece)


def _multipart(
    parts: Sequence[tuple[int, int]], media_type: str, size: int, boundary: str
) -> Iterator[_Piece]:
    """Several ranges as one body (RFC 9110 14.6)."""
    for start, length in parts:
        yield (
            f"--{boundary}\r\nContent-Type: {media_type}\r\n"
            f"Content-Range: bytes {start}-{start + length - 1}/{size}\r\n\r\n"
        ).encode()
        yield start, length
        yield b"\r\n"
    yield f"--{boundary}--\r\n".encode()


def _date(modified: float | None) -> str | None:
    """The modification date as HTTP writes it; None where it would lie ahead (RFC 9110 8.8.2.1)."""
    return None if modified is None or modified > time.time() else formatdate(int(modified), usegmt=True)


def _unchanged(request: Request, tag: str, modified: str | None) -> bool:
    """Whether the answer is 304, by the preconditions in their order (RFC 9110 13.2.2).

    Raises:
        ProblemError: 412.
    """
    given = request.headers
    same, other = _listed(request, "if-match"), _listed(request, "if-none-match")
    failed = ProblemError(412, "it has changed meanwhile, or is not what was asked for")
    if same is not None:
        if same != "*" and f'"{tag}"' not in same:  # strong comparison
            raise failed
    elif _later(modified, given.get("if-unmodified-since")):
        raise failed
    if other is not None:
        return other == "*" or f'"{tag}"' in [found.removeprefix("W/") for found in other]
    since = _seconds(given.get("if-modified-since"))
    return modified is not None and since is not None and not _later(modified, given["if-modified-since"])


def _listed(request: Request, name: str) -> list[str] | str | None:
    """The entity tags of a header, "*", or None if it is not there."""
    values = request.headers.getlist(name)
    if not values:
        return None
    value = ",".join(values).strip()
    return "*" if value == "*" else _TAG.findall(value)


def _later(modified: str | None, given: str | None) -> bool:
    """Whether it was modified after the date ``given``; False if either is no date."""
    left, right = _seconds(modified), _seconds(given)
    return left is not None and right is not None and left > right


def _seconds(date: str | None) -> float | None:
    try:
        return parsedate_to_datetime(date).timestamp() if date else None
    except (ValueError, OverflowError):
        return None


def _ranges(request: Request, found: Representation, modified: str | None) -> list[tuple[int, int]] | None:
    """The ranges that are asked for, as (start, length); None: the whole; empty: none that there is.

    Range is for GET alone, of bytes alone, and ignored if it cannot be read (RFC 9110 14.2).
    """
    given = request.headers.getlist("range")
    if len(given) != 1 or request.scope["state"].get("head") or not _if_range(request, found, modified):
        return None
    unit, _, said = given[0].partition("=")
    specs = [spec.strip(" \t") for spec in said.split(",")]
    specs = [spec for spec in specs if spec]
    if unit.strip().lower() != "bytes" or not specs:
        return None
    parts: list[tuple[int, int]] = []
    size = found.content.size
    for spec in specs:
        match = _RANGE.fullmatch(spec) if spec.isascii() else None
        if match is None or not any(match.groups()):
            return None
        first, last = (_position(digits) for digits in match.groups())
        if first is None:
            first, last = max(0, size - (last or 0)), size if last else -1
        elif last is not None and last < first:
            return None
        end = size if last is None else min(last + 1, size)
        if first < end:
            parts.append((first, end - first))
    in_order = sorted(parts)
    overlap = any(start + length > then for (start, length), (then, _) in pairwise(in_order))
    return None if len(parts) > _MOST_RANGES or overlap else parts


def _position(digits: str) -> int | None:
    return int(digits.lstrip("0")[: _DIGITS + 1] or "0") if digits else None


def _if_range(request: Request, found: Representation, modified: str | None) -> bool:
    """Whether a part fits what the client has (RFC 9110 13.1.5): strong validators alone."""
    given = request.headers.get("if-range")
    if given is None:
        return True
    if '"' in given:
        return given.strip() == f'"{found.tag}"'
    settled = found.modified is not None and time.time() - found.modified >= 1  # 8.8.2.2
    return settled and modified is not None and given.strip() == modified
