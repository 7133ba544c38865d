"""From the bytes of a DICOM file to the data elements that are read of it (PS3.5 clause 7).

A walk without recursion, from the first byte to Pixel Data. What `converters.dicom.elements` does not name is
passed over, however long it is; what it names is bounded. Nothing here changes the state of pydicom, of
Python's warnings or of logging: any number of threads may read at once.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from pydicom import config
from pydicom.datadict import dictionary_description, dictionary_has_tag, dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence as ItemSequence
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from bcd_model.reasons import Reason
from converters.dicom import character_sets, elements, values
from converters.dicom.bounds import INFLATED_BYTES, InflatedStream, MemoryStream, Stream
from converters.dicom.functional_groups import lift
from converters.dicom.values import Raw

PREAMBLE = 128
PREFIX = b"DICM"
UNDEFINED = 0xFFFFFFFF

DAMAGED = Reason("damaged-header", "its header is damaged: an item stands in no sequence")
CUT_SHORT = Reason("cut-short", "cut short: it ends within its header")
NOT_DEFLATED = Reason(
    "damaged-header", "its deflated data set cannot be inflated to its end", "export it again"
)


def _too_costly(detail: str) -> Reason:
    return Reason("too-costly", detail)


TOO_MANY_ELEMENTS = _too_costly(f"its header has more than {elements.MOST_ELEMENTS} data elements")
TOO_MANY_KEPT = _too_costly(
    f"its header has more than {elements.MOST_KEPT} data elements of the kinds that are read"
)
TOO_MUCH_KEPT = _too_costly(f"the data elements that are read take more than {elements.KEPT_BYTES} bytes")
TOO_DEEP = _too_costly(f"its sequences are nested more than {elements.MOST_DEPTH} deep")
INFLATES_TOO_FAR = _too_costly(f"its deflated data set takes more than {INFLATED_BYTES} bytes")
TOO_MANY_FRAGMENTS = _too_costly("its compressed pixels come in more fragments than a picture has")

_VR = {vr.encode(): vr for vr in values.LONG | values.SHORT}

_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_DELIMITER = b"\xfe\xff\xdd\xe0\0\0\0\0"
_PADDING = 0xFFFCFFFC
_PIXEL_DATA = 0x7FE00010
_PIXELS = frozenset({0x7FE00008, 0x7FE00009, _PIXEL_DATA})
_FIRST_GROUPS = 0x0032
"""A data set begins with a group no higher than that."""
_UNCOMPRESSED = frozenset(
    {
        DeflatedExplicitVRLittleEndian,
        ExplicitVRBigEndian,
        ExplicitVRLittleEndian,
        ImplicitVRLittleEndian,
    }
)
_NOWHERE = 1 << 62
_NOT, _PERHAPS, _FAR, _SURELY = range(4)
_LOOK_AHEAD = 1 << 16
_START = 16
_MOST_FRAGMENTS = 1 << 16


@dataclass(slots=True)
class PixelData:
    """Where the value of Pixel Data (7FE0,0010) is in the file.

    Attributes:
        offset: of its first byte: in the file, or in what a deflated data set inflates to.
        length: in bytes as the file says; None if it is undefined, which stands for fragments (PS3.5 A.4).
        present: how many of them are in the file.
        whole: whether all of it is there, and ends as it should.
        fragments: (offset, length) of the fragments, the first of which is the Basic Offset Table.
        start: the first bytes of the value.
        vr: "" in implicit VR.
    """

    offset: int
    length: int | None
    vr: str
    present: int = 0
    whole: bool = True
    fragments: list[tuple[int, int]] = field(default_factory=list)
    start: bytes = b""


@dataclass(frozen=True, slots=True, eq=False)
class DicomFile:
    """What is read of a file beside its pixels, and where these are.

    Attributes:
        header: the data elements of :mod:`converters.dicom.elements`, as far as they can be decoded, with
            ``file_meta``. LUT Data is in little endian words, whatever the file is.
        transfer_syntax: Transfer Syntax UID (0002,0010). If that is missing, or one of uncompressed pixels,
            the one that the data set is written in.
        data_set: the position in the file at which the data set starts, behind the File Meta Information.
        pixel_data: where Pixel Data is; None if the file ends before it or holds another kind of pixels.
        fault: why the file cannot be used; None if nothing is known so far. The header holds what was read
            before.
        texts_fit: False if a text has bytes that are not possible in the character set that is stated.
        remarks: what the file says of how it is written, and is not so.
    """

    header: Dataset
    transfer_syntax: UID
    pixel_data: PixelData | None
    fault: Reason | None
    texts_fit: bool
    remarks: tuple[str, ...] = ()
    data_set: int = 0


@dataclass(slots=True)
class _Frame:
    """A data set, a sequence or an item while it is walked through.

    Attributes:
        limit: the position behind its last byte, as far as it is known.
        stated: whether its own length is stated: then no delimiter ends it.
        begun: whether a sequence has had an item.
        target: where the elements of a data set or an item go; None if it is passed over.
        items: where the items of a sequence go; None if it is passed over.
    """

    limit: int
    implicit: bool
    is_sequence: bool = False
    target: Dataset | None = None
    items: list[Dataset] | None = None
    tag: int = 0
    keyword: str = ""
    stated: bool = False
    begun: bool = False


def looks_like_dicom(start: bytes) -> bool:
    """Whether a file that starts so is a DICOM file: the prefix (PS3.10 7.1), or evidently a data set.

    Some writers leave out the preamble, the prefix or both. Such a file begins with group 0002 or 0008.
    """
    return _before_elements(start) is not None


def _before_elements(start: bytes) -> int | None:
    """How many bytes of preamble and prefix stand before the first element; None if it is not DICOM."""
    whole = PREAMBLE + len(PREFIX)
    if start[PREAMBLE:whole] == PREFIX:
        return whole
    # A prefix without a preamble; neither; a preamble without a prefix, or with another one.
    sizes = (len(PREFIX), 0) if start.startswith(PREFIX) else (0, PREAMBLE, whole)
    return next((size for size in sizes if _begins(start[size:])), None)


def _begins(start: bytes) -> bool:
    """Whether ``start`` is the beginning of File Meta Information or of a data set."""
    written = _written(start, most=0x0032)
    return written is not None and struct.unpack_from(f"{written.order}H", start)[0] in (2, 8)


class _Written(NamedTuple):
    """How data elements are written: the order of bytes, and whether in implicit VR."""

    order: str
    implicit: bool

    @property
    def syntax(self) -> UID:
        """The transfer syntax of uncompressed pixels that is written so."""
        if self.order == ">":
            return UID(ExplicitVRBigEndian)
        return UID(ImplicitVRLittleEndian if self.implicit else ExplicitVRLittleEndian)


def _written(start: bytes, most: int = 0x7FE0) -> _Written | None:
    """How a data set is written that starts so, by its first two elements; None if that does not show.

    Args:
        most: the highest group that the second may be of.
    """
    if len(start) < 16:
        return None
    for order in "<>":
        group, element = struct.unpack_from(f"{order}HH", start)
        if not 0 < group <= _FIRST_GROUPS or element > 0x2000:
            continue
        for implicit in (False, True):
            vr, length, size = _head(start, order, implicit=implicit)
            if not implicit and not vr:  # two bytes that stand for no VR
                (length,) = struct.unpack_from(f"{order}H", start, 6)
            following = start[size + length : size + length + 6]
            if len(following) < 6:
                continue
            after = struct.unpack_from(f"{order}HH", following)
            sure = implicit or vr or following[4:] in _VR
            if sure and (group, element) < after and after[0] <= most:
                return _Written(order, implicit)
    return None


def _head(head: bytes, order: str, *, implicit: bool) -> tuple[str, int, int]:
    """Value representation, stated length and size of an element's head; "" if there is no known VR."""
    if not implicit:
        vr = _VR.get(head[4:6], "")
        if vr in values.SHORT:
            return vr, struct.unpack_from(f"{order}H", head, 6)[0], 8
        if vr and len(head) >= 12:
            return vr, struct.unpack_from(f"{order}L", head, 8)[0], 12
    return "", struct.unpack_from(f"{order}L", head, 4)[0], 8


