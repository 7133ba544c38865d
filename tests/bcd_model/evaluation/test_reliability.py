"""Calibration, against sums done by hand, the conditions of greatest likelihood, and known odds."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bcd_model.detector.calibration import fit_calibration
from bcd_model.errors import TruthError
from bcd_model.evaluation.reliability import EDGES, Items, cross_fitted, judge, recalibration
from bcd_model.evaluation.tally import draw_patients


def items(probability: list[float], truth: list[int]) -> Items:
    p = np.array(probability)
    return Items(np.log(p / (1 - p)), np.array(truth, dtype=bool), np.arange(len(p)))


def once(of: Items) -> np.ndarray:
    return np.ones((2, len(of.truth)))


def drawn(slope: float, intercept: float, number: int = 40_000, patients: int = 200) -> Items:
    """Truth that a perfect probability would need ``slope`` and ``intercept`` to become."""
    rng = np.random.default_rng(1)
    logit = rng.normal(-1, 1.5, number)
    truth = rng.random(number) < 1 / (1 + np.exp(-(slope * logit + intercept)))
    return Items(logit, truth, rng.integers(patients, size=number))


def test_the_bins_begin_fine_and_end_ten_of_equal_width() -> None:
    assert EDGES.tolist() == pytest.approx(
        [0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1]
    )


def test_brier_ece_and_bins_by_hand() -> None:
    #        below 0.01   0.2 to 0.3      0.9 to 1
    of = items([0.005, 0.22, 0.26, 0.24, 0.95], [0, 1, 0, 0, 1])
    found = judge(of, once(of))
    assert found is not None
    squares = [0.005**2, 0.78**2, 0.26**2, 0.24**2, 0.05**2]
    assert found.brier.value == pytest.approx(sum(squares) / 5)
    assert found.base_rate_brier.value == pytest.approx(0.4 * 0.6)
    assert found.skill.value == pytest.approx(1 - sum(squares) / 5 / 0.24)
    # |0.005 - 0| * 1 + |0.24 - 1/3| * 3 + |0.95 - 1| * 1, over 5.
    assert found.ece.value == pytest.approx((0.005 + 3 * (1 / 3 - 0.24) + 0.05) / 5)
    assert [(each.low, each.high, each.count) for each in found.bins] == [
        (0.0, 0.01, 1),
        (pytest.approx(0.2), pytest.approx(0.3), 3),
        (pytest.approx(0.9), 1.0, 1),
    ]
    assert [each.true.value for each in found.bins] == pytest.approx([0, 1 / 3, 1])
    assert found.bins[1].probability == pytest.approx(0.24)


def test_an_edge_belongs_to_the_bin_above() -> None:
    of = Items(np.array([np.log(0.5 / 0.5), -1.0]), np.array([True, False]), np.arange(2))
    found = judge(of, once(of))
    assert found is not None
    assert (found.bins[-1].low, found.bins[-1].high) == (0.5, pytest.approx(0.6))


@given(
    st.lists(st.tuples(st.floats(0.001, 0.999), st.booleans()), min_size=2, max_size=60).filter(
        lambda rows: len({truth for _, truth in rows}) == 2
    )
)
@settings(deadline=None)
def test_ece_is_the_plain_sum_over_bins(rows: list[tuple[float, bool]]) -> None:
    of = items([p for p, _ in rows], [int(t) for _, t in rows])
    found = judge(of, once(of))
    assert found is not None
    total = 0.0
    for low, high in pairwise(EDGES):
        inside = [(p, t) for p, t in zip(of.probability, of.truth, strict=True) if low <= p < high]
        if inside:
            total += abs(sum(p for p, _ in inside) - sum(t for _, t in inside))
    assert found.ece.value == pytest.approx(total / len(rows), abs=1e-9)
    assert sum(each.count for each in found.bins) == len(rows)


@pytest.mark.parametrize(("slope", "intercept"), [(1.0, 0.0), (0.5, 0.3), (2.0, -1.0)])
def test_slope_and_intercept_are_those_the_truth_was_drawn_with(slope: float, intercept: float) -> None:
    of = drawn(slope, intercept)
    found = judge(of, draw_patients(200, 0, draws=200))
    assert found is not None
    assert found.slope.low < slope < found.slope.high
    assert found.intercept.low < intercept < found.intercept.high
    assert found.slope.high - found.slope.low < 0.2
    assert (found.ece.value < 0.02) is (slope == 1.0)
    assert found.skill.value > 0


def test_the_fit_meets_the_conditions_of_greatest_likelihood_for_every_weight() -> None:
    of = drawn(0.7, 0.2, number=300, patients=20)
    weights = draw_patients(20, 3, draws=20)
    for row, (slope, intercept) in zip(weights[:, of.patient], recalibration(of, weights), strict=True):
        rest = row * (of.truth - 1 / (1 + np.exp(-(slope * of.logit + intercept))))
        assert rest.sum() == pytest.approx(0, abs=1e-6)
        assert (rest * of.logit).sum() == pytest.approx(0, abs=1e-6)


def test_a_steep_fit_of_few_true_items_is_found_for_every_draw() -> None:
    """Newton's steps alone run away here: few true items, far above most of the others."""
    rng = np.random.default_rng(0)
    logit = np.concatenate([[0], rng.normal(-5, 0.5, 146)[1:], rng.normal(0, 2, 10)])
    of = Items(logit, np.arange(156) >= 146, np.arange(156) % 8)
    weights = draw_patients(8, 0)
    lines = recalibration(of, weights)
    assert not np.isnan(lines[:, 0]).any()
    for row, (slope, intercept) in zip(weights[:, of.patient], lines, strict=True):
        if np.isfinite(slope):
            rest = row * (of.truth - 1 / (1 + np.exp(-(slope * of.logit + intercept))))
            assert np.abs([rest.sum(), (rest * of.logit).sum()]) == pytest.approx(0, abs=1e-4)


