"""The header of a compressed image, checked in the very bytes that the decoder is given.

A decoder reserves the memory that the codestream asks for: in a damaged or hostile one up to 16 exabytes.
So everything that a decoder plans its memory by is read and bounded here first, by the standards of the
codestreams: ISO/IEC 10918-1 (JPEG), 14495-1 (JPEG-LS), 15444-1 (JPEG 2000), 15444-15 (High-Throughput).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from bcd_model.errors import FilmError
from bcd_model.reasons import Reason

SAME_SIZE = "its compressed image has another size than its header"
DAMAGED = "its compressed image is damaged"
TOO_COSTLY = "its compressed image is cut into more parts than a mammogram"
CUT_SHORT = Reason("cut-short", "cut short: its last compressed pixels are missing", "export it again")

END = b"\xff\xd9"
"""The marker at the end of an image: EOI of JPEG and JPEG-LS, EOC of JPEG 2000."""

_SOI, _SOS, _EOI = 0xD8, 0xDA, 0xD9
JPEG = frozenset({0xC0, 0xC1})
"""Frames of a JPEG image in DICOM: SOF0, SOF1. A progressive one may be gone through thousands of times."""
JPEG_LOSSLESS = frozenset({0xC3})
"""The frame of a lossless JPEG image: SOF3."""
JPEG_LS = frozenset({0xF7})
"""The frame of a JPEG-LS image: SOF55."""
# SOF0 to SOF15 without DHT (C4), JPG (C8), DAC (CC).
_SOF = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_STANDALONE = frozenset({0x01, *range(0xD0, 0xD8)})

_SOC, _SIZ, _COD, _COC, _SOT, _SOD, _EOC = 0xFF4F, 0xFF51, 0xFF52, 0xFF53, 0xFF90, 0xFF93, 0xFFD9
# The others of A.2 and of ISO/IEC 15444-2 that may stand in a header. Behind one that it does not know,
# OpenJPEG looks for the next marker inside its parameters.
_OTHERS = frozenset({0xFF50, 0xFF55, 0xFF57, 0xFF58, 0xFF59, 0xFF5C, 0xFF5D, 0xFF5E, 0xFF5F, 0xFF60, 0xFF61})
_OTHERS |= {0xFF63, 0xFF64}
_JP2 = b"\x00\x00\x00\x0cjP  \r\n\x87\n"
_HIGH_THROUGHPUT = 1 << 14
"""Of Rsiz: capabilities of ISO/IEC 15444-15, described in a CAP marker segment (A.2)."""

_MOST_TILES = 1 << 13
_FEW_TILES, _LEAST_TILE = 64, 1 << 10  # pixels
_MOST_PARTS = 1 << 20  # code blocks and precincts: each becomes an object of some hundred bytes
_MOST_LAYERS = 1 << 8
_MOST_PLANNED = 1 << 24  # packets: precincts by layers
_MOST_TILE_PARTS = 1 << 14
_PIXELS_PER_BYTE = 1000
"""No picture of a breast is compressed further; J2K with loss goes to about 100."""
_SMALL = 1 << 20


class CodestreamError(FilmError):
    """A codestream that is not given to a decoder."""

    code = "compressed-image"

    def __init__(self, detail: str, remedy: str = "export it again", place: str = "", code: str = "") -> None:
        super().__init__(detail, remedy, place, code)


@dataclass(frozen=True, slots=True)
class Expected:
    """What the header says of the image."""

    rows: int
    columns: int
    bits_allocated: int


@dataclass(frozen=True, slots=True)
class Checked:
    """A codestream that a decoder may be given.

    Attributes:
        precision: in bits.
        is_ended: whether the marker of its end is there.
        length: of the codestream without padding behind it, as far as it tells; without the marker, too.
    """

    precision: int
    is_ended: bool
    length: int


def is_jpeg(data: bytes) -> bool:
    """Whether ``data`` begins as JPEG and JPEG-LS do: SOI and another marker."""
    return data[:3] == b"\xff\xd8\xff"


def is_j2k(data: bytes) -> bool:
    """Whether ``data`` begins as a JPEG 2000 codestream does, or as the file around one."""
    return data[:4] == b"\xff\x4f\xff\x51" or data.startswith(_JP2)


def is_high_throughput(data: bytes) -> bool:
    """Whether a JPEG 2000 codestream, or the one in a file, says that it needs Part 15."""
    try:
        stream = unwrapped(data)
    except CodestreamError:
        return False
    return len(stream) >= 8 and bool(struct.unpack_from(">H", stream, 6)[0] & _HIGH_THROUGHPUT)


def jpeg_frame(data: bytes) -> int | None:
    """The marker of the first frame header (SOF) of a JPEG or JPEG-LS codestream; None if there is none."""
    with suppress(CodestreamError):
        for marker, _, _ in _jpeg_segments(data):
            if _is_frame(marker):
                return marker
    return None


def checked_jpeg(data: bytes, expected: Expected) -> Checked:
    """Check a JPEG or JPEG-LS codestream that starts with the first byte of ``data``.

    Raises:
        CodestreamError: it is damaged, another image than expected, or of a kind that is not read.
    """
    frames, end = [], 0
    for marker, at, size in _jpeg_segments(data):
        end = at + size
        if _is_frame(marker):
            frames.append((marker, at, size))
    if len(frames) != 1 or frames[0][2] < 8:
        raise CodestreamError(DAMAGED)
    if frames[0][0] not in JPEG | JPEG_LOSSLESS | JPEG_LS:
        raise CodestreamError("its compressed image is a progressive, arithmetic or hierarchical JPEG")
    precision, rows, columns, components = struct.unpack_from(">BHHB", data, frames[0][1])
    _check(expected, rows, columns, components, precision, len(data))
    return Checked(int(precision), data.find(END, end) >= 0, len(data))


def _is_frame(marker: int) -> bool:
    return marker in _SOF or marker in JPEG_LS


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """(marker, offset and length of its parameters) of each segment before the first scan."""
    if data[:3] != b"\xff\xd8\xff":
        raise CodestreamError(DAMAGED)
    at = 2
    while True:
        while data[at : at + 2] == b"\xff\xff":  # fill bytes (B.1.1.2)
            at += 1
        if at + 4 > len(data) or data[at] != 0xFF:
            raise CodestreamError(DAMAGED)
        marker = data[at + 1]
        if marker in _STANDALONE:
            at += 2
            continue
        (size,) = struct.unpack_from(">H", data, at + 2)
        if marker in (_SOI, _EOI) or size < 2 or at + 2 + size > len(data):
            raise CodestreamError(DAMAGED)
        if marker == _SOS:
            return
        yield marker, at + 4, size - 2
        at += 2 + size


_NEXT_IMAGE = re.compile(rb"\xff\xd9\x00*(?:\xff\xd8\xff|\xff\x4f\xff\x51|\x00{3}\x0cjP  )")
"""EOI or EOC, padding, then SOI, SOC or the signature of a JP2 file."""


def _check(expected: Expected, rows: int, columns: int, components: int, precision: int, size: int) -> None:
    if (rows, columns) != (expected.rows, expected.columns):
        raise CodestreamError(SAME_SIZE)
    if components != 1:
        raise CodestreamError(f"its compressed image has {components} components where its header says 1")
    if not 2 <= precision <= expected.bits_allocated:
        raise CodestreamError(
            f"its compressed image has {precision} bits where its header allocates {expected.bits_allocated}"
        )
    if rows * columns > max(_SMALL, _PIXELS_PER_BYTE * size):
        raise CodestreamError("its compressed image has fewer bytes than a picture of its size needs")


def check_single(data: bytes) -> None:
    """Check that one image's codestream is all that ``data`` holds.

    In a codestream the marker of its end stands nowhere else (ISO/IEC 10918-1 B.1.1.5, 15444-1 B.10.1).

    Raises:
        CodestreamError: another one follows it: several frames, of which a decoder shows the first.
    """
    if _NEXT_IMAGE.search(data):
        raise CodestreamError("it holds several compressed images where its header says 1 frame")


def unwrapped(data: bytes) -> bytes:
    """The JPEG 2000 codestream in a JP2 file (ISO/IEC 15444-1 Annex I), which PS3.5 A.4.4 does not allow.

    ``data`` itself if it is none.

    Raises:
        CodestreamError: there is no codestream in the file.
    """
    if not data.startswith(_JP2):
        return data
    at = 0
    while at + 8 <= len(data):
        size, kind = struct.unpack_from(">L4s", data, at)
        head = 8
        if size == 1 and at + 16 <= len(data):
            (size,) = struct.unpack_from(">Q", data, at + 8)
            head = 16
        if size == 0:
            size = len(data) - at
        if size < head or at + size > len(data):
            break
        if kind == b"jp2c":
            return data[at + head : at + size]
        at += size
    raise CodestreamError(DAMAGED)


@dataclass(frozen=True, slots=True)
class _Grid:
    """The reference grid (A.5.1): image area, tiles."""

    width: int
    height: int
    tile_width: int
    tile_height: int
    tiles: int


def checked_j2k(data: bytes, expected: Expected) -> Checked:
    """Check a JPEG 2000 codestream that starts with the first byte of ``data``.

    Its main header and the header of every tile-part are looked through, for each may say anew how finely
    the image is cut up.

    Raises:
        CodestreamError: it is damaged, cut short, another image than expected, or cut into more parts than
            sensible.
    """
    if len(data) < 44 or struct.unpack_from(">HH", data) != (_SOC, _SIZ):
        raise CodestreamError(DAMAGED)
    size, _, right, bottom, left, top, tile_width, tile_height, tile_left, tile_top, components = (
        struct.unpack_from(">HH8LH", data, 4)
    )
    if right <= left or bottom <= top or not tile_width or not tile_height:
        raise CodestreamError(DAMAGED)
    if tile_left > left or tile_top > top or tile_left + tile_width <= left or tile_top + tile_height <= top:
        raise CodestreamError(DAMAGED)
    if (size, components) != (41, 1):
        raise CodestreamError(
            f"its compressed image has {components} components where its header says 1"
            if size == 38 + 3 * components
            else DAMAGED
        )
    depth, step_x, step_y = data[42:45] if len(data) > 44 else (0, 0, 0)
    if (step_x, step_y) != (1, 1):
        raise CodestreamError("its compressed image is subsampled")
    precision = (depth & 0x7F) + 1
    _check(expected, bottom - top, right - left, components, precision, len(data))
    tiles = -(-(right - tile_left) // tile_width) * -(-(bottom - tile_top) // tile_height)
    sensible = max(_FEW_TILES, (right - left) * (bottom - top) // _LEAST_TILE)
    if tiles > min(_MOST_TILES, sensible) or max(right, bottom) >= 1 << 31:
        raise CodestreamError(TOO_COSTLY)
    grid = _Grid(right - left, bottom - top, tile_width, tile_height, tiles)
    is_ended = data.rstrip(b"\0").endswith(END)
    end = _check_parts(data, 4 + size, grid, is_ended=is_ended)
    return Checked(precision, is_ended, len(data) if any(data[end:]) else end)


def _check_parts(data: bytes, at: int, grid: _Grid, *, is_ended: bool) -> int:
    """Check the coding styles in the main header and in each tile-part's; returns where the last one ends."""
    styles = 0
    tiles = set()
    for _ in range(_MOST_TILE_PARTS):
        marker, at, found = _coding_styles(data, at, grid)
        styles += found
        if marker != _SOT:  # the image's end, or where its bytes end
            break
        if at + 12 > len(data):
            break
        tile, length = struct.unpack_from(">HL", data, at + 4)  # Isot; Psot, from the SOT marker on (A.4.2)
        tiles.add(tile)
        header, end, found = _coding_styles(data, at + 12, grid)
        styles += found
        at = len(data) if length == 0 else at + length
        if header not in (_SOD, 0) or at < end:
            raise CodestreamError(DAMAGED)
        if at > len(data) and not is_ended:
            raise CodestreamError.of(CUT_SHORT)
    else:
        raise CodestreamError(TOO_COSTLY)
    if not styles:
        raise CodestreamError(DAMAGED)
    if len(tiles) < grid.tiles:
        raise CodestreamError.of(CUT_SHORT)
    return min(at, len(data))


