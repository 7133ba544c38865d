"""Which window or VOI LUT of a file is taken, and what is said of those that are not."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import DigitalMammographyXRayImageStorageForProcessing

from bcd_model.errors import FilmError
from converters.films.pixels.grayscale import GrayscaleError, to_unit_range
from converters.films.read import read_film
from tests.support.gray_scales import FILM, header, lut, pixels

SaveFilm = Callable[..., Path]

OWN = "stretched between its own 0.1 and 99.9 percentiles"
GOOD = lut(0, list(range(4096)), 12)
FLAT = lut(0, [7] * 4096, 12)
STEP = lut(0, [0] * 2000 + [4095] * 2096, 12)
WHITE = lut(0, [min(4095, 8 * i) for i in range(4096)], 12)
OF_14_BITS = [lut(0, [i // 4 for i in range(16384)], 12), lut(0, list(range(16384)), 14)]


def film(**elements: object) -> Dataset:
    return header(12, **elements)


def own_range(stored: np.ndarray) -> np.ndarray:
    low, high = np.quantile(stored, [0.001, 0.999], method="higher")
    return np.clip((stored.astype(float) - low) / (high - low), 0, 1)


@pytest.mark.parametrize("inverse", [False, True])
@pytest.mark.parametrize(
    ("elements", "why"),
    [
        ({"WindowCenter": 9000, "WindowWidth": 10}, "its window 9000/10 leaves no contrast"),
        ({"WindowCenter": 2000, "WindowWidth": 2}, "its window 2000/2 leaves 2 gray levels"),
        ({"WindowCenter": "1e300", "WindowWidth": "1e300"}, "its window 1e+300/1e+300 leaves no contrast"),
        ({"WindowCenter": 128, "WindowWidth": 256}, "its window 128/256 makes "),
        ({"WindowCenter": 600, "WindowWidth": 600}, "its window 600/600 makes "),
        ({"WindowCenter": 3600, "WindowWidth": 600}, "its window 3600/600 makes "),
        ({"WindowCenter": 32768, "WindowWidth": 65536}, "its window 32768/65536 shows the film in 6% of the"),
        ({"WindowCenter": 5, "WindowWidth": -5}, "its window has no width above 0"),
        ({"WindowCenter": 5, "WindowWidth": 0}, "its window has no width above 0"),
        ({"WindowCenter": 5}, "its window has no width"),
        ({"WindowWidth": 5}, "its window has no center"),
        ({"WindowCenter": [128, 9000], "WindowWidth": [256, 10]}, "no contrast"),
        ({"VOILUTSequence": [FLAT]}, "its VOI LUT leaves no contrast"),
        ({"VOILUTSequence": [STEP]}, "its VOI LUT leaves 2 gray levels"),
        ({"VOILUTSequence": [WHITE, FLAT]}, "its VOI LUT 2 leaves no contrast"),
        ({"VOILUTSequence": [lut(60000, list(range(4000)), 12)]}, "its VOI LUT leaves no contrast"),
    ],
)
def test_one_that_leaves_no_good_picture_gives_way_to_the_films_own_range(
    elements: dict[str, object], why: str, inverse: bool
) -> None:
    dataset = film(**elements)
    dataset.PresentationLUTShape = "INVERSE" if inverse else "IDENTITY"
    got = to_unit_range(FILM, dataset)
    expected = own_range(FILM)
    np.testing.assert_allclose(got.pixels, 1 - expected if inverse else expected, atol=1e-6)
    (remark,) = got.warnings
    assert why in remark
    assert remark.endswith(f": {OWN}")
    assert "no window" not in remark


@pytest.mark.parametrize(
    ("elements", "remark"),
    [
        (
            {"WindowCenter": [9000, 2048], "WindowWidth": [10, 4096]},
            "its window 9000/10 leaves no contrast: shown by its window 2048/4096",
        ),
        ({"WindowCenter": [5, 2048], "WindowWidth": [-5, 4096]}, ""),
        (
            {"WindowCenter": [0.5, 2048], "WindowWidth": [1, 4096]},
            "its window 0.5/1 leaves 2 gray levels: shown by its window 2048/4096",
        ),
        (
            {"VOILUTSequence": [FLAT, STEP, GOOD]},
            "its VOI LUT 1 leaves no contrast; its VOI LUT 2 leaves 2 gray levels: shown by its VOI LUT 3",
        ),
        (
            {"VOILUTSequence": [STEP], "WindowCenter": 2048, "WindowWidth": 4096},
            "its VOI LUT leaves 2 gray levels: shown by its window 2048/4096",
        ),
        (
            {"WindowCenter": [1, 2, 3, 4, 2048], "WindowWidth": [20, 20, 20, 20, 4096]},
            "; 1 more are no better: shown by its window 2048/4096",
        ),
    ],
)
def test_the_next_of_the_file_is_taken(elements: dict[str, object], remark: str) -> None:
    got = to_unit_range(FILM, film(**elements))
    np.testing.assert_allclose(got.pixels, FILM / 4095, atol=1e-6)
    assert len(got.warnings) == bool(remark)
    assert all(each.endswith(remark) for each in got.warnings)


def test_a_good_one_is_taken_without_a_word_whatever_follows() -> None:
    several = film(VOILUTSequence=[GOOD, FLAT], WindowCenter=[5, 5], WindowWidth=[-1, 0])
    assert to_unit_range(FILM, several).warnings == ()


@pytest.mark.parametrize("width", [1, 0.8, 0.5])
def test_a_window_too_narrow_for_linear_is_linear_exact(width: float) -> None:
    """With a Rescale Slope that makes all values small."""
    dataset = film(RescaleSlope=1 / 4095, RescaleIntercept=0, WindowCenter=0.5, WindowWidth=width)
    stored = np.clip(FILM, 1100, 2900)
    got = to_unit_range(stored, dataset)
    np.testing.assert_allclose(got.pixels, np.clip((stored / 4095 - 0.5) / width + 0.5, 0, 1), atol=1e-6)
    assert got.warnings == (
        f"its window 0.5/{width:g} is taken as LINEAR_EXACT: it is too narrow for LINEAR",
    )


def test_a_window_that_linear_makes_half_as_wide_is_linear_exact() -> None:
    """0 to 2 in small units: LINEAR would show 0 to 1 (PS3.3 C.11.2.1.2: (x - (c - 0.5)) / (w - 1))."""
    dataset = film(RescaleSlope=2 / 4095, RescaleIntercept=0, WindowCenter=1, WindowWidth=2)
    got = to_unit_range(FILM, dataset)
    np.testing.assert_allclose(got.pixels, FILM / 4095, atol=1e-6)
    assert got.warnings == ("its window 1/2 is taken as LINEAR_EXACT: it is too narrow for LINEAR",)


@pytest.mark.parametrize(
    "elements",
    [
        {"WindowCenter": 2000, "WindowWidth": 1},
        {"WindowCenter": [2000, 0.5], "WindowWidth": [1, 0.5]},
        {"WindowCenter": 2000, "WindowWidth": "1e-300", "VOILUTFunction": "SIGMOID"},
    ],
)
def test_nothing_but_windows_of_a_width_of_1_that_leave_no_picture(elements: dict[str, object]) -> None:
    with pytest.raises(GrayscaleError, match="not a picture: its window 2000/1"):
        to_unit_range(FILM, film(**elements))


def test_a_function_that_is_not_known_is_linear() -> None:
    got = to_unit_range(FILM, film(WindowCenter=2048, WindowWidth=4096, VOILUTFunction="CUBIC"))
    np.testing.assert_allclose(got.pixels, FILM / 4095, atol=1e-6)
    assert got.warnings == ("its window 2048/4096 has a VOI LUT Function that is not known: taken as LINEAR",)


def test_where_the_stored_values_are_saturated_the_window_is_kept() -> None:
    stored = np.minimum(FILM, 1500)
    got = to_unit_range(stored, film(WindowCenter=750, WindowWidth=1501))
    np.testing.assert_allclose(got.pixels, stored / 1500, atol=2e-3)
    (remark,) = got.warnings
    assert "of what is not black saturated white: nothing that could be taken instead leaves a" in remark


def test_a_film_of_8_bits_is_shown_by_the_full_range_of_them() -> None:
    stored = (FILM >> 4).astype(np.uint8)
    got = to_unit_range(stored, header(8, WindowCenter=5, WindowWidth=-5))
    np.testing.assert_allclose(got.pixels, stored / 255, atol=1e-6)
    assert got.warnings == ("its window has no width above 0: shown by the full range of its bits",)


@pytest.mark.parametrize("value", ["n/a", "nan", "inf", "1e999"])
@pytest.mark.parametrize("keyword", ["WindowCenter", "WindowWidth"])
def test_a_window_that_could_not_be_read_is_not_called_absent(
    save_film: SaveFilm, keyword: str, value: str
) -> None:
    path = save_film(
        "film.dcm", FILM, **{"BitsStored": 12, "WindowCenter": 5, "WindowWidth": 5} | {keyword: 7777}
    )
    path.write_bytes(path.read_bytes().replace(b"7777", f"{value:4}".encode()[:4]))
    read = read_film(path).film
    np.testing.assert_allclose(read.pixels, own_range(FILM), atol=1e-6)
    why = "its window could not be read: its Center and Width are no pair of numbers"
    assert f"{why}: {OWN}" in read.warnings


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


def test_the_second_lut_of_a_file_is_read(save_film: SaveFilm) -> None:
    elements = {"WindowCenter": None, "WindowWidth": None, "BitsStored": 14}
    path = save_film("film.dcm", FILM * 4, **elements, VOILUTSequence=[FLAT, OF_14_BITS[0]])
    read = read_film(path).film
    np.testing.assert_allclose(read.pixels, FILM / 4095, atol=1e-6)
    assert "its VOI LUT 1 leaves no contrast: shown by its VOI LUT 2" in read.warnings


@pytest.mark.parametrize(
    ("elements", "message"),
    [
        ({"WindowCenter": None, "WindowWidth": None}, "For Processing, without a window or VOI LUT"),
        ({"WindowWidth": -5}, "For Processing, without a window or VOI LUT that can be used"),
        ({"WindowCenter": 9000, "WindowWidth": 10}, "blank|its window 9000/10 leaves no contrast"),
    ],
)
def test_raw_data_are_never_shown_by_their_own_range(
    save_film: SaveFilm, elements: dict[str, object], message: str
) -> None:
    """It is not known how they are to be shown: they may be inverted, and not yet on a logarithmic scale."""
    path = save_film(
        "film.dcm",
        FILM,
        **{
            "BitsStored": 12,
            "SOPClassUID": DigitalMammographyXRayImageStorageForProcessing,
            "PresentationIntentType": "FOR PROCESSING",
            "WindowCenter": 2048,
            "WindowWidth": 4096,
        }
        | elements,
    )
    with pytest.raises(FilmError, match=message):
        read_film(path)


def test_padding_does_not_make_a_window_poor() -> None:
    """It is shown black, however bright the window would make it."""
    stored = FILM.copy()
    stored[:, :60] = 4095
    dataset = film(WindowCenter=2048, WindowWidth=4096, PixelPaddingValue=4095)
    assert to_unit_range(stored, dataset).warnings == ()
    assert (pixels(stored, dataset)[:, :60] == 0).all()


def with_bright_part(share: float, level: float, spread: float) -> np.ndarray:
    """A breast, half of the film, of 1500 +- 250, of which ``share`` is at ``level``."""
    rng = np.random.default_rng(7)
    stored = rng.normal(60, 10, (400, 300))
    tissue = rng.normal(1500, 250, (400, 150))
    tissue[: round(400 * share)] = rng.normal(level, spread, (round(400 * share), 150))
    stored[:, :150] = tissue
    return np.clip(stored, 0, 4095).astype(np.uint16)


@pytest.mark.parametrize("inverse", [False, True])
@pytest.mark.parametrize("share", [0.1, 0.25, 0.5])
@pytest.mark.parametrize(("level", "spread"), [(3600, 60), (3300, 90), (4095, 0)])
def test_an_implant_may_be_white(share: float, level: float, spread: float, inverse: bool) -> None:
    """The maker's window shows the tissue beside it; the film's own range would, with half the contrast.

    That it may be dense tissue is said: flat and bright, that looks the same.
    """
    stored, center = with_bright_part(share, level, spread), 1600.0
    if inverse:
        stored, center = 4095 - stored, 4096 - center
    dataset = film(WindowCenter=center, WindowWidth=2000)
    dataset.PresentationLUTShape = "INVERSE" if inverse else "IDENTITY"
    gray = to_unit_range(stored, dataset)
    assert gray.transformations.voi is not None
    said = [remark.partition("% ")[2] for remark in gray.warnings]
    assert said == ["of what is not black saturated white, as an implant is"] * (share > 0.1)


@pytest.mark.parametrize(
    ("share", "level", "spread"),
    [(0.5, 2900, 250), (0.4, 2900, 150), (0.25, 3300, 400), (0.9, 3600, 60)],
    ids=["dense tissue", "somewhat less", "spread out", "nearly all"],
)
def test_bright_tissue_may_not(share: float, level: float, spread: float) -> None:
    dataset = film(WindowCenter=1600, WindowWidth=2000)
    (remark,) = to_unit_range(with_bright_part(share, level, spread), dataset).warnings
    assert "of what is not black saturated white: stretched" in remark
