"""Stored values to [0, 1]; oracles: pydicom's own functions, dcmtk's dcm2pnm, and values by hand."""

from __future__ import annotations

import shutil
import subprocess
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
from converters.films.read import read_film
from converters.mias.pgm import read_graymap

MakeFilm = Callable[..., FileDataset]
SaveFilm = Callable[..., Path]

WINDOW = {"WindowCenter": 2048, "WindowWidth": 4096}
RAMP = np.arange(256, dtype=np.uint8).reshape(16, 16)


def header(bits: int = 8, signed: int = 0, **elements: object) -> Dataset:
    dataset = Dataset()
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated = 8 if bits == 8 else 16
    dataset.BitsStored = bits
    dataset.PixelRepresentation = signed
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return dataset


def lut(first: int, entries: list[int], bits: int) -> Dataset:
    item = Dataset()
    item.LUTDescriptor = [len(entries), first, bits]
    item.LUTData = entries
    item["LUTDescriptor"].VR = item["LUTData"].VR = "US"
    return item


def pixels(stored: np.ndarray, dataset: Dataset) -> np.ndarray:
    return to_unit_range(stored, dataset).pixels


def if_a_picture(stored: np.ndarray, dataset: Dataset) -> np.ndarray:
    """The pixels of a made-up gray scale; one that leaves no picture is another test's matter."""
    try:
        return pixels(stored, dataset)
    except GrayscaleError as error:
        assume("picture" not in str(error) and "blank" not in str(error))
        raise


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
    center=st.floats(-3000, 70000).map(lambda value: round(value, 2)),
    width=st.floats(1.01, 70000).map(lambda value: round(value, 2)),
    slope=st.floats(0.01, 4).map(lambda value: round(value, 3)),
    intercept=st.integers(-1024, 1024),
)
def test_window_after_rescale_agrees_with_pydicom(
    bits: int, signed: int, function: str, center: float, width: float, slope: float, intercept: int
) -> None:
    dataset = header(bits, signed, WindowCenter=center, WindowWidth=width, VOILUTFunction=function)
    dataset.RescaleSlope, dataset.RescaleIntercept = slope, intercept
    low = -(1 << (bits - 1)) if signed else 0
    dtype = f"{'i' if signed else 'u'}{1 if bits == 8 else 2}"
    stored = np.linspace(low, low + (1 << bits) - 1, 64).astype(dtype).reshape(8, 8)
    with np.errstate(over="ignore"):  # pydicom's sigmoid
        shown = apply_windowing(apply_modality_lut(stored, dataset), dataset)
    smallest = low * slope + intercept
    expected = (shown - smallest) / (((1 << bits) - 1) * slope)
    np.testing.assert_allclose(if_a_picture(stored, dataset), expected, atol=2e-6)


def test_first_of_several_windows() -> None:
    several = header(WindowCenter=[50, 200], WindowWidth=[20, 20])
    first = header(WindowCenter=50, WindowWidth=20)
    np.testing.assert_array_equal(pixels(RAMP, several), pixels(RAMP, first))


@given(
    entries=st.lists(st.integers(0, 4095), min_size=20, max_size=300).map(lambda entries: [*entries, 4095]),
    first=st.integers(0, 250),
)
def test_voi_lut_comes_before_the_window_and_agrees_with_pydicom(entries: list[int], first: int) -> None:
    dataset = header(WindowCenter=1, WindowWidth=2, VOILUTSequence=[lut(first, entries, 12)])
    stored = RAMP.astype(np.uint16)
    expected = apply_voi_lut(stored, dataset) / 4095
    np.testing.assert_allclose(if_a_picture(stored, dataset), expected, atol=1e-6)


def test_modality_lut_comes_before_the_window() -> None:
    dataset = header(WindowCenter=150.5, WindowWidth=101)
    dataset.ModalityLUTSequence = [lut(10, [100, 150, 200], 8)]
    stored = np.array([[0, 10, 11, 12, 255]], dtype=np.uint8)
    np.testing.assert_allclose(pixels(stored, dataset), [[0, 0, 0.5, 1, 1]], atol=1e-6)


def test_lut_data_as_bytes_of_words() -> None:
    item = lut(0, [0] * 256, 16)
    item.add_new("LUTData", "OW", (RAMP.ravel().astype("<u2") * 257).tobytes())
    np.testing.assert_allclose(pixels(RAMP, header(VOILUTSequence=[item])), RAMP / 255, atol=1e-6)


