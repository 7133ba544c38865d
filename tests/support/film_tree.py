"""A DICOM file as a tree that can be written wrong: elements, items, File Meta Information, fragments.

pydicom writes what the standard allows; the tests of hostile input need files that it would not write.
Values are kept little endian; `encode` turns them round for big endian files.
"""

from __future__ import annotations

import copy
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from pydicom.charset import convert_encodings
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileDataset
from pydicom.encaps import generate_fragments
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_data_element
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
)

UNDEFINED = 0xFFFFFFFF
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
PIXEL_DATA = 0x7FE00010

_LONG = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"})
"""VRs with a length of four bytes in Explicit VR (PS3.5 7.1.2)."""
_UNIT = {"US": 2, "SS": 2, "OW": 2, "AT": 2, "UL": 4, "SL": 4, "FL": 4, "OF": 4, "OL": 4}
_UNIT |= {"FD": 8, "OD": 8, "SV": 8, "UV": 8, "OV": 8}


@dataclass
class Items:
    """The value of a sequence.

    Attributes:
        count: each item is written this many times.
        undefined: whether sequence and items have no length and end in delimiters.
        bare: whether the delimiters are left out.
    """

    items: list[list[Element]] = field(default_factory=list)
    count: int = 1
    undefined: bool = False
    bare: bool = False


@dataclass
class Element:
    """A data element: ``stated_length`` and ``stated_vr`` are written in place of the true ones."""

    tag: int
    vr: str
    value: bytes | Items
    stated_length: int | None = None
    stated_vr: bytes | None = None

    @property
    def raw(self) -> bytes:
        """The value, of an element that is no sequence."""
        return self.value if isinstance(self.value, bytes) else b""


@dataclass
class FilmFile:
    """A file, from its preamble to what follows its last element.

    Attributes:
        body: the elements before Pixel Data.
        pixels: Pixel Data as native bytes; empty where there are ``fragments``.
        fragments: of encapsulated Pixel Data; the first is the Basic Offset Table.
        pixel_length: is written in place of Pixel Data's true length.
        syntax: what the file is written in, whatever its meta information says.
        group_length: of the File Meta Information; None for the true one, -1 for none.
        kept: the share of the file that is kept.
        flips: (share of the header, value) of bytes that are overwritten.
    """

    meta: list[Element]
    body: list[Element]
    pixels: bytes = b""
    fragments: list[bytes] | None = None
    pixel_vr: str = "OW"
    pixel_length: int | None = None
    with_pixels: bool = True
    with_delimiter: bool = True
    syntax: str = "1.2.840.10008.1.2.1"
    preamble: bytes = bytes(128) + b"DICM"
    group_length: int | None = None
    after: list[Element] = field(default_factory=list)
    tail: bytes = b""
    kept: float = 1.0
    flips: list[tuple[float, int]] = field(default_factory=list)

    def copy(self) -> FilmFile:
        """A film that can be changed without changing this one."""
        return copy.deepcopy(self)

    def find(self, tag: int) -> Element | None:
        """The first element of ``tag`` at the top."""
        return next((element for element in self.body if element.tag == tag), None)

    def put(self, element: Element) -> None:
        """Add ``element`` at its place; it replaces those of the same tag."""
        self.body = [each for each in self.body if each.tag != element.tag]
        at = next((i for i, each in enumerate(self.body) if each.tag > element.tag), len(self.body))
        self.body.insert(at, element)

    def lists(self) -> Iterator[list[Element]]:
        """The body's list of elements and that of every item in it."""
        waiting = [self.body]
        while waiting:
            elements = waiting.pop()
            yield elements
            waiting += [
                item for each in elements if isinstance(each.value, Items) for item in each.value.items
            ]


def tree_of(film: FileDataset) -> FilmFile:
    """``film`` as a tree; its pixels must be encoded already."""
    syntax = UID(str(film.file_meta.TransferSyntaxUID))
    tree = FilmFile(
        meta=[_element(e, ["ascii"]) for e in film.file_meta if e.tag != 0x00020000],
        body=elements_of(film),
        syntax=str(syntax),
    )
    if "PixelData" not in film:
        tree.with_pixels = False
    elif syntax.is_encapsulated:
        tree.fragments = [b"", *generate_fragments(film.PixelData)]
        del tree.fragments[1]  # the offset table comes as the first fragment
        tree.pixel_vr = "OB"
    else:
        tree.pixels = film.PixelData
        tree.pixel_vr = str(film["PixelData"].VR)
    return tree


def elements_of(dataset: Dataset, encodings: list[str] | None = None) -> list[Element]:
    """The elements of a data set without its pixels; texts in its Specific Character Set."""
    if encodings is None:
        encodings = convert_encodings(dataset.get("SpecificCharacterSet", "ISO_IR 6"))
    return [_element(element, encodings) for element in dataset if element.tag < PIXEL_DATA]


def _element(element: DataElement, encodings: list[str]) -> Element:
    if element.VR == "SQ":
        items = Items([elements_of(item, encodings) for item in element.value])
        return Element(int(element.tag), "SQ", items)
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, True
    write_data_element(buffer, element, encodings)
    return Element(int(element.tag), str(element.VR), buffer.getvalue()[8:])


