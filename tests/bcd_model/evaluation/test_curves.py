"""The curves, against plain counting and against the functions that training uses."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bcd_model.evaluation import curves, froc
from bcd_model.evaluation.cases import Case
from bcd_model.evaluation.froc import FALSE_MARKS
from bcd_model.evaluation.hits import HitRule
from bcd_model.evaluation.tally import count, draw_patients, interval, intervals
from bcd_model.training.recipe import malignant_auc
from bcd_model.words import Lesion
from tests.support.made_cases import case, mark, random_cases

RATES = np.array(FALSE_MARKS)
LESION = Lesion((100, 100), 30, "benign", "CIRC")
RULES = (HitRule("centre"), HitRule("iou"))


def plain_froc(cases: list[Case], rule: HitRule, rate: float) -> float:
    """Sensitivity by trying every score as threshold and counting marks one by one."""
    judged = [each for each in cases if not each.film.unlocated]
    lesions = sum(len(each.film.lesions) for each in judged)
    best = 0.0
    for threshold in {each.score for c in judged for each in c.marks}:
        wrong = found = 0
        for each in judged:
            shown = [m for m in each.marks if m.score >= threshold]
            wrong += sum(not any(rule.hits(m, lesion) for lesion in each.film.lesions) for m in shown)
            found += sum(any(rule.hits(m, lesion) for m in shown) for lesion in each.film.lesions)
        if wrong <= rate * len(judged):
            best = max(best, found / lesions)
    return best


def curve(cases: list[Case], rule: HitRule = RULES[0], rates: np.ndarray = RATES) -> np.ndarray:
    tally = count(cases, rule)
    weights = np.ones((1, tally.patients))
    return curves.sensitivity(tally, weights, curves.thresholds(tally, weights, rates))[0]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
@pytest.mark.parametrize("seed", range(4))
def test_froc_is_what_counting_every_threshold_gives(rule: HitRule, seed: int) -> None:
    cases = random_cases(seed=seed)
    expected = [plain_froc(cases, rule, rate) for rate in FALSE_MARKS]
    assert curve(cases, rule) == pytest.approx(expected)
    assert expected[-1] > 0


def test_figures_and_intervals_are_those_of_training() -> None:
    """`train` and `evaluate` say the same of the same marks, to the last digit of the interval."""
    cases = random_cases(30, seed=3)
    scored = [each.scored for each in cases]
    tally = count(cases, HitRule())
    weights = draw_patients(tally.patients, seed=0)

    def figures(films: list[froc.ScoredFilm]) -> list[float]:
        return [*froc.froc(films).sensitivity, froc.film_auc(films), malignant_auc(films)]

    expected = froc.bootstrap(scored, figures, seed=0)
    above = curves.thresholds(tally, weights, RATES)
    found = [
        *intervals(curves.sensitivity(tally, weights, above)),
        interval(curves.film_auc(tally, weights)),
        interval(curves.malignant_auc(tally, weights)),
    ]
    for ours, theirs in zip(found, expected, strict=True):
        assert (ours.value, ours.low, ours.high) == pytest.approx((theirs.value, theirs.low, theirs.high))


def test_a_film_of_unknown_place_counts_for_the_auc_alone() -> None:
    films = [case("a", [mark(100, 100, 2.0)], (LESION,)), case("b", [])]
    unknown = case("c", [mark(10, 10, 9.0), mark(50, 50, 8.0)], unlocated=True)
    assert curve([*films, unknown]).tolist() == curve(films).tolist() == [1.0] * 6
    tally = count([*films, unknown], HitRule())
    assert curves.film_auc(tally, np.ones((1, 3)))[0] == 1.0
    assert tally.abnormal.tolist() == [True, False, True]


def test_a_lesion_hit_twice_counts_once_and_the_second_mark_is_not_false() -> None:
    twice = [mark(100, 100, 3.0), mark(105, 100, 2.0), mark(100, 108, 1.0)]
    cases = [case("a", twice, (LESION,)), case("b", [], (LESION,))]
    tally = count(cases, HitRule())
    weights = np.ones((1, 2))
    above = np.array([[-np.inf]])
    assert curves.sensitivity(tally, weights, above)[0, 0] == 0.5
    assert curves.false_marks(tally, weights, above)[0] == 0.0
    shown = np.array([False, True, False])
    assert [float(v[0]) for v in curves.at_shown(tally, weights, shown)] == [0.5, 0.0]


def test_a_draw_counts_a_patient_as_often_as_drawn() -> None:
    """Weights are nothing but copies of patients."""
    cases = random_cases(6, seed=5)
    times = [2, 0, 1, 3, 0, 1]
    copies = [
        case(f"{each.film.name}-{n}", list(each.marks), each.film.lesions, unlocated=each.film.unlocated)
        for each in cases
        for n in range(times[int(each.film.patient[1:])])
    ]
    tally, plain = count(cases, HitRule()), count(copies, HitRule())
    weights, ones = np.array([times], dtype=float), np.ones((1, plain.patients))
    above = curves.thresholds(tally, weights, RATES)
    assert above.tolist() == curves.thresholds(plain, ones, RATES).tolist()
    assert curves.sensitivity(tally, weights, above) == pytest.approx(curve(copies)[None])
    for figure in (curves.film_auc, curves.malignant_auc, curves.film_roc):
        assert figure(tally, weights) == pytest.approx(figure(plain, ones), nan_ok=True)


@given(st.integers(0, 10_000), st.data())
@settings(max_examples=40, deadline=None)
def test_another_false_mark_never_raises_the_curve(seed: int, data: st.DataObject) -> None:
    cases = random_cases(5, seed=seed)
    index = data.draw(st.integers(0, len(cases) - 1))
    false = mark(5000, 5000, data.draw(st.floats(-5, 5)))
    before = curve(cases, rates=curves.RATES)
    old = cases[index]
    cases[index] = Case(old.film, old.pixels, tuple(sorted((*old.marks, false), key=lambda m: -m.score)))
    after = curve(cases, rates=curves.RATES)
    assert np.all((after <= before) | np.isnan(before))
    assert list(before) == sorted(before) or np.isnan(before).all()


@given(st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_the_threshold_keeps_its_promise_of_false_marks(seed: int) -> None:
    tally = count(random_cases(5, seed=seed), HitRule())
    weights = draw_patients(tally.patients, seed, draws=5)
    above = curves.thresholds(tally, weights, curves.RATES)
    for column in range(0, len(curves.RATES), 20):
        made = curves.false_marks(tally, weights, above[:, [column]])
        assert np.all(np.isnan(made) | (made <= curves.RATES[column] + 1e-9))


@pytest.mark.parametrize("seed", range(3))
def test_film_auc_is_the_share_of_pairs_in_order(seed: int) -> None:
    cases = random_cases(seed=seed)
    pairs = [
        (a.score > n.score) + 0.5 * (a.score == n.score)
        for a, n in itertools.product(cases, cases)
        if a.scored.abnormal and not n.scored.abnormal
    ]
    tally = count(cases, HitRule())
    weights = np.ones((1, tally.patients))
    assert curves.film_auc(tally, weights)[0] == pytest.approx(np.mean(pairs))
    # The area under the drawn curve, on its grid of 101 rates, is the same but for the grid.
    assert np.trapezoid(curves.film_roc(tally, weights)[0], curves.GRID) == pytest.approx(
        np.mean(pairs), abs=0.05
    )


def test_roc_by_hand() -> None:
    cases = [
        case("a", [mark(100, 100, 3.0)], (LESION,)),
        case("b", [mark(10, 10, 2.0)]),
        case("c", [mark(100, 100, 1.0)], (LESION,)),
        case("d", []),
    ]
    curve = curves.film_roc(count(cases, HitRule()), np.ones((1, 4)))[0]
    at = dict(zip(curves.GRID.round(2).tolist(), curve.tolist(), strict=True))
    assert at[0.0] == 0.5  # the first film ranks before every normal one
    assert (at[0.5], at[1.0]) == (1.0, 1.0)


def test_lesions_of_one_class_give_no_figure_rather_than_a_wrong_one() -> None:
    tally = count([case("a", [mark(100, 100, 3.0)], (LESION,)), case("b", [])], HitRule())
    assert np.isnan(curves.malignant_auc(tally, np.ones((1, 2)))[0])
    assert np.isnan(interval(curves.malignant_auc(tally, np.ones((3, 2)))).low)