@pytest.mark.parametrize(
    ("photometric", "shape"),
    [("MONOCHROME1", None), ("MONOCHROME2", "INVERSE"), ("MONOCHROME1", "INVERSE")],
)
def test_inversion_is_done_once_and_after_the_window(photometric: str, shape: str | None) -> None:
    dataset = header(WindowCenter=51, WindowWidth=101)
    dataset.PhotometricInterpretation = photometric
    if shape:
        dataset.PresentationLUTShape = shape
    stored = np.array([[0, 25, 100, 200]], dtype=np.uint8)
    np.testing.assert_allclose(pixels(stored, dataset), [[1, 0.755, 0.005, 0]], atol=1e-6)


def test_padding_is_background_whatever_the_photometric_interpretation() -> None:
    dataset = header(12, WindowCenter=2048, WindowWidth=4096)
    dataset.PixelPaddingValue, dataset.PixelPaddingRangeLimit = 4095, 4090
    stored = np.array([[0, 4089, 4090, 4092, 4095]], dtype=np.uint16)
    np.testing.assert_allclose(pixels(stored, dataset), [[0, 4089 / 4095, 0, 0, 0]], atol=1e-6)
    dataset.PhotometricInterpretation = "MONOCHROME1"
    np.testing.assert_allclose(pixels(stored, dataset), [[1, 6 / 4095, 0, 0, 0]], atol=1e-6)


def test_padding_may_not_take_a_bright_mass() -> None:
    """It fills little of the gray scale, and of the film."""
    rng = np.random.default_rng(1)
    stored = rng.integers(1000, 2000, (256, 256)).astype(np.uint16)
    stored[100:120, 100:120] = rng.integers(2800, 3600, (20, 20))
    dataset = header(
        12, WindowCenter=2048, WindowWidth=4096, PixelPaddingValue=2700, PixelPaddingRangeLimit=4095
    )
    with pytest.raises(GrayscaleError, match="Padding Range takes in"):
        pixels(stored, dataset)


@pytest.mark.parametrize(
    ("photometric", "window", "padding"),
    [
        ("MONOCHROME2", {}, (0, 2500)),
        ("MONOCHROME2", {}, (1500, 4095)),
        ("MONOCHROME1", {}, (1595, 4095)),
        ("MONOCHROME2", {"WindowCenter": 1500, "WindowWidth": 1000}, (2000, 4095)),
    ],
    ids=["from below", "from above", "inverted", "where a window shows one white"],
)
def test_padding_may_not_take_tissue_whatever_window_is_stated(
    photometric: str, window: dict[str, int], padding: tuple[int, int]
) -> None:
    """What padding takes away does not count for the range of a film without a window."""
    stored = np.random.default_rng(1).normal(1800, 600, (256, 256)).clip(0, 4095)
    stored[:, :100] = 0
    if photometric == "MONOCHROME1":
        stored = 4095 - stored
    first, last = padding
    dataset = header(
        12,
        PhotometricInterpretation=photometric,
        PixelPaddingValue=first,
        PixelPaddingRangeLimit=last,
        **window,
    )
    with pytest.raises(GrayscaleError, match="Padding Range takes in"):
        pixels(stored.astype(np.uint16), dataset)


@pytest.mark.parametrize("window", [{}, {"WindowCenter": 2048, "WindowWidth": 4096}], ids=["no window", ""])
def test_padding_may_be_white_and_far_from_all_others(window: dict[str, int]) -> None:
    stored = np.random.default_rng(1).normal(1800, 300, (256, 256)).clip(0, 4095)
    stored[:, :100] = 65535
    dataset = header(16, PixelPaddingValue=60000, PixelPaddingRangeLimit=65535, **window)
    got = pixels(stored.astype(np.uint16), dataset)
    assert (got[:, :100] == 0).all()
    assert got[:, 100:].mean() > 0.3


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_noisy_air_may_be_padding(photometric: str) -> None:
    rng = np.random.default_rng(1)
    stored = rng.integers(1200, 3000, (256, 256))
    air = rng.integers(60, 180, (256, 100))
    stored[:, :100] = 4095 - air if photometric == "MONOCHROME1" else air
    limits = (3800, 4095) if photometric == "MONOCHROME1" else (0, 255)
    dataset = header(
        12,
        PhotometricInterpretation=photometric,
        WindowCenter=2048,
        WindowWidth=4096,
        PixelPaddingValue=limits[0],
        PixelPaddingRangeLimit=limits[1],
    )
    got = pixels(stored.astype(np.uint16), dataset)
    assert (got[:, :100] == 0).all()
    assert (got[:, 100:] > 0).all()


