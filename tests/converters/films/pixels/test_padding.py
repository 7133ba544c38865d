"""What pixel padding takes away, and what it may not."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import pytest
from pydicom.dataset import Dataset

from converters.films.pixels.grayscale import to_unit_range
from tests.support.gray_scales import header, pixels


def assert_only_the_value_is_padding(stored: np.ndarray, dataset: Dataset) -> None:
    """A range over the breast would make it background, without a word."""
    got = to_unit_range(stored, dataset)
    alone = deepcopy(dataset)
    del alone.PixelPaddingRangeLimit
    np.testing.assert_array_equal(got.pixels, pixels(stored, alone))
    assert any("Pixel Padding Range takes in what is not padding" in remark for remark in got.warnings)


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
    assert_only_the_value_is_padding(stored, dataset)


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
    assert_only_the_value_is_padding(stored.astype(np.uint16), dataset)


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
    stored = np.add.outer(np.arange(128), np.arange(128)).astype(np.uint8)
    dataset = header(8, PixelPaddingValue=value, PixelPaddingRangeLimit=limit)
    assert_only_the_value_is_padding(stored, dataset)


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


def test_padding_does_not_count_towards_the_percentiles() -> None:
    stored = np.full((100, 100), 5, dtype=np.uint16)
    stored[:, :50] = np.arange(1000, 6000, dtype=np.uint16).reshape(100, 50)
    got = pixels(stored, header(16, PixelPaddingValue=5))
    assert got[50, 25] == pytest.approx(0.5, abs=0.01)
    assert got[:, 50:].max() == 0


def test_padding_that_takes_in_all_there_is() -> None:
    stored = np.add.outer(np.arange(128), np.arange(128)).astype(np.uint8)
    assert_only_the_value_is_padding(stored, header(8, PixelPaddingValue=0, PixelPaddingRangeLimit=255))


@pytest.mark.parametrize(
    ("dtype", "value", "stated"),
    [("i2", -2000, 63536), ("i2", -2000, -2000), ("u2", 63536, -2000), ("i1", -3, 253), ("u1", 253, -3)],
)
def test_padding_of_either_sign(dtype: str, value: int, stated: int) -> None:
    """Pixel Padding Value is "US or SS", and writers disagree."""
    bits = 8 * np.dtype(dtype).itemsize
    rows = np.tile(np.arange(100, dtype=dtype), (100, 1))
    rows[:, :20] = value
    dataset = header(bits, int(dtype[0] == "i"), WindowCenter=50, WindowWidth=100, PixelPaddingValue=stated)
    got = pixels(rows, dataset)
    assert (got[:, :20] == 0).all()
    assert (got[:, 21:] > 0).all()


def test_padding_below_an_overlay() -> None:
    """Bits above Bits Stored are no part of the value that is compared."""
    stored = np.tile(np.arange(0, 4000, 10, dtype=np.uint16), (50, 1))
    stored[:, :40] = 4000
    with_overlay = stored.copy()
    with_overlay[::2] |= 1 << 12
    dataset = header(12, WindowCenter=2048, WindowWidth=4096, PixelPaddingValue=4000)
    np.testing.assert_array_equal(pixels(with_overlay, dataset), pixels(stored, dataset))


def test_padding_above_bits_stored_is_not_taken_for_the_brightest_value() -> None:
    stored = np.tile(np.arange(4096, dtype=np.uint16), (20, 1))
    stored[:, :50] = 65535
    got = pixels(stored, header(12, WindowCenter=2048, WindowWidth=4096, PixelPaddingValue=65535))
    assert (got[:, :50] == 0).all()
    assert (got[:, 4095] == 1).all()
