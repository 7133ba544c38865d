"""Streams over a file's bytes that hand out no more than is asked for, and never the same bytes twice."""

from __future__ import annotations

import hashlib
import zlib
from abc import ABC, abstractmethod
from io import FileIO

_BLOCK = 1 << 18
INFLATED_BYTES = 3 << 26
"""What a deflated data set may take: 192 MiB. The largest image that is read has 128."""


class Stream(ABC):
    """Bytes from the first to the last; there is no way back."""

    @property
    @abstractmethod
    def position(self) -> int:
        """How many bytes have gone by."""

    @abstractmethod
    def peek(self, count: int) -> bytes:
        """The next ``count`` bytes, which stay; fewer at the end."""

    @abstractmethod
    def skip(self, count: int) -> int:
        """Pass over ``count`` bytes; returns over how many."""

    def take(self, count: int) -> bytes:
        """The next ``count`` bytes; fewer at the end."""
        taken = self.peek(count)
        self.skip(len(taken))
        return taken


class MemoryStream(Stream):
    """A stream over bytes that are in memory already; nothing is copied that is passed over."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def position(self) -> int:
        """As `Stream` says."""
        return self._at

    def peek(self, count: int) -> bytes:
        """As `Stream` says."""
        return self._data[self._at : self._at + count]

    def skip(self, count: int) -> int:
        """As `Stream` says."""
        count = min(count, len(self._data) - self._at)
        self._at += count
        return count


class HashedFile(Stream):
    """A stream over an open file; every byte enters the hash as it comes from the file, and comes once.

    So what is parsed is what was hashed, whatever a writer does to the file meanwhile.
    """

    def __init__(self, file: FileIO) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        self._buffer = b""
        self._at = 0  # in the buffer
        self._before = 0  # bytes before the buffer

    @property
    def position(self) -> int:
        """As `Stream` says."""
        return self._before + self._at

    @property
    def sha256(self) -> str:
        """SHA-256 of the file as far as it was read, in hexadecimal."""
        return self._digest.hexdigest()

    def _fill(self, count: int) -> None:
        """Have ``count`` bytes in the buffer, if the file has them."""
        if len(self._buffer) - self._at >= count:
            return
        parts = [self._buffer[self._at :]]
        self._before += self._at
        self._at = 0
        missing = count - len(parts[0])
        while missing > 0:
            block = self._file.read(_BLOCK)
            if not block:
                break
            self._digest.update(block)
            parts.append(block)
            missing -= len(block)
        self._buffer = b"".join(parts)

    def peek(self, count: int) -> bytes:
        """As `Stream` says."""
        self._fill(count)
        return self._buffer[self._at : self._at + count]

    def skip(self, count: int) -> int:
        """As `Stream` says."""
        skipped = 0
        while skipped < count:
            self._fill(1)
            step = min(count - skipped, len(self._buffer) - self._at)
            if step == 0:
                break
            self._at += step
            skipped += step
        return skipped

    def drain(self, most: int) -> bool:
        """Pass over what is left, up to ``most`` bytes; whether the end was reached."""
        self.skip(most)
        return not self.peek(1)


class InflatedStream(Stream):
    """What inflates out of another stream (RFC 1951, PS3.5 A.5), up to `INFLATED_BYTES`; no more is held than
    is looked at.

    Attributes:
        is_damaged: whether it ended in what is no deflated data; what came before is there.
        is_too_long: whether it goes on beyond `INFLATED_BYTES`.
    """

    def __init__(self, packed: Stream) -> None:
        self._packed = packed
        self._inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        self._pending = b""  # not inflated yet
        self._buffer = b""
        self._at = 0  # in the buffer
        self._before = 0  # bytes before the buffer
        self.is_damaged = False
        self.is_too_long = False

    @property
    def position(self) -> int:
        """As `Stream` says."""
        return self._before + self._at

    def _more(self) -> bytes:
        """The next bytes that inflate; none at the end."""
        while not (self._inflater.eof or self.is_damaged or self.is_too_long):
            packed = self._pending or self._packed.take(_BLOCK)
            try:
                found = self._inflater.decompress(packed, _BLOCK)
            except zlib.error:
                self.is_damaged = True
                break
            self._pending = self._inflater.unconsumed_tail
            if found:
                return found
            if not packed:  # it breaks off
                self.is_damaged = True
        return b""

    def _fill(self, count: int) -> None:
        if len(self._buffer) - self._at >= count:
            return
        parts = [self._buffer[self._at :]]
        self._before += self._at
        self._at = 0
        missing = count - len(parts[0])
        while missing > 0 and (found := self._more()):
            parts.append(found)
            missing -= len(found)
            if self._before + sum(map(len, parts)) > INFLATED_BYTES:
                self.is_too_long = True
        self._buffer = b"".join(parts)

    def peek(self, count: int) -> bytes:
        """As `Stream` says."""
        self._fill(count)
        return self._buffer[self._at : self._at + count]

    def skip(self, count: int) -> int:
        """As `Stream` says."""
        skipped = 0
        while skipped < count:
            self._fill(1)
            step = min(count - skipped, len(self._buffer) - self._at)
            if step == 0:
                break
            self._at += step
            skipped += step
        return skipped