@pytest.mark.parametrize(("value", "limit"), [(0, 200), (255, 150), (40, 120)])
def test_padding_that_takes_in_tissue_is_no_padding(value: int, limit: int) -> None:
    """A range over the breast would make it background, without a word."""
    stored = np.add.outer(np.arange(128), np.arange(128)).astype(np.uint8)
    dataset = header(8, PixelPaddingValue=value, PixelPaddingRangeLimit=limit)
    with pytest.raises(GrayscaleError, match="Padding Range takes in"):
        pixels(stored, dataset)


def test_a_padding_range_may_hold_the_air_around_the_breast() -> None:
    stored = np.add.outer(np.arange(128), np.arange(128)).astype(np.uint8)
    got = pixels(stored, header(8, PixelPaddingValue=0, PixelPaddingRangeLimit=40))
    assert (got[stored <= 40] == 0).all()
    assert (got[stored > 40] > 0).all()


def test_negative_padding_value_written_as_unsigned() -> None:
    dataset = header(16, 1, WindowCenter=0, WindowWidth=200, PixelPaddingValue=65535 - 1999)
    stored = np.array([[-2000, -1999, 0, 99]], dtype=np.int16)
    assert pixels(stored, dataset)[0, 0] == 0
    dataset.PhotometricInterpretation = "MONOCHROME1"
    np.testing.assert_array_equal(pixels(stored, dataset)[0, :2], [0, 1])


def test_deep_image_without_window_is_stretched_between_its_percentiles() -> None:
    stored = np.repeat(np.arange(1000, 2000, dtype=np.uint16), 10).reshape(100, 100)
    stored[0, 0] = 65535  # a single hot pixel
    got = to_unit_range(stored, header(16))
    assert got.pixels[50, 50] == pytest.approx((stored[50, 50] - 1000) / 999, abs=5e-3)
    assert got.pixels[0, 0] == 1
    assert any("no window" in warning for warning in got.warnings)


def test_padding_does_not_count_towards_the_percentiles() -> None:
    stored = np.full((100, 100), 5, dtype=np.uint16)
    stored[:, :50] = np.arange(1000, 6000, dtype=np.uint16).reshape(100, 50)
    got = pixels(stored, header(16, PixelPaddingValue=5))
    assert got[50, 25] == pytest.approx(0.5, abs=0.01)
    assert got[:, 50:].max() == 0


def test_negative_slope_without_window_keeps_the_order_of_the_output() -> None:
    dataset = header(8, RescaleSlope=-1, RescaleIntercept=255)
    np.testing.assert_allclose(pixels(RAMP, dataset), 1 - RAMP / 255, atol=1e-6)


def test_blank_film_is_a_failed_film() -> None:
    with pytest.raises(GrayscaleError, match="blank"):
        to_unit_range(RAMP, header(WindowCenter=5000, WindowWidth=10))


def test_window_without_width_is_not_used() -> None:
    got = to_unit_range(RAMP, header(WindowCenter=5, WindowWidth=0))
    np.testing.assert_allclose(got.pixels, RAMP / 255, atol=1e-6)
    assert any("no width above 0" in warning for warning in got.warnings)


@pytest.mark.parametrize(
    ("elements", "message"),
    [
        ({"RescaleSlope": 0, "RescaleIntercept": 0}, "Rescale Slope"),
        ({"WindowCenter": 1, "WindowWidth": 2, "VOILUTFunction": "CUBIC"}, "VOI LUT Function"),
        ({"VOILUTSequence": [lut(0, [1, 2], 40)]}, "40 bits"),
    ],
)
def test_what_cannot_be_carried_out_is_named(elements: dict[str, object], message: str) -> None:
    with pytest.raises(GrayscaleError, match=message):
        to_unit_range(RAMP, header(**elements))


def test_lut_shorter_than_it_says() -> None:
    item = lut(0, [1, 2, 3], 8)
    item.LUTDescriptor = [200, 0, 8]
    with pytest.raises(GrayscaleError, match="shorter"):
        to_unit_range(RAMP, header(VOILUTSequence=[item]))


