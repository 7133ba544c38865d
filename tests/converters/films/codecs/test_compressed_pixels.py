"""Pixel Data: the bytes that a decoder is given are checked first, and are exactly those of one image."""

from __future__ import annotations

import io
import resource
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import FileDataset
from pydicom.encaps import generate_frames
from pydicom.uid import (
    ExplicitVRBigEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
)

from bcd_model.errors import FilmError
from converters.films.pixels.stored import PADDED
from converters.films.read import read_film

MakeFilm = Callable[..., FileDataset]

ROWS, COLUMNS = 64, 96
RAMP = np.add.outer(np.arange(ROWS), np.arange(COLUMNS)).astype(np.uint8)
ITEM = struct.pack("<HH", 0xFFFE, 0xE000)
SEQUENCE_END = struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)


def codestream(make_film: MakeFilm, syntax: str, pixels: np.ndarray = RAMP, **elements: object) -> bytes:
    pytest.importorskip({JPEGLSLossless: "jpeg_ls", JPEG2000Lossless: "openjpeg"}.get(syntax, "numpy"))
    film = make_film(pixels, **elements)
    film.compress(syntax, generate_instance_uid=False)
    return next(generate_frames(film.PixelData, number_of_frames=1))


def item(value: bytes) -> bytes:
    return ITEM + struct.pack("<L", len(value)) + value


def with_fragments(film: FileDataset, path: Path, syntax: str, *fragments: bytes, table: bytes = b"") -> Path:
    film.PixelData = b"".join([item(table), *map(item, fragments), SEQUENCE_END])
    film["PixelData"].VR = "OB"
    film["PixelData"].is_undefined_length = True
    film.file_meta.TransferSyntaxUID = syntax
    film.save_as(path, enforce_file_format=True)
    return path


def j2k_of_size(stream: bytes, rows: int, columns: int, *, tile: tuple[int, int] | None = None) -> bytes:
    """A codestream that says it has another size: Xsiz, Ysiz, XTsiz, YTsiz of SIZ (A.5.1)."""
    changed = bytearray(stream)
    height, width = tile or (rows, columns)
    struct.pack_into(">LL", changed, 8, columns, rows)
    struct.pack_into(">LL", changed, 24, width, height)
    return bytes(changed)


def is_refused(path: Path, why: str) -> None:
    with pytest.raises(FilmError, match=why):
        read_film(path)


# Kind 14: the codestream


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, JPEGLSLossless, RLELossless])
def test_kind_14_fragments_are_put_together_and_the_offset_table_is_not_looked_at(
    make_film: MakeFilm, tmp_path: Path, syntax: str
) -> None:
    stream = codestream(make_film, syntax)
    middle = len(stream) // 4 * 2
    pieces = (stream[:middle], stream[middle:], b"")
    path = with_fragments(make_film(), tmp_path / "film.dcm", syntax, *pieces, table=struct.pack("<L", 0))
    np.testing.assert_allclose(read_film(path).film.pixels, RAMP / 255, atol=1e-6)


@pytest.mark.parametrize("where", ["offset table", "first fragment", "comment"])
def test_kind_14_a_decoy_header_does_not_hide_the_true_one(
    make_film: MakeFilm, tmp_path: Path, where: str
) -> None:
    right = codestream(make_film, JPEG2000Lossless)
    huge = j2k_of_size(right, 30_000, 30_000)
    fragments, table = (huge,), b""
    if where == "offset table":
        table = right[:64]
    elif where == "first fragment":
        fragments = (b"\0\0" + right[:64], huge)
    else:  # a comment in front of SIZ
        fragments = (huge[:2] + b"\xff\x64" + struct.pack(">HH", 4 + 64, 0) + right[:64] + huge[2:],)
    path = with_fragments(make_film(), tmp_path / "film.dcm", JPEG2000Lossless, *fragments, table=table)
    is_refused(path, "another size|damaged")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda s: j2k_of_size(s, ROWS, COLUMNS + 1), "another size"),
        (lambda s: j2k_of_size(s, ROWS, COLUMNS, tile=(1, 1)), "cut into more parts"),
        (lambda s: s[:40] + struct.pack(">H", 3) + s[42:], "damaged|3 components"),
        (lambda s: s[:42] + bytes([37]) + s[43:], "38 bits"),
        (lambda s: s[:43] + bytes([2, 2]) + s[45:], "subsampled"),
        (lambda s: s[:30], "damaged"),
        (lambda s: b"", "damaged"),
        (lambda s: s[1:], "damaged"),
    ],
)
def test_kind_14_what_the_decoder_plans_by_is_checked(
    make_film: MakeFilm, tmp_path: Path, change: Callable[[bytes], bytes], why: str
) -> None:
    stream = change(codestream(make_film, JPEG2000Lossless))
    is_refused(with_fragments(make_film(), tmp_path / "film.dcm", JPEG2000Lossless, stream), why)


