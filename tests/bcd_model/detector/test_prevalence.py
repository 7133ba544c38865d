"""The same model where another share of films is abnormal."""

from __future__ import annotations

import os
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bcd_model.detector.calibration import Calibration
from bcd_model.detector.model import FLOOR, Model, load_model
from bcd_model.detector.network import ScanningBCDCNN, initialise
from bcd_model.detector.prevalence import at_prevalence, in_force
from bcd_model.detector.scan import MAX_FINDINGS, Scanner
from bcd_model.errors import UsageError
from bcd_model.words import Film, FilmScan, ModelIdentity, OperatingPoint
from converters.mias.collection import read_collection
from tests.support.blob_films import blob_film

_ROUNDING = 1 + 1e-12
SHARES = st.floats(0.001, 0.999)
PROBABILITIES = st.floats(0.001, 0.999)
SCORES = st.floats(-8, 8)
POINT = OperatingPoint(0.3, 0.4, 0.5, 1.0, "a test")


def made(point: OperatingPoint = POINT) -> Model:
    """A model to compute with, which scans nothing."""
    identity = ModelIdentity("m", "1", "0")
    return Model(None, identity, point, (0.3,), Calibration(0.6, -1.2), Calibration(0.4, -0.3))  # type: ignore[arg-type]


def odds(probability: float) -> float:
    return probability / (1 - probability)


@given(own=SHARES, other=SHARES, score=SCORES)
def test_odds_of_films_and_of_marks_follow_the_prevalence(own: float, other: float, score: float) -> None:
    model = made(replace(POINT, prevalence=own))
    moved = at_prevalence(model, other)
    before, after = (each.film_calibration.probability(score) for each in (model, moved))
    assert odds(after) / odds(before) == pytest.approx(odds(other) / odds(own))
    for name in ("calibration", "heat_calibration"):
        before, after = (getattr(each, name).probability(score) for each in (model, moved))
        assert odds(after) / odds(before) == pytest.approx(other / own)
    assert odds(moved.floor) / odds(FLOOR) == pytest.approx(other / own)


def test_bayes_rule_with_counted_films() -> None:
    """Of 1,000 films 400 are abnormal; 300 of them look so, as do 150 of the others; elsewhere 10 are."""
    film = Calibration(0.0, float(np.log(300 / 150)))
    moved = at_prevalence(replace(made(), film_calibration=film), 0.01)
    abnormal, normal = 10 * 300 / 400, 990 * 150 / 600
    assert moved.film_calibration.probability(0) == pytest.approx(abnormal / (abnormal + normal))


def test_counted_marks() -> None:
    """Of 1,000 films 400 are abnormal, 200 marks are true, 600 false; elsewhere 100 are abnormal."""
    mark = Calibration(0.0, float(np.log(200 / 600)))
    moved = at_prevalence(replace(made(), calibration=mark), 0.1)
    assert moved.calibration.probability(0) == pytest.approx(50 / 650)


@given(own=SHARES, other=SHARES, threshold=PROBABILITIES, score=SCORES)
def test_there_and_back_is_where_it_was(own: float, other: float, threshold: float, score: float) -> None:
    model = made(replace(POINT, threshold=threshold, prevalence=own))
    back = at_prevalence(at_prevalence(model, other), own)
    assert back.operating_point.prevalence == own
    assert back.floor == pytest.approx(model.floor)
    assert back.operating_point.threshold == pytest.approx(threshold)
    for name in ("calibration", "film_calibration", "heat_calibration"):
        before, after = (getattr(each, name).probability(score) for each in (model, back))
        assert after == pytest.approx(before)


@given(shares=st.tuples(SHARES, SHARES).map(sorted), threshold=PROBABILITIES, score=SCORES)
def test_where_more_films_are_abnormal_every_probability_is_higher(
    shares: list[float], threshold: float, score: float
) -> None:
    model = made(replace(POINT, threshold=threshold))
    few, many = (at_prevalence(model, share) for share in shares)
    # Shares that differ in their last bits alone may change places by rounding.
    assert few.operating_point.threshold <= many.operating_point.threshold * _ROUNDING
    assert few.floor <= many.floor * _ROUNDING
    for name in ("calibration", "film_calibration", "heat_calibration"):
        low, high = (getattr(each, name).probability(score) for each in (few, many))
        assert low <= high * _ROUNDING
        assert shares[1] / shares[0] < 1 + 1e-9 or low < high


@given(own=SHARES)
def test_at_its_own_prevalence_it_is_the_very_same(own: float) -> None:
    model = made(replace(POINT, prevalence=own))
    assert at_prevalence(model, own) is model
    assert in_force(model.operating_point, own, None) is model.operating_point


