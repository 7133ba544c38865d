"""JPEG images that no library here writes: lossless (ISO/IEC 10918-1 Annex H), and lossy of 12 bits.

Plain and slow: for small pictures. Huffman codes all have about the same length.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.integer]
Bits = list[tuple[int, int]]
"""(value, how many bits of it) one after the other."""

_ZIGZAG = sorted(
    ((row, column) for row in range(8) for column in range(8)),
    key=lambda at: (sum(at), at[0] if sum(at) % 2 else at[1]),
)
_STEP = 2  # of quantisation


def lossless(pixels: Pixels, bits: int, *, predictor: int = 1, restart: int = 0) -> bytes:
    """SOF3: Process 14; with predictor 1, Selection Value 1.

    Args:
        pixels: (rows, columns), below 1 << ``bits``.
        restart: rows between restart markers; 0 for none.
    """
    values = pixels.astype(np.int64)
    rows, columns = values.shape
    predicted = np.zeros_like(values)
    left, above, corner = values[1:, :-1], values[:-1, 1:], values[:-1, :-1]
    predicted[1:, 1:] = [
        left,
        above,
        corner,
        left + above - corner,
        left + ((above - corner) >> 1),
        above + ((left - corner) >> 1),
        (left + above) >> 1,
    ][predictor - 1]
    firsts = range(0, rows, restart or rows)
    predicted[1:, 0] = values[:-1, 0]
    for first in firsts:
        predicted[first, 1:] = values[first, :-1]
        predicted[first, 0] = 1 << (bits - 1)
    differences = (values - predicted) & 0xFFFF
    differences = np.where(differences > 1 << 15, differences - (1 << 16), differences)
    code = _flat(17)
    scans = []
    for number, first in enumerate(firsts):
        part = differences[first : first + (restart or rows)].ravel().tolist()
        scans.append(_packed(piece for value in part for piece in _difference(value, code)))
        if first + (restart or rows) < rows:
            scans.append(bytes([0xFF, 0xD0 + number % 8]))
    return b"".join(
        [
            b"\xff\xd8",
            _frame(0xC3, bits, rows, columns),
            _segment(0xC4, b"\0" + _table(17)),
            _segment(0xDD, struct.pack(">H", restart * columns)) if restart else b"",
            _segment(0xDA, bytes([1, 1, 0, predictor, 0, 0])),
            *scans,
            b"\xff\xd9",
        ]
    )


def extended(pixels: Pixels, bits: int = 12) -> bytes:
    """SOF1: Process 4, sequential DCT with Huffman codes; nearly without loss."""
    rows, columns = pixels.shape
    padded = np.pad(pixels, ((0, -rows % 8), (0, -columns % 8)), mode="edge").astype(np.float64)
    frequency, place = np.mgrid[:8, :8]
    basis = np.cos((2 * place + 1) * frequency * np.pi / 16) / 2
    basis[0] /= np.sqrt(2)
    dc, ac = _flat(16), _flat(242)
    symbols = [0x00, 0xF0, *(run << 4 | size for run in range(16) for size in range(1, 16))]
    code_of = dict(zip(symbols, ac, strict=True))
    written: Bits = []
    last = 0
    for row in range(0, padded.shape[0], 8):
        for column in range(0, padded.shape[1], 8):
            block = padded[row : row + 8, column : column + 8] - (1 << (bits - 1))
            found = np.rint(basis @ block @ basis.T / _STEP).astype(int)
            zigzag = [int(found[at]) for at in _ZIGZAG]
            written += _difference(zigzag[0] - last, dc)
            last = zigzag[0]
            run = 0
            for value in zigzag[1:]:
                if not value:
                    run += 1
                    continue
                written += [code_of[0xF0]] * (run // 16)
                size = abs(value).bit_length()
                written += [code_of[run % 16 << 4 | size], _extra(value, size)]
                run = 0
            if run:
                written.append(code_of[0])
    return b"".join(
        [
            b"\xff\xd8",
            _segment(0xDB, b"\0" + bytes([_STEP] * 64)),
            _frame(0xC1, bits, rows, columns),
            _segment(0xC4, b"\0" + _table(16)),
            _segment(0xC4, b"\x10" + _table(242, symbols)),
            _segment(0xDA, bytes([1, 1, 0, 0, 63, 0])),
            _packed(written),
            b"\xff\xd9",
        ]
    )


def _segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def _frame(marker: int, bits: int, rows: int, columns: int) -> bytes:
    return _segment(marker, struct.pack(">BHHB3B", bits, rows, columns, 1, 1, 0x11, 0))


def _flat(count: int) -> list[tuple[int, int]]:
    """The codes of ``count`` symbols, all of one length; none of them is all ones, which no code may be."""
    return [(code, count.bit_length()) for code in range(count)]


def _table(count: int, symbols: Sequence[int] | None = None) -> bytes:
    lengths = [count if bits == count.bit_length() else 0 for bits in range(1, 17)]
    return bytes(lengths) + bytes(range(count) if symbols is None else symbols)


def _difference(value: int, code: Sequence[tuple[int, int]]) -> Bits:
    """A difference (F.1.2.1, H.1.2.2): the code of its size, and its low bits."""
    size = abs(value).bit_length()
    return [code[size]] if size in (0, 16) else [code[size], _extra(value, size)]


def _extra(value: int, size: int) -> tuple[int, int]:
    return (value if value > 0 else value + (1 << size) - 1, size)


def _packed(pieces: Iterable[tuple[int, int]]) -> bytes:
    """Bits to bytes, the rest of the last one ones; a zero behind each byte of ones (B.1.1.5)."""
    text = "".join(f"{value:0{size}b}" for value, size in pieces)
    text += "1" * (-len(text) % 8)
    packed = int(text, 2).to_bytes(len(text) // 8, "big") if text else b""
    return packed.replace(b"\xff", b"\xff\0")