def coding_style(stream: bytes, **changes: object) -> bytes:
    """The codestream with another COD (A.6.1): ``layers``, or precincts of one pixel."""
    at = stream.index(b"\xff\x52")
    (size,) = struct.unpack_from(">H", stream, at + 2)
    style = bytearray(stream[at + 4 : at + 2 + size])
    if "layers" in changes:
        struct.pack_into(">H", style, 2, changes["layers"])
    if "precincts" in changes:
        style[0] |= 1
        style[10:] = bytes(style[5] + 1)
    if "blocks" in changes:
        style[6], style[7] = 0, 0  # 4 x 4
    return stream[:at] + struct.pack(">HH", 0xFF52, len(style) + 2) + bytes(style) + stream[at + 2 + size :]


@pytest.mark.parametrize("changes", [{"layers": 65535}, {"precincts": True}, {"blocks": True}])
@pytest.mark.parametrize("in_tile", [False, True])
def test_kind_14_an_image_cut_into_millions_of_parts_is_not_decoded(
    make_film: MakeFilm, tmp_path: Path, changes: dict[str, object], in_tile: bool
) -> None:
    """The parts may be said in the main header, and anew in that of a tile-part."""
    side = 4096
    noise = np.random.default_rng(1).integers(0, 255, (side // 8, side // 8)).astype(np.uint8)
    pixels = np.kron(noise, np.ones((8, 8), np.uint8))
    stream = codestream(make_film, JPEG2000Lossless, pixels)
    other = coding_style(stream, **changes)
    if in_tile:
        at = other.index(b"\xff\x52")
        (size,) = struct.unpack_from(">H", other, at + 2)
        style = other[at : at + 2 + size]
        tile = stream.index(b"\xff\x90")
        (length,) = struct.unpack_from(">L", stream, tile + 6)
        start = stream[: tile + 6] + struct.pack(">L", length + len(style)) + stream[tile + 10 : tile + 12]
        other = start + style + stream[tile + 12 :]
    film = make_film(pixels, ImagerPixelSpacing=[0.05, 0.05])
    path = with_fragments(film, tmp_path / "film.dcm", JPEG2000Lossless, other)
    is_refused(path, "cut into more parts")


def test_kind_14_a_jp2_file_is_unwrapped(make_film: MakeFilm, tmp_path: Path) -> None:
    stream = codestream(make_film, JPEG2000Lossless)
    wrapped = (
        b"\x00\x00\x00\x0cjP  \r\n\x87\n"
        + struct.pack(">L4s4sL4s", 20, b"ftyp", b"jp2 ", 0, b"jp2 ")
        + struct.pack(">L4s", 8 + len(stream), b"jp2c")
        + stream
    )
    path = with_fragments(make_film(), tmp_path / "film.dcm", JPEG2000Lossless, wrapped)
    np.testing.assert_allclose(read_film(path).film.pixels, RAMP / 255, atol=1e-6)
    huge = wrapped.replace(stream, j2k_of_size(stream, 30_000, 30_000))
    is_refused(with_fragments(make_film(), path, JPEG2000Lossless, huge), "another size")


def jpeg(pixels: np.ndarray, **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=98, **options)
    return file.getvalue()


@pytest.mark.parametrize(
    ("stream", "why"),
    [
        (jpeg(np.dstack([RAMP] * 3)), "3 components"),
        (jpeg(RAMP.T), "another size"),
        (jpeg(RAMP, progressive=True), "progressive"),
        (b"\xff\xd8\xff\xd9", "damaged"),
        (jpeg(RAMP)[:20], "damaged"),
        (b"\0" + jpeg(RAMP), "damaged"),
    ],
)
def test_kind_14_jpeg(make_film: MakeFilm, tmp_path: Path, stream: bytes, why: str) -> None:
    is_refused(with_fragments(make_film(), tmp_path / "film.dcm", JPEGBaseline8Bit, stream), why)


def test_kind_14_two_frames_in_one_jpeg_are_refused(make_film: MakeFilm, tmp_path: Path) -> None:
    stream = jpeg(RAMP)
    at = stream.index(b"\xff\xc0")
    frame = bytearray(stream[at : at + 2 + struct.unpack_from(">H", stream, at + 2)[0]])
    struct.pack_into(">HH", frame, 5, 65500, 65500)
    for both in (
        stream[:at] + frame + stream[at:],
        stream[: at + len(frame)] + frame + stream[at + len(frame) :],
    ):
        is_refused(with_fragments(make_film(), tmp_path / "film.dcm", JPEGBaseline8Bit, both), "damaged")


BOMB = """
import resource, sys
from pathlib import Path
from bcd_model.errors import FilmError
from converters.films.read import read_film
from converters.films.studies import find_studies
resource.setrlimit(resource.RLIMIT_CPU, (20, 20))
for path in map(Path, sys.argv[1:]):
    find_studies([path])
    try:
        read_film(path)
    except FilmError as error:
        print(error)
# Not ru_maxrss, which begins with that of whoever started the process.
status = Path("/proc/self/status").read_text()
print(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))
"""


def test_kind_14_no_small_file_takes_much_memory(make_film: MakeFilm, tmp_path: Path) -> None:
    """An image of 134 million pixels in some hundred bytes, by its own honest word."""
    stream = codestream(make_film, JPEG2000Lossless)
    paths = []
    for number, (rows, columns) in enumerate([(11_000, 12_000), (4096, 4096), (65_535, 2000)]):
        film = make_film(ImagerPixelSpacing=[0.02, 0.02])
        film.Rows, film.Columns = rows, columns
        bomb = j2k_of_size(stream, rows, columns)
        paths.append(with_fragments(film, tmp_path / f"{number}.dcm", JPEG2000Lossless, bomb))
    done = subprocess.run(
        [sys.executable, "-c", BOMB, *paths], capture_output=True, text=True, timeout=60, check=True
    )
    *refusals, memory = done.stdout.splitlines()
    assert [line.partition(":")[0] for line in refusals] == ["0.dcm", "1.dcm", "2.dcm"]
    assert int(memory) * 1024 < 500 << 20


# Kind 11: exactly the bytes of one image


def save(film: FileDataset, path: Path) -> Path:
    film.save_as(path, enforce_file_format=True)
    return path


@pytest.mark.parametrize("excess", [2, 10, ROWS])
def test_kind_11_a_little_of_nothing_behind_the_image_is_padding(
    make_film: MakeFilm, tmp_path: Path, excess: int
) -> None:
    film = make_film()
    film.PixelData += bytes(excess)
    read = read_film(save(film, tmp_path / "film.dcm")).film
    np.testing.assert_allclose(read.pixels, RAMP / 255, atol=1e-6)
    assert PADDED in read.warnings


@pytest.mark.parametrize(
    "excess",
    [b"\0\1", bytes(ROWS + 2), bytes(COLUMNS), b"\7" * COLUMNS, bytes(ROWS * COLUMNS), RAMP.tobytes()],
    ids=["not nothing", "more than a column", "a row", "a row of something", "another image", "again"],
)
def test_kind_11_more_than_the_image_is_a_failed_film(
    make_film: MakeFilm, tmp_path: Path, excess: bytes
) -> None:
    film = make_film()
    film.PixelData += excess
    is_refused(save(film, tmp_path / "film.dcm"), "bytes of pixels where its image takes 6144")


def test_kind_11_an_image_with_one_more_column_is_not_sheared(make_film: MakeFilm, tmp_path: Path) -> None:
    """The last column's worth of a black background is zeros, too; the rows tell that they do not fit."""
    rng = np.random.default_rng(3)
    true = np.cumsum(rng.integers(0, 5, (64, 65)), axis=1).astype(np.uint8)
    true[-2:] = 0
    film = make_film(np.ascontiguousarray(true[:, :64]))
    film.PixelData = true.tobytes()
    is_refused(save(film, tmp_path / "film.dcm"), "bytes of pixels where its image takes 4096")


@pytest.mark.parametrize("frames", [None, "2\\2", "1"], ids=["not stated", "two values", "one"])
@pytest.mark.parametrize("padding", [b"", b"\0\0"], ids=["", "padded"])
@pytest.mark.parametrize(
    "syntax", [JPEGBaseline8Bit, JPEGLSLossless, JPEG2000Lossless], ids=lambda uid: uid.name
)
def test_kind_11_of_several_images_the_first_is_not_taken_for_all(
    make_film: MakeFilm, tmp_path: Path, syntax: str, padding: bytes, frames: str | None
) -> None:
    stream = jpeg(RAMP) if syntax == JPEGBaseline8Bit else codestream(make_film, syntax)
    film = make_film(RAMP)
    if frames is not None:
        film.NumberOfFrames = frames.split("\\")
    path = tmp_path / "film.dcm"
    why = "several compressed images|[Ff]rames"
    is_refused(with_fragments(film, path, syntax, stream + padding, stream), why)


def test_kind_11_a_jpeg_image_that_is_cut_short_and_closed_is_not_gray(
    make_film: MakeFilm, tmp_path: Path
) -> None:
    """A decoder fills what is missing with mid-gray, and finds nothing wrong."""
    noise = np.random.default_rng(1).integers(0, 255, RAMP.shape).astype(np.uint8)
    stream = jpeg(noise)
    for part in (0.5, 0.9):
        cut = stream[: int(len(stream) * part)] + b"\xff\xd9"
        path = tmp_path / "film.dcm"
        is_refused(
            with_fragments(make_film(noise), path, JPEGBaseline8Bit, cut), "cut short|cannot be decoded"
        )


@pytest.mark.parametrize("missing", [1, 2, 1000])
def test_kind_11_fewer_are_cut_short(make_film: MakeFilm, tmp_path: Path, missing: int) -> None:
    film = make_film()
    film.PixelData = film.PixelData[:-missing] + bytes(missing % 2)
    path = save(film, tmp_path / "film.dcm")
    if missing == 1:  # padded to an even number: nothing shows it
        assert read_film(path).film.shape == (ROWS, COLUMNS)
    else:
        is_refused(path, "cut short")


def test_kind_11_an_odd_number_of_bytes_is_padded_to_an_even_one(make_film: MakeFilm, tmp_path: Path) -> None:
    odd = np.ascontiguousarray(np.pad(RAMP, ((0, 1), (0, 1)), mode="edge"))
    film = make_film(odd)
    film.PixelData = odd.tobytes() + b"\0"
    read = read_film(save(film, tmp_path / "film.dcm")).film
    np.testing.assert_allclose(read.pixels, odd / 255, atol=1e-6)
    assert PADDED not in read.warnings


def test_kind_11_depth_that_is_not_the_pixels(make_film: MakeFilm, tmp_path: Path) -> None:
    film = make_film(RAMP.astype(np.uint16), BitsStored=12)
    film.BitsAllocated = film.BitsStored = 8
    film.HighBit = 7
    is_refused(save(film, tmp_path / "film.dcm"), "another size or depth")


def test_kind_11_bits_above_bits_stored_are_no_tissue(make_film: MakeFilm, tmp_path: Path) -> None:
    """An overlay in the high bits (retired, but in old films), and what a sign leaves there."""
    stored = RAMP.astype(np.uint16) * 16
    overlay = np.where(RAMP % 7 == 0, 0x8000, 0).astype(np.uint16)
    full = {"BitsStored": 12, "WindowCenter": 2048, "WindowWidth": 4096}
    path = save(make_film(stored | overlay, **full), tmp_path / "film.dcm")
    np.testing.assert_allclose(read_film(path).film.pixels, stored / 4095, atol=1e-6)
    signed = stored.astype(np.int16) - 2048
    low = (signed & 0x0FFF).astype(np.int16)  # the sign is bit 11, and not repeated above it
    path = save(make_film(low, **(full | {"WindowCenter": 0})), path)
    np.testing.assert_allclose(read_film(path).film.pixels, stored / 4095, atol=1e-6)


def test_kind_11_padding_is_found_by_all_its_bits(make_film: MakeFilm, tmp_path: Path) -> None:
    stored = RAMP.astype(np.uint16) * 16
    stored[:, :10] = 0xFFFF
    film = make_film(stored, BitsStored=12, WindowCenter=2048, WindowWidth=4096)
    film.PixelPaddingValue = 0xFFFF
    film["PixelPaddingValue"].VR = "US"
    read = read_film(save(film, tmp_path / "film.dcm")).film
    assert read.pixels[:, :10].max() == 0
    np.testing.assert_allclose(read.pixels[:, 10:], stored[:, 10:] / 4095, atol=1e-6)


def test_kind_11_bytes_in_big_endian_words(make_film: MakeFilm, tmp_path: Path) -> None:
    film = make_film(RAMP.view(">u2").astype("<u2").view(np.uint8))
    film["PixelData"].VR = "OW"
    film.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    pydicom.dcmwrite(tmp_path / "film.dcm", film, implicit_vr=False, little_endian=False)
    np.testing.assert_allclose(read_film(tmp_path / "film.dcm").film.pixels, RAMP / 255, atol=1e-6)


# Kind 11: RLE


def rle(*segments: bytes, count: int | None = None, offsets: tuple[int, ...] | None = None) -> bytes:
    if offsets is None:
        offsets = tuple(64 + sum(map(len, segments[:number])) for number in range(len(segments)))
    padded = (*offsets, *[0] * (15 - len(offsets)))
    return struct.pack("<16L", len(segments) if count is None else count, *padded) + b"".join(segments)


def literal(values: bytes) -> bytes:
    pieces = [values[at : at + 128] for at in range(0, len(values), 128)]
    return b"".join(bytes([len(piece) - 1]) + piece for piece in pieces)


FLAT = literal(RAMP.tobytes())


@pytest.mark.parametrize(
    "frame",
    [
        rle(FLAT[: len(FLAT) // 2]),
        rle(FLAT + literal(b"more!")),
        rle(FLAT, FLAT),
        rle(FLAT, count=0),
        rle(FLAT, count=16),
        rle(FLAT, offsets=(0,)),
        rle(FLAT, offsets=(66,)),
        rle(FLAT, offsets=(1 << 31,)),
        rle(FLAT[:-1]),
        rle(b"\x81\x07" * 5000),
        b"",
        b"\1\0\0\0",
    ],
    ids=[
        "half",
        "more",
        "two segments",
        "none",
        "16",
        "at 0",
        "at 66",
        "far",
        "cut",
        "long",
        "empty",
        "short",
    ],
)
def test_kind_11_damaged_rle_is_a_failed_film(make_film: MakeFilm, tmp_path: Path, frame: bytes) -> None:
    is_refused(with_fragments(make_film(), tmp_path / "film.dcm", RLELossless, frame), "damaged|segments")


def test_kind_11_rle_segments_of_16_bits_may_not_share_bytes(make_film: MakeFilm, tmp_path: Path) -> None:
    film = make_film(RAMP.astype(np.uint16), BitsStored=16)
    for frame in (rle(FLAT, FLAT, offsets=(64, 64)), rle(FLAT, FLAT, offsets=(64, 66)), rle(FLAT)):
        is_refused(with_fragments(film, tmp_path / "film.dcm", RLELossless, frame), "damaged|segments")


def test_kind_11_rle_with_padding_and_no_operations_is_read(make_film: MakeFilm, tmp_path: Path) -> None:
    path = with_fragments(make_film(), tmp_path / "film.dcm", RLELossless, rle(b"\x80" + FLAT + b"\0"))
    np.testing.assert_allclose(read_film(path).film.pixels, RAMP / 255, atol=1e-6)


@pytest.mark.parametrize(("at", "value"), [(6, 2), (23, 128)], ids=["precision", "NEAR"])
def test_kind_14_a_decoder_that_does_not_come_to_an_end_is_ended(
    make_film: MakeFilm, tmp_path: Path, at: int, value: int
) -> None:
    """CharLS goes on for minutes where the parameters of the coding are not the image's."""
    noise = np.random.default_rng(1).integers(0, 4000, (375, 375)).astype(np.uint16)
    pixels = np.kron(noise, np.ones((4, 4), np.uint16))
    stream = bytearray(codestream(make_film, JPEGLSLossless, pixels, BitsStored=12))
    stream[at] = value
    film = make_film(pixels, BitsStored=12, ImagerPixelSpacing=[0.2, 0.2])
    path = with_fragments(film, tmp_path / "film.dcm", JPEGLSLossless, bytes(stream))
    before = processor_seconds_of_children()
    is_refused(path, "cannot be decoded")
    assert processor_seconds_of_children() - before < 7


def processor_seconds_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