def parse(stream: Stream) -> DicomFile:
    """Read the header at the start of ``stream``, which is left behind Pixel Data or what ended the walk."""
    stream.skip(_before_elements(stream.peek(_LOOK_AHEAD)) or 0)
    start = stream.peek(_LOOK_AHEAD)
    meta = FileMetaDataset()
    walk = _Walk(stream, ">" if start.startswith(b"\0\2") else "<")
    if start.startswith((b"\2\0", b"\0\2")):
        walk.run(meta, elements.IN_META, implicit=False, meta=True)
    walk.decode()
    stated = meta.get("TransferSyntaxUID")
    syntax = UID(str(stated) if stated else "", config.IGNORE)
    header = Dataset()
    header.file_meta = meta
    body = walk
    written = _written(stream.peek(_LOOK_AHEAD))
    remarks: tuple[str, ...] = ()
    data_set = stream.position
    if syntax == DeflatedExplicitVRLittleEndian and written is None:
        inflated = InflatedStream(stream)
        body = _Walk(inflated, "<")
        body.run(header, elements.IN_DATASET, implicit=False)
        if body.pixel_data is not None:
            _pass_pixels(inflated, body)
        if inflated.is_too_long:
            body.fault = INFLATES_TOO_FAR
        elif inflated.is_damaged and (body.pixel_data is None or not body.pixel_data.whole):
            body.fault = NOT_DEFLATED
    elif not walk.stopped:
        if written is not None and (not syntax or syntax in _UNCOMPRESSED) and written.syntax != syntax:
            if syntax:
                remarks = (f"is written in {written.syntax.name}, not in {syntax.name} as it says",)
            syntax = written.syntax
        elif not syntax:
            syntax = _Written("<", stream.peek(6)[4:] not in _VR).syntax
        labelled = _Written(">" if syntax == ExplicitVRBigEndian else "<", syntax == ImplicitVRLittleEndian)
        body.order, implicit = written or labelled
        body.run(header, elements.IN_DATASET, implicit=implicit)
        if body.pixel_data is not None:
            _pass_pixels(stream, body)
    fits = body.decode()
    lift(header)
    return DicomFile(header, syntax, body.pixel_data, body.fault, fits, remarks, data_set)


