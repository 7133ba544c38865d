"""PGM in and out, against Pillow where Pillow is right."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from bcd_model.errors import FilmError, OutputError
from converters.mias.pgm import read_graymap, read_size, write_pgm

in_folder = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
white_space = st.text(" \t\n\r\v\f", min_size=1, max_size=3)
comments = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=12).map(lambda t: f"#{t}\n")
separators = st.one_of(
    white_space, st.tuples(white_space, comments, st.just(" ")).map("".join), comments.map(lambda c: " " + c)
)


@st.composite
def graymaps(draw: st.DrawFn) -> tuple[npt.NDArray[np.uint16], int]:
    """Pixels and a maxval that they respect."""
    maxval = draw(st.one_of(st.sampled_from([1, 200, 255, 256, 1023, 4095, 65535]), st.integers(1, 65535)))
    rows, columns = draw(st.integers(1, 7)), draw(st.integers(1, 7))
    values = st.lists(st.integers(0, maxval), min_size=rows * columns, max_size=rows * columns)
    return np.array(draw(values), dtype=np.uint16).reshape(rows, columns), maxval


def plain(pixels: npt.NDArray[np.uint16], maxval: int) -> bytes:
    rows, columns = pixels.shape
    return f"P2 {columns} {rows} {maxval}\n{' '.join(map(str, pixels.ravel()))}\n".encode()


@in_folder
@given(graymap=graymaps())
def test_what_is_written_is_read_back(tmp_path: Path, graymap: tuple[npt.NDArray[np.uint16], int]) -> None:
    pixels, maxval = graymap
    path = tmp_path / "film.pgm"
    write_pgm(path, pixels, maxval)
    back = read_graymap(path)
    assert back.maxval == maxval
    assert back.pixels.dtype == (np.uint8 if maxval <= 255 else np.uint16)
    np.testing.assert_array_equal(back.pixels, pixels)
    assert read_size(path) == pixels.shape


@in_folder
@given(graymap=graymaps(), parts=st.lists(separators, min_size=3, max_size=3), binary=st.booleans())
def test_comments_and_white_space_in_the_header(
    tmp_path: Path, graymap: tuple[npt.NDArray[np.uint16], int], parts: list[str], binary: bool
) -> None:
    pixels, maxval = graymap
    rows, columns = pixels.shape
    header = f"P{5 if binary else 2}{parts[0]}{columns}{parts[1]}{rows}{parts[2]}{maxval}\n".encode()
    body = pixels.astype(np.uint8 if maxval <= 255 else ">u2").tobytes()
    path = tmp_path / "film.pgm"
    path.write_bytes(header + (body if binary else b" ".join(b"%d" % value for value in pixels.ravel())))
    np.testing.assert_array_equal(read_graymap(path).pixels, pixels)


@in_folder
@given(
    graymap=graymaps().filter(lambda g: g[1] in (255, 65535)), binary=st.booleans()
)  # Pillow rescales every other maxval
def test_as_pillow_reads_it(
    tmp_path: Path, graymap: tuple[npt.NDArray[np.uint16], int], binary: bool
) -> None:
    pixels, maxval = graymap
    path = tmp_path / "film.pgm"
    if binary:
        write_pgm(path, pixels, maxval)
    else:
        path.write_bytes(plain(pixels, maxval))
    with Image.open(path) as image:
        np.testing.assert_array_equal(read_graymap(path).pixels, np.asarray(image))


def test_as_pillow_writes_it(tmp_path: Path) -> None:
    pixels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    Image.fromarray(pixels).save(tmp_path / "film.pgm")
    np.testing.assert_array_equal(read_graymap(tmp_path / "film.pgm").pixels, pixels)


def test_pillow_reads_what_is_written(tmp_path: Path) -> None:
    pixels = np.array([[0, 1, 256], [4660, 65534, 65535]], dtype=np.uint16)
    write_pgm(tmp_path / "film.pgm", pixels)
    with Image.open(io.BytesIO((tmp_path / "film.pgm").read_bytes())) as image:
        np.testing.assert_array_equal(np.asarray(image), pixels)


def test_first_pixels_that_look_like_white_space_or_a_comment(tmp_path: Path) -> None:
    path = tmp_path / "film.pgm"
    path.write_bytes(b"P5 3 1 255\n\n# ")
    np.testing.assert_array_equal(read_graymap(path).pixels, [[10, 35, 32]])


def test_comment_right_behind_maxval(tmp_path: Path) -> None:
    path = tmp_path / "film.pgm"
    path.write_bytes(b"P5 2 1 255# made by hand\n\x07\x08")
    np.testing.assert_array_equal(read_graymap(path).pixels, [[7, 8]])


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "not a PGM"),
        (b"P6 1 1 255\nabc", "not a PGM"),
        (b"\x89PNG\r\n\x1a\n", "not a PGM"),
        (b"P5", "header"),
        (b"P51 1 255\nx", "header"),
        (b"P5 2 2", "header"),
        (b"P5 2 2 255", "header"),
        (b"P5 -2 2 255\nabcd", "header"),
        (b"P5 2 x 255\nabcd", "header"),
        (b"P5 2 2 255abcd", "header"),
        (b"P5 " + b"9" * 5000 + b" 2 255\nabcd", "header"),
        (b"P5 0 2 255\n", "0 x 2 pixels"),
        (b"P5 70000 1 255\n", "70000 x 1 pixels"),
        (b"P5 2 2 0\n\0\0\0\0", "maxval of 0"),
        (b"P5 2 2 65536\n" + bytes(8), "maxval of 65536"),
        (b"P5 2 2 255\nabc", "cut off"),
        (b"P5 2 2 1000\n\0\1\0\1\0\1\0", "cut off"),
        (b"P5 65535 65535 65535\nabc", "cut off"),
        (b"P2 65535 65535 65535\n1 2 3", "cut off"),
        (b"P5 2 2 255\nabcde", "after its last pixel"),
        (b"P2 2 1 255\n1 2 3", "after its last pixel"),
        (b"P2 2 1 255\n1", "cut off"),
        (b"P2 2 1 255\n1 -2", "other than numbers"),
        (b"P2 2 1 255\n1 2.5", "other than numbers"),
        (b"P2 2 1 255\n1 " + b"9" * 10000, "other than numbers"),
        (b"P2 2 1 255\n1 256", "value 256, above its maxval 255"),
        (b"P5 2 1 100\n\x10\x65", "value 101, above its maxval 100"),
        (b"P5 1 1 1000\n\xff\xff", "value 65535, above its maxval 1000"),
    ],
)
def test_a_lying_file_is_refused_by_name(tmp_path: Path, content: bytes, complaint: str) -> None:
    path = tmp_path / "mdb001.pgm"
    path.write_bytes(content)
    with pytest.raises(FilmError, match=complaint) as caught:
        read_graymap(path)
    assert str(path) in str(caught.value)
    assert caught.value.reason.remedy
    assert "\n" not in str(caught.value)


@in_folder
@given(content=st.binary(max_size=60), magic=st.sampled_from([b"P2", b"P5", b"P5 2 2 255\n", b"P2 2 1 9\n"]))
def test_any_bytes_are_a_film_or_a_film_error(tmp_path: Path, content: bytes, magic: bytes) -> None:
    path = tmp_path / "film.pgm"
    path.write_bytes(magic + content)
    try:
        image = read_graymap(path)
    except FilmError:
        return
    assert int(image.pixels.max()) <= image.maxval


def test_missing_file_and_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "none.pgm", tmp_path):
        with pytest.raises(FilmError, match="cannot be read"):
            read_graymap(path)


@pytest.mark.parametrize(
    ("pixels", "maxval"),
    [
        (np.zeros((2, 2), np.float32), None),
        (np.zeros((2, 2, 3), np.uint8), None),
        (np.zeros((0, 2), np.uint8), None),
        (np.full((2, 2), 9, np.uint8), 8),
        (np.zeros((2, 2), np.uint16), 65536),
    ],
)
def test_what_is_no_graymap_is_not_written(
    tmp_path: Path, pixels: npt.NDArray[np.uint8], maxval: int | None
) -> None:
    with pytest.raises(ValueError, match=r"PGM|maxval"):
        write_pgm(tmp_path / "film.pgm", pixels, maxval)
    assert not list(tmp_path.iterdir())


def test_output_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="cannot be written"):
        write_pgm(tmp_path / "file" / "film.pgm", np.zeros((2, 2), np.uint8))