def _coding_styles(data: bytes, at: int, grid: _Grid) -> tuple[int, int, int]:
    """Check the coding styles up to a tile-part or its data: that marker, its offset, how many there were.

    The marker is 0 where the bytes end.
    """
    styles = 0
    while at + 4 <= len(data):
        marker, size = struct.unpack_from(">HH", data, at)
        if marker in (_SOT, _SOD, _EOC):
            return marker, at, styles
        if size < 2 or not (marker in _OTHERS or marker in (_COD, _COC)):
            raise CodestreamError(DAMAGED)
        if marker in (_COD, _COC):
            _check_style(data[at + 4 : at + 2 + size], grid, is_default=marker == _COD)
            styles += 1
        at += 2 + size
    return 0, at, styles


def _check_style(style: bytes, grid: _Grid, *, is_default: bool) -> None:
    """Bound what one coding style (A.6.1, A.6.2) makes of the image."""
    # COD: Scod, progression, layers, transform of components; COC: Ccoc (one byte), Scoc. Then both alike.
    start = 5 if is_default else 2
    if len(style) < start + 5:
        raise CodestreamError(DAMAGED)
    layers = struct.unpack_from(">H", style, 2)[0] if is_default else 1
    levels, block_width, block_height = style[start : start + 3]
    if (
        not layers >= 1
        or levels > 32
        or block_width > 8
        or block_height > 8
        or block_width + block_height > 8
    ):
        raise CodestreamError(DAMAGED)
    flags = style[0] if is_default else style[1]
    steps = style[start + 5 :] if flags & 1 else bytes([0xFF]) * (levels + 1)
    if len(steps) < levels + 1:
        raise CodestreamError(DAMAGED)
    blocks = precincts = 0
    for level in range(levels + 1):
        # Of each tile the extent at this resolution, with one more for how tiles lie on the grid.
        shrink = levels - level
        width = (min(grid.width, grid.tile_width) >> shrink) + 2
        height = (min(grid.height, grid.tile_height) >> shrink) + 2
        across, down = steps[level] & 0xF, steps[level] >> 4
        here = ((width >> across) + 2) * ((height >> down) + 2)
        precincts += here * grid.tiles
        # A code block is no larger than its precinct, which has half the size in a band (B.7).
        half = 1 if level else 0
        cell_width = min(block_width + 2, max(across - half, 0))
        cell_height = min(block_height + 2, max(down - half, 0))
        blocks += ((width >> cell_width) + 2) * ((height >> cell_height) + 2) * grid.tiles
        if precincts + blocks > _MOST_PARTS or layers > _MOST_LAYERS or precincts * layers > _MOST_PLANNED:
            raise CodestreamError(TOO_COSTLY)