@dataclass(frozen=True)
class _Form:
    implicit: bool
    big: bool

    def tag(self, tag: int) -> bytes:
        return struct.pack(">HH" if self.big else "<HH", tag >> 16, tag & 0xFFFF)

    def long(self, value: int) -> bytes:
        return struct.pack(">L" if self.big else "<L", value & 0xFFFFFFFF)

    def short(self, value: int) -> bytes:
        return struct.pack(">H" if self.big else "<H", value & 0xFFFF)


_META = _Form(implicit=False, big=False)


def encode(film: FilmFile) -> bytes:
    """The file's bytes."""
    form = _Form(film.syntax == ImplicitVRLittleEndian, film.syntax == ExplicitVRBigEndian)
    meta = _elements(film.meta, _META)
    if film.group_length != -1:
        length = len(meta) if film.group_length is None else film.group_length
        meta = _elements([Element(0x00020000, "UL", struct.pack("<L", length & 0xFFFFFFFF))], _META) + meta
    body = _elements(film.body, form)
    header = len(film.preamble) + len(meta) + len(body)
    body += _pixels(film, form) + _elements(film.after, form)
    if film.syntax == DeflatedExplicitVRLittleEndian:
        packer = zlib.compressobj(9, zlib.DEFLATED, -15)
        body = packer.compress(body) + packer.flush()
        body += bytes(len(body) % 2)
        header = min(header, len(film.preamble) + len(meta) + len(body))
    data = bytearray(film.preamble + meta + body + film.tail)
    for share, value in film.flips:
        data[min(int(share * header), len(data) - 1)] = value
    return bytes(data[: round(film.kept * len(data))])


def _elements(elements: list[Element], form: _Form) -> bytes:
    return b"".join(_encoded(element, form) for element in elements)


def _encoded(element: Element, form: _Form) -> bytes:
    value = element.value
    length = UNDEFINED if isinstance(value, Items) and value.undefined else None
    data = _sequence(value, form) if isinstance(value, Items) else _turned(element.vr, value, form)
    if length is None:
        data += bytes(len(data) % 2)
        length = len(data)
    if element.stated_length is not None:
        length = element.stated_length
    tag = form.tag(element.tag)
    if form.implicit:
        return tag + form.long(length) + data
    vr = element.stated_vr if element.stated_vr is not None else element.vr.encode()
    if element.vr in _LONG:
        return tag + vr + bytes(2) + form.long(length) + data
    if len(data) > 0xFFFF and element.stated_length is None:
        return tag + b"UN" + bytes(2) + form.long(length) + data  # PS3.5 6.2.2, note 2
    return tag + vr + form.short(length) + data


def _sequence(value: Items, form: _Form) -> bytes:
    parts = []
    for item in value.items:
        content = _elements(item, form)
        if value.undefined:
            end = b"" if value.bare else form.tag(ITEM_END) + form.long(0)
            parts.append(form.tag(ITEM) + form.long(UNDEFINED) + content + end)
        else:
            parts.append(form.tag(ITEM) + form.long(len(content)) + content)
    data = b"".join(parts) * value.count
    if value.undefined and not value.bare:
        data += form.tag(SEQUENCE_END) + form.long(0)
    return data


def _turned(vr: str, value: bytes, form: _Form) -> bytes:
    unit = _UNIT.get(vr, 1)
    if not form.big or unit == 1 or len(value) % unit:
        return value
    return b"".join(value[at : at + unit][::-1] for at in range(0, len(value), unit))


def _pixels(film: FilmFile, form: _Form) -> bytes:
    if not film.with_pixels:
        return b""
    if film.fragments is None:
        return _encoded(Element(PIXEL_DATA, film.pixel_vr, film.pixels, film.pixel_length), form)
    data = b"".join(
        form.tag(ITEM) + form.long(len(part) + len(part) % 2) + part + bytes(len(part) % 2)
        for part in film.fragments
    )
    if film.with_delimiter:
        data += form.tag(SEQUENCE_END) + form.long(0)
    length = UNDEFINED if film.pixel_length is None else film.pixel_length
    head = form.tag(PIXEL_DATA)
    if form.implicit:
        return head + form.long(length) + data
    return head + film.pixel_vr.encode() + bytes(2) + form.long(length) + data


def nested(tag: int, depth: int, *, undefined: bool, implicit: bool = False) -> Element:
    """Sequences of one item, ``depth`` deep, little endian."""
    form = _Form(implicit, big=False)
    vr = b"" if implicit else b"SQ" + bytes(2)
    head = len(form.tag(tag) + vr) + 4
    inner = b""
    if undefined:
        start = form.tag(tag) + vr + form.long(UNDEFINED) + form.tag(ITEM) + form.long(UNDEFINED)
        end = form.tag(ITEM_END) + form.long(0) + form.tag(SEQUENCE_END) + form.long(0)
        return Element(tag, "SQ", (start * depth + end * depth)[head:], UNDEFINED)
    for _ in range(depth):
        item = form.tag(ITEM) + form.long(len(inner)) + inner
        inner = form.tag(tag) + vr + form.long(len(item)) + item
    return Element(tag, "SQ", inner[head:])
