import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bcd_model.paper.printed import TABLE_I
from bcd_model.paper.report.counts import (
    Count,
    accuracy,
    balanced_accuracy,
    class_count,
    confusion,
    paper_count,
)


@pytest.mark.parametrize("system", ["S1", "S2", "S3"])
def test_the_papers_count_gives_table_i_but_for_its_slips(system: str) -> None:
    printed = TABLE_I[system]
    # Any table with as many right and wrong answers will do.
    count = paper_count(np.array([[printed.tp, printed.fn, 0], [0, 0, 0], [0, 0, 0]]))
    assert (count.tp, count.fn) == (printed.tp, printed.fn)
    assert abs(count.tn - printed.tn) <= 3
    assert abs(count.fp - printed.fp) <= 1
    assert 100 * count.sensitivity == pytest.approx(printed.sensitivity, abs=0.011)
    assert 100 * count.specificity == pytest.approx(printed.specificity, abs=0.12)


@pytest.mark.parametrize("system", ["S1", "S2", "S3"])
def test_the_printed_rates_follow_from_the_printed_counts_but_for_one(system: str) -> None:
    printed = TABLE_I[system]
    count = Count(printed.tp, printed.tn, printed.fp, printed.fn)
    # Some are cut off, not rounded, in their last digit.
    assert 100 * count.sensitivity == pytest.approx(printed.sensitivity, abs=0.011)
    assert 100 * count.specificity == pytest.approx(printed.specificity, abs=0.011)
    expected = 35.39 if system == "S3" else printed.accuracy
    assert 100 * count.accuracy == pytest.approx(expected, abs=0.011)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=60))
def test_counts_of_a_class_are_those_of_counting_by_hand(pairs: list[tuple[int, int]]) -> None:
    truth, told = (np.array(side) for side in zip(*pairs, strict=True))
    table = confusion(truth, told, 3)
    for index in range(3):
        assert class_count(table, index) == Count(
            tp=sum(t == index == a for t, a in pairs),
            tn=sum(t != index != a for t, a in pairs),
            fp=sum(t != index == a for t, a in pairs),
            fn=sum(t == index != a for t, a in pairs),
        )
    assert accuracy(table) == pytest.approx(np.mean(truth == told))
    assert paper_count(table).sensitivity == pytest.approx(accuracy(table))


def test_balanced_accuracy_is_chance_for_whoever_always_says_the_same() -> None:
    table = confusion(np.array([0] * 8 + [1, 2]), np.zeros(10, dtype=np.int64), 3)
    assert accuracy(table) == 0.8
    assert balanced_accuracy(table) == pytest.approx(1 / 3)
    assert np.isnan(balanced_accuracy(confusion(np.array([0, 1]), np.array([0, 1]), 3)))