def inflated(data: bytes, dicom: DicomFile) -> bytes:
    """What the data set of a deflated file inflates to, up to the end of Pixel Data: the bytes that the
    offsets of ``dicom`` are in.

    Args:
        data: the whole file that was parsed to ``dicom``.
    """
    pixel_data = dicom.pixel_data
    if pixel_data is None:
        return b""
    ends = [pixel_data.offset + pixel_data.present, *(at + length for at, length in pixel_data.fragments)]
    return InflatedStream(MemoryStream(data[dicom.data_set :])).take(max(ends))


def _pass_pixels(stream: Stream, walk: _Walk) -> None:
    """Pass over Pixel Data and note what of it is there."""
    pixel_data = walk.pixel_data
    if pixel_data is None:
        return
    pixel_data.start = stream.peek(_START)
    if pixel_data.length is not None:
        pixel_data.present = stream.skip(pixel_data.length)
        pixel_data.whole = pixel_data.present == pixel_data.length
    elif not find_fragments(stream, pixel_data):
        walk.blame(TOO_MANY_FRAGMENTS)


def find_fragments(stream: Stream, pixel_data: PixelData) -> bool:
    """Pass over fragments and enter them in ``pixel_data``; False if they are more than a picture has."""
    while True:
        head = stream.peek(8)
        if len(head) < 8:  # the delimiter alone, or a part of it, is missing: some writers forget it
            pixel_data.whole = _DELIMITER.startswith(head) or not any(head)
            return True
        group, element, length = struct.unpack("<HHL", head)
        tag = group << 16 | element
        if tag != _ITEM or length == UNDEFINED:
            # Some archives write zeros in place of the delimiter, and some writers another element.
            pixel_data.whole = tag in (_SEQUENCE_END, _ITEM_END, _PADDING) or head == bytes(8)
            return True
        stream.skip(8)
        if len(pixel_data.fragments) == _MOST_FRAGMENTS:
            return False
        pixel_data.fragments.append((stream.position, length))
        there = stream.skip(length)
        pixel_data.present += there
        if there < length:
            pixel_data.whole = False
            return True


