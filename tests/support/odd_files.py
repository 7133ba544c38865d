"""DICOM files whose labels are not those of their bytes: written element by element."""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping
from dataclasses import dataclass

import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

LONG = ("OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV")


@dataclass(frozen=True)
class Label:
    """How an element's value representation is written.

    Attributes:
        vr: its two bytes; None for an element in implicit VR.
        long: whether a length of 32 bits follows; None for as the VR has it.
    """

    vr: bytes | None
    long: bool | None = None


def elements(film: Dataset) -> list[tuple[int, str, bytes]]:
    """Tag, VR and value of the elements of ``film``, in explicit VR little endian."""
    found = []
    for element in film:
        alone, file = Dataset(), io.BytesIO()
        alone[element.tag] = element
        pydicom.dcmwrite(file, alone, implicit_vr=False, little_endian=True)
        data = file.getvalue()
        vr = data[4:6].decode()
        found.append((int(element.tag), vr, data[12 if vr in LONG else 8 :]))
    return found


def written(
    film: Dataset, labels: Mapping[int, Label] | None = None, values: Mapping[int, bytes] | None = None
) -> bytes:
    """The data set of ``film`` in explicit VR little endian, some elements with other labels or values."""
    labels, values = labels or {}, values or {}
    return b"".join(
        one(tag, labels.get(tag, Label(vr.encode())), values.get(tag, value))
        for tag, vr, value in elements(film)
    )


def one(tag: int, label: Label, value: bytes) -> bytes:
    """One element."""
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF)
    if label.vr is None:
        return head + struct.pack("<L", len(value)) + value
    long = label.long
    if long is None:
        long = label.vr.decode("latin-1") in LONG
    if long:
        return head + label.vr + bytes(2) + struct.pack("<L", len(value)) + value
    return head + label.vr + struct.pack("<H", len(value)) + value


def as_file(
    data_set: bytes, syntax: str = ExplicitVRLittleEndian, *, group_length: int | None = None
) -> bytes:
    """``data_set`` behind a preamble and File Meta Information that states ``syntax``, "" for none."""
    padded = syntax.encode() + b"\0" * (len(syntax) % 2)
    meta = one(0x00020001, Label(b"OB"), b"\0\1") + (one(0x00020010, Label(b"UI"), padded) if syntax else b"")
    length = len(meta) if group_length is None else group_length
    return bytes(128) + b"DICM" + one(0x00020000, Label(b"UL"), struct.pack("<L", length)) + meta + data_set
