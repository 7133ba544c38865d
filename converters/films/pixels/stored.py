"""Pixel Data to stored values: exactly the bytes of one frame, checked before a decoder sees them."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian

from bcd_model.errors import FilmError, about
from bcd_model.reasons import Reason
from converters.dicom.data_elements import DicomFile, PixelData, inflated
from converters.dicom.file import MALFORMED, FileBytes, integer, quiet
from converters.films.codecs import codestream, decoding, encoding, rle
from converters.films.codecs.codestream import CUT_SHORT, CodestreamError, Expected
from converters.films.codecs.encoding import Encoding
from converters.films.codecs.frame import ITEM, Frame, frame_of
from converters.films.codecs.gdcm import IncompleteError
from converters.films.pixels import layout

Stored = npt.NDArray[np.integer]

NO_PIXELS = Reason("no-pixels", "holds no Pixel Data", "export it again, with its pixels")
PADDED = "Pixel Data is longer than its image; the rest is zeros and was left out"
NO_END = "its compressed image has no end marker; all of the image is there"
HIGH_BIT = "its High Bit is not that of its pixels, which lie in the low bits"

_AGAIN = "export it again"
_JPEG_BLOCK = 8
_OVERSHOOT = 4  # a 16th of the range
_BITS_OF_BASELINE = 8
_ROWS = 256
"""Rows that are looked at together, for the sake of memory."""


@dataclass(frozen=True, slots=True, eq=False)
class StoredPixels:
    """An image as it is stored.

    Attributes:
        values: (rows, columns), 8 or 16 bits, signed or not; bits above ``bits`` may be anything.
        bits: how many low bits of each value are the image's.
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
    """Why the pixels cannot be decoded, as far as header and length tell; None if they may be.

    Uncompressed pixels are counted. Of others the bytes have to be looked at.
    """
    pixel_data, syntax = dicom.pixel_data, dicom.transfer_syntax
    if pixel_data is None:
        return NO_PIXELS
    if not syntax.is_transfer_syntax:
        return Reason("transfer-syntax", "states no transfer syntax that is known")
    if pixel_data.length is None:
        return None
    if pixel_data.present < _size(_expected(dicom.header)) and _may_be_codestream(pixel_data.start):
        return None
    if encoding.of_label(syntax) is Encoding.NATIVE:
        return _why_another_length(pixel_data, dicom.header)
    if pixel_data.start.startswith(ITEM) or not _why_another_length(pixel_data, dicom.header):
        return None
    return Reason(
        "transfer-syntax", f"its pixels are not encapsulated, though its transfer syntax is {syntax.name}"
    )


def _may_be_codestream(start: bytes) -> bool:
    return start.startswith(ITEM) or codestream.is_jpeg(start) or codestream.is_j2k(start)


def _expected(header: Dataset) -> Expected:
    return Expected(
        integer(header, "Rows") or 0, integer(header, "Columns") or 0, integer(header, "BitsAllocated") or 0
    )