class _Walk:
    """One walk through a data set."""

    def __init__(self, stream: Stream, order: str) -> None:
        self.stream = stream
        self.order = order
        self.fault: Reason | None = None
        self.stopped = False
        self.pixel_data: PixelData | None = None
        self._lost: int | None = None  # the first element of which it is not known where it ends
        self._seen = 0
        self._kept = 0
        self._bytes = 0
        self._raw: list[Raw] = []
        self._wanted: Mapping[int, tuple[str, str]] = {}

    def blame(self, fault: Reason) -> None:
        """Note why the file cannot be used; the first reason counts."""
        self.fault = self.fault or fault

    def run(
        self, dataset: Dataset, wanted: Mapping[int, tuple[str, str]], *, implicit: bool, meta: bool = False
    ) -> None:
        """Collect the ``wanted`` elements up to the pixels; of ``meta``, up to the end of group 0002."""
        self._wanted = wanted
        stack = [_Frame(_NOWHERE, implicit, target=dataset)]
        while not self.stopped:
            frame = stack[-1]
            if self.stream.position >= frame.limit:
                self._leave(stack)
                continue
            head = self.stream.peek(12)
            if len(head) < 8:
                if head or len(stack) > 1:
                    self.blame(self._why_ended())
                break
            group, element = struct.unpack_from(f"{self.order}HH", head)
            tag = group << 16 | element
            if meta and len(stack) == 1 and group != 2:
                break
            self._seen += 1
            if self._seen > elements.MOST_ELEMENTS:
                self.blame(TOO_MANY_ELEMENTS)
                self.stopped = True
            elif group == 0xFFFE:
                self._delimiter(stack, tag, struct.unpack_from(f"{self.order}L", head, 4)[0])
            elif frame.is_sequence:
                self._leave_where_no_item_is(stack)
            elif self._element(stack, frame, tag, head):
                break
        if self._lost is not None and self.pixel_data is None:
            self.blame(self._why_ended())
        while len(stack) > 1:
            self._leave(stack)

    def _leave(self, stack: list[_Frame]) -> None:
        """The innermost item or sequence is at its end."""
        frame = stack.pop()
        if frame.items is not None and stack[-1].target is not None:
            _put(stack[-1].target, DataElement(frame.tag, "SQ", ItemSequence(frame.items)))

    def _leave_where_no_item_is(self, stack: list[_Frame]) -> None:
        """A sequence holds something else than items: none of it may be taken for elements around it."""
        frame = stack[-1]
        if frame.stated:
            self._skip(frame.limit - self.stream.position)
        elif not frame.begun:
            self._skip_behind_delimiter()
        # else the sequence has ended without saying so, as those of some writers do
        self._leave(stack)

    def _skip_behind_delimiter(self) -> None:
        """Pass over bytes that are no items, up to the delimiter of the sequence that they stand in."""
        end = struct.pack(f"{self.order}HHL", _SEQUENCE_END >> 16, _SEQUENCE_END & 0xFFFF, 0)
        while True:
            ahead = self.stream.peek(_LOOK_AHEAD)
            at = ahead.find(end)
            if at >= 0:
                self.stream.skip(at + len(end))
                return
            if len(ahead) < len(end):
                self._cut()
                return
            self.stream.skip(len(ahead) - len(end) + 1)

    def _delimiter(self, stack: list[_Frame], tag: int, length: int) -> None:
        """An item, or the end of an item or a sequence of undefined length (PS3.5 7.5)."""
        frame = stack[-1]
        if len(stack) == 1:  # in no sequence: what follows would be taken for elements of the film
            self.blame(DAMAGED)
            self.stopped = True
            return
        self.stream.skip(8)
        if tag == _ITEM and frame.is_sequence:
            frame.begun = True
            target = self._item(frame)
            if target is None and self.fault and frame.limit != _NOWHERE:
                self._skip(frame.limit - self.stream.position)  # it is refused: no more of it is looked at
                return
            if target is None and length != UNDEFINED:
                self._skip(min(length, frame.limit - self.stream.position))
                return
            end = _NOWHERE if length == UNDEFINED else self.stream.position + length
            stated = length != UNDEFINED
            stack.append(_Frame(min(end, frame.limit), frame.implicit, target=target, stated=stated))
        elif tag == _ITEM_END and not frame.is_sequence and not frame.stated:
            self._leave(stack)
        elif tag == _SEQUENCE_END and not frame.stated:
            if not frame.is_sequence:
                self._leave(stack)
            if not stack[-1].stated:
                self._leave(stack)

    def _item(self, frame: _Frame) -> Dataset | None:
        """A new item of a sequence that is kept; None if the item is passed over."""
        if frame.items is None or len(frame.items) == elements.FIRST_ITEMS.get(frame.keyword):
            return None
        if len(frame.items) == elements.MOST_ITEMS:
            self.blame(_too_costly(f"its {_name(frame.tag)} has more than {elements.MOST_ITEMS} items"))
            return None
        if not self._room():
            return None
        frame.items.append(Dataset())
        return frame.items[-1]

    def _room(self, length: int = 0) -> bool:
        """Whether one more element or item of ``length`` bytes may be kept."""
        self._kept += 1
        self._bytes += length
        if self._kept > elements.MOST_KEPT:
            self.blame(TOO_MANY_KEPT)
        elif self._bytes > elements.KEPT_BYTES:
            self.blame(TOO_MUCH_KEPT)
        else:
            return True
        return False

    def _element(self, stack: list[_Frame], frame: _Frame, tag: int, head: bytes) -> bool:
        """One data element; whether it is the pixels, at which the walk ends."""
        # The sequences of some writers are in the other kind of VR than the data set around them.
        if frame.implicit and head[4:6] in _VR:
            frame.implicit = not self._follows(tag, frame, *_head(head, self.order, implicit=False)[1:])
        vr, length, size = _head(head, self.order, implicit=frame.implicit)
        if not frame.implicit:
            if not vr:
                length, size = self._head_without_vr(tag, frame, head)
            elif (vr in values.LONG) != _is_long(tag, vr):
                length, size = self._head_of_other_form(tag, frame, head, (length, size))
        self.stream.skip(size)
        if len(stack) == 1 and tag in _PIXELS:
            if tag == _PIXEL_DATA:
                stated = None if length == UNDEFINED else length
                self.pixel_data = PixelData(self.stream.position, stated, vr)
            return True
        known = None
        if frame.target is not None:
            known = (self._wanted if len(stack) == 1 else elements.IN_ITEM).get(tag)
        is_sequence = vr in ("SQ", "UN", "") and (vr == "SQ" or length == UNDEFINED or _is_sequence(known))
        if known is not None and length != UNDEFINED and is_sequence != _is_sequence(known):
            is_sequence = self._is_item(self.stream.peek(4))  # whatever it is labelled
        if is_sequence and (_is_sequence(known) or length == UNDEFINED):
            self._sequence(stack, frame, tag, vr, length, known)
        elif length == UNDEFINED:  # fragments of something that is passed over
            stack.append(_Frame(frame.limit, frame.implicit, is_sequence=True))
        elif known is None or is_sequence or _is_sequence(known):
            self._skip(min(length, frame.limit - self.stream.position))
        else:
            self._value(frame, tag, vr, length, known)
        return False

    def _sequence(
        self,
        stack: list[_Frame],
        frame: _Frame,
        tag: int,
        vr: str,
        length: int,
        known: tuple[str, str] | None,
    ) -> None:
        end = frame.limit if length == UNDEFINED else min(frame.limit, self.stream.position + length)
        items: list[Dataset] | None = None
        if known is not None and _is_sequence(known):
            if sum(outer.is_sequence for outer in stack) < elements.MOST_DEPTH:
                items = [] if self._room() else None
            else:
                self.blame(TOO_DEEP)
        # What has the VR UN is in implicit VR within (PS3.5 6.2.2).
        implicit = frame.implicit or vr == "UN"
        keyword = known[0] if known is not None else ""
        stated = length != UNDEFINED
        stack.append(
            _Frame(end, implicit, is_sequence=True, items=items, tag=tag, keyword=keyword, stated=stated)
        )

    def _value(self, frame: _Frame, tag: int, vr: str, length: int, known: tuple[str, str]) -> None:
        keyword, expected = known
        most = elements.TABLE_BYTES if keyword == "LUTData" else elements.TEXT_BYTES
        if length > frame.limit - self.stream.position:  # longer than the item it is in: damaged
            self._skip(frame.limit - self.stream.position)
        elif length > most:
            costly = _too_costly(f"its {_name(tag)} takes {length} bytes; {most} are read")
            self.blame(self._why_ended() if self._lost == tag else costly)
            self._skip(length)
        elif not self._room(length):
            self._skip(length)
        else:
            value = self.stream.take(length)
            if len(value) < length:
                self._cut()
            elif frame.target is not None:
                self._raw.append(Raw(frame.target, tag, keyword, expected, vr, value))

    def _skip(self, length: int) -> None:
        if self.stream.skip(length) < length:
            self._cut()

    def _cut(self) -> None:
        self.blame(self._why_ended())
        self.stopped = True

    def _why_ended(self) -> Reason:
        """Why the file came to its end within an element, an item or a sequence."""
        if self._lost is None:
            return CUT_SHORT
        where = f"({self._lost >> 16:04X},{self._lost & 0xFFFF:04X})"
        return Reason("damaged-header", f"its header cannot be read from {where} on", "export it again")

    def _is_item(self, start: bytes) -> bool:
        return start == struct.pack(f"{self.order}HH", _ITEM >> 16, _ITEM & 0xFFFF)

    def _head_of_other_form(
        self, tag: int, frame: _Frame, head: bytes, labelled: tuple[int, int]
    ) -> tuple[int, int]:
        """Length and head's size of an element whose VR has a length of another size than its own VR.

        Either that is how it is written, or its VR alone was changed: what leads to another element is right.
        """
        if self._follows(tag, frame, *labelled) or len(head) < 12:
            return labelled
        (short,) = struct.unpack_from(f"{self.order}H", head, 6)
        (long,) = struct.unpack_from(f"{self.order}L", head, 8)
        if labelled[1] == 8:
            return labelled if short else (long, 12)
        return (short, 8) if short and self._follows(tag, frame, short, 8) else labelled

    def _head_without_vr(self, tag: int, frame: _Frame, head: bytes) -> tuple[int, int]:
        """Length and head's size of an element in explicit VR whose VR is none that is known.

        It is in implicit VR after all, or of a VR to come (which has a length of 32 bits, PS3.5 6.2), or has
        two bytes that stand for no VR before a length of 16 bits: what leads to another element is right.
        """
        (implicit,) = struct.unpack_from(f"{self.order}L", head, 4)
        (short,) = struct.unpack_from(f"{self.order}H", head, 6)
        if implicit == UNDEFINED:
            return implicit, 8
        found = [(implicit, 8), (short, 8)]
        if short == 0 and len(head) >= 12:
            found.insert(1, (struct.unpack_from(f"{self.order}L", head, 8)[0], 12))
        leads = [self._leads(tag, frame, *each) for each in found]
        if len(found) == 3 and sum(found[1]) > _LOOK_AHEAD and _is_long(tag, ""):
            leads[1] = _FAR  # in implicit VR its length would be one that can be looked at
        if not any(leads):
            self._lost = self._lost or tag
        return found[leads.index(max(leads))]

    def _follows(self, tag: int, frame: _Frame, length: int, size: int) -> bool:
        """Whether another element starts behind a value of ``length`` bytes, or nothing does."""
        return self._leads(tag, frame, length, size) > _NOT

    def _leads(self, tag: int, frame: _Frame, length: int, size: int) -> int:
        """How sure it is that another element starts behind a value of ``length`` bytes, or nothing does."""
        end = size + length
        if length == UNDEFINED or self.stream.position + end == frame.limit:
            return _SURELY
        if end > _LOOK_AHEAD:
            return _NOT
        after = self.stream.peek(end + 6)
        if len(after) < end + 4:
            return _SURELY if len(after) == end else _NOT
        group, element = struct.unpack_from(f"{self.order}HH", after, end)
        if tag >= (group << 16 | element) or 0x7FE0 < group not in (0xFFFC, 0xFFFE):
            return _NOT
        if group == 0xFFFE or after[end + 4 :] in _VR:
            return _SURELY
        is_known = group % 2 or element == 0 or dictionary_has_tag(group << 16 | element)
        return _PERHAPS if is_known else _NOT

    def decode(self) -> bool:
        """Turn what was kept into data elements; whether its texts fit its character set."""
        kept: dict[tuple[int, int], Raw] = {}
        for each in self._raw:
            first = kept.setdefault((id(each.target), each.tag), each)
            if first.value.strip(b" \0") != each.value.strip(b" \0"):
                self.blame(Reason("damaged-header", f"has two different values of its {_name(each.tag)}"))
        raw = kept.values()
        terms: tuple[str, ...] | None = ()
        signed = False
        for each in raw:
            if each.keyword == "SpecificCharacterSet":
                terms = character_sets.known_terms(values.split(each.value.decode("latin_1")))
            elif each.keyword == "PixelRepresentation":
                signed = values.decoded(each, self.order, (), signed=False)[0].value == 1
        fits = True
        for each in raw:
            if each.keyword == "SpecificCharacterSet":
                if terms:
                    stated = values.one_or_list(terms)
                    _put(each.target, DataElement(each.tag, "CS", stated, already_converted=True))
                continue
            element, right = values.decoded(each, self.order, terms, signed=signed)
            fits &= right
            _put(each.target, element)
        self._raw = []
        return fits


@lru_cache(maxsize=4096)
def _is_long(tag: int, stated: str) -> bool:
    """Whether an element's VR by the dictionary has a length of 32 bits; the stated, if it may be either."""
    own = dictionary_VR(tag) if dictionary_has_tag(tag) else ""
    sizes = {vr in values.LONG for vr in own.split(" or ") if vr}
    return sizes.pop() if len(sizes) == 1 else stated in values.LONG


def _is_sequence(known: tuple[str, str] | None) -> bool:
    return known is not None and known[1] == "SQ"


def _put(dataset: Dataset, element: DataElement) -> None:
    dataset[element.tag] = element


def _name(tag: int) -> str:
    return "private creator" if tag == elements.HOLOGIC_GROUP else dictionary_description(tag)
