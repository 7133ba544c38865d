"""RLE (PS3.5 Annex G) to the bytes of an image: exactly as many as it has."""

from __future__ import annotations

import struct
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from converters.films.codecs import codestream
from converters.films.codecs.codestream import CodestreamError, Expected

_HEADER = 64
_SEGMENTS = 15
_NO_RUN = 128


def is_rle(frame: bytes, width: int) -> bool:
    """Whether ``frame`` begins with the RLE header (G.5) of pixels of ``width`` bytes."""
    if len(frame) < _HEADER:
        return False
    segments, *offsets = struct.unpack_from(f"<L{_SEGMENTS}L", frame)
    if segments != width or offsets[0] != _HEADER or any(offsets[segments:]):
        return False
    return all(low < high for low, high in pairwise([*offsets[:segments], len(frame)]))


def decode(frame: bytes, expected: Expected) -> npt.NDArray[np.unsignedinteger]:
    """The pixels (rows, columns) of 8 or 16 bits, without sign.

    One segment for each byte of a pixel, the most significant first.

    Raises:
        CodestreamError: the frame is damaged, or another image than expected.
    """
    width = expected.bits_allocated // 8
    count = expected.rows * expected.columns
    if len(frame) < _HEADER:
        raise CodestreamError(codestream.DAMAGED)
    segments, *offsets = struct.unpack_from(f"<L{_SEGMENTS}L", frame)
    if segments != width:
        raise CodestreamError(
            f"its compressed image has {segments} RLE segments where its header needs {width}"
        )
    starts = [*offsets[:segments], len(frame)]
    if starts[0] != _HEADER or any(low >= high for low, high in pairwise(starts)):
        raise CodestreamError(codestream.DAMAGED)
    if count * width > len(frame) * _NO_RUN:  # a run takes two bytes and gives 128
        raise CodestreamError(codestream.DAMAGED)
    planes = np.empty((count, width), dtype=np.uint8)
    for number, (low, high) in enumerate(pairwise(starts)):
        planes[:, width - 1 - number] = np.frombuffer(_unpacked(frame[low:high], count), dtype=np.uint8)
    return planes.view(f"<u{width}").reshape(expected.rows, expected.columns)


def _unpacked(segment: bytes, count: int) -> bytearray:
    """A PackBits segment (G.3.2) that gives exactly ``count`` bytes.

    Raises:
        CodestreamError: it gives fewer, or more.
    """
    found = bytearray()
    at, size = 0, len(segment)
    while len(found) < count and at < size:
        control = segment[at]
        if control < _NO_RUN:
            end = at + control + 2
            if end > size:
                break
            found += segment[at + 1 : end]
            at = end
        elif control > _NO_RUN:
            if at + 1 >= size:
                break
            found += segment[at + 1 : at + 2] * (257 - control)
            at += 2
        else:
            at += 1
    if len(found) != count or any(byte not in (0, _NO_RUN) for byte in segment[at:]):
        raise CodestreamError(codestream.DAMAGED)
    return found
