"""Films around a codestream, with whatever transfer syntax and fragments a test needs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from converters.dicom.file import load, parse_dicom
from converters.films.pixels.stored import StoredPixels, stored_pixels
from tests.support.film_tree import FilmFile, encode, tree_of
from tests.support.mammograms import breast, mammogram


def picture(bits: int, *, signed: bool = False, rows: int = 96, columns: int = 80) -> npt.NDArray[np.integer]:
    """A breast of so many bits, with noise in the lowest: the same every time."""
    noise = np.random.default_rng(bits).integers(0, 1 << max(1, bits - 6), (rows, columns))
    full = breast(rows, columns, bits=16).astype(np.int64) >> (16 - bits)
    values = np.minimum(full + noise, (1 << bits) - 1)
    if signed:
        values -= 1 << (bits - 1)
    kind = "i" if signed else "u"
    return values.astype(f"{kind}{1 if bits <= 8 else 2}")


def film_of(pixels: npt.NDArray[np.integer], bits: int, **elements: object) -> FilmFile:
    """An uncompressed film of ``pixels``, of which ``bits`` are stored."""
    full = {"BitsStored": bits, "HighBit": bits - 1, "PixelRepresentation": int(pixels.dtype.kind == "i")}
    middle = 0 if pixels.dtype.kind == "i" else 1 << (bits - 1)
    window = {"WindowCenter": middle, "WindowWidth": 1 << bits}
    unsigned = pixels.view(f"u{pixels.dtype.itemsize}")
    return tree_of(mammogram(unsigned, **{**full, **window, **elements}))


def labelled(film: FilmFile, syntax: str) -> FilmFile:
    """``film``, with a transfer syntax that need not be that of its pixels."""
    for element in film.meta:
        if element.tag == 0x00020010:
            element.value = syntax.encode()
    return film


def with_stream(film: FilmFile, syntax: str, *fragments: bytes) -> FilmFile:
    """``film``, with these fragments behind an empty offset table."""
    film.fragments, film.pixels, film.pixel_vr = [b"", *fragments], b"", "OB"
    return labelled(film, syntax)


HTJ2K_12 = Path(__file__).with_name("breast_12.j2c")
"""`mammograms.breast(bits=12)`, as OpenJPH writes it (``tests/conformance/test_reader_matrix.py``)."""


def htj2k_12() -> bytes:
    """A High-Throughput JPEG 2000 codestream, for where no encoder of it is."""
    return HTJ2K_12.read_bytes()


def saved(film: FilmFile, path: Path) -> Path:
    path.write_bytes(encode(film))
    return path


def stored_in(path: Path) -> StoredPixels:
    """The stored values of the film in a file."""
    file = load(path)
    return stored_pixels(file, parse_dicom(file))


def low_bits(stored: StoredPixels) -> npt.NDArray[np.int64]:
    """The values of an image: its low bits, the highest of which is the sign of signed ones."""
    values = stored.values.astype(np.int64) & ((1 << stored.bits) - 1)
    sign = 1 << (stored.bits - 1) if stored.values.dtype.kind == "i" else 0
    return (values ^ sign) - sign