def _size(image: Expected) -> int:
    """The bytes of an uncompressed image."""
    return image.rows * image.columns * (image.bits_allocated // 8)


def _why_another_length(pixel_data: PixelData, header: Dataset) -> Reason | None:
    """Uncompressed pixels are as many bytes as the image has, padded to an even number (PS3.5 8.1.1)."""
    image = _expected(header)
    expected = _size(image)
    if pixel_data.present < expected:
        return Reason("cut-short", f"cut short: {pixel_data.present} of {expected} bytes of pixels")
    excess = (pixel_data.length or 0) - expected - expected % 2
    if excess > min(image.rows, image.columns) * (image.bits_allocated // 8):
        there = f"has {pixel_data.length} bytes of pixels where its image takes {expected}"
        return Reason("pixel-length", f"{there}: another size or depth")
    return None


def stored_pixels(file: FileBytes, dicom: DicomFile) -> StoredPixels:
    """Decode Pixel Data of ``dicom``, which was parsed from ``file`` and may be decodable.

    The bytes are believed before the transfer syntax, with a remark.

    Raises:
        FilmError: the pixels cannot be decoded, or are not what the header says.
    """
    pixel_data = dicom.pixel_data
    if pixel_data is None:
        raise FilmError.of(NO_PIXELS, file.name)
    syntax, expected = dicom.transfer_syntax, _expected(dicom.header)
    label = encoding.of_label(syntax)
    true = label
    data = inflated(file.data, dicom) if syntax == DeflatedExplicitVRLittleEndian else file.data
    try:
        with about(file.name):
            native = label is Encoding.NATIVE and pixel_data.present >= _size(expected)
            frame = frame_of(data, pixel_data, native=native)
            true = _encoding(frame, expected, label)
            if true is None:
                raise FilmError.of(_no_decoder(dicom))
            try:
                stored = _as(true, frame, dicom, expected)
            except CodestreamError as error:
                if frame.whole:
                    raise
                raise CodestreamError.of(CUT_SHORT) from error
    except (*MALFORMED, OSError) as error:
        what = syntax.name if true is None else true.value
        detail = f"its pixels ({what}) cannot be decoded"
        raise FilmError(detail, _AGAIN, file.name, "compressed-image") from error
    values, why = stored.values, None
    if values.shape != (expected.rows, expected.columns) or values.dtype.itemsize > 2:
        why = "its pixels do not come out as its header says"
    elif true in (Encoding.NATIVE, Encoding.RLE):
        why = layout.why_other_size(values, stored.bits)
    if why is None and layout.has_other_sign(values, stored.bits):
        why = "its Pixel Representation is not that of its pixels"
    if why is not None:
        raise FilmError(why, _AGAIN, file.name, "pixel-layout")
    odd = (*frame.remarks, *_mislabelled(dicom, frame, label, true))
    return StoredPixels(stored.values, stored.bits, (*odd, *stored.remarks))


def _no_decoder(dicom: DicomFile) -> Reason:
    remedy = "convert it to an uncompressed transfer syntax"
    return Reason("transfer-syntax", f"no decoder here for {dicom.transfer_syntax.name}", remedy)


def _encoding(frame: Frame, expected: Expected, label: Encoding | None) -> Encoding | None:
    """How the bytes of ``frame`` are encoded; what ``label`` says where they do not tell."""
    size, width = _size(expected), expected.bits_allocated // 8
    is_native = frame.length - size in (0, size % 2) if frame.encapsulated else frame.length >= size
    if label is Encoding.NATIVE and is_native:
        return label
    start = frame.bytes
    found = encoding.of_bytes(start)
    if found is not None:
        return found
    if frame.encapsulated and rle.is_rle(start, width):
        return Encoding.RLE
    return Encoding.NATIVE if is_native else label


def _mislabelled(dicom: DicomFile, frame: Frame, label: Encoding | None, true: Encoding) -> tuple[str, ...]:
    """What to say where the transfer syntax is not that of the pixels."""
    syntax = dicom.transfer_syntax
    if true is not label:
        what = true.value
    elif frame.encapsulated != syntax.is_encapsulated:
        what = "encapsulated" if frame.encapsulated else "not encapsulated"
    else:
        return ()
    return (f"its pixels are {what}, though its transfer syntax is {syntax.name}; read as they are",)


def _as(true: Encoding, frame: Frame, dicom: DicomFile, expected: Expected) -> StoredPixels:
    header = dicom.header
    if true is Encoding.NATIVE:
        stored = _lowered(_native(frame, dicom, expected), header)
    elif true is Encoding.RLE:
        stored = _lowered(StoredPixels(rle.decode(frame.bytes, expected), _bits_stored(header)), header)
    else:
        stored = _decoded(frame, true, header, expected)
    return _with_sign(stored, header)


def _lowered(stored: StoredPixels, header: Dataset) -> StoredPixels:
    """Pixels whose bits begin at the lowest (PS3.5 8.1.1): moved there if High Bit says that they do not.

    They are not moved if they are there already: the bits below are not empty, and those above only repeat
    the sign.
    """
    high = integer(header, "HighBit")
    up = 0 if high is None else high - stored.bits + 1
    if up <= 0:
        return stored
    values = stored.values
    if (values & ((1 << up) - 1)).any() and _is_in_low_bits(values, stored.bits, header):
        return StoredPixels(values, stored.bits, (*stored.remarks, HIGH_BIT))
    return StoredPixels(values >> up, stored.bits, stored.remarks)


def _is_in_low_bits(values: Stored, bits: int, header: Dataset) -> bool:
    above = values >> bits
    if not integer(header, "PixelRepresentation"):
        return not above.any()
    negative = (values >> (bits - 1)) & 1
    return bool((above == negative * ((1 << (8 * values.dtype.itemsize - bits)) - 1)).all())


def _with_sign(stored: StoredPixels, header: Dataset) -> StoredPixels:
    """Pixels whose values are signed if Pixel Representation says so."""
    kind = "i" if integer(header, "PixelRepresentation") else "u"
    values = stored.values
    return StoredPixels(values.view(f"{kind}{values.dtype.itemsize}"), stored.bits, stored.remarks)


def _bits_stored(header: Dataset) -> int:
    return integer(header, "BitsStored") or 16


def _native(frame: Frame, dicom: DicomFile, expected: Expected) -> StoredPixels:
    """Uncompressed pixels (PS3.5 8.1)."""
    header, pixel_data = dicom.header, dicom.pixel_data
    big_endian = not frame.encapsulated and not dicom.transfer_syntax.is_little_endian
    width = 1 if expected.bits_allocated == 8 else 2
    dtype = np.dtype(f"{'>' if big_endian else '<'}u{width}")
    count = expected.rows * expected.columns
    size = count * width
    data, offset = frame.data, frame.offset
    if frame.length < size:
        detail = f"cut short: {frame.length} of {size} bytes of pixels"
        raise FilmError(detail, _AGAIN, code="cut-short")
    excess = frame.length - size - size % 2
    remarks: tuple[str, ...] = ()
    if excess > 0:
        rest = data[offset + size : offset + frame.length]
        if any(rest) or _fits_one_more_column(data, offset, dtype, expected, excess):
            detail = f"has {frame.length} bytes of pixels where its image takes {size}"
            raise FilmError(detail, _AGAIN, code="pixel-length")
        remarks = (PADDED,)
    if big_endian and width == 1 and pixel_data is not None and pixel_data.vr == "OW":
        # Bytes in big endian words: every two have changed places (PS3.5 Annex D).
        words = data[offset : offset + size + size % 2]
        values = np.frombuffer(words, dtype=">u2").astype("<u2").view(dtype)[:count]
    else:
        values = np.frombuffer(data, dtype=dtype, count=count, offset=offset)
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


def _decoded(frame: Frame, true: Encoding, header: Dataset, expected: Expected) -> StoredPixels:
    """JPEG, JPEG-LS or JPEG 2000, by a decoder that is given these very bytes and no others."""
    data, remarks = frame.bytes, []
    codestream.check_single(data)
    if true in (Encoding.JPEG_2000, Encoding.HTJ2K):
        data = codestream.unwrapped(data)
        checked = codestream.checked_j2k(data, expected)
    else:
        checked = codestream.checked_jpeg(data, expected)
    if not checked.is_ended:
        if not frame.whole:
            raise CodestreamError.of(CUT_SHORT)
        remarks.append(NO_END)
    try:
        found = _by_decoder(data, true, header, expected, checked)
    except IncompleteError as error:
        if checked.is_ended:
            raise CodestreamError(codestream.DAMAGED) from error
        raise CodestreamError.of(CUT_SHORT) from error
    if found.dtype.kind not in "iu":
        raise CodestreamError(codestream.DAMAGED)
    values = cast(Stored, found)
    if true is Encoding.JPEG and _ends_in_nothing(values, checked.precision):
        raise CodestreamError.of(CUT_SHORT)
    stored, width = _bits_stored(header), expected.bits_allocated // 8
    if values.dtype.itemsize < width:
        values = values.astype(f"{values.dtype.kind}{width}")
    high = integer(header, "HighBit")
    if high is not None and checked.precision == high + 1 > stored:
        lowered = _lowered(StoredPixels(values.view(f"u{values.dtype.itemsize}"), stored), header)
        return StoredPixels(lowered.values, stored, (*remarks, *lowered.remarks))
    if checked.precision > stored:
        values = _without_overshoot(values, stored)
    if checked.precision > stored and layout.takes_more_bits(values, stored):
        stored = checked.precision
        remarks.append(f"its Bits Stored is less than the {stored} bits of its compressed image")
    return StoredPixels(values, stored, tuple(remarks))


def _without_overshoot(values: Stored, bits: int) -> Stored:
    """Values that lossy compression has carried a little beyond the greatest of ``bits``, at that.

    Without the bits above they would be black.
    """
    most = (1 << bits) - 1
    farthest = int(values.max())
    return np.minimum(values, most) if most < farthest <= most + (most >> _OVERSHOOT) else values


def _by_decoder(
    data: bytes, true: Encoding, header: Dataset, expected: Expected, checked: codestream.Checked
) -> npt.NDArray[Any]:
    if not checked.is_ended:
        ended = replace(checked, is_ended=True)
        if true is Encoding.JPEG_LS and data.endswith(b"\0"):
            # Its decoder wants the end right behind the image; the zero may be of the image, or padding.
            with suppress(ValueError):
                return _by_decoder(data[:-1] + codestream.END, true, header, expected, ended)
        data = data[: checked.length] + codestream.END
    size = {"rows": expected.rows, "columns": expected.columns}
    baseline = true is Encoding.JPEG and checked.precision == _BITS_OF_BASELINE and checked.is_ended
    if true is Encoding.JPEG_LOSSLESS or (true is Encoding.JPEG and not baseline):
        lossless = true is Encoding.JPEG_LOSSLESS
        options: dict[str, Any] = {**size, "precision": checked.precision, "lossless": lossless}
        return decoding.decode_apart(data, decoding.GDCM, options)
    options = {
        **size,
        "samples_per_pixel": 1,
        "number_of_frames": 1,
        "photometric_interpretation": str(header.PhotometricInterpretation),
        "bits_allocated": expected.bits_allocated,
        "bits_stored": _bits_stored(header),
        "pixel_representation": integer(header, "PixelRepresentation") or 0,
        "pixel_keyword": "PixelData",
    }
    if true in (Encoding.JPEG_LS, Encoding.HTJ2K):
        return decoding.decode_apart(data, str(true.syntax), options)
    with quiet():
        return decoding.decode(data, str(true.syntax), options)


def _ends_in_nothing(values: Stored, precision: int) -> bool:
    """Whether the last block of a JPEG image is uniform mid-gray, as libjpeg fills in what is missing."""
    rows, columns = values.shape
    if (values[:_JPEG_BLOCK, :_JPEG_BLOCK] == 1 << (precision - 1)).all():
        return False  # so is what surrounds the picture
    last = values[(rows - 1) // _JPEG_BLOCK * _JPEG_BLOCK :, (columns - 1) // _JPEG_BLOCK * _JPEG_BLOCK :]
    return bool((last == 1 << (precision - 1)).all())