@pytest.mark.parametrize("prevalence", [0.0, 0.00009, 1.0, -0.1, 2.0, float("nan")])
def test_what_is_no_prevalence_is_refused(prevalence: float) -> None:
    with pytest.raises(UsageError, match=r"from 0\.0001 to 0\.9999"):
        at_prevalence(made(), prevalence)
    with pytest.raises(UsageError, match=r"from 0\.0001 to 0\.9999"):
        in_force(POINT, prevalence, 0.5)


@given(other=SHARES)
def test_the_operating_point_is_the_same_with_and_without_the_model(other: float) -> None:
    """Whoever submits has no network: its threshold must be the worker's, to the last bit."""
    point = at_prevalence(made(), other).operating_point
    assert in_force(POINT, other, None) == point
    assert in_force(POINT, other, point.threshold) == point
    assert (point.sensitivity, point.false_marks_per_film, point.basis) == (0.5, 1.0, "a test")


def test_a_threshold_of_the_users_holds_at_the_prevalence_in_force() -> None:
    point = in_force(POINT, 0.01, 0.6)
    assert (point.threshold, point.prevalence) == (0.6, 0.01)
    assert (point.sensitivity, point.false_marks_per_film) == (None, None)
    assert point.basis == "set by the user; not measured"
    assert in_force(POINT, None, 0.6).prevalence == POINT.prevalence


def places(scan: FilmScan) -> list[tuple[object, ...]]:
    return [(found.center, found.radius, found.outline, found.label) for found in scan.findings]


def check_scans(model: Model, film: Film, prevalence: float) -> None:
    """The model and the moved one find and present the same; their probabilities are as Bayes has it."""
    moved = at_prevalence(model, prevalence)
    before, after = Scanner(model).scan(film), Scanner(moved).scan(film)
    assert places(after) == places(before)
    assert after.label == before.label
    shown = [[model.operating_point.presents(found) for found in before.findings]]
    shown += [[moved.operating_point.presents(found) for found in after.findings]]
    assert shown[0] == shown[1]
    assert 0 < sum(shown[0]) < len(shown[0]), "some are presented, some are not"
    own = model.operating_point.prevalence
    for mine, theirs in zip(after.findings, before.findings, strict=True):
        p, q = mine.probability, theirs.probability
        assert odds(p.abnormal) / odds(q.abnormal) == pytest.approx(prevalence / own)
        assert p.malignant / p.abnormal == pytest.approx(q.malignant / q.abnormal)
    ratio = odds(after.probability.abnormal) / odds(before.probability.abnormal)
    assert ratio == pytest.approx(odds(prevalence) / odds(own))
    inside = before.heat_map.values > 0
    heat, was = (scan.heat_map.values[inside].astype(float) for scan in (after, before))
    np.testing.assert_allclose((heat / (1 - heat)) / (was / (1 - was)), prevalence / own, rtol=1e-3)
    assert (after.heat_map.values[~inside] == 0).all()


@pytest.mark.parametrize("prevalence", [0.0001, 0.005, 0.1, 0.9])
def test_a_scan_finds_and_presents_the_same_with_other_probabilities(prevalence: float) -> None:
    network = ScanningBCDCNN(8)
    initialise(network, 0)
    film = blob_film((300, 150), 5.4)
    noise = np.random.default_rng(0).normal(0, 0.05, film.shape).astype(np.float32)
    film = replace(film, pixels=np.clip(film.pixels + noise, 0, 1))
    model = Model(
        network.eval(), ModelIdentity("m", "1", "0"), POINT, (0.3, 0.6),
        Calibration(2.0, -1.5), Calibration(0.5, -1.0), Calibration(0.7, -2.0),
    )  # fmt: skip
    found = [finding.probability.abnormal for finding in Scanner(model).scan(film).findings]
    assert len(found) == MAX_FINDINGS
    between = [(more + less) / 2 for more, less in pairwise(found)]
    check_scans(replace(model, operating_point=replace(POINT, threshold=between[3])), film, prevalence)
    cut = replace(model, operating_point=replace(POINT, threshold=between[1]), floor=between[6])
    assert len(Scanner(cut).scan(film).findings) == 7
    check_scans(cut, film, prevalence)


@pytest.mark.films
@pytest.mark.skipif("BCD_MIAS_DIR" not in os.environ, reason="BCD_MIAS_DIR names no mini-MIAS films")
@pytest.mark.parametrize("prevalence", [0.005, 0.8])
def test_a_scan_of_a_real_film_finds_and_presents_the_same(prevalence: float) -> None:
    (film,) = (f for f in read_collection(Path(os.environ["BCD_MIAS_DIR"])).films if f.name == "mdb004")
    check_scans(load_model(), film.read(), prevalence)
