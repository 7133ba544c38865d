"""Look-up tables: the items of Modality LUT and VOI LUT Sequence (PS3.3 C.11.1.1, C.11.2.1.1)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from bcd_model.errors import FilmError
from converters.dicom.file import numbers, values

Values = npt.NDArray[np.float64]

_WORDS = 1 << 16
_FAR = float(1 << 40)
_LEAST_BITS, _MOST_BITS = 8, 16
_MAY_LACK = 0.001  # of the pixels: as many as are left out above the range of a film without a window


class LookUpTableError(FilmError):
    """A table that cannot be used; the message goes on after the table's name."""

    code = "gray-scale"


@dataclass(frozen=True, slots=True, eq=False)
class LookUpTable:
    """A table as it is to be read, which need not be what its descriptor says.

    Attributes:
        first: the value that is mapped to the first entry; smaller ones are, too. What is above the last one
            is mapped to that.
        entries: (n,), n from 1 to 65,536.
        bits: how many an entry has, 8 to 16.
        remarks: in what it departs from its descriptor; they go on after the table's name.
    """

    first: int
    entries: npt.NDArray[np.uint16]
    bits: int
    remarks: tuple[str, ...] = ()

    def look_up(self, x: Values) -> Values:
        """The entries for ``x``."""
        at = np.clip(np.rint(np.clip(x, -_FAR, _FAR)) - self.first, 0, self.entries.size - 1)
        found: Values = self.entries[at.astype(np.int64)].astype(np.float64)
        return found

    def apply(self, x: Values) -> Values:
        """The entries for ``x``, their largest possible value as 1."""
        return self.look_up(x) / ((1 << self.bits) - 1)


def read_table(item: Dataset, x: Values, seen: npt.NDArray[np.integer], *, scaled: bool) -> LookUpTable:
    """The table of ``item``, for pixels of the values ``x``, ``seen`` so many times each.

    The number of entries and the first value mapped stand in 16 bits whose sign writers disagree on: the
    former is unsigned, the latter what more of the pixels lie in the table by. Data are believed before the
    descriptor where they are 8 bits an entry, fewer than it says, or larger or smaller than its bits.

    Args:
        scaled: whether the entries are shown, their largest possible one as white.

    Raises:
        LookUpTableError: there is no table, or not as much of it as the pixels need.
    """
    descriptor = [int(number) for number in numbers(item, "LUTDescriptor")]
    if len(descriptor) != 3 or abs(descriptor[1]) >= _WORDS:
        raise LookUpTableError("has a descriptor that could not be read")
    count = descriptor[0] & (_WORDS - 1) or _WORDS
    entries, first, bits = _entries(item, count), descriptor[1], descriptor[2]
    if not entries.size:
        raise LookUpTableError("has no entries")
    first = max(
        (first, first - _WORDS if first > 0 else first + _WORDS),
        key=lambda start: int(seen[(x >= start) & (x < start + count)].sum()),
    )
    remarks = []
    if entries.size < count:
        if seen[x >= first + entries.size].sum() > _MAY_LACK * seen.sum():
            raise LookUpTableError(f"has {entries.size} of the {count} entries that it states")
        remarks.append(f"has {entries.size} of the {count} entries that it states; hardly a pixel needs more")
    largest = int(entries.max())
    needed = min(max(largest.bit_length(), _LEAST_BITS), _MOST_BITS)
    if scaled and needed != bits:
        remarks.append(
            f"states {bits} bits an entry, and its entries end at {largest}: read as {needed} bits"
        )
    return LookUpTable(first, entries, needed, tuple(remarks))


def _entries(item: Dataset, count: int) -> npt.NDArray[np.uint16]:
    """LUT Data: numbers (US), or bytes (OW) of 16-bit words; two 8-bit entries a word also occur."""
    data = values(item, "LUTData")
    if len(data) == 1 and isinstance(data[0], bytes):
        raw = data[0]
        if len(raw) in (count, count + count % 2):
            return np.frombuffer(raw, dtype=np.uint8)[:count].astype(np.uint16)
        return np.frombuffer(raw[: len(raw) // 2 * 2], dtype="<u2")[:count].astype(np.uint16)
    return (np.asarray(numbers(item, "LUTData")[:count], dtype=np.int64) & (_WORDS - 1)).astype(np.uint16)
