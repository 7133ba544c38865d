"""The figures, against cases counted by hand and against plain definitions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bcd_model.detector.calibration import fit_calibration
from bcd_model.errors import TruthError
from bcd_model.evaluation.froc import (
    FALSE_MARKS,
    ScoredFilm,
    ScoredMark,
    at_threshold,
    bootstrap,
    film_auc,
    froc,
    hits,
)
from bcd_model.evaluation.statistics import auc, interval
from bcd_model.patients import patient_folds
from bcd_model.words import Lesion

LESION = Lesion((100, 100), 30, "benign", "CIRC")


def _film(
    name: str, marks: list[tuple[float, float, float]], lesions: tuple[Lesion, ...] = (), **more: bool
) -> ScoredFilm:
    scored = tuple(ScoredMark((row, column), score) for row, column, score in marks)
    return ScoredFilm(name, name, lesions, more.get("unlocated", False), scored)


@pytest.mark.parametrize(
    ("center", "radius", "hit"),
    [((100, 130), 30, True), ((100, 130.5), 30, False), ((100, 115), 3, True), ((100, 115.5), 3, False)],
)
def test_hit_rule(center: tuple[float, float], radius: float, hit: bool) -> None:
    assert hits(ScoredMark(center, 0), Lesion((100, 100), radius, "benign", "CALC")) is hit


def test_froc_counted_by_hand() -> None:
    films = [
        _film("a", [(100, 100, 3.0), (500, 500, 2.0)], (LESION,)),
        _film("b", [(100, 100, 1.0), (500, 500, 4.0), (600, 600, 0.5)], (LESION,)),
        _film("c", []),
        _film("d", [(10, 10, 9.0)], unlocated=True),  # neither right nor wrong
    ]
    curve = froc(films)
    assert (curve.lesions, curve.films) == (2, 3)
    at = dict(zip(FALSE_MARKS, curve.sensitivity, strict=True))
    # False marks at 4.0, 2.0, 0.5. None allowed at 1/4 of 3 films: only scores above 4.0 count.
    assert at == {0.125: 0.0, 0.25: 0.0, 0.5: 0.5, 1.0: 1.0, 2.0: 1.0, 4.0: 1.0}


def test_two_marks_on_a_lesion_find_it_once_and_are_not_false() -> None:
    films = [_film("a", [(100, 100, 3.0), (110, 100, 2.0)], (LESION,))]
    assert at_threshold(films, 0.0) == (1.0, 0.0)


scores = st.lists(st.integers(-5, 5), min_size=1, max_size=12)


@given(scores, scores)
def test_auc_is_the_share_of_pairs_in_order(positive: list[int], negative: list[int]) -> None:
    pairs = [(p > n) + 0.5 * (p == n) for p in positive for n in negative]
    assert auc(np.array(positive, float), np.array(negative, float)) == pytest.approx(np.mean(pairs))


@given(
    st.lists(
        st.lists(st.tuples(st.integers(0, 200), st.integers(0, 200), st.integers(-3, 3)), max_size=5),
        min_size=1,
        max_size=6,
    )
)
def test_froc_keeps_its_promise_of_false_marks(marks: list[list[tuple[int, int, int]]]) -> None:
    films = [_film(str(i), list(found), (LESION,) if i % 2 else ()) for i, found in enumerate(marks)]
    curve = froc(films)
    assert list(curve.sensitivity) == sorted(curve.sensitivity)
    for rate, sensitivity, threshold in zip(FALSE_MARKS, curve.sensitivity, curve.threshold, strict=True):
        found, wrong = at_threshold(films, max(threshold, -100))
        assert wrong <= rate
        assert found == pytest.approx(sensitivity)


def test_films_without_marks_rank_below_all_others() -> None:
    assert film_auc([_film("a", [(100, 100, -9.0)], (LESION,)), _film("b", [])]) == 1.0


def test_bootstrap_draws_patients_not_films() -> None:
    # Two patients, each with many equal films: the interval is as wide as two cases make it.
    films = [
        ScoredFilm(
            f"{patient}{i}",
            patient,
            (LESION,),
            False,
            (ScoredMark((100, 100), 1.0),) if patient == "a" else (),
        )
        for patient in "ab"
        for i in range(20)
    ]
    (interval,) = bootstrap(films, lambda chosen: [at_threshold(chosen, 0.0)[0]])
    assert (interval.value, interval.low, interval.high) == (0.5, 0.0, 1.0)


@given(
    st.dictionaries(st.text("abcdef", min_size=1), st.integers(0, 2), min_size=5, max_size=60),
    st.integers(2, 5),
)
def test_folds_are_even_in_size_and_in_classes(severity: dict[str, int], folds: int) -> None:
    placed = patient_folds(severity, folds, seed=0)
    assert placed.keys() == severity.keys()
    for wanted in (None, 0, 1, 2):
        counts = np.bincount(
            [placed[p] for p in placed if wanted is None or severity[p] == wanted], minlength=folds
        )
        assert counts.max() - counts.min() <= 1


def test_fewer_patients_than_folds_are_refused() -> None:
    with pytest.raises(TruthError, match="2 patients cannot fill 5 folds"):
        patient_folds({"a": 0, "b": 1}, 5, 0)


def test_calibration_recovers_the_odds_the_scores_were_drawn_with() -> None:
    rng = np.random.default_rng(0)
    score = rng.normal(size=20_000)
    truth = rng.random(score.size) < 1 / (1 + np.exp(-(1.7 * score - 1.2)))
    fitted = fit_calibration(score, truth)
    assert fitted.slope == pytest.approx(1.7, abs=0.1)
    assert fitted.intercept == pytest.approx(-1.2, abs=0.1)
    assert fitted.probability(0.0) == pytest.approx(1 / (1 + np.exp(1.2)), abs=0.02)


def test_calibration_of_a_few_overlapping_scores_stays_finite() -> None:
    # Far from 0 and all but uninformative: an undamped Newton step runs away here.
    rng = np.random.default_rng(1)
    score = 16 + rng.normal(size=52)
    truth = np.arange(52) % 3 == 0
    fitted = fit_calibration(score, truth)
    assert abs(fitted.slope) < 2
    mean = np.mean([fitted.probability(value) for value in score])
    assert mean == pytest.approx(truth.mean(), abs=0.03)


def test_calibration_needs_both_kinds() -> None:
    with pytest.raises(TruthError, match="one kind is missing"):
        fit_calibration(np.zeros(3), np.ones(3, dtype=bool))


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
