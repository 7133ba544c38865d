"""Reading a form (multipart/form-data, RFC 7578) as it comes, straight onto the disk.

Nothing is held in memory but the chunk at hand. Files get names of our own, and in the end the name of
their content, so nothing that a client calls them reaches the disk.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, Any

from anyio import fail_after, to_thread
from multipart import MultipartError, ParserLimitReached, PushMultipartParser, parse_options_header
from starlette.requests import Request

from worker.gateway.problems import ProblemError

_BLOCK = 256 << 10  # bytes that are written at once
_FIELD_BYTES = 64
_HEADER_BYTES = 4096
_HEADERS = 8
_SHOWN_NAME = 120  # characters of a client's name for a file, as the answer repeats it


@dataclass(frozen=True, slots=True)
class Upload:
    """One file of a form.

    Attributes:
        path: where it is; named after its content.
        name: what the client calls it, cut to what can be shown: for the answer alone.
    """

    path: Path
    name: str


@dataclass(frozen=True, slots=True)
class Form:
    """What a form held: files in their order, fields by name."""

    files: tuple[Upload, ...]
    fields: dict[str, str]


@dataclass(slots=True)
class _Part:
    """The part that is being received; ``stream`` is None for a field."""

    name: str
    shown: str
    stream: IO[bytes] | None = None
    path: Path = Path()
    digest: Any = field(default_factory=hashlib.sha256)
    pending: bytearray = field(default_factory=bytearray)


async def read_form(
    request: Request,
    folder: Path,
    *,
    file_part: str,
    fields: Collection[str],
    most_bytes: int,
    most_files: int,
    seconds: float,
    check_room: Callable[[int], None],
) -> Form:
    """Receive a form.

    Args:
        folder: where its files go; it exists and is empty.
        file_part: name of the parts that are files.
        fields: names that other parts may have.
        most_bytes: the form may have, as a whole.
        most_files: it may hold.
        seconds: it may take.
        check_room: raises OSError if the disk has no room for so many bytes more.

    Raises:
        ProblemError: 400 malformed, 408 too slow, 413 too large, 415 no such form, 422 a part that is
            not expected.
        OSError: there is no room for it.
        ClientDisconnect: the client has gone.
    """
    check_room(_stated_length(request, most_bytes))
    reader = _Reader(folder, file_part, fields, most_files, check_room)
    parser = PushMultipartParser(
        _boundary(request),
        max_header_size=_HEADER_BYTES,
        max_header_count=_HEADERS,
        max_segment_count=most_files + len(fields) + 1,  # the reader says what is too much
        strict=True,
    )
    received = 0
    try:
        with fail_after(seconds):
            async for chunk in request.stream():
                received += len(chunk)
                if received > most_bytes:
                    raise _too_large(most_bytes)
                if chunk:
                    for part in parser.parse(chunk):
                        await reader.take(part)
        parser.close()
    except TimeoutError as error:
        raise ProblemError(408, f"the upload took more than {seconds:g} s") from error
    except ParserLimitReached as error:
        raise ProblemError(413, f"the form has more than {most_files} files, or a header too long") from error
    except MultipartError as error:
        raise ProblemError(400, "the body is not a whole multipart/form-data form") from error
    finally:
        reader.close()
    return Form(tuple(reader.files), reader.fields)


@dataclass(slots=True)
class _Reader:
    """Takes the events of the parser; the arguments of `read_form`, and what it has read."""

    folder: Path
    file_part: str
    known: Collection[str]
    most_files: int
    check_room: Callable[[int], None]
    files: list[Upload] = field(default_factory=list)
    fields: dict[str, str] = field(default_factory=dict)
    part: _Part | None = None

    async def take(self, event: Any) -> None:
        if event is None:
            await self._end()
        elif isinstance(event, bytes | bytearray):
            await self._data(event)
        else:
            self._begin(event)

    def close(self) -> None:
        """Let go of the file at hand, if the form ended in the middle of it."""
        if self.part is not None and self.part.stream is not None:
            self.part.stream.close()

    def _begin(self, segment: Any) -> None:
        name = segment.name or ""
        if name == self.file_part:
            if len(self.files) == self.most_files:
                many = self.most_files > 1
                detail = (
                    f"more than {self.most_files} files; send fewer at once" if many else "one file, not more"
                )
                raise ProblemError(413 if many else 422, detail)
            path = self.folder / f"part-{len(self.files)}"
            self.part = _Part(name, shown_name(segment.filename or ""), path.open("xb"), path)
        elif name in self.known and name not in self.fields:
            self.part = _Part(name, "")
        else:
            known = " and ".join(map(repr, sorted(self.known)))
            raise ProblemError(422, f"the form takes files as {self.file_part!r}, and {known} once")

    async def _data(self, chunk: bytes | bytearray) -> None:
        part = self.part
        if part is None:
            return
        part.pending += chunk
        if part.stream is None:
            if len(part.pending) > _FIELD_BYTES:
                raise ProblemError(422, f"the field {part.name!r} is too long")
        elif len(part.pending) >= _BLOCK:
            await to_thread.run_sync(partial(_write, part, self.check_room))

    async def _end(self) -> None:
        part = self.part
        if part is None:
            return
        if part.stream is None:
            self.fields[part.name] = part.pending.decode("utf-8", "replace").strip()
        else:
            await to_thread.run_sync(partial(_write, part, self.check_room))
            part.stream.close()
            path = part.path.replace(part.path.with_name(part.digest.hexdigest()))
            self.files.append(Upload(path, part.shown))
        self.part = None


def shown_name(name: str) -> str:
    """A client's name for a file as an answer may repeat it: the last part, short, printable."""
    last = name.replace("\\", "/").rpartition("/")[2]
    return "".join(c for c in last if c.isprintable())[:_SHOWN_NAME] or "a file without a name"


def _write(part: _Part, check_room: Callable[[int], None]) -> None:
    if part.stream is not None:
        check_room(len(part.pending))
        part.digest.update(part.pending)
        part.stream.write(part.pending)
        part.pending.clear()


def _boundary(request: Request) -> str:
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    boundary = options.get("boundary", "")
    if kind != "multipart/form-data" or not 0 < len(boundary) <= 70 or not boundary.isprintable():
        raise ProblemError(415, "send the files as multipart/form-data, with its boundary (RFC 7578)")
    return str(boundary)


def _stated_length(request: Request, most_bytes: int) -> int:
    """How long the form says it is, 0 if it does not; what is too large is refused before it is read."""
    stated = request.headers.get("content-length", "")
    length = int(stated) if stated.isdecimal() else 0
    if length > most_bytes:
        raise _too_large(most_bytes)
    return length


def _too_large(most_bytes: int) -> ProblemError:
    remedy = "send fewer films at once, or raise BCD_GATEWAY_UPLOAD_BYTES"
    return ProblemError(413, f"the upload has more than {most_bytes} bytes; {remedy}")
