"""Damaged files end in a line for the user, never in another exception, a hang or much memory."""

from __future__ import annotations

import io
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import FileDataset
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless

from bcd_model.errors import FilmError, InputError
from converters.dicom_in import read_film
from converters.studies import find_studies

MakeFilm = Callable[..., FileDataset]

SYNTAXES = {"raw": None, "rle": RLELossless, "jpeg-ls": JPEGLSLossless, "jpeg 2000": JPEG2000Lossless}
SEQUENCE_DELIMITER = b"\xfe\xff\xdd\xe0\0\0\0\0"  # (FFFE,E0DD), PS3.5 A.4
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
    if left == whole.removesuffix(SEQUENCE_DELIMITER):
        read_film(path)  # every pixel is there; some writers forget the delimiter
        return
    with pytest.raises(FilmError):
        read_film(path)
    is_read_or_refused(path)


@FEW
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
    tracemalloc.start()
    with pytest.raises(FilmError, match="cut short"):
        read_film(path)
    assert tracemalloc.get_traced_memory()[1] < 5 << 20
    tracemalloc.stop()


def test_an_element_that_claims_4_gb_takes_no_memory(make_film: MakeFilm, tmp_path: Path) -> None:
    path = tmp_path / "film.dcm"
    film = make_film()
    film.add_new(0x00091010, "OB", b"mark" * 4)
    film.save_as(path, enforce_file_format=True)
    data = path.read_bytes()
    at = data.index(b"markmark") - 4
    path.write_bytes(data[:at] + b"\xf0\xff\xff\xff" + data[at + 4 :])
    tracemalloc.start()
    with pytest.raises(FilmError):
        read_film(path)
    assert tracemalloc.get_traced_memory()[1] < 5 << 20
    tracemalloc.stop()
