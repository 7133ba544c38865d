"""JPEG Lossless and JPEG of 12 bits, by the GDCM that is in SimpleITK.

GDCM reads files. It is given one that is made here around the compressed image, and says of it what the
codestream says: so GDCM sees no header of others, and what it gives are the values of the codestream.
"""

from __future__ import annotations

import os
import struct
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

_LOSSLESS, _EXTENDED = "1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.51"
_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
_LONG = frozenset({"OB", "OW"})
_UNDEFINED = 0xFFFFFFFF
_ITEM, _END = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0\0\0\0\0"
_COMPLAINTS = (b"Corrupt JPEG data", b"Premature end")
_HARMLESS = b"extraneous bytes before marker"
"""What GDCM's libjpeg writes to standard error where it fills in what is missing, and goes on."""


class IncompleteError(ValueError):
    """The decoder came to an end, but missed a part of the image or made it up."""


def decode(
    frame: bytes, *, rows: int, columns: int, precision: int, lossless: bool
) -> npt.NDArray[np.generic]:
    """Decode one JPEG image of one component.

    Returns:
        (rows, columns), uint8 or uint16: the values of the codestream, which know no sign.

    Raises:
        IncompleteError: the decoder says that something is missing.
        RuntimeError: it cannot be decoded.
    """
    import SimpleITK as sitk

    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    with _listening() as heard, _file_of(_dicom(frame, rows, columns, precision, lossless=lossless)) as path:
        reader.SetFileName(path)
        image = reader.Execute()
    if any(line.startswith(_COMPLAINTS) and _HARMLESS not in line for line in heard.splitlines()):
        raise IncompleteError("its decoder complains of the image")
    found = sitk.GetArrayFromImage(image)
    return np.ascontiguousarray(found.reshape(rows, columns))


@contextmanager
def _file_of(data: bytes) -> Iterator[str]:
    """A path at which ``data`` can be read, of a file that has no name: nothing is left of it."""
    with _nameless() as file:
        file.write(data)
        file.flush()
        file.seek(0)
        yield f"/dev/fd/{file.fileno()}"


def _nameless() -> BinaryIO:
    if sys.platform == "linux":
        return os.fdopen(os.memfd_create("frame"), "w+b")
    return tempfile.TemporaryFile()


@contextmanager
def _listening() -> Iterator[bytearray]:
    """What native code writes to standard error meanwhile."""
    heard = bytearray()
    sys.stderr.flush()
    saved = os.dup(2)
    with _nameless() as file:
        os.dup2(file.fileno(), 2)
        try:
            yield heard
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            file.seek(0)
            heard += file.read(1 << 16)


def _dicom(frame: bytes, rows: int, columns: int, precision: int, *, lossless: bool) -> bytes:
    """A DICOM file (PS3.10 7.1) of nothing but the image."""
    allocated = 8 if precision <= 8 else 16
    meta = b"".join(
        [
            _element(0x00020001, "OB", b"\0\1"),
            _element(0x00020002, "UI", _CAPTURE.encode()),
            _element(0x00020003, "UI", b"1.2.3"),
            _element(0x00020010, "UI", (_LOSSLESS if lossless else _EXTENDED).encode()),
        ]
    )
    numbers = {
        0x00280002: 1,
        0x00280010: rows,
        0x00280011: columns,
        0x00280100: allocated,
        0x00280101: precision,
        0x00280102: precision - 1,
        0x00280103: 0,
    }
    elements = [
        _element(0x00080016, "UI", _CAPTURE.encode()),
        _element(0x00080018, "UI", b"1.2.3"),
        _element(0x00080060, "CS", b"OT"),
        *(_element(tag, "US", struct.pack("<H", value)) for tag, value in numbers.items()),
        _element(0x00280004, "CS", b"MONOCHROME2"),
    ]
    body = b"".join(sorted(elements, key=lambda element: struct.unpack_from("<HH", element)))
    even = frame + bytes(len(frame) % 2)
    fragments = _ITEM + bytes(4) + _ITEM + struct.pack("<L", len(even)) + even + _END
    head = struct.pack("<HH2sHL", 0x7FE0, 0x0010, b"OB", 0, _UNDEFINED)
    group = _element(0x00020000, "UL", struct.pack("<L", len(meta)))
    return bytes(128) + b"DICM" + group + meta + body + head + fragments


def _element(tag: int, vr: str, value: bytes) -> bytes:
    """One data element in Explicit VR Little Endian (PS3.5 7.1.2)."""
    value += (b" " if vr == "CS" else b"\0") * (len(value) % 2)
    head = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr.encode())
    length = struct.pack("<HL", 0, len(value)) if vr in _LONG else struct.pack("<H", len(value))
    return head + length + value
