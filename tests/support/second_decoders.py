"""Decoders that share no code with those of the product, as commands: Debian's dcmtk and openjph-tools."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pydicom

DCMTK = {"JPEG": "dcmdjpeg", "JPEG Lossless": "dcmdjpeg", "JPEG-LS": "dcmdjpls", "RLE": "dcmdrle"}
"""By the name of an encoding, what makes uncompressed files of such ones."""
OPENJPH = "ojph_expand"


def is_there(*commands: str) -> bool:
    return all(shutil.which(command) for command in commands)


def by_dcmtk(path: Path, tool: str) -> npt.NDArray[np.integer]:
    """The stored values of a film as dcmtk decompresses it.

    Raises:
        ValueError: it does not.
    """
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "plain.dcm"
        done = subprocess.run([tool, str(path), str(plain)], capture_output=True, text=True)
        if done.returncode or not plain.exists():
            raise ValueError(done.stderr)
        return native(plain)


def native(path: Path) -> npt.NDArray[np.integer]:
    """The stored values of an uncompressed file, from its very bytes."""
    film = pydicom.dcmread(path)
    order = "<" if film.file_meta.TransferSyntaxUID.is_little_endian else ">"
    kind = "i" if film.PixelRepresentation else "u"
    dtype = np.dtype(f"{order}{kind}{film.BitsAllocated // 8}")
    values = np.frombuffer(film.PixelData, dtype=dtype, count=film.Rows * film.Columns)
    return values.astype(dtype.newbyteorder("=")).reshape(film.Rows, film.Columns)


def by_openjph(stream: bytes, *, signed: bool = False) -> npt.NDArray[np.integer]:
    """The values of a JPEG 2000 or HTJ2K codestream of one component, as OpenJPH decodes it.

    Raises:
        ValueError: it does not.
    """
    with tempfile.TemporaryDirectory() as folder:
        packed, plain = Path(folder) / "image.j2c", Path(folder) / "image.pgm"
        packed.write_bytes(stream)
        done = subprocess.run([OPENJPH, "-i", packed, "-o", plain], capture_output=True, text=True)
        if done.returncode or not plain.exists():
            raise ValueError(done.stderr or done.stdout)
        return of_pgm(plain.read_bytes())


def of_pgm(data: bytes) -> npt.NDArray[np.integer]:
    """The values of a binary PGM (P5)."""
    kind, width, height, most, start = b"", 0, 0, 0, 0
    fields: list[bytes] = []
    while len(fields) < 4:
        end = start
        while data[end : end + 1].strip():
            end += 1
        if end > start:
            fields.append(data[start:end])
        start = end + 1
    kind, (width, height, most) = fields[0], map(int, fields[1:])
    if kind != b"P5":
        raise ValueError(f"not a binary PGM: {kind!r}")
    values = np.frombuffer(data, dtype=">u2" if most > 255 else "u1", count=width * height, offset=start)
    return values.astype(np.uint16 if most > 255 else np.uint8).reshape(height, width)


def htj2k(pixels: npt.NDArray[np.integer], bits: int, *options: str) -> bytes:
    """An HTJ2K codestream by OpenJPH's encoder, lossless unless ``options`` say otherwise."""
    with tempfile.TemporaryDirectory() as folder:
        plain, packed = Path(folder) / "image.pgm", Path(folder) / "image.j2c"
        most = (1 << bits) - 1
        rows, columns = pixels.shape
        values = pixels.astype(">u2" if most > 255 else "u1").tobytes()
        plain.write_bytes(f"P5\n{columns} {rows}\n{most}\n".encode() + values)
        how = options or ("-reversible", "true")
        subprocess.run(["ojph_compress", "-i", plain, "-o", packed, *how], check=True, capture_output=True)
        return packed.read_bytes()