def test_without_overlap_there_is_no_slope_but_all_else() -> None:
    of = items([0.1, 0.2, 0.7, 0.8], [0, 0, 1, 1])
    found = judge(of, once(of))
    assert found is not None
    assert str(found.slope) == str(found.intercept) == "-"
    assert np.isfinite(found.brier.value)


@pytest.mark.parametrize(
    ("logits", "truth", "line"),
    [
        ([-2, -1, 1, 3], [0, 0, 1, 1], (np.inf, np.nan)),  # middle 0: the intercept may be anything
        ([1, 2, 3, 5], [0, 0, 1, 1], (np.inf, -np.inf)),
        ([-5, -3, -2, -1], [0, 0, 1, 1], (np.inf, np.inf)),
        ([1, 2, 3, 5], [1, 1, 0, 0], (-np.inf, np.inf)),
        ([1, 2, 2, 5], [0, 0, 1, 1], (np.inf, -np.inf)),  # they only touch
        ([2, 2, 2, 2], [0, 1, 1, 0], (np.nan, np.nan)),
        ([1, 2, 3, 5], [1, 1, 1, 1], (np.nan, np.nan)),
    ],
)
def test_kinds_apart_have_an_infinite_slope(logits: list[float], truth: list[int], line: tuple) -> None:
    of = Items(np.array(logits, dtype=float), np.array(truth, dtype=bool), np.arange(len(truth)))
    assert recalibration(of, np.ones((1, len(truth))))[0].tolist() == pytest.approx(line, nan_ok=True)


def test_the_slope_of_a_small_set_has_an_interval_without_end() -> None:
    """Draws without overlap have the steepest slopes: left out, they made the interval far too narrow."""
    of = items([0.05, 0.1, 0.2, 0.3, 0.4, 0.6, 0.35, 0.7, 0.8, 0.85, 0.9], [0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1])
    weights = draw_patients(len(of.truth), seed=0)
    slopes = recalibration(of, weights)[:, 0]
    overlap = [
        of.logit[(row > 0) & of.truth].min(initial=np.inf)
        < of.logit[(row > 0) & ~of.truth].max(initial=-np.inf)
        for row in weights
    ]
    assert np.isfinite(slopes).tolist() == overlap
    assert np.isposinf(slopes).mean() > 0.3
    found = judge(of, weights)
    assert found is not None
    assert found.slope.low < found.slope.value < found.slope.high == np.inf
    assert str(found.slope).endswith(" to inf)")
    assert found.slope.low == np.sort(slopes[1:][~np.isnan(slopes[1:])])[24]  # the 2.5th of a hundred


def test_a_slope_that_many_draws_lack_has_no_interval() -> None:
    """One false item: more than a third of the draws are without it."""
    of = items([0.5, 0.3, 0.6, 0.7, 0.8, 0.9], [0, 1, 1, 1, 1, 1])
    found = judge(of, draw_patients(6, seed=0))
    assert found is not None
    assert str(found.slope) == f"{found.slope.value:.3f} (-)"


def test_one_kind_of_item_is_nothing_to_judge() -> None:
    of = items([0.1, 0.2], [1, 1])
    assert judge(of, once(of)) is None


def test_cross_fitting_uses_no_item_of_the_own_fold() -> None:
    rng = np.random.default_rng(0)
    scores, folds = rng.normal(size=90), np.arange(90) % 3
    truth = rng.random(90) < 1 / (1 + np.exp(-2 * scores))
    everything = np.ones(90, dtype=bool)
    logits = cross_fitted(scores, truth, folds, everything)
    for fold in range(3):
        own = folds == fold
        fitted = fit_calibration(scores[~own], truth[~own])
        assert logits[own] == pytest.approx(fitted.slope * scores[own] + fitted.intercept)
    # The truth of a fold has no part in its own probabilities.
    turned = np.where(folds == 0, ~truth, truth)
    assert cross_fitted(scores, turned, folds, everything)[folds == 0] == pytest.approx(logits[folds == 0])


def test_what_must_not_be_fitted_on_still_gets_a_probability() -> None:
    scores, folds = np.arange(8.0), np.arange(8) % 2
    truth = np.array([0, 0, 1, 0, 0, 1, 1, 1], dtype=bool)
    use = np.arange(8) != 6
    wild = np.where(use, scores, 1e3)
    assert cross_fitted(wild, truth, folds, use)[folds == 1] == pytest.approx(
        cross_fitted(scores, truth, folds, use)[folds == 1]
    )


@pytest.mark.parametrize(("truth", "folds"), [([1, 1, 0, 0], [0, 0, 1, 1]), ([0, 1, 0, 1], [0, 0, 0, 0])])
def test_folds_that_cannot_calibrate_each_other_are_told(truth: list[int], folds: list[int]) -> None:
    with pytest.raises(TruthError):
        cross_fitted(np.arange(4.0), np.array(truth, dtype=bool), np.array(folds), np.ones(4, dtype=bool))
