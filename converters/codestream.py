"""The size of a compressed image, from its codestream, before anything is decoded.

A decoder sets aside what the codestream asks for, which in a damaged file is up to 16 exabytes.
"""

from __future__ import annotations

import struct
from pathlib import Path

_LOOK = 1 << 16
_J2K_START = b"\xff\x4f\xff\x51"  # SOC, SIZ (ISO/IEC 15444-1 A.4.1, A.5.1)
_JPEG_START = b"\xff\xd8\xff"  # SOI and the next marker (ISO/IEC 10918-1 B.1.1.3)
# SOF0 to SOF15 without DHT (C4), JPG (C8), DAC (CC); and JPEG-LS's SOF55 (F7).
_JPEG_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC} | {0xF7}


def codestream_shape(path: Path, offset: int) -> tuple[int, int] | None:
    """(rows, columns) of the first JPEG, JPEG-LS or JPEG 2000 codestream behind ``offset``.

    None if none starts within 64 KiB (RLE has no header of its own).

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        file.seek(offset)
        data = file.read(_LOOK)
    j2k, jpeg = data.find(_J2K_START), data.find(_JPEG_START)
    if j2k >= 0 and (jpeg < 0 or j2k < jpeg):
        return _j2k_shape(data[j2k:])
    return _jpeg_shape(data[jpeg:]) if jpeg >= 0 else None


def _j2k_shape(data: bytes) -> tuple[int, int] | None:
    if len(data) < 24:
        return None
    # SOC, SIZ, Lsiz, Rsiz, then Xsiz, Ysiz, XOsiz, YOsiz.
    right, bottom, left, top = struct.unpack_from(">4L", data, 8)
    return bottom - top, right - left


def _jpeg_shape(data: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker in _JPEG_FRAME:
            rows, columns = struct.unpack_from(">HH", data, at + 5)
            return int(rows), int(columns)
        at += 2 + int(struct.unpack_from(">H", data, at + 2)[0])
    return None
