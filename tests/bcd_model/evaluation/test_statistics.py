"""Areas and intervals, against plain definitions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bcd_model.evaluation.statistics import auc, interval

scores = st.lists(st.integers(-5, 5), min_size=1, max_size=12)


@given(scores, scores)
def test_auc_is_the_share_of_pairs_in_order(positive: list[int], negative: list[int]) -> None:
    pairs = [(p > n) + 0.5 * (p == n) for p in positive for n in negative]
    assert auc(np.array(positive, float), np.array(negative, float)) == pytest.approx(np.mean(pairs))


def test_an_interval_is_the_middle_of_the_draws() -> None:
    draws = np.arange(101.0)
    found = interval(50.0, draws)
    assert (found.value, found.low, found.high) == (50.0, 2.5, 97.5)
    few = np.where(np.arange(101) % 25 == 0, np.nan, draws)  # 5 of 101
    assert interval(50.0, few).low == pytest.approx(2.5, abs=1.5)


@pytest.mark.parametrize(
    ("value", "draws", "text"),
    [
        (1.0, [1.0] * 94 + [np.nan] * 6, "1.000 (-)"),  # the draws that have a value are a choice
        (1.0, [np.nan] * 9, "1.000 (-)"),
        (np.nan, [1.0] * 9, "-"),
        (np.inf, [np.inf] * 9, "-"),
        (1.0, [0.5] * 60 + [np.inf] * 40, "1.000 (0.500 to inf)"),
        (1.0, [-np.inf] * 40 + [0.5] * 60, "1.000 (-inf to 0.500)"),
        (1.0, [-np.inf] * 40 + [1.0] * 20 + [np.inf] * 40, "1.000 (-)"),
        (1.0, [0.5] * 98 + [np.inf] * 1, "1.000 (0.500 to 0.500)"),
    ],
)
def test_what_has_no_interval_or_one_without_end(value: float, draws: list[float], text: str) -> None:
    assert str(interval(value, np.array(draws))) == text
