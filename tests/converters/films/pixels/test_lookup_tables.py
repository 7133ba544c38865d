"""Look-up tables as writers have written them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_voi_lut

from converters.films.pixels.grayscale import to_unit_range
from converters.films.pixels.lookup_tables import read_table
from tests.support.gray_scales import FILM, header, lut, pixels

CURVE = [round(4095 * (i / 4095) ** 0.7) for i in range(4096)]
EXPECTED = np.array(CURVE)[FILM] / 4095


@given(
    entries=st.lists(st.integers(0, 4095), min_size=20, max_size=300).map(lambda entries: [*entries, 4095]),
    first=st.integers(0, 250),
)
def test_a_table_agrees_with_pydicom(entries: list[int], first: int) -> None:
    stored = np.arange(256, dtype=np.uint16)
    item = lut(first, entries, 12)
    table = read_table(item, stored.astype(np.float64), np.ones(256, dtype=np.int64), scaled=True)
    expected = apply_voi_lut(stored, header(16, VOILUTSequence=[item])) / 4095
    np.testing.assert_allclose(table.apply(stored.astype(np.float64)), expected, atol=1e-9)


def item(descriptor: list[int], data: bytes, vr: str = "US") -> Dataset:
    found = Dataset()
    # pydicom holds the number of entries to be unsigned whatever the representation.
    found.add(DataElement("LUTDescriptor", vr, descriptor, already_converted=True))
    found.add_new("LUTData", "OW", data)
    return found


def words(entries: object) -> bytes:
    return np.asarray(entries).astype("<u2").tobytes()


EIGHT = np.arange(256)


@pytest.mark.parametrize(
    ("table", "remark"),
    [
        (item([4096, 0, 12], words(CURVE)), ""),
        (item([4096, 0, 16], words(CURVE)), "its entries end at 4095: read as 12 bits"),
        (item([4096, 0, 8], words(CURVE)), "its entries end at 4095: read as 12 bits"),
        (item([4096, 0, 0], words(CURVE)), "states 0 bits an entry"),
        (item([4096, 0, 40], words(CURVE)), "states 40 bits an entry"),
        (item([0, 0, 12], words(CURVE + [4095] * 61440)), ""),
        (item([0, 0, 12], words(CURVE)), "has 4096 of the 65536 entries that it states"),
        (item([4096, 0, 12], words(CURVE[:4095])), "has 4095 of the 4096 entries that it states"),
        (item([4096, 0, 12], words(CURVE) + bytes(2)), ""),
    ],
    ids=[
        "as it says",
        "narrower than its bits",
        "wider than its bits",
        "no bits",
        "too many bits",
        "65,536 entries",
        "65,536 entries, and fewer",
        "an entry too few",
        "an entry too many",
    ],
)
def test_a_table_is_read_by_its_data(table: Dataset, remark: str) -> None:
    got = to_unit_range(FILM, header(12, VOILUTSequence=[table]))
    np.testing.assert_allclose(got.pixels, EXPECTED, atol=1e-6)
    if remark:
        assert [remark in each for each in got.warnings] == [True]
    else:
        assert got.warnings == ()


@pytest.mark.parametrize("data", [EIGHT.astype("u1").tobytes(), words(EIGHT)], ids=["packed", "a word each"])
@pytest.mark.parametrize("bits", [8, 16])
def test_entries_of_8_bits(data: bytes, bits: int) -> None:
    stored = EIGHT.astype(np.uint8).reshape(16, 16)
    got = pixels(stored, header(8, VOILUTSequence=[item([256, 0, bits], data)]))
    np.testing.assert_allclose(got, stored / 255, atol=1e-6)


def test_an_odd_number_of_entries_of_8_bits() -> None:
    stored = np.minimum(EIGHT, 254).astype(np.uint8).reshape(16, 16)
    table = item([255, 0, 8], EIGHT[:255].astype("u1").tobytes() + b"\0")
    np.testing.assert_allclose(pixels(stored, header(8, VOILUTSequence=[table])), stored / 255, atol=1e-6)


@pytest.mark.parametrize("kind", ["VOI LUT", "Modality LUT"])
@pytest.mark.parametrize(
    ("offset", "dtype", "first"),
    [
        (33000, "u2", 33000),
        (33000, "u2", 33000 - 65536),
        (-2000, "i2", -2000),
        (-2000, "i2", 63536),
        (-32768, "i2", 32768),
        (0, "u2", 0),
    ],
)
def test_the_first_value_mapped_in_either_sign(kind: str, offset: int, dtype: str, first: int) -> None:
    stored = (FILM.astype(np.int64) + offset).astype(dtype)
    table = item([4096, first, 12], words(CURVE), "SS" if first < 0 else "US")
    dataset = header(16, int(dtype == "i2"))
    if kind == "VOI LUT":
        dataset.VOILUTSequence = [table]
    else:
        dataset.ModalityLUTSequence = [table]
        dataset.WindowCenter, dataset.WindowWidth = 2048, 4096
    got = to_unit_range(stored, dataset)
    np.testing.assert_allclose(got.pixels, EXPECTED, atol=1e-6)
    assert got.warnings == ()


def test_the_number_of_entries_in_the_sign_of_the_first_value() -> None:
    """40,000 entries from a negative value on: all three numbers are signed."""
    stored = (FILM.astype(np.int64) - 2000).astype(np.int16)
    entries = np.minimum(np.arange(40000), 4095)
    table = item([40000 - 65536, -2000, 12], words(entries), "SS")
    got = pixels(stored, header(16, 1, VOILUTSequence=[table]))
    np.testing.assert_allclose(got, FILM / 4095, atol=1e-6)


def test_a_descriptor_of_fewer_entries_than_there_are() -> None:
    """What lies above the last that is stated is shown as that."""
    got = pixels(FILM, header(12, VOILUTSequence=[item([3000, 0, 12], words(CURVE))]))
    np.testing.assert_allclose(got, np.array(CURVE)[np.minimum(FILM, 2999)] / 4095, atol=1e-6)


def test_negative_values_of_unsigned_pixels_after_a_rescale() -> None:
    dataset = header(12, RescaleSlope=1, RescaleIntercept=-1024)
    dataset.VOILUTSequence = [item([4096, 65536 - 1024, 12], words(CURVE))]
    np.testing.assert_allclose(pixels(FILM, dataset), EXPECTED, atol=1e-6)


@pytest.mark.parametrize(
    ("table", "why"),
    [
        (item([4096, 0, 12], words(CURVE[:1000])), "has 1000 of the 4096 entries that it states"),
        (item([4096, 0, 12], b""), "has no entries"),
        (item([4096, 0], words(CURVE)), "has a descriptor that could not be read"),
        (Dataset(), "has a descriptor that could not be read"),
    ],
)
def test_a_table_that_cannot_be_used_is_not_used(table: Dataset, why: str) -> None:
    got = to_unit_range(FILM, header(12, VOILUTSequence=[table], WindowCenter=2048, WindowWidth=4096))
    np.testing.assert_allclose(got.pixels, FILM / 4095, atol=1e-6)
    assert got.warnings == (f"its VOI LUT {why}: shown by its window 2048/4096",)
