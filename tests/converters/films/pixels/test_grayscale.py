"""Stored values to [0, 1]; oracles: pydicom's own functions, dcmtk's dcm2pnm, and values by hand."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileDataset
from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut, apply_windowing

from bcd_model.errors import FilmError
from converters.films.pixels.grayscale import GrayscaleError, to_unit_range
from converters.films.pixels.windows import Window
from converters.films.read import read_film
from tests.support.gray_scales import FILM, WINDOW, header, lut, pixels

MakeFilm = Callable[..., FileDataset]
SaveFilm = Callable[..., Path]

RAMP = np.arange(256, dtype=np.uint8).reshape(16, 16)


def short_lut() -> Dataset:
    item = lut(0, [1, 2, 3], 8)
    item.LUTDescriptor = [200, 0, 8]
    return item


def test_8_bit_film_with_full_window_is_value_over_255_exactly() -> None:
    expected = (RAMP / 255).astype(np.float32)
    np.testing.assert_array_equal(pixels(RAMP, header(WindowCenter=128, WindowWidth=256)), expected)
    exact = header(WindowCenter=127.5, WindowWidth=255, VOILUTFunction="LINEAR_EXACT")
    np.testing.assert_array_equal(pixels(RAMP, exact), expected)


def test_8_bit_film_without_window_is_value_over_255_exactly() -> None:
    got = to_unit_range(RAMP[:8], header())  # not stretched although it has no value above 127
    np.testing.assert_array_equal(got.pixels, (RAMP[:8] / 255).astype(np.float32))
    assert got.warnings == ()


@given(
    bits=st.integers(8, 16),
    signed=st.sampled_from([0, 1]),
    function=st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID"]),
    center=st.floats(0.45, 0.55),
    width=st.floats(0.9, 2.0),
    slope=st.floats(0.25, 4).map(lambda value: round(value, 3)),
    intercept=st.integers(-1024, 1024),
)
def test_window_after_rescale_agrees_with_pydicom(
    bits: int, signed: int, function: str, center: float, width: float, slope: float, intercept: int
) -> None:
    low, span = -(1 << (bits - 1)) if signed else 0, (1 << bits) - 1
    dataset = header(bits, signed, VOILUTFunction=function, RescaleSlope=slope, RescaleIntercept=intercept)
    dataset.WindowCenter = round((low + center * span) * slope + intercept, 2)
    dataset.WindowWidth = round(width * span * slope, 2)
    dtype = f"{'i' if signed else 'u'}{1 if bits == 8 else 2}"
    stored = np.linspace(low, low + span, 64).astype(dtype).reshape(8, 8)
    with np.errstate(over="ignore"):  # pydicom's sigmoid
        shown = apply_windowing(apply_modality_lut(stored, dataset), dataset)
    expected = (shown - (low * slope + intercept)) / (span * slope)
    got = to_unit_range(stored, dataset)
    np.testing.assert_allclose(got.pixels, expected, atol=2e-6)
    assert got.warnings == ()


def test_first_of_several_windows() -> None:
    several = header(WindowCenter=[100, 128], WindowWidth=[200, 256])
    first = header(WindowCenter=100, WindowWidth=200)
    np.testing.assert_array_equal(pixels(RAMP, several), pixels(RAMP, first))


@given(first=st.integers(0, 60), power=st.floats(0.5, 2))
def test_voi_lut_comes_before_the_window_and_agrees_with_pydicom(first: int, power: float) -> None:
    entries = [int(4095 * (i / 199) ** power) for i in range(200)]
    dataset = header(WindowCenter=1, WindowWidth=2, VOILUTSequence=[lut(first, entries, 12)])
    stored = (RAMP % 200).astype(np.uint16)
    np.testing.assert_allclose(pixels(stored, dataset), apply_voi_lut(stored, dataset) / 4095, atol=1e-6)


def test_modality_lut_comes_before_the_window() -> None:
    dataset = header(WindowCenter=150.5, WindowWidth=101)
    dataset.ModalityLUTSequence = [lut(10, list(range(100, 201)), 8)]
    stored = np.array([range(0, 120)], dtype=np.uint8)
    expected = np.clip((stored.astype(float) - 10) / 100, 0, 1)
    np.testing.assert_allclose(pixels(stored, dataset), expected, atol=1e-6)


def test_lut_data_as_bytes_of_words() -> None:
    item = lut(0, [0] * 256, 16)
    item.add_new("LUTData", "OW", (RAMP.ravel().astype("<u2") * 257).tobytes())
    np.testing.assert_allclose(pixels(RAMP, header(VOILUTSequence=[item])), RAMP / 255, atol=1e-6)


@pytest.mark.parametrize(
    ("photometric", "shape"),
    [("MONOCHROME1", None), ("MONOCHROME2", "INVERSE"), ("MONOCHROME1", "INVERSE")],
)
def test_inversion_is_done_once_and_after_the_window(photometric: str, shape: str | None) -> None:
    dataset = header(WindowCenter=101, WindowWidth=201)
    dataset.PhotometricInterpretation = photometric
    if shape:
        dataset.PresentationLUTShape = shape
    expected = 1 - np.clip((RAMP - 0.5) / 200, 0, 1)
    np.testing.assert_allclose(pixels(RAMP, dataset), expected, atol=1e-6)


def test_deep_image_without_window_is_stretched_between_its_percentiles() -> None:
    stored = np.repeat(np.arange(1000, 2000, dtype=np.uint16), 10).reshape(100, 100)
    stored[0, 0] = 65535  # a single hot pixel
    got = to_unit_range(stored, header(16))
    assert got.pixels[50, 50] == pytest.approx((stored[50, 50] - 1000) / 999, abs=5e-3)
    assert got.pixels[0, 0] == 1
    assert any("no window" in warning for warning in got.warnings)


def test_negative_slope_without_window_keeps_the_order_of_the_output() -> None:
    dataset = header(8, RescaleSlope=-1, RescaleIntercept=255)
    np.testing.assert_allclose(pixels(RAMP, dataset), 1 - RAMP / 255, atol=1e-6)


@pytest.mark.parametrize(
    ("elements", "message"),
    [
        ({"ModalityLUTSequence": [Dataset()]}, "Modality LUT has a descriptor that could not be read"),
        ({"ModalityLUTSequence": [short_lut()]}, "Modality LUT has 3 of the 200 entries"),
    ],
)
def test_what_cannot_be_carried_out_is_named(elements: dict[str, object], message: str) -> None:
    with pytest.raises(GrayscaleError, match=message):
        to_unit_range(RAMP, header(**elements))


@pytest.mark.parametrize(
    ("elements", "message"),
    [
        ({"RescaleSlope": "1e308", "RescaleIntercept": 0}, "lead beyond all numbers"),
        ({"RescaleSlope": "-1e308", "RescaleIntercept": 0}, "lead beyond all numbers"),
        ({"RescaleSlope": 1, "RescaleIntercept": "1.5e308"}, "blank"),
        ({"RescaleSlope": "1e308", "RescaleIntercept": "-1e308"}, "lead beyond all numbers"),
        ({"RescaleSlope": "NaN", "RescaleIntercept": 0}, "Rescale Slope is not a finite number"),
        ({"RescaleSlope": 1, "RescaleIntercept": "inf"}, "Rescale Intercept is not a finite number"),
        ({"RescaleSlope": "1e400", "RescaleIntercept": 0}, "Rescale Slope is not a finite number"),
        (
            {"WindowCenter": "1e308", "WindowWidth": "1e-300", "VOILUTFunction": "LINEAR_EXACT"},
            "not a picture",
        ),
        ({"WindowCenter": 2000, "WindowWidth": "1e-300", "VOILUTFunction": "SIGMOID"}, "not a picture"),
        ({"WindowCenter": 2000, "WindowWidth": 1}, "not a picture"),
        ({"ModalityLUTSequence": [lut(0, [5, 5], 8)], **WINDOW}, "blank"),
    ],
)
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_kind_10_a_gray_scale_that_leaves_no_picture_is_a_failed_film(
    save_film: SaveFilm, elements: dict[str, object], message: str, photometric: str
) -> None:
    placeholders = {"WindowCenter": None, "WindowWidth": None, "PhotometricInterpretation": photometric}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's, of values that are no numbers
        path = save_film("film.dcm", FILM, BitsStored=12, **(placeholders | elements))
    with pytest.raises(FilmError, match=f"film.dcm: .*{message}"):
        read_film(path)


def test_a_small_breast_on_a_large_detector_is_a_picture(save_film: SaveFilm) -> None:
    pixels = np.zeros((1000, 800), np.uint16)
    pixels[400:500, 0:100] = FILM[:100, :100] + 500  # 1.3 % of the image
    path = save_film("film.dcm", pixels, BitsStored=12, WindowCenter=2048, WindowWidth=4096)
    assert read_film(path).film.pixels.max() > 0.5


@given(
    slope=st.floats(),
    intercept=st.floats(),
    center=st.floats(),
    width=st.floats(),
    function=st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID"]),
    photometric=st.sampled_from(["MONOCHROME1", "MONOCHROME2"]),
    window=st.booleans(),
)
def test_kind_10_pixels_are_finite_and_between_0_and_1_or_there_are_none(
    slope: float, intercept: float, center: float, width: float, function: str, photometric: str, window: bool
) -> None:
    dataset = header(12)
    dataset.PhotometricInterpretation = photometric
    found = {"RescaleSlope": slope, "RescaleIntercept": intercept}
    if window:
        found |= {"WindowCenter": center, "WindowWidth": width}
        dataset.VOILUTFunction = function
    for keyword, value in found.items():
        dataset.add(DataElement(keyword, "DS", value, already_converted=True))
    try:
        got = pixels(FILM[:64, :64], dataset)
    except GrayscaleError:
        return
    assert np.isfinite(got).all()
    assert got.min() >= 0
    assert got.max() <= 1
    assert got.max() - got.min() > 0.003


@given(
    low=st.integers(0, 1500),
    span=st.integers(1500, 4000),
    function=st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID"]),
    shift=st.integers(-5000, 5000),
    factor=st.sampled_from([0.25, 0.5, 2.0, 8.0]),
)
def test_what_a_gray_scale_must_be(low: int, span: int, function: str, shift: int, factor: float) -> None:
    """Monotone; the inverse of its inverse; and the same in other units."""
    elements = {"WindowCenter": low + span / 2, "WindowWidth": span, "VOILUTFunction": function}
    plain = to_unit_range(FILM, header(12, **elements))
    assume(plain.transformations.voi == Window(low + span / 2, span, function))
    rising = plain.pixels.ravel()[np.argsort(FILM, axis=None)]
    assert (np.diff(rising) >= 0).all()
    inverse = to_unit_range(FILM, header(12, PresentationLUTShape="INVERSE", **elements))
    if inverse.transformations.voi == plain.transformations.voi:
        np.testing.assert_allclose(inverse.pixels, 1 - plain.pixels, atol=1e-6)
    elements["WindowCenter"] = low + span / 2 + shift
    moved = pixels(FILM, header(12, RescaleSlope=1, RescaleIntercept=shift, **elements))
    np.testing.assert_allclose(moved, plain.pixels, atol=1e-5)
    elements |= {"WindowCenter": (low + span / 2) * factor, "WindowWidth": span * factor}
    if function != "LINEAR":  # which shifts by half a gray value, of whatever unit
        scaled = pixels(FILM, header(12, RescaleSlope=factor, RescaleIntercept=0, **elements))
        np.testing.assert_allclose(scaled, plain.pixels, atol=1e-5)


def test_a_rescale_slope_of_0_is_none() -> None:
    """Placeholders: dcmtk passes over them, too."""
    got = to_unit_range(FILM, header(12, RescaleSlope=0, RescaleIntercept=0, **WINDOW))
    np.testing.assert_allclose(got.pixels, FILM / 4095, atol=1e-6)
    assert any("Rescale Slope is 0" in remark for remark in got.warnings)


def test_kind_10_few_gray_levels_that_are_the_films_own_are_a_picture() -> None:
    """The rule is for a gray scale that throws levels away."""
    steps = np.repeat(np.arange(6, dtype=np.uint8) * 40, 100).reshape(20, 30)
    assert len(np.unique(pixels(steps, header(WindowCenter=128, WindowWidth=256)))) == 6
