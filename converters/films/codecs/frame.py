"""The bytes of one image in Pixel Data: in one piece, or put together from fragments (PS3.5 A.4)."""

from __future__ import annotations

from dataclasses import dataclass

from converters.dicom.bounds import MemoryStream
from converters.dicom.data_elements import PixelData, find_fragments
from converters.films.codecs import codestream, encoding, rle

ITEM = b"\xfe\xff\x00\xe0"
_SEQUENCE_END = b"\xfe\xff\xdd\xe0\0\0\0\0"

WRONG_LENGTH = "its compressed pixels do not end where their length says; read to their end marker"


@dataclass(frozen=True, slots=True)
class Frame:
    """The bytes of one image.

    Attributes:
        data: where they are.
        offset: of the first of them in ``data``.
        length: how many are there.
        encapsulated: whether they came in fragments.
        whole: False if some are missing, as far as the lengths of the fragments tell.
        remarks: what was odd about them.
    """

    data: bytes
    offset: int
    length: int
    encapsulated: bool = False
    whole: bool = True
    remarks: tuple[str, ...] = ()

    @property
    def bytes(self) -> bytes:
        """The bytes alone."""
        return self.data[self.offset : self.offset + self.length]


def frame_of(data: bytes, pixel_data: PixelData, *, native: bool) -> Frame:
    """The image in ``data``.

    Args:
        data: the file, or what its data set inflates to.
        native: whether the value, if its length is stated, is the pixels as they are; else fragments are
            looked for in it, too.
    """
    if pixel_data.length is None:
        return _joined(data, pixel_data)
    plain = Frame(data, pixel_data.offset, pixel_data.present)
    if native or not pixel_data.start.startswith(ITEM):
        return plain
    # The fragments are there, but the length is that of all of them together.
    within = PixelData(0, None, "")
    find_fragments(MemoryStream(plain.bytes), within)
    return _joined(plain.bytes, within)


def _joined(data: bytes, pixel_data: PixelData) -> Frame:
    fragments = pixel_data.fragments
    parts = [data[at : at + length] for at, length in fragments]
    if _has_no_table(parts):
        parts = [b"", *parts]
    frame = b"".join(parts[1:])
    if pixel_data.whole:
        return Frame(frame, 0, len(frame), True)
    found = _to_its_end(data, fragments, parts)
    if found is None:
        return Frame(frame, 0, len(frame), True, whole=False)
    return Frame(found, 0, len(found), True, remarks=(WRONG_LENGTH,))


def _has_no_table(parts: list[bytes]) -> bool:
    """Whether the Basic Offset Table is left out: the image begins in the first fragment, and not again."""
    if not parts or not _begins_image(parts[0]):
        return False
    return not any(map(_begins_image, parts[1:]))


def _begins_image(part: bytes) -> bool:
    """Whether a fragment begins as a codestream or as RLE of 8 or 16 bits; a table's first offset is 0."""
    return encoding.of_bytes(part) is not None or any(rle.is_rle(part, width) for width in (1, 2))


def _to_its_end(data: bytes, fragments: list[tuple[int, int]], parts: list[bytes]) -> bytes | None:
    """The image, if its last fragment states a wrong length, but ends as an image does; else None."""
    if not fragments:
        return None
    at, _ = fragments[-1]
    last = data[at:]
    end = last.rfind(_SEQUENCE_END)
    last = last[:end] if end >= 0 else last
    if ITEM in last:  # another fragment follows: where this one ends is not known
        return None
    frame = b"".join(parts[1:-1]) + last
    if encoding.of_bytes(frame) is None or not frame.rstrip(b"\0").endswith(codestream.END):
        return None
    return frame
