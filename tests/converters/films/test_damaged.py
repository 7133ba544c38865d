"""Damaged files end in a line for the user, never in another exception, a hang or much memory."""

from __future__ import annotations

import io
import struct
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import FileDataset
from pydicom.uid import ImplicitVRLittleEndian, JPEG2000Lossless, JPEGLSLossless, RLELossless

from bcd_model.errors import FilmError, InputError
from converters.dicom.file import read_dicom
from converters.films.read import read_film
from converters.films.studies import find_studies

MakeFilm = Callable[..., FileDataset]

SYNTAXES = {"raw": None, "rle": RLELossless, "jpeg-ls": JPEGLSLossless, "jpeg 2000": JPEG2000Lossless}
SEQUENCE_DELIMITER = b"\xfe\xff\xdd\xe0\0\0\0\0"  # (FFFE,E0DD), PS3.5 A.4
END_MARKER = b"\xff\xd9"
FEW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(params=SYNTAXES)
def whole(request: pytest.FixtureRequest, make_film: MakeFilm) -> bytes:
    pytest.importorskip({"jpeg-ls": "jpeg_ls", "jpeg 2000": "openjpeg"}.get(request.param, "numpy"))
    film = make_film(np.add.outer(np.arange(64), np.arange(96)).astype(np.uint8))
    if SYNTAXES[request.param]:
        film.compress(SYNTAXES[request.param], generate_instance_uid=False)
    file = io.BytesIO()
    film.save_as(file, enforce_file_format=True)
    return file.getvalue()


@contextmanager
def memory_below(most: int) -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < most


def is_read_or_refused(path: Path) -> None:
    for read in (lambda: read_film(path), lambda: find_studies([path])):
        try:
            read()
        except (FilmError, InputError) as error:
            assert "\n" not in str(error)
            assert "Secretive" not in str(error)


@FEW
@given(share=st.floats(0, 1))
def test_cut_off_anywhere(whole: bytes, tmp_path: Path, share: float) -> None:
    path = tmp_path / "film.dcm"
    left = whole[: int(share * (len(whole) - 1))]
    path.write_bytes(left)
    pixels = whole.removesuffix(SEQUENCE_DELIMITER)
    if pixels.rstrip(b"\0").endswith(END_MARKER):
        pixels = pixels.rstrip(b"\0")
    if left.startswith(pixels):
        read_film(path)  # every pixel is there; some writers forget the delimiter
        return
    with pytest.raises(FilmError):
        read_film(path)
    is_read_or_refused(path)


@pytest.mark.slow
@settings(FEW, max_examples=30)  # the fuzzer changes more, and more cleverly
@given(changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=8))
def test_bytes_changed_anywhere(whole: bytes, tmp_path: Path, changes: list[tuple[float, int]]) -> None:
    data = bytearray(whole)
    for share, value in changes:
        # Half of them within the data elements, where most can go wrong.
        at = int(2 * share * 1400) if share < 0.5 else int((2 * share - 1) * len(data))
        data[min(at, len(data) - 1)] = value
    path = tmp_path / "film.dcm"
    path.write_bytes(data)
    is_read_or_refused(path)


@pytest.mark.parametrize("keyword", ["Rows", "Columns"])
def test_a_size_that_is_not_there_takes_no_memory(make_film: MakeFilm, tmp_path: Path, keyword: str) -> None:
    path = tmp_path / "film.dcm"
    make_film(**{keyword: 65535}).save_as(path, enforce_file_format=True)
    with memory_below(5 << 20), pytest.raises(FilmError, match="cut short"):
        read_film(path)


def test_an_element_that_claims_4_gb_takes_no_memory(make_film: MakeFilm, tmp_path: Path) -> None:
    path = tmp_path / "film.dcm"
    film = make_film()
    film.add_new(0x00091010, "OB", b"mark" * 4)
    film.save_as(path, enforce_file_format=True)
    data = path.read_bytes()
    at = data.index(b"markmark") - 4
    path.write_bytes(data[:at] + b"\xf0\xff\xff\xff" + data[at + 4 :])
    with memory_below(5 << 20), pytest.raises(FilmError):
        read_film(path)


EMPTY_ITEM = struct.pack("<HHL", 0xFFFE, 0xE000, 0)
PIXEL_DATA = struct.pack("<HH", 0x7FE0, 0x0010)
VIEW, PRIVATE = (0x0054, 0x0220), (0x0009, 0x1000)


