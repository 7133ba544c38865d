"""How an image's bytes are encoded: by its transfer syntax, and by the bytes themselves.

Archives change the one without the other. Every compressed image but RLE begins with a marker of its own, so
the bytes are believed before the label.
"""

from __future__ import annotations

from enum import Enum

from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    JPEG2000Lossless,
    JPEG2000TransferSyntaxes,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSTransferSyntaxes,
    RLELossless,
    UncompressedTransferSyntaxes,
)

from converters.films.codecs import codestream

ENCAPSULATED_UNCOMPRESSED = "1.2.840.10008.1.2.1.98"
"""PS3.5 A.4.11: native pixels in fragments."""
_HTJ2K = "1.2.840.10008.1.2.4.20"


class Encoding(Enum):
    """A way to store an image; the value is what people call it."""

    NATIVE = "uncompressed"
    RLE = "RLE"
    JPEG = "JPEG"
    JPEG_LOSSLESS = "JPEG Lossless"
    JPEG_LS = "JPEG-LS"
    JPEG_2000 = "JPEG 2000"
    HTJ2K = "High-Throughput JPEG 2000"

    @property
    def syntax(self) -> UID:
        """A transfer syntax of it, to name a decoder by."""
        return _SYNTAX[self]


_SYNTAX = {
    Encoding.NATIVE: ExplicitVRLittleEndian,
    Encoding.RLE: RLELossless,
    Encoding.JPEG: JPEGBaseline8Bit,
    Encoding.JPEG_LOSSLESS: JPEGLossless,
    Encoding.JPEG_LS: JPEGLSLossless,
    Encoding.JPEG_2000: JPEG2000Lossless,
    Encoding.HTJ2K: HTJ2KLossless,
}


def of_label(syntax: UID) -> Encoding | None:
    """The encoding that a transfer syntax stands for (PS3.5 Annex A); None if it is none of these."""
    if syntax in UncompressedTransferSyntaxes or syntax == ENCAPSULATED_UNCOMPRESSED:
        return Encoding.NATIVE
    if syntax == RLELossless:
        return Encoding.RLE
    if syntax in (JPEGBaseline8Bit, JPEGExtended12Bit):
        return Encoding.JPEG
    if syntax in (JPEGLossless, JPEGLosslessSV1):
        return Encoding.JPEG_LOSSLESS
    if syntax in JPEGLSTransferSyntaxes:
        return Encoding.JPEG_LS
    if syntax in JPEG2000TransferSyntaxes:
        return Encoding.HTJ2K if syntax.startswith(_HTJ2K) else Encoding.JPEG_2000
    return None


def of_bytes(image: bytes) -> Encoding | None:
    """The encoding of a codestream, by its first bytes; None if it is none: uncompressed, RLE, or damaged."""
    if codestream.is_j2k(image):
        return Encoding.HTJ2K if codestream.is_high_throughput(image) else Encoding.JPEG_2000
    if not codestream.is_jpeg(image):
        return None
    frame = codestream.jpeg_frame(image)
    if frame in codestream.JPEG_LS:
        return Encoding.JPEG_LS
    return Encoding.JPEG_LOSSLESS if frame in codestream.JPEG_LOSSLESS else Encoding.JPEG
