"""Pixels of damaged films that are read nevertheless, against a second decoder.

    python -m tests.fuzz.second [--films N] [--first N] [--seed S]

Mutants whose damage is in their pixels go through the reader until N of them were read. The second decoder
shares none with the product: dcmtk's for JPEG, JPEG Lossless, JPEG-LS and RLE, OpenJPH for High-Throughput
JPEG 2000, Pillow's OpenJPEG, of another version, for JPEG 2000, numpy for uncompressed pixels. It gets the
film as the reader understands it: under the right label, in one fragment, with an end marker. A row is a kind
of damage; its columns:

equal
    the same stored values.
loss
    JPEG with loss: within 2, as two right decoders may round.
refused
    the second decoder does not read it.
other
    it reads other values.

Exit code 1 if an undamaged codestream comes out other: of the kinds `UNDAMAGED`.
"""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pydicom
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGExtended12Bit

from bcd_model.errors import BcdError
from converters.dicom.data_elements import DicomFile, inflated
from converters.dicom.file import FileBytes, load, parse_dicom
from converters.films.codecs import codestream, encoding
from converters.films.codecs.encoding import Encoding
from converters.films.codecs.frame import frame_of
from converters.films.pixels.stored import stored_pixels
from converters.films.read import why_unusable
from tests.fuzz.mutators import mutant
from tests.support.mammograms import encoded, mammogram
from tests.support.second_decoders import DCMTK, by_dcmtk, by_openjph

UNDAMAGED = ("pixels: end", "pixels: label", "pixels: offset table")
_ROUNDING = 2
_END = b"\xff\xd9"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Damaged films against a second decoder.")
    parser.add_argument("--films", type=int, default=1000, metavar="N")
    parser.add_argument("--first", type=int, default=0, metavar="N")
    parser.add_argument("--seed", type=int, default=1, metavar="S")
    options = parser.parse_args(arguments)
    table: defaultdict[str, Counter[str]] = defaultdict(Counter)
    wrong, read = [], 0
    for number in count(options.first):
        if read == options.films:
            break
        made = mutant(number, options.seed)
        if not made.kinds[0].startswith("pixels: "):
            continue
        found = compared(made.data)
        if found is None:
            continue
        read += 1
        for kind in made.kinds:
            if kind.startswith("pixels: "):
                table[kind][found] += 1
        table["all"][found] += 1
        if found == "other":
            print(f"{number}: {made.seed}; {'; '.join(made.steps)}"[:200])
            wrong += [number] if set(made.kinds) <= {*UNDAMAGED, "meta: syntax"} else []
    columns = ("equal", "loss", "refused", "other")
    print(f"{'':24}" + "".join(f"{name:>9}" for name in columns))
    for kind in (*sorted(set(table) - {"all"}), "all"):
        print(f"{kind:24}" + "".join(f"{table[kind][name]:>9}" for name in columns))
    print(f"undamaged streams that come out other: {wrong or 'none'}")
    return 1 if wrong else 0


def compared(data: bytes) -> str | None:
    """The column of one film; None if it is not read."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "film.dcm"
        path.write_bytes(data)
        try:
            file = load(path)
            dicom = parse_dicom(file)
            if why_unusable(dicom) is not None:
                return None
            stored = stored_pixels(file, dicom)
        except BcdError:
            return None
        try:
            other, is_lossy = second(file, dicom, Path(folder))
        except ValueError:
            return "refused"
    mask = (1 << stored.bits) - 1
    ours, theirs = stored.values.astype(np.int64) & mask, other.astype(np.int64) & mask
    if ours.shape == theirs.shape and np.array_equal(ours, theirs):
        return "equal"
    close = ours.shape == theirs.shape and np.percentile(np.abs(ours - theirs), 99.9) <= _ROUNDING
    return "loss" if is_lossy and close else "other"


def second(file: FileBytes, dicom: DicomFile, folder: Path) -> tuple[npt.NDArray[np.integer], bool]:
    """The values of a film by a second decoder, and whether they were compressed with loss.

    Raises:
        ValueError: it does not read it.
    """
    place, header = dicom.pixel_data, dicom.header
    if place is None:
        raise ValueError("no pixels")
    label = encoding.of_label(dicom.transfer_syntax)
    data = inflated(file.data, dicom) if dicom.transfer_syntax.endswith(".1.99") else file.data
    rows, columns, width = int(header.Rows), int(header.Columns), int(header.BitsAllocated) // 8
    size = rows * columns * width
    native = label is Encoding.NATIVE and place.present >= size
    frame = frame_of(data, place, native=native).bytes
    true = encoding.of_bytes(frame)
    if true is None or native:
        is_plain = native or len(frame) - size in (0, size % 2)
        true = Encoding.NATIVE if is_plain else Encoding.RLE
    if true is Encoding.NATIVE:
        order = "<" if dicom.transfer_syntax.is_little_endian or not native else ">"
        if order == ">" and width == 1 and place.vr == "OW":
            frame = np.frombuffer(frame, ">u2").astype("<u2").tobytes()
        values = np.frombuffer(frame, f"{order}u{width}", rows * columns).reshape(rows, columns)
        high = int(header.get("HighBit", header.BitsStored - 1)) - int(header.BitsStored) + 1
        return (values >> high if high > 0 else values), False
    if true is not Encoding.RLE and not frame.rstrip(b"\0").endswith(_END):
        frame += _END
    if true is Encoding.HTJ2K:
        return by_openjph(frame), False
    if true is Encoding.JPEG_2000:
        with suppress(Exception), Image.open(io.BytesIO(frame)) as image:
            values = np.asarray(image)  # Pillow fills 16 bits
            precision = (codestream.unwrapped(frame)[42] & 0x7F) + 1
            return (values >> (16 - precision) if values.dtype.itemsize == 2 else values), False
        raise ValueError("not read")
    film = mammogram(np.zeros((rows, columns), f"u{width}"), BitsStored=int(header.BitsStored))
    film.PixelData = encapsulate([frame])
    film["PixelData"].VR = "OB"
    film["PixelData"].is_undefined_length = True
    film.file_meta.TransferSyntaxUID = JPEGExtended12Bit if true is Encoding.JPEG else true.syntax
    clean = folder / "clean.dcm"
    clean.write_bytes(encoded(film))
    with suppress(pydicom.errors.InvalidDicomError, AttributeError):
        return by_dcmtk(clean, DCMTK[true.value]), true is Encoding.JPEG
    raise ValueError("not read")


if __name__ == "__main__":
    sys.exit(main())