FILM = (np.add.outer(np.arange(200), np.arange(150)) * 11).astype(np.uint16)  # 0 to 3828


@pytest.mark.parametrize(
    ("elements", "message"),
    [
        ({"RescaleSlope": "1e308", "RescaleIntercept": 0}, "lead beyond all numbers"),
        ({"RescaleSlope": "-1e308", "RescaleIntercept": 0}, "lead beyond all numbers"),
        ({"RescaleSlope": 1, "RescaleIntercept": "1.5e308"}, "blank"),
        ({"RescaleSlope": "1e308", "RescaleIntercept": "-1e308"}, "lead beyond all numbers"),
        ({"RescaleSlope": "1e-320", "RescaleIntercept": 0, **WINDOW}, "blank"),
        ({"RescaleSlope": "NaN", "RescaleIntercept": 0}, "Rescale Slope is not a finite number"),
        ({"RescaleSlope": 1, "RescaleIntercept": "inf"}, "Rescale Intercept is not a finite number"),
        ({"RescaleSlope": "1e400", "RescaleIntercept": 0}, "Rescale Slope is not a finite number"),
        ({"WindowCenter": "1e300", "WindowWidth": "1e300"}, "blank"),
        ({"WindowCenter": "1e308", "WindowWidth": "1e-300", "VOILUTFunction": "LINEAR_EXACT"}, "blank"),
        ({"WindowCenter": 2000, "WindowWidth": "1e300"}, "blank"),
        ({"WindowCenter": "nan", "WindowWidth": 4096}, "Window Center is not a finite number"),
        ({"WindowCenter": 2048, "WindowWidth": "-inf"}, "Window Width is not a finite number"),
        ({"WindowCenter": 9000, "WindowWidth": 10}, "blank"),
        ({"WindowCenter": 2000, "WindowWidth": 2}, "not a picture: its gray scale leaves"),
        ({"WindowCenter": 2000, "WindowWidth": "1e-300", "VOILUTFunction": "SIGMOID"}, "not a picture"),
        ({"WindowCenter": 2000, "WindowWidth": 1}, "not a picture"),
        ({"VOILUTSequence": [lut(0, [0, 65535], 16)]}, "not a picture"),
        ({"VOILUTSequence": [lut(0, [7] * 4096, 12)]}, "blank"),
        ({"VOILUTSequence": [lut(60000, list(range(4000)), 12)]}, "blank"),
        ({"ModalityLUTSequence": [lut(0, [5, 5], 8)], **WINDOW}, "blank"),
        ({"PixelPaddingValue": 0, "PixelPaddingRangeLimit": 4095, **WINDOW}, "blank"),
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


def test_kind_10_a_picture_that_is_nearly_all_white_is_a_failed_film(save_film: SaveFilm) -> None:
    path = save_film("film.dcm", FILM, BitsStored=12, WindowCenter=300, WindowWidth=120)
    with pytest.raises(FilmError, match="of what is not black white"):
        read_film(path)


def test_a_small_breast_on_a_large_detector_is_a_picture(save_film: SaveFilm) -> None:
    pixels = np.zeros((1000, 800), np.uint16)
    pixels[400:500, 0:100] = FILM[:100, :100] + 500  # 1.3 % of the image
    path = save_film("film.dcm", pixels, BitsStored=12, WindowCenter=2048, WindowWidth=4096)
    assert read_film(path).film.pixels.max() > 0.5


@pytest.mark.parametrize(
    ("center", "width"),
    [("1500\\\\1600", "2500\\\\2600"), ("1500\\9999", "2500\\9999"), ("\\1500", "\\2500")],
)
def test_the_first_window_that_is_one_is_taken(save_film: SaveFilm, center: str, width: str) -> None:
    plain = save_film("plain.dcm", FILM, BitsStored=12, WindowCenter=1500, WindowWidth=2500)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        odd = save_film("odd.dcm", FILM, BitsStored=12, WindowCenter=center, WindowWidth=width)
    odd.write_bytes(odd.read_bytes().replace(b"9999", b"n/a "))
    np.testing.assert_array_equal(read_film(odd).film.pixels, read_film(plain).film.pixels)


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


def test_kind_10_few_gray_levels_that_are_the_films_own_are_a_picture() -> None:
    """The rule is for a gray scale that throws levels away."""
    steps = np.repeat(np.arange(6, dtype=np.uint8) * 40, 100).reshape(20, 30)
    assert len(np.unique(pixels(steps, header(WindowCenter=128, WindowWidth=256)))) == 6


@pytest.mark.parametrize("width", [1, 0.8, 0.5])
def test_a_window_too_narrow_for_linear_is_linear_exact(width: float) -> None:
    """With a Rescale Slope that makes all values small."""
    dataset = header(12, RescaleSlope=1 / 4095, RescaleIntercept=0, WindowCenter=0.5, WindowWidth=width)
    got = to_unit_range(FILM, dataset)
    np.testing.assert_allclose(got.pixels, np.clip((FILM / 4095 - 0.5) / width + 0.5, 0, 1), atol=1e-6)
    assert any(f"a width of {width:g}: taken as LINEAR_EXACT" in warning for warning in got.warnings)


def test_a_window_that_makes_most_of_the_breast_white_is_warned_of() -> None:
    got = to_unit_range(FILM, header(12, WindowCenter=600, WindowWidth=1200))
    assert any("saturated white" in warning for warning in got.warnings)
    assert to_unit_range(FILM, header(12, **WINDOW)).warnings == ()


def test_a_window_that_is_not_used_is_not_called_absent() -> None:
    got = to_unit_range(FILM, header(12, WindowCenter=600, WindowWidth=-5))
    assert any("its window is not used" in warning for warning in got.warnings)
    assert not any("no window" in warning for warning in got.warnings)


@pytest.mark.parametrize("first", [33000, 33000 - 65536])
def test_a_first_value_of_a_lut_in_either_sign(first: int) -> None:
    stored = FILM + np.uint16(33000)
    item = lut(0, list(range(4096)), 12)
    item["LUTDescriptor"].VR = "SS" if first < 0 else "US"
    item.LUTDescriptor = [4096, first, 12]
    np.testing.assert_allclose(pixels(stored, header(16, VOILUTSequence=[item])), FILM / 4095, atol=1e-6)


def test_a_voi_lut_whose_entries_keep_to_a_part_of_their_bits_is_shown_up_to_the_largest() -> None:
    """Third value of the descriptor: the size of the memory for an entry, by some."""
    narrow = to_unit_range(FILM, header(12, VOILUTSequence=[lut(0, list(range(4096)), 16)]))
    np.testing.assert_allclose(narrow.pixels, FILM / 4095, atol=1e-6)
    assert any("end at 4095 of 65535" in warning for warning in narrow.warnings)
    half = to_unit_range(FILM, header(12, VOILUTSequence=[lut(0, [9 * i for i in range(4096)], 16)]))
    np.testing.assert_allclose(half.pixels, 9 * FILM.astype(np.int64) / 65535, atol=1e-6)
    assert half.warnings == ()


@pytest.mark.debian
@pytest.mark.skipif(shutil.which("dcm2pnm") is None, reason="needs dcmtk's dcm2pnm")
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize(
    ("option", "elements"),
    [
        (["+Wi", "1"], {"WindowCenter": [900, 5], "WindowWidth": [1500, 5]}),
        (["+Wi", "1"], {"WindowCenter": 2000, "WindowWidth": 3000, "VOILUTFunction": "SIGMOID"}),
        (
            ["+Wi", "1"],
            {"WindowCenter": 100, "WindowWidth": 700, "RescaleSlope": 0.25, "RescaleIntercept": -100},
        ),
        (["+Wl", "1"], {"VOILUTSequence": [lut(0, [i * i // 4095 for i in range(4096)], 12)]}),
    ],
)
def test_agrees_with_dcmtk(
    save_film: SaveFilm, tmp_path: Path, photometric: str, option: list[str], elements: dict[str, object]
) -> None:
    stored = np.linspace(0, 4095, 64 * 96).astype(np.uint16).reshape(64, 96)
    shape = "INVERSE" if photometric == "MONOCHROME1" else "IDENTITY"
    path = save_film(
        "film.dcm",
        stored,
        BitsStored=12,
        PhotometricInterpretation=photometric,
        PresentationLUTShape=shape,
        **elements,
    )
    shown = tmp_path / "film.pgm"
    subprocess.run(["dcm2pnm", "+op", *option, path, shown], check=True, timeout=60)
    ours = read_film(path).film.pixels
    # dcm2pnm cuts off to 8 bits where we round to float32, and rounds after the rescale.
    assert np.abs(ours - read_graymap(shown).pixels / 255).max() <= 1.5 / 255
