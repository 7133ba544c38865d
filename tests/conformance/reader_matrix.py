"""One picture in every transfer syntax, depth, sign, photometric interpretation and kind of gray scale.

Encoders are none of the product's decoders: dcmtk's (JPEG Lossless, JPEG-LS, RLE), the tests' own (JPEG with
loss), OpenJPH's (High-Throughput JPEG 2000), pydicom's writer (uncompressed); but for OpenJPEG's (JPEG 2000).
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import cycle
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset, FileDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from converters.films.codecs.encoding import ENCAPSULATED_UNCOMPRESSED
from tests.support import jpegs
from tests.support.codestreams import picture
from tests.support.film_tree import encode, tree_of
from tests.support.mammograms import encoded, mammogram
from tests.support.second_decoders import htj2k

Lut = Literal["window", "exact", "sigmoid", "VOI LUT", "modality LUT", "rescale"]
LUTS: tuple[Lut, ...] = ("window", "VOI LUT", "sigmoid", "rescale", "exact", "modality LUT")

_ENCAPSULATED = UID(ENCAPSULATED_UNCOMPRESSED)
NATIVE = (
    ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian,
    _ENCAPSULATED,
)  # fmt: skip
DCMTK = {
    JPEGLossless: ("dcmcjpeg", "+el"),
    JPEGLosslessSV1: ("dcmcjpeg", "+e1"),
    JPEGLSLossless: ("dcmcjpls", "+el"),
    JPEGLSNearLossless: ("dcmcjpls", "+en", "+md", "2"),
    RLELossless: ("dcmcrle",),
}
OPENJPH = {
    HTJ2KLossless: ("-reversible", "true"),
    HTJ2KLosslessRPCL: ("-reversible", "true", "-prog_order", "RPCL"),
    HTJ2K: ("-reversible", "false", "-qstep", "0.0005"),
}
_LOSSY = frozenset({JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless, JPEG2000, HTJ2K})
_DEPTHS: tuple[tuple[int, bool], ...] = (
    (8, False), (10, False), (12, False), (12, True), (14, False), (16, False), (16, True),
)  # fmt: skip
_OF_LOSSY = {
    JPEGBaseline8Bit: ((8, False),),
    JPEGExtended12Bit: ((8, False), (10, False), (12, False)),
    JPEGLSNearLossless: ((8, False), (12, False), (16, False)),
    JPEG2000: ((8, False), (12, False), (16, False)),
    HTJ2K: ((8, False), (12, False), (16, False)),
}


@dataclass(frozen=True)
class Combination:
    """One file of the matrix."""

    syntax: UID
    photometric: str
    bits: int
    signed: bool
    lut: Lut

    def __str__(self) -> str:
        sign = "signed" if self.signed else "unsigned"
        return f"{self.syntax.keyword}-{self.photometric}-{self.bits}-{sign}-{self.lut}"

    @property
    def loss(self) -> float:
        """How far a value may be from that of the picture."""
        if self.syntax not in _LOSSY:
            return 0
        if self.syntax in (JPEGLSNearLossless, JPEGBaseline8Bit, JPEGExtended12Bit):
            return 3
        return max(4, 6 * (1 << self.bits) / 256)

    @property
    def tools(self) -> tuple[str, ...]:
        """The commands that it takes to make it."""
        if self.syntax in DCMTK:
            return DCMTK[self.syntax][:1]
        return ("ojph_compress",) if self.syntax in OPENJPH else ()


def combinations() -> Iterator[Combination]:
    """Every transfer syntax with every depth and sign that it has; the other axes take turns."""
    luts, photometrics = cycle(LUTS), cycle(("MONOCHROME2", "MONOCHROME1", "MONOCHROME2"))
    jpeg, jpeg_2000 = (JPEGBaseline8Bit, JPEGExtended12Bit), (JPEG2000Lossless, JPEG2000)
    for syntax in (*NATIVE, *jpeg, *DCMTK, *jpeg_2000, *OPENJPH):
        for bits, signed in _OF_LOSSY.get(syntax, _DEPTHS):
            yield Combination(syntax, next(photometrics), bits, signed, next(luts))
        next(luts)


@cache
def pixels(bits: int, signed: bool) -> npt.NDArray[np.integer]:
    """The picture, of so many bits."""
    return picture(bits, signed=signed, rows=128, columns=96)


def plain(combination: Combination) -> FileDataset:
    """The film, uncompressed in Explicit VR Little Endian."""
    values = pixels(combination.bits, combination.signed)
    low = 0 if not combination.signed else -(1 << (combination.bits - 1))
    film = mammogram(
        values.view(f"u{values.itemsize}"),
        BitsStored=combination.bits,
        HighBit=combination.bits - 1,
        PixelRepresentation=int(combination.signed),
        PhotometricInterpretation=combination.photometric,
        PresentationLUTShape="INVERSE" if combination.photometric == "MONOCHROME1" else "IDENTITY",
    )
    _grade(film, combination, low)
    return film


def _grade(film: FileDataset, combination: Combination, low: int) -> None:
    entries = 1 << combination.bits
    film.WindowCenter, film.WindowWidth = low + entries // 2, entries
    if combination.lut in ("exact", "sigmoid"):
        film.VOILUTFunction = "LINEAR_EXACT" if combination.lut == "exact" else "SIGMOID"
    elif combination.lut == "rescale":
        film.RescaleSlope, film.RescaleIntercept = 2, -1000
        film.WindowCenter, film.WindowWidth = 2 * (low + entries // 2) - 1000, 2 * entries
    elif combination.lut == "VOI LUT":
        film.VOILUTSequence = [_lut(combination, low)]
    elif combination.lut == "modality LUT":
        film.ModalityLUTSequence = [_lut(combination, low)]
        film.ModalityLUTSequence[0].ModalityLUTType = "US"
        film.WindowCenter, film.WindowWidth = 2048, 4096
        del film.RescaleSlope, film.RescaleIntercept, film.RescaleType


def _lut(combination: Combination, low: int) -> Dataset:
    """A table of 12 bits that rises ever more slowly."""
    entries = min(1 << combination.bits, 1 << 15)
    first = low if combination.bits < 16 else low + (1 << 14)
    item = Dataset()
    item.add_new(0x00283002, "US", [entries, first & 0xFFFF, 12])
    table = (4095 * np.sqrt(np.linspace(0, 1, entries))).astype("<u2")
    item.add_new(0x00283006, "OW", table.tobytes())
    return item


def make(combination: Combination, folder: Path) -> Path:
    """Write the film; returns its file."""
    film, path = plain(combination), folder / "film.dcm"
    syntax = combination.syntax
    if syntax in DCMTK:
        source = folder / "source.dcm"
        source.write_bytes(encoded(film))
        tool, *options = DCMTK[syntax]
        subprocess.run([tool, *options, source, path], check=True, capture_output=True)
        return path
    if syntax in (JPEGBaseline8Bit, JPEGExtended12Bit):
        # dcmtk's encoder would stretch the pixels by their window first.
        precision = 8 if combination.bits == 8 else 12
        _encapsulate(film, jpegs.extended(pixels(combination.bits, combination.signed), precision))
    elif syntax in OPENJPH:
        values = pixels(combination.bits, combination.signed).view(f"u{film.BitsAllocated // 8}")
        _encapsulate(film, htj2k(values & ((1 << combination.bits) - 1), combination.bits, *OPENJPH[syntax]))
    elif syntax == _ENCAPSULATED:
        _encapsulate(film, film.PixelData)
    elif syntax == JPEG2000:
        film.compress(syntax, j2k_psnr=[70 + 6 * (combination.bits - 8)], generate_instance_uid=False)
    elif syntax.is_encapsulated:
        film.compress(syntax, generate_instance_uid=False)
    film.file_meta.TransferSyntaxUID = syntax
    # pydicom does not turn words round.
    path.write_bytes(encode(tree_of(film)) if syntax == ExplicitVRBigEndian else encoded(film))
    return path


def _encapsulate(film: FileDataset, frame: bytes) -> None:
    film.PixelData = encapsulate([frame])
    film["PixelData"].VR = "OB"
    film["PixelData"].is_undefined_length = True
