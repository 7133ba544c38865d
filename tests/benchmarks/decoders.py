"""Decoders on one film of 3328 x 4096 pixels of 12 bits: seconds a library, and whether the pixels are right.

    python -m tests.benchmarks.decoders [--runs N]

A row for each transfer syntax and library that is installed; the best of N runs. Encoders are dcmtk's,
OpenJPH's and pydicom's. What is marked with a star is what the product takes. ``apart`` is the whole way in
a process of its own, its start included; a command's time includes the reading and writing of its files.
The film is a phantom with noise of a detector: it does not compress better than a true one.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.dataset import FileDataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    HTJ2KLossless,
    JPEG2000Lossless,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from converters.dicom.data_elements import inflated
from converters.dicom.file import load, parse_dicom
from converters.films.codecs import gdcm, rle
from converters.films.codecs.codestream import Expected
from converters.films.pixels.stored import stored_pixels
from tests.support.mammograms import breast, encoded, mammogram, recoded
from tests.support.second_decoders import DCMTK, OPENJPH, by_dcmtk, by_openjph, htj2k, is_there

ROWS, COLUMNS, BITS = 4096, 3328, 12
_ENCODERS = {JPEGLosslessSV1: "+e1", JPEGLossless: "+el", JPEGExtended12Bit: "+ee"}
Decode = Callable[[], npt.NDArray[np.integer]]


@dataclass(frozen=True)
class Film:
    """The film in one transfer syntax: as a file, and its codestream alone."""

    path: Path
    stream: bytes


def picture() -> npt.NDArray[np.uint16]:
    """The film's pixels: a phantom's breast, and noise of 6 levels."""
    noise = np.random.default_rng(43).normal(0, 6, (ROWS, COLUMNS))
    return np.clip(breast(ROWS, COLUMNS, bits=BITS) + noise, 0, (1 << BITS) - 1).astype(np.uint16)


def in_syntax(film: FileDataset, syntax: UID, folder: Path) -> Film:
    """Encode ``film``, whose pixels are native."""
    path = folder / f"{syntax.keyword}.dcm"
    if syntax in _ENCODERS:
        plain = folder / "plain.dcm"
        plain.write_bytes(encoded(film))
        subprocess.run(["dcmcjpeg", _ENCODERS[syntax], plain, path], check=True)
    elif syntax == HTJ2KLossless:
        film.PixelData = encapsulate([htj2k(film.pixel_array, BITS)])
        film["PixelData"].VR = "OB"
        film["PixelData"].is_undefined_length = True
        film.file_meta.TransferSyntaxUID = syntax
        path.write_bytes(encoded(film))
    else:
        path.write_bytes(encoded(recoded(film, syntax)))
    data = pydicom.dcmread(path).PixelData
    stream = next(generate_frames(data, number_of_frames=1)) if syntax.is_encapsulated else b""
    return Film(path, stream)


def decoders(film: Film, syntax: UID) -> Iterator[tuple[str, Decode]]:
    """What decodes this film, by name."""
    yield "the product, file to pixels *", lambda: _product(film)
    if syntax in (JPEGLosslessSV1, JPEGLossless, JPEGExtended12Bit):
        lossless = syntax != JPEGExtended12Bit
        yield (
            "GDCM (SimpleITK)",
            lambda: gdcm.decode(film.stream, rows=ROWS, columns=COLUMNS, precision=BITS, lossless=lossless),
        )
    elif syntax == DeflatedExplicitVRLittleEndian:
        yield "zlib", lambda: _inflated(film)
        yield "pydicom", lambda: pydicom.dcmread(film.path).pixel_array
    else:
        yield "GDCM (SimpleITK)", lambda: _simpleitk(film.path)
    if syntax.is_encapsulated and syntax not in (JPEGLosslessSV1, JPEGLossless, JPEGExtended12Bit):
        for plugin in get_decoder(syntax).available_plugins:
            yield f"pydicom, {plugin}", lambda plugin=plugin: _pydicom(film, syntax, plugin)
    if syntax == RLELossless:
        yield "ours", lambda: rle.decode(film.stream, Expected(ROWS, COLUMNS, 16))
    if syntax == HTJ2KLossless and is_there(OPENJPH):
        yield OPENJPH, lambda: by_openjph(film.stream)
    for name, tool in DCMTK.items():
        if name == _kind(syntax) and is_there(tool):
            yield tool, lambda tool=tool: by_dcmtk(film.path, tool)
    with suppress(ImportError):
        import imagecodecs

        for name in _IMAGECODECS.get(_kind(syntax), ()):
            codec = getattr(imagecodecs, f"{name}_decode", None)
            if codec is not None and getattr(imagecodecs, name.upper()).available:
                yield f"imagecodecs, {name}", lambda codec=codec: codec(film.stream)


_IMAGECODECS = {
    "JPEG Lossless": ("ljpeg", "jpegsof3", "jpeg8"),
    "JPEG": ("jpeg8",),
    "JPEG-LS": ("jpegls",),
    "JPEG 2000": ("jpeg2k",),
    "HTJ2K": ("htj2k", "jpeg2k"),
}


def _kind(syntax: UID) -> str:
    return {
        JPEGLosslessSV1: "JPEG Lossless",
        JPEGLossless: "JPEG Lossless",
        JPEGExtended12Bit: "JPEG",
        JPEGLSLossless: "JPEG-LS",
        JPEG2000Lossless: "JPEG 2000",
        HTJ2KLossless: "HTJ2K",
        RLELossless: "RLE",
    }.get(syntax, "")


def _product(film: Film) -> npt.NDArray[np.integer]:
    file = load(film.path)
    return stored_pixels(file, parse_dicom(file)).values


def _inflated(film: Film) -> npt.NDArray[np.integer]:
    file = load(film.path)
    dicom = parse_dicom(file)
    place = dicom.pixel_data
    if place is None:
        raise ValueError("no pixels")
    data = inflated(file.data, dicom)
    return np.frombuffer(data, "<u2", ROWS * COLUMNS, place.offset).reshape(ROWS, COLUMNS)


def _simpleitk(path: Path) -> npt.NDArray[np.integer]:
    import SimpleITK as sitk

    return sitk.GetArrayFromImage(sitk.ReadImage(str(path), imageIO="GDCMImageIO")).reshape(ROWS, COLUMNS)


def _pydicom(film: Film, syntax: UID, plugin: str) -> npt.NDArray[np.integer]:
    found, _ = get_decoder(syntax).as_array(pydicom.dcmread(film.path), index=0, decoding_plugin=plugin)
    return found


SYNTAXES = (
    JPEGLosslessSV1, JPEGLossless, JPEGExtended12Bit, JPEGLSLossless, JPEG2000Lossless, HTJ2KLossless,
    RLELossless, DeflatedExplicitVRLittleEndian,
)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; exit code 1 if the product's pixels of a lossless syntax are not those of the film."""
    parser = argparse.ArgumentParser(description="Seconds a film by codec and library.")
    parser.add_argument("--runs", type=int, default=3, metavar="N")
    options = parser.parse_args(arguments)
    pixels = picture()
    wrong = False
    print(f"| transfer syntax | MB | decoder | s | {'ratio':>5} | pixels |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as scratch:
        for syntax in SYNTAXES:
            needs = "ojph_compress" if syntax == HTJ2KLossless else "dcmcjpeg"
            if (syntax in _ENCODERS or syntax == HTJ2KLossless) and not is_there(needs):
                print(f"| {syntax.keyword} | | {needs} is not installed | | | |")
                continue
            film = in_syntax(mammogram(pixels.copy()), syntax, Path(scratch))
            first = 0.0
            for name, decode in decoders(film, syntax):
                seconds, equal = _measured(decode, pixels, options.runs)
                first = first or seconds
                wrong |= name.endswith("*") and equal != "equal" and syntax != JPEGExtended12Bit
                size = film.path.stat().st_size / 1e6
                row = (syntax.keyword, f"{size:.1f}", name, f"{seconds:.2f}", f"{seconds / first:.1f}", equal)
                print(f"| {' | '.join(row)} |", flush=True)
    return 1 if wrong else 0


def _measured(decode: Decode, pixels: npt.NDArray[np.integer], runs: int) -> tuple[float, str]:
    best, found = float("inf"), None
    for _ in range(runs):
        since = time.perf_counter()
        try:
            found = decode()
        except Exception as error:  # noqa: BLE001 - another's decoder may raise anything
            return float("nan"), f"fails: {type(error).__name__}"
        best = min(best, time.perf_counter() - since)
    if found is None or found.shape != pixels.shape:
        return best, "another shape"
    farthest = int(np.abs(found.astype(np.int64) - pixels).max())
    return best, "equal" if farthest == 0 else f"within {farthest}"


if __name__ == "__main__":
    sys.exit(main())
