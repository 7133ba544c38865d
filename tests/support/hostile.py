"""Uploads within the limits that take as much of the gateway as they can."""

import io
import os
import struct
import zipfile
from collections.abc import Callable

from pydicom.uid import DigitalMammographyXRayImageStorageForPresentation, ExplicitVRLittleEndian

CLASS, SYNTAX = str(DigitalMammographyXRayImageStorageForPresentation), str(ExplicitVRLittleEndian)
UNDEFINED = 0xFFFFFFFF
ITEM, ITEM_END, SEQUENCE_END = (struct.pack("<HH", 0xFFFE, number) for number in (0xE000, 0xE00D, 0xE0DD))


def element(group: int, number: int, vr: bytes, value: bytes, length: int | None = None) -> bytes:
    """A data element in Explicit VR Little Endian (PS3.5 7.1.2)."""
    value += b" " * (len(value) % 2)
    stated = len(value) if length is None else length
    long = vr in (b"OB", b"OW", b"SQ", b"UC", b"UN", b"UT")
    form = struct.pack("<HL", 0, stated) if long else struct.pack("<H", stated)
    return struct.pack("<HH", group, number) + vr + form + value


def film(number: int, between: bytes = b"", patient: bytes = b"", pixels: bytes = bytes(64 * 64)) -> bytes:
    """A film of 64 x 64 pixels with ``between`` in its header, before the group 0010."""
    meta = element(2, 0x10, b"UI", SYNTAX.encode())
    meta = element(2, 2, b"UI", CLASS.encode()) + element(2, 3, b"UI", b"1.2.3.%d" % number) + meta
    start = bytes(128) + b"DICM" + element(2, 0, b"UL", struct.pack("<L", len(meta))) + meta
    header = element(8, 0x16, b"UI", CLASS.encode()) + element(8, 0x18, b"UI", b"1.2.3.%d" % number)
    header += element(8, 0x60, b"CS", b"MG") + between + patient
    header += element(0x20, 0xD, b"UI", b"1.2.%d" % number)
    numbers = ((2, 1), (0x10, 64), (0x11, 64), (0x100, 8), (0x101, 8), (0x102, 7), (0x103, 0))
    header += b"".join(element(0x28, tag, b"US", struct.pack("<H", value)) for tag, value in numbers[:1])
    header += element(0x28, 4, b"CS", b"MONOCHROME2")
    header += b"".join(element(0x28, tag, b"US", struct.pack("<H", value)) for tag, value in numbers[1:])
    return start + header + element(0x7FE0, 0x10, b"OB", pixels)


def zipped(*contents: bytes) -> bytes:
    """A zip of files, each packed as tightly as one may be: 100 times."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for number, content in enumerate(contents):
            archive.writestr(f"{number}.dcm", content + os.urandom(len(content) // 110))
    return stream.getvalue()


def listing(files: int) -> bytes:
    """A zip whose directory lists so many files without content (zipfile goes by the directory's size)."""
    content = zipped(b"")
    at, end = content.rindex(b"PK\x01\x02"), content.rindex(b"PK\x05\x06")
    entries = content[at:end] * files
    tail = content[end : end + 12] + struct.pack("<L", len(entries)) + content[end + 16 :]
    return content[:at] + entries + tail


def many_items(number: int) -> bytes:
    """View Code Sequence, which is looked at, with so many empty items."""
    return element(0x54, 0x220, b"SQ", (ITEM + struct.pack("<L", 0)) * number)


def deep(depth: int) -> bytes:
    """Sequences of undefined length in one another."""
    start = element(0x54, 0x220, b"SQ", b"", UNDEFINED) + ITEM + struct.pack("<L", UNDEFINED)
    return start * depth + (ITEM_END + bytes(4) + SEQUENCE_END + bytes(4)) * depth


UPLOADS: dict[str, Callable[[], list[tuple[str, bytes]]]] = {
    "a zip of many small films": lambda: [("z.zip", zipped(*(film(number) for number in range(500))))],
    "a zip of a million empty files": lambda: [("z.zip", listing(1_000_000))],
    "a zip of few bytes that become many": lambda: [("z.zip", zipped(*[bytes(250 << 20)] * 8))],
    "a zip of films with many small elements": lambda: [
        ("z.zip", zipped(*(film(n, element(9, 0x10, b"LO", b"a") * 40_000) for n in range(500))))
    ],
    "a zip of films with sequences of many items": lambda: [
        ("z.zip", zipped(*(film(n, pixels=many_items(60_000)) for n in range(500))))
    ],
    "a zip of films with many items": lambda: [
        ("z.zip", zipped(*(film(n, many_items(120_000)) for n in range(500))))
    ],
    "a zip of films with deep sequences": lambda: [
        ("z.zip", zipped(*(film(n, deep(5_000)) for n in range(500))))
    ],
    "a zip of films with a patient's id of 30 MB": lambda: [
        (
            "z.zip",
            zipped(*(film(n, patient=element(0x10, 0x20, b"UT", b"1\\" * (15 << 20))) for n in range(30))),
        )
    ],
    "a film with an element of 250 MB": lambda: [
        ("film.dcm", film(1, element(9, 0x1010, b"UT", bytes(250 << 20))))
    ],
    "files that are no films": lambda: [(f"{number}.txt", os.urandom(2000)) for number in range(500)],
}
"""By what they are; each is within the gateway's limits."""