def with_elements(film: FileDataset, path: Path, elements: bytes, *, before: bytes = PIXEL_DATA) -> Path:
    """``film`` in a file that has ``elements`` before the first that starts like ``before``."""
    film.save_as(path, enforce_file_format=True)
    data = path.read_bytes()
    at = data.index(before)
    path.write_bytes(data[:at] + elements + data[at:])
    return path


def element(tag: tuple[int, int], vr: str | None, value: bytes) -> bytes:
    """A data element (PS3.5 7.1.2); in implicit VR if ``vr`` is None."""
    if vr is None:
        return struct.pack("<HHL", *tag, len(value)) + value
    return struct.pack("<HH2sHL", *tag, vr.encode(), 0, len(value)) + value


@pytest.mark.parametrize(
    ("vr", "tag"),
    [("SQ", VIEW), ("UN", VIEW), (None, VIEW), ("SQ", PRIVATE), ("UN", PRIVATE), (None, PRIVATE)],
)
def test_a_sequence_of_nothing_but_items_takes_no_memory(
    make_film: MakeFilm, tmp_path: Path, vr: str | None, tag: tuple[int, int]
) -> None:
    """Each item of 8 bytes would become an object of 700. A film is refused for one that is read alone."""
    film = make_film()
    if vr is None:
        film.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    path = with_elements(film, tmp_path / "film.dcm", element(tag, vr, EMPTY_ITEM * (1 << 18)))
    with memory_below(20 << 20):
        if tag == PRIVATE:
            read_film(path)
        else:
            with pytest.raises(FilmError, match="View Code Sequence has more than 64 items"):
                read_film(path)
    is_read_or_refused(path)


def test_many_sequences_of_items_are_no_better_than_one(make_film: MakeFilm, tmp_path: Path) -> None:
    half = EMPTY_ITEM * (1 << 16)
    sequences = b"".join(element((0x0009, 0x1000 + number), "SQ", half) for number in range(12))
    path = with_elements(make_film(), tmp_path / "film.dcm", sequences)
    with memory_below(2 << 20):
        assert read_dicom(path).header.Modality == "MG"


def test_a_header_of_more_elements_than_one_has_is_refused(make_film: MakeFilm, tmp_path: Path) -> None:
    empty = struct.pack("<HH2sH", 0x0054, 0x0011, b"US", 0) * (1 << 18)
    undefined = struct.pack("<HH2sHL", 0x0054, 0x0220, b"SQ", 0, 0xFFFFFFFF) + EMPTY_ITEM * (1 << 18)
    in_meta = struct.pack("<HH2sH", 0x0002, 0x0013, b"SH", 0) * (1 << 18)
    meta = struct.pack("<HH2s", 0x0002, 0x0002, b"UI")
    for number, (elements, before) in enumerate(
        [(empty, PIXEL_DATA), (undefined, PIXEL_DATA), (in_meta, meta)]
    ):
        path = with_elements(make_film(), tmp_path / f"{number}.dcm", elements, before=before)
        with pytest.raises(FilmError, match=r"more than (65536 data elements|64 items)"):
            read_film(path)
        is_read_or_refused(path)


def test_compressed_pixels_of_nothing_but_empty_fragments_are_refused(
    make_film: MakeFilm, tmp_path: Path
) -> None:
    film = make_film()
    film.compress(RLELossless, generate_instance_uid=False)
    offsets = struct.pack("<HHL", 0xFFFE, 0xE000, 4)  # the first item, of one frame (PS3.5 A.4)
    path = with_elements(film, tmp_path / "film.dcm", EMPTY_ITEM * (1 << 18), before=offsets)
    with pytest.raises(FilmError, match="more fragments"):
        read_film(path)


@pytest.mark.parametrize("vr", ["OW", None])
@pytest.mark.parametrize("tag", [(0x6000, 0x3000), (0x0009, 0x1001)])
def test_a_large_element_that_is_not_needed_is_passed_over(
    make_film: MakeFilm, tmp_path: Path, vr: str | None, tag: tuple[int, int]
) -> None:
    """Overlays and private groups of tens of MB are legitimate, and no part of what is read."""
    film = make_film()
    if vr is None:
        film.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    path = with_elements(film, tmp_path / "film.dcm", element(tag, vr, bytes(40 << 20)))
    with memory_below(2 << 20):
        assert tag not in read_dicom(path).header
    assert read_film(path).film.shape == (64, 96)
