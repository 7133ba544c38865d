"""Windows as a file states them."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.pixels.processing import apply_windowing

from converters.films.pixels.windows import Function, Window, windows
from tests.support.gray_scales import header


@given(
    center=st.floats(-3000, 70000),
    width=st.floats(1.01, 70000),
    function=st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID"]),
)
def test_a_window_agrees_with_pydicom(center: float, width: float, function: Function) -> None:
    values = np.linspace(0, 4095, 500)
    dataset = header(12, WindowCenter=center, WindowWidth=width, VOILUTFunction=function)
    with np.errstate(over="ignore"):  # its sigmoid
        expected = apply_windowing(values, dataset) / 4095
    taken = dataset.WindowCenter, dataset.WindowWidth  # with the digits that the element holds
    np.testing.assert_allclose(Window(*map(float, taken), function).apply(values), expected, atol=1e-9)


@pytest.mark.parametrize(
    ("center", "width", "expected"),
    [
        ([1500, 1600], [2500, 2600], [(1500, 2500), (1600, 2600)]),
        (["1500", ""], ["2500", ""], [(1500, 2500)]),
        (["", "1500"], ["", "2500"], [(1500, 2500)]),
        (["1500", "1600"], "2500", [(1500, 2500)]),
        ("1500", ["", "2500"], []),
        ([1, 2, 3], [0, -4, 5], [(3, 5)]),
        ([1500, 1500], [2500, 2500], [(1500, 2500)]),
        (["n/a", "1500"], ["2500", "2500"], [(1500, 2500)]),
        (["inf", "1500"], ["2500", "nan"], []),
        (list(range(500)), [9] * 500, [(number, 9) for number in range(8)]),
    ],
)
def test_windows_are_pairs_of_numbers(center: object, width: object, expected: list[object]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's, of values that are no numbers
        dataset = header(12)
        dataset.add_new("WindowCenter", "LO", center)
        dataset.add_new("WindowWidth", "LO", width)
    assert [(window.center, window.width) for window in windows(dataset)] == expected
