"""The curves, against cases counted by hand and against plain definitions."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bcd_model.evaluation import froc
from bcd_model.evaluation.cases import Case
from bcd_model.evaluation.froc import FALSE_MARKS
from bcd_model.evaluation.hits import HitRule
from bcd_model.evaluation.scored_films import ScoredFilm, ScoredMark
from bcd_model.evaluation.tally import Tally, count, draw_patients, interval, intervals
from bcd_model.words import Lesion
from tests.support import plain_froc
from tests.support.made_cases import case, mark, random_cases

RATES = np.array(FALSE_MARKS)
LESION = Lesion((100, 100), 30, "benign", "CIRC")
RULES = (HitRule("centre"), HitRule("iou"))


def tallied(cases: list[Case], rule: HitRule) -> Tally:
    return count([each.scored for each in cases], rule)


def counted(cases: list[Case], rule: HitRule, rate: float) -> float:
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
    tally = tallied(cases, rule)
    weights = np.ones((1, tally.patients))
    return froc.sensitivity(tally, weights, froc.thresholds(tally, weights, rates))[0]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
@pytest.mark.parametrize("seed", range(4))
def test_froc_is_what_counting_every_threshold_gives(rule: HitRule, seed: int) -> None:
    cases = random_cases(seed=seed)
    expected = [counted(cases, rule, rate) for rate in FALSE_MARKS]
    assert curve(cases, rule) == pytest.approx(expected)
    assert expected[-1] > 0


def test_figures_and_intervals_are_those_of_plain_draws_of_patients() -> None:
    cases = random_cases(30, seed=3)
    scored = [each.scored for each in cases]
    tally = count(scored, HitRule())
    weights = draw_patients(tally.patients, seed=0)

    def figures(films: Sequence[ScoredFilm]) -> list[float]:
        sensitivity = plain_froc.froc(films).sensitivity
        return [*sensitivity, plain_froc.film_auc(films), plain_froc.malignant_auc(films)]

    expected = plain_froc.bootstrap(scored, figures, seed=0)
    above = froc.thresholds(tally, weights, RATES)
    found = [
        *intervals(froc.sensitivity(tally, weights, above)),
        interval(froc.film_auc(tally, weights)),
        interval(froc.malignant_auc(tally, weights)),
    ]
    for ours, theirs in zip(found, expected, strict=True):
        assert (ours.value, ours.low, ours.high) == pytest.approx((theirs.value, theirs.low, theirs.high))


def test_froc_counted_by_hand() -> None:
    cases = [
        case("a", [mark(100, 100, 3.0), mark(500, 500, 2.0)], (LESION,)),
        case("b", [mark(100, 100, 1.0), mark(500, 500, 4.0), mark(600, 600, 0.5)], (LESION,)),
        case("c", []),
        case("d", [mark(10, 10, 9.0)], unlocated=True),  # neither right nor wrong
    ]
    tally = tallied(cases, HitRule())
    assert (tally.judged_lesion.sum(), tally.judged.sum()) == (2, 3)
    # False marks at 4.0, 2.0, 0.5. None allowed at 1/4 of 3 films: only scores above 4.0 count.
    at = dict(zip(FALSE_MARKS, curve(cases).tolist(), strict=True))
    assert at == {0.125: 0.0, 0.25: 0.0, 0.5: 0.5, 1.0: 1.0, 2.0: 1.0, 4.0: 1.0}


def test_a_film_of_unknown_place_counts_for_the_auc_alone() -> None:
    films = [case("a", [mark(100, 100, 2.0)], (LESION,)), case("b", [])]
    unknown = case("c", [mark(10, 10, 9.0), mark(50, 50, 8.0)], unlocated=True)
    assert curve([*films, unknown]).tolist() == curve(films).tolist() == [1.0] * 6
    tally = tallied([*films, unknown], HitRule())
    assert froc.film_auc(tally, np.ones((1, 3)))[0] == 1.0
    assert tally.abnormal.tolist() == [True, False, True]


def test_a_lesion_hit_twice_counts_once_and_the_second_mark_is_not_false() -> None:
    twice = [mark(100, 100, 3.0), mark(105, 100, 2.0), mark(100, 108, 1.0)]
    cases = [case("a", twice, (LESION,)), case("b", [], (LESION,))]
    tally = tallied(cases, HitRule())
    weights = np.ones((1, 2))
    above = np.array([[-np.inf]])
    assert froc.sensitivity(tally, weights, above)[0, 0] == 0.5
    assert froc.false_marks(tally, weights, above)[0] == 0.0
    shown = np.array([False, True, False])
    assert [float(v[0]) for v in froc.at_shown(tally, weights, shown)] == [0.5, 0.0]


def test_a_draw_counts_a_patient_as_often_as_drawn() -> None:
    """Weights are nothing but copies of patients."""
    cases = random_cases(6, seed=5)
    times = [2, 0, 1, 3, 0, 1]
    copies = [
        case(f"{each.film.name}-{n}", list(each.marks), each.film.lesions, unlocated=each.film.unlocated)
        for each in cases
        for n in range(times[int(each.film.patient[1:])])
    ]
    tally, plain = tallied(cases, HitRule()), tallied(copies, HitRule())
    weights, ones = np.array([times], dtype=float), np.ones((1, plain.patients))
    above = froc.thresholds(tally, weights, RATES)
    assert above.tolist() == froc.thresholds(plain, ones, RATES).tolist()
    assert froc.sensitivity(tally, weights, above) == pytest.approx(curve(copies)[None])
    for figure in (froc.film_auc, froc.malignant_auc, froc.film_roc):
        assert figure(tally, weights) == pytest.approx(figure(plain, ones), nan_ok=True)


@given(st.integers(0, 10_000), st.data())
@settings(max_examples=40, deadline=None)
def test_another_false_mark_never_raises_the_curve(seed: int, data: st.DataObject) -> None:
    cases = random_cases(5, seed=seed)
    index = data.draw(st.integers(0, len(cases) - 1))
    false = mark(5000, 5000, data.draw(st.floats(-5, 5)))
    before = curve(cases, rates=froc.RATES)
    old = cases[index]
    cases[index] = Case(old.film, old.pixels, tuple(sorted((*old.marks, false), key=lambda m: -m.score)))
    after = curve(cases, rates=froc.RATES)
    assert np.all((after <= before) | np.isnan(before))
    assert list(before) == sorted(before) or np.isnan(before).all()


@given(st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_the_threshold_keeps_its_promise_of_false_marks(seed: int) -> None:
    tally = tallied(random_cases(5, seed=seed), HitRule())
    weights = draw_patients(tally.patients, seed, draws=5)
    above = froc.thresholds(tally, weights, froc.RATES)
    for column in range(0, len(froc.RATES), 20):
        made = froc.false_marks(tally, weights, above[:, [column]])
        assert np.all(np.isnan(made) | (made <= froc.RATES[column] + 1e-9))


@pytest.mark.parametrize("seed", range(3))
def test_film_auc_is_the_share_of_pairs_in_order(seed: int) -> None:
    cases = random_cases(seed=seed)
    pairs = [
        (a.score > n.score) + 0.5 * (a.score == n.score)
        for a, n in itertools.product(cases, cases)
        if a.scored.abnormal and not n.scored.abnormal
    ]
    tally = tallied(cases, HitRule())
    weights = np.ones((1, tally.patients))
    assert froc.film_auc(tally, weights)[0] == pytest.approx(np.mean(pairs))
    # The area under the drawn curve, on its grid of 101 rates, is the same but for the grid.
    assert np.trapezoid(froc.film_roc(tally, weights)[0], froc.GRID) == pytest.approx(
        np.mean(pairs), abs=0.05
    )


def test_roc_by_hand() -> None:
    cases = [
        case("a", [mark(100, 100, 3.0)], (LESION,)),
        case("b", [mark(10, 10, 2.0)]),
        case("c", [mark(100, 100, 1.0)], (LESION,)),
        case("d", []),
    ]
    curve = froc.film_roc(tallied(cases, HitRule()), np.ones((1, 4)))[0]
    at = dict(zip(froc.GRID.round(2).tolist(), curve.tolist(), strict=True))
    assert at[0.0] == 0.5  # the first film ranks before every normal one
    assert (at[0.5], at[1.0]) == (1.0, 1.0)


def test_lesions_of_one_class_give_no_figure_rather_than_a_wrong_one() -> None:
    tally = tallied([case("a", [mark(100, 100, 3.0)], (LESION,)), case("b", [])], HitRule())
    assert np.isnan(froc.malignant_auc(tally, np.ones((1, 2)))[0])
    assert np.isnan(interval(froc.malignant_auc(tally, np.ones((3, 2)))).low)


def test_films_without_marks_rank_below_all_others() -> None:
    tally = tallied([case("a", [mark(100, 100, -9.0)], (LESION,)), case("b", [])], HitRule())
    assert froc.film_auc(tally, np.ones((1, 2)))[0] == 1.0


def test_draws_are_of_patients_not_films() -> None:
    # Two patients, each with many equal films: the interval is as wide as two cases make it.
    films = [
        ScoredFilm(f"{patient}{i}", patient, (LESION,), False, marks)
        for patient, marks in (("a", (ScoredMark((100, 100), 1.0),)), ("b", ()))
        for i in range(20)
    ]
    tally = count(films, HitRule())
    weights = draw_patients(tally.patients, seed=0)
    above = np.full((len(weights), 1), -0.5)
    found = interval(froc.sensitivity(tally, weights, above)[:, 0])
    assert (found.value, found.low, found.high) == (0.5, 0.0, 1.0)
