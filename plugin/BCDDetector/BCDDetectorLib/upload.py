"""A multipart/form-data body (RFC 7578) that is read from disk while it is sent.

``requests`` would read every film into memory first, and could neither show progress nor be cancelled.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Callable

from .errors import CancelledError, InputError

CHUNK = 1 << 18
Progress = Callable[[int, int], None]
"""Called with the bytes sent so far and the bytes in all."""


def _ignore(sent: int, total: int) -> None:
    """Progress that is not shown."""


class Multipart:
    """The body of one request; iterating over it reads the files.

    File names may hold a patient's name, so they are not sent: they become ``1.dcm``, ``2.dcm``, ...

    Args:
        files: (part name, path).
        fields: text parts.
        cancelled: asked before each chunk; if true the iteration raises CancelledError.

    Raises:
        InputError: a file is missing.
    """

    def __init__(
        self,
        files: Sequence[tuple[str, Path]],
        fields: Mapping[str, str],
        cancelled: Callable[[], bool] = lambda: False,
        progress: Progress = _ignore,
    ) -> None:
        self._boundary = uuid.uuid4().hex
        self._cancelled = cancelled
        self._progress = progress
        self._parts: list[tuple[bytes, Path, int]] = []
        self._fields = b"".join(
            self._head(f'name="{name}"') + value.encode() + b"\r\n" for name, value in fields.items()
        )
        for number, (name, path) in enumerate(files, start=1):
            head = self._head(f'name="{name}"; filename="{number}.dcm"', "application/dicom")
            self._parts.append((head, path, _size(path)))
        self._tail = f"--{self._boundary}--\r\n".encode()

    @property
    def content_type(self) -> str:
        """The value of the request's Content-Type."""
        return f"multipart/form-data; boundary={self._boundary}"

    def _head(self, disposition: str, content_type: str = "") -> bytes:
        lines = [f"--{self._boundary}", f"Content-Disposition: form-data; {disposition}"]
        if content_type:
            lines.append(f"Content-Type: {content_type}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    def __len__(self) -> int:
        """Bytes of the body."""
        files = sum(len(head) + size + 2 for head, _, size in self._parts)
        return len(self._fields) + files + len(self._tail)

    def __iter__(self) -> Iterator[bytes]:
        sent, total = 0, len(self)
        for chunk in self._chunks():
            if self._cancelled():
                raise CancelledError
            yield chunk
            sent += len(chunk)
            self._progress(sent, total)

    def _chunks(self) -> Iterator[bytes]:
        if self._fields:
            yield self._fields
        for head, path, size in self._parts:
            yield head
            left = size
            with path.open("rb") as stream:
                while left:
                    chunk = stream.read(min(CHUNK, left))
                    if not chunk:  # another length than was announced: the request cannot be completed
                        raise InputError("a film's file has changed while it was sent; try again", str(path))
                    left -= len(chunk)
                    yield chunk
            yield b"\r\n"
        yield self._tail


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        reason = error.strerror or "no reason given"
        raise InputError(f"a film cannot be read ({reason}); load it again", str(path)) from error
