"""What a DICOM file may take of memory and time, whatever it says of itself."""

from __future__ import annotations

import os
from io import BufferedReader, FileIO
from pathlib import Path

from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset

_LARGE_READ = 1 << 20
_MOST_READS = 1 << 17  # a header has some hundred elements; each is read by one to three
_MOST_SEQUENCES = 1 << 20  # bytes of all sequences: an item of 8 of them becomes an object of 700


class BoundedReader(BufferedReader):
    """A file that never sets memory aside for more bytes than it has left.

    The length of an element is 32 bits of the file's own say: a damaged one asks for 4 GB.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(FileIO(path))
        self._size = os.fstat(self.fileno()).st_size
        self._reads = 0

    @property
    def size(self) -> int:
        """Length of the file in bytes."""
        return self._size

    def read(self, size: int | None = -1, /) -> bytes:
        """As much of ``size`` bytes as there is; ValueError after more reads than a header takes."""
        self._reads += 1
        if self._reads > _MOST_READS:
            raise ValueError("more elements than a header has")
        if size is not None and size > _LARGE_READ:
            size = max(0, min(size, self._size - self.tell()))
        return super().read(size)


def drop_long_sequences(dataset: Dataset) -> None:
    """Leave out the sequences that would make more objects than a header has, while they are bytes."""
    left = _MOST_SEQUENCES
    for tag in list(dataset.keys()):
        raw = dataset.get_item(tag)
        if isinstance(raw, RawDataElement) and _may_be_sequence(raw):
            if raw.length > left:
                del dataset[tag]
            else:
                left -= raw.length


def _may_be_sequence(raw: RawDataElement) -> bool:
    """Whether pydicom may come to see a sequence in ``raw``; it knows many private ones, too."""
    if raw.VR not in (None, "UN"):
        return raw.VR == "SQ"
    try:
        return dictionary_VR(raw.tag) == "SQ"
    except KeyError:
        return True
