"""Numbers and UIDs as they stand in files: what can be read is, and a reason or remark is true."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydicom.dataset import FileDataset
from pydicom.tag import Tag

from bcd_model.errors import InputError
from converters.dicom.bounds import MemoryStream
from converters.dicom.data_elements import parse
from converters.dicom.file import finite, numbers, states, uid, why_no_uid
from converters.dicom.values import number
from converters.films.read import read_film
from converters.films.studies import find_studies
from tests.support.odd_files import Label, as_file, one, written
from tests.support.reasons import said

MakeFilm = Callable[..., FileDataset]

SPACING = 0x00181164
UID_TAG = 0x00080018


def header_of(tag: int, vr: bytes, value: bytes):  # type: ignore[no-untyped-def]
    """The header of a file with one element, and the modality before it."""
    return parse(MemoryStream(as_file(one(tag, Label(vr), value)))).header


@st.composite
def forms(draw: st.DrawFn) -> tuple[float, str]:
    """A number, and a text that means it."""
    digits = draw(st.from_regex(r"[0-9]{1,6}([.][0-9]{0,6})?([eE][+-]?[0-9]{1,2})?", fullmatch=True))
    sign = draw(st.sampled_from(["", "+", "-"]))
    around = draw(st.tuples(*[st.text(" ", max_size=3)] * 2))
    padding = draw(st.sampled_from(["", "\0", "\0\0\0", " \0"]))
    shown = draw(st.sampled_from([digits, digits.replace(".", ",")]))
    return float(sign + digits), f"{around[0]}{sign}{shown}{around[1]}{padding}"


@given(st.lists(forms(), min_size=1, max_size=4), st.sampled_from([b"DS", b"LO", b"UT", b"UN", b"OB", b"CS"]))
def test_every_text_of_a_number_is_that_number(found: list[tuple[float, str]], vr: bytes) -> None:
    value = "\\".join(text for _, text in found).encode()
    header = header_of(SPACING, vr, value)
    assert numbers(header, "ImagerPixelSpacing") == pytest.approx(tuple(number for number, _ in found))


@given(st.text(st.characters(codec="latin-1"), max_size=24))
@example("1_000")
@example("0x10")
@example("inf")
@example("nan")
@example("1e999")
@example("1,5,5")
@example("1.5,5")
@example("0.143 mm")
@example("²")
def test_what_is_no_number_is_left_out_and_still_stated(text: str) -> None:
    header = header_of(SPACING, b"DS", text.encode("latin-1"))
    parts = [part.lstrip(" \0\t\r\n").partition("\0")[0].strip(" \t\r\n") for part in text.split("\\")]
    right = re.compile(r"[+-]?([0-9]+[.,]?[0-9]*|[.,][0-9]+)([eE][+-]?[0-9]+)?")
    expected = [float(part.replace(",", ".")) for part in parts if right.fullmatch(part)]
    assert numbers(header, "ImagerPixelSpacing") == pytest.approx(
        [each for each in expected if math.isfinite(each)]
    )
    if expected:
        assert states(header, "ImagerPixelSpacing")


@given(st.one_of(st.text(max_size=9), st.binary(max_size=9), st.none(), st.floats(), st.integers()))
def test_any_value_is_a_finite_number_or_none(value: object) -> None:
    found = finite(value)
    assert found is None or math.isfinite(found)


def test_a_number_keeps_to_the_16_characters_of_a_decimal_string() -> None:
    found = number("1234,56789012345678901234")
    assert found == pytest.approx(1234.567890123456789)
    assert len(str(found)) <= 16


@given(st.text("0123456789. ab\0\\", max_size=80))
@example("1.2.3.")
@example(".1.2")
@example("1.02.003\0")
@example("\\1.2.3")
@example("1" + ".2" * 32)
@example("1" + ".2" * 31 + "\0")
def test_a_uid_is_one_or_there_is_a_true_reason(text: str) -> None:
    header = header_of(UID_TAG, b"UI", text.encode())
    values = [value.strip(" \0") for value in text.rstrip(" \0").split("\\")]
    good = [value for value in values if re.fullmatch(r"[0-9]+(\.[0-9]+)+", value) and len(value) <= 64]
    assert uid(header, "SOPInstanceUID") == (good[0] if good else None)
    why = said(why_no_uid(header, "SOPInstanceUID"))
    stated = next(filter(None, values), "")
    if good:
        assert why is None
    elif not stated:
        assert why == "states no SOP Instance UID"
    elif len(stated) > 64:
        assert why == "its SOP Instance UID is longer than 64 characters; export it with a valid one"
    else:
        assert (
            why
            == "its SOP Instance UID is malformed: not digits between single dots; export it with a valid one"
        )


# Remarks


def warnings(make_film: MakeFilm, path: Path, changed: dict[str, bytes], **more: object) -> tuple[str, ...]:
    stored = (np.add.outer(np.arange(64), np.arange(96)) * 25).astype(np.uint16)
    film = make_film(stored, BitsStored=12, WindowCenter=2000, WindowWidth=4000, **more)
    path.write_bytes(
        as_file(written(film, values={Tag(keyword): value for keyword, value in changed.items()}))
    )
    return read_film(path).film.warnings


@pytest.mark.parametrize(
    ("changed", "remark"),
    [
        ({"ImagerPixelSpacing": b"1,0\\1,0"}, "Imager Pixel Spacing: decimal commas, read as decimal points"),
        (
            {"WindowCenter": b"2000,5", "WindowWidth": b"4000,0"},
            "Window Center and Window Width: decimal commas, read as decimal points",
        ),
        ({"WindowCenter": b"2000\\x"}, "Window Center: a value could not be read and was left out"),
        ({"NumberOfFrames": b"0 "}, "Number of Frames is 0: taken for one"),
        (
            {"EstimatedRadiographicMagnificationFactor": b"abc"},
            "Estimated Radiographic Magnification Factor could not be read: not a number",
        ),
        ({"PixelPaddingValue": b"x"}, "Pixel Padding Value could not be read: not a number"),
    ],
)
def test_what_is_odd_about_a_number_is_remarked_on(
    make_film: MakeFilm, tmp_path: Path, changed: dict[str, bytes], remark: str
) -> None:
    more = {"NumberOfFrames": 1, "EstimatedRadiographicMagnificationFactor": 1, "PixelPaddingValue": 0}
    plain = warnings(make_film, tmp_path / "film.dcm", {}, **more)
    odd = warnings(make_film, tmp_path / "film.dcm", changed, **more)
    assert set(odd) - set(plain) == {remark}


def test_a_spacing_that_is_there_and_cannot_be_read_is_not_said_to_be_missing(
    make_film: MakeFilm, tmp_path: Path
) -> None:
    found = warnings(make_film, tmp_path / "film.dcm", {"ImagerPixelSpacing": b"one\\one"})
    assert "Imager Pixel Spacing could not be read: not a number" in found
    (assumed,) = (remark for remark in found if "assumed" in remark)
    assert assumed.startswith("unreadable pixel spacing in the file: 2.5 mm assumed")


def test_a_window_in_two_halves_is_not_said_to_be_missing(make_film: MakeFilm, tmp_path: Path) -> None:
    changed = {"WindowCenter": b"2000\\", "WindowWidth": b"\\4000"}
    found = warnings(make_film, tmp_path / "film.dcm", changed)
    assert any("its Center and Width are no pair of numbers" in remark for remark in found)
    assert not any("no window in the file" in remark for remark in found)


# Reasons: that of a thing that is there and odd is another than that of a thing that is not there


@pytest.mark.parametrize(
    "keyword", ["Rows", "Columns", "SamplesPerPixel", "BitsAllocated", "BitsStored", "PixelRepresentation"]
)
def test_a_number_that_pixels_need_is_missing_or_could_not_be_read(
    make_film: MakeFilm, tmp_path: Path, keyword: str
) -> None:
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", keyword).replace(" Per ", " per ")
    for value, reason in ((b"", f"states no {name}"), (b"many", f"its {name} could not be read")):
        labels = {Tag(keyword): Label(b"LO")}
        path = tmp_path / "film.dcm"
        path.write_bytes(as_file(written(make_film(), labels, {Tag(keyword): value})))
        (film,) = find_studies([path]).studies[0].films
        assert said(film.reason) == reason


def test_a_for_processing_film_with_a_window_that_is_none_has_none_that_can_be_used(
    make_film: MakeFilm, tmp_path: Path
) -> None:
    film = make_film(PresentationIntentType="FOR PROCESSING")
    path = tmp_path / "film.dcm"
    path.write_bytes(as_file(written(film, values={0x00281050: b"abc"})))
    (found,) = find_studies([path]).studies[0].films
    assert said(found.reason) == (
        "For Processing, without a window or VOI LUT that can be used; send the For Presentation image"
    )


@pytest.mark.parametrize(
    ("value", "what"),
    [
        (b"", "states no Series Instance UID"),
        (b"1.2.x", "its Series Instance UID is malformed: not digits between single dots"),
        (b"1." * 40 + b"1", "its Series Instance UID is longer than 64 characters"),
    ],
)
def test_a_film_that_no_object_can_point_to_says_so(
    make_film: MakeFilm, tmp_path: Path, value: bytes, what: str
) -> None:
    found = warnings(make_film, tmp_path / "film.dcm", {"SeriesInstanceUID": value})
    assert f"{what}: no DICOM object of the result can point to the film" in found


def test_a_mammogram_without_a_uid_is_not_said_to_be_none(make_film: MakeFilm, tmp_path: Path) -> None:
    path = tmp_path / "film.dcm"
    path.write_bytes(as_file(written(make_film(), values={0x0020000D: b"b8d273e8601f"})))
    with pytest.raises(InputError) as caught:
        find_studies([tmp_path])
    assert "no mammogram that can be used among 1 file: its Study Instance UID is malformed" in str(
        caught.value
    )
