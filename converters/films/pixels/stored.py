"""Pixel Data to stored values: exactly the bytes of one frame, checked before a decoder sees them."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import (
    UID,
    JPEG2000TransferSyntaxes,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLSTransferSyntaxes,
    JPEGTransferSyntaxes,
    RLELossless,
)

from bcd_model.errors import FilmError, about
from bcd_model.reasons import Reason
from converters.dicom.data_elements import DicomFile, PixelData
from converters.dicom.file import MALFORMED, FileBytes, integer, quiet
from converters.films.pixels import codestream, decoding, layout
from converters.films.pixels.codestream import CodestreamError, Expected

Stored = npt.NDArray[np.integer]

CONVERT = "convert it to an uncompressed transfer syntax, for example with dcmdjpeg or gdcmconv --raw"
NO_PIXELS = Reason("no-pixels", "holds no Pixel Data", "export it again, with its pixels")
PADDED = "Pixel Data is longer than its image; the rest is zeros and was left out"

_RLE_HEADER = 64
_RLE_SEGMENTS = 15
_NO_RUN = 128
_JPEG_BLOCK = 8
_ROWS = 256
"""Rows that are looked at together, for the sake of memory."""


@dataclass(frozen=True, slots=True, eq=False)
class StoredPixels:
    """An image as it is stored.

    Attributes:
        values: (rows, columns), 8 or 16 bits, signed or not; bits above ``bits`` may be anything.
        bits: how many bits of each value are the image's.
        remarks: what was odd about it.
    """

    values: Stored
    bits: int
    remarks: tuple[str, ...] = ()


def pixel_digest(stored: StoredPixels) -> str:
    """SHA-256 of the stored values of an image: the same whatever transfer syntax it came in."""
    return _digest(stored, signed=stored.values.dtype.kind == "i")


def picture_digest(stored: StoredPixels) -> str:
    """SHA-256 of the values of an image: the same whatever depth and sign they are stored with."""
    return _digest(stored, signed=False)


def _digest(stored: StoredPixels, *, signed: bool) -> str:
    digest = hashlib.sha256(repr(stored.values.shape).encode())
    sign = 1 << (stored.bits - 1) if signed else 0
    for first in range(0, len(stored.values), _ROWS):
        values = stored.values[first : first + _ROWS].astype("<i4") & ((1 << stored.bits) - 1)
        digest.update(((values ^ sign) - sign).tobytes())
    return digest.hexdigest()


def why_undecodable(dicom: DicomFile) -> Reason | None:
    """Why the pixels cannot be decoded, as far as header and length tell; None if they can.

    Uncompressed pixels are counted; of compressed ones it is known whether they are all there and whether a
    decoder is installed.
    """
    pixel_data, syntax = dicom.pixel_data, dicom.transfer_syntax
    if pixel_data is None:
        return NO_PIXELS
    if not syntax.is_transfer_syntax:
        return Reason("transfer-syntax", "states no transfer syntax that is known")
    if not _decodable(syntax):
        return Reason("transfer-syntax", f"no decoder here for {syntax.name}", CONVERT)
    if syntax.is_encapsulated == (pixel_data.length is not None):
        how = "not encapsulated" if syntax.is_encapsulated else "encapsulated"
        detail = f"its pixels are {how}, though its transfer syntax is {syntax.name}"
        return Reason("transfer-syntax", detail)
    if syntax.is_encapsulated:
        return None if pixel_data.whole else Reason("cut-short", "cut short: compressed pixels are missing")
    return _why_another_length(pixel_data, dicom.header)


def _decodable(syntax: UID) -> bool:
    try:
        return bool(get_decoder(syntax).is_available)
    except NotImplementedError:  # pydicom's answer for a syntax that it has no decoder for at all
        return False


def _expected(header: Dataset) -> Expected:
    return Expected(
        integer(header, "Rows") or 0, integer(header, "Columns") or 0, integer(header, "BitsAllocated") or 0
    )


def _why_another_length(pixel_data: PixelData, header: Dataset) -> Reason | None:
    """Uncompressed pixels are as many bytes as the image has, padded to an even number (PS3.5 8.1.1)."""
    image = _expected(header)
    width = image.bits_allocated // 8
    expected = image.rows * image.columns * width
    if pixel_data.present < expected:
        return Reason("cut-short", f"cut short: {pixel_data.present} of {expected} bytes of pixels")
    excess = (pixel_data.length or 0) - expected - expected % 2
    if excess > min(image.rows, image.columns) * width:
        there = f"has {pixel_data.length} bytes of pixels where its image takes {expected}"
        return Reason("pixel-length", f"{there}: another size or depth")
    return None


def stored_pixels(file: FileBytes, dicom: DicomFile) -> StoredPixels:
    """Decode Pixel Data of ``dicom``, which was parsed from ``file`` and is decodable.

    Raises:
        FilmError: the pixels cannot be decoded, or are not what the header says.
    """
    pixel_data = dicom.pixel_data
    if pixel_data is None:
        raise FilmError.of(NO_PIXELS, file.name)
    syntax, expected = dicom.transfer_syntax, _expected(dicom.header)
    try:
        with about(file.name):
            if not syntax.is_encapsulated:
                stored = _native(file.data, pixel_data, dicom, expected)
            else:
                frame = b"".join(file.data[at : at + length] for at, length in pixel_data.fragments[1:])
                if syntax == RLELossless:
                    stored = StoredPixels(_rle(frame, dicom.header, expected), _bits_stored(dicom.header))
                else:
                    stored = _decoded(frame, dicom, expected)
    except (*MALFORMED, OSError) as error:
        detail = f"its pixels ({syntax.name}) cannot be decoded"
        raise FilmError(detail, CONVERT, file.name, "compressed-image") from error
    values, why = stored.values, None
    if values.shape != (expected.rows, expected.columns) or values.dtype.itemsize > 2:
        why = "its pixels do not come out as its header says"
    elif not syntax.is_encapsulated or syntax == RLELossless:
        why = layout.why_other_size(values, stored.bits)
    if why is None and layout.has_other_sign(values, stored.bits):
        why = "its Pixel Representation is not that of its pixels"
    if why is not None:
        raise FilmError(why, "export it again", file.name, "pixel-layout")
    return stored


def _bits_stored(header: Dataset) -> int:
    return integer(header, "BitsStored") or 16


def _dtype(header: Dataset, order: str = "<") -> np.dtype[np.integer]:
    kind = "i" if integer(header, "PixelRepresentation") else "u"
    return np.dtype(f"{order}{kind}{1 if integer(header, 'BitsAllocated') == 8 else 2}")


def _native(data: bytes, pixel_data: PixelData, dicom: DicomFile, expected: Expected) -> StoredPixels:
    """Uncompressed pixels (PS3.5 8.1)."""
    header = dicom.header
    big_endian = not dicom.transfer_syntax.is_little_endian
    dtype = _dtype(header, ">" if big_endian else "<")
    count = expected.rows * expected.columns
    size = count * dtype.itemsize
    excess = (pixel_data.length or 0) - size - size % 2
    remarks: tuple[str, ...] = ()
    if excess > 0:
        rest = data[pixel_data.offset + size : pixel_data.offset + pixel_data.present]
        if any(rest) or _fits_one_more_column(data, pixel_data.offset, dtype, expected, excess):
            detail = f"has {pixel_data.length} bytes of pixels where its image takes {size}"
            raise FilmError(detail, "export it again", code="pixel-length")
        remarks = (PADDED,)
    if big_endian and dtype.itemsize == 1 and pixel_data.vr == "OW":
        # Bytes in big endian words: every two have changed places (PS3.5 Annex D).
        words = data[pixel_data.offset : pixel_data.offset + size + size % 2]
        values = np.frombuffer(words, dtype=">u2").astype("<u2").view(dtype)[:count]
    else:
        values = np.frombuffer(data, dtype=dtype, count=count, offset=pixel_data.offset)
    native = values.astype(dtype.newbyteorder("="), copy=False)
    return StoredPixels(native.reshape(expected.rows, expected.columns), _bits_stored(header), remarks)


def _fits_one_more_column(
    data: bytes, offset: int, dtype: np.dtype[np.integer], expected: Expected, excess: int
) -> bool:
    """Whether the rows of an image lie below one another if each has one pixel more than stated."""
    if excess < expected.rows * dtype.itemsize:
        return False
    count = expected.rows * expected.columns
    flat = np.frombuffer(data, dtype=dtype, count=count, offset=offset).astype(np.int32)
    below, beside = (
        np.abs(flat[lag:] - flat[:-lag]).mean() for lag in (expected.columns, expected.columns + 1)
    )
    return bool(beside < below)


def _rle(frame: bytes, header: Dataset, expected: Expected) -> Stored:
    """RLE (PS3.5 Annex G): one segment for each byte of a pixel, the most significant first."""
    width = expected.bits_allocated // 8
    count = expected.rows * expected.columns
    if len(frame) < _RLE_HEADER:
        raise CodestreamError(codestream.DAMAGED)
    segments, *offsets = struct.unpack_from(f"<L{_RLE_SEGMENTS}L", frame)
    if segments != width:
        raise CodestreamError(
            f"its compressed image has {segments} RLE segments where its header needs {width}"
        )
    starts = [*offsets[:segments], len(frame)]
    if starts[0] != _RLE_HEADER or any(low >= high for low, high in pairwise(starts)):
        raise CodestreamError(codestream.DAMAGED)
    if count * width > len(frame) * _NO_RUN:  # a run takes two bytes and gives 128
        raise CodestreamError(codestream.DAMAGED)
    planes = np.empty((count, width), dtype=np.uint8)
    for number, (low, high) in enumerate(pairwise(starts)):
        planes[:, width - 1 - number] = np.frombuffer(_unpacked(frame[low:high], count), dtype=np.uint8)
    return planes.view(_dtype(header)).reshape(expected.rows, expected.columns)


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


def _decoded(frame: bytes, dicom: DicomFile, expected: Expected) -> StoredPixels:
    """JPEG, JPEG-LS or JPEG 2000, by the decoder that pydicom finds: of these very bytes and no others."""
    syntax, header = dicom.transfer_syntax, dicom.header
    codestream.check_single(frame)
    if syntax in JPEG2000TransferSyntaxes:
        frame = codestream.unwrapped(frame)
        precision = codestream.checked_j2k(frame, expected)
    elif syntax in JPEGLSTransferSyntaxes:
        precision = codestream.checked_jpeg(frame, expected, codestream.JPEG_LS)
    elif syntax in (JPEGBaseline8Bit, JPEGExtended12Bit):
        precision = codestream.checked_jpeg(frame, expected, codestream.JPEG)
    elif syntax in JPEGTransferSyntaxes:
        precision = codestream.checked_jpeg(frame, expected, codestream.JPEG_LOSSLESS)
    else:
        raise FilmError(f"no check here for {syntax.name}", CONVERT, code="transfer-syntax")
    stored = _bits_stored(header)
    options: dict[str, Any] = {
        "rows": expected.rows,
        "columns": expected.columns,
        "samples_per_pixel": 1,
        "number_of_frames": 1,
        "photometric_interpretation": str(header.PhotometricInterpretation),
        "bits_allocated": expected.bits_allocated,
        "bits_stored": stored,
        "pixel_representation": integer(header, "PixelRepresentation") or 0,
        "pixel_keyword": "PixelData",
    }
    found: npt.NDArray[Any]
    if syntax in JPEGLSTransferSyntaxes:
        found = decoding.decode_apart(frame, str(syntax), options)
    else:
        with quiet():
            found = decoding.decode(frame, str(syntax), options)
    if found.dtype.kind not in "iu":
        raise CodestreamError(codestream.DAMAGED)
    values = cast(Stored, found)
    if syntax in (JPEGBaseline8Bit, JPEGExtended12Bit) and _ends_in_nothing(values, precision):
        raise FilmError(
            "cut short: its last compressed pixels are missing", "export it again", code="cut-short"
        )
    return StoredPixels(values, min(max(stored, precision), 8 * values.dtype.itemsize))


def _ends_in_nothing(values: Stored, precision: int) -> bool:
    """Whether the last block of a JPEG image is uniform mid-gray, as libjpeg fills in what is missing."""
    rows, columns = values.shape
    if (values[:_JPEG_BLOCK, :_JPEG_BLOCK] == 1 << (precision - 1)).all():
        return False  # so is what surrounds the picture
    last = values[(rows - 1) // _JPEG_BLOCK * _JPEG_BLOCK :, (columns - 1) // _JPEG_BLOCK * _JPEG_BLOCK :]
    return bool((last == 1 << (precision - 1)).all())
