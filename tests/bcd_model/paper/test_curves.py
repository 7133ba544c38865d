import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bcd_model.paper.report.curves import GRID, areas, log_odds, on_grid, probabilities, roc
from bcd_model.paper.report.intervals import over_patients, wilson

scores = st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=40).filter(
    lambda rows: len({positive for _, positive in rows}) == 2
)


def pairs_won(positive: np.ndarray, negative: np.ndarray) -> float:
    return float(np.mean([[(p > n) + 0.5 * (p == n) for n in negative] for p in positive]))


@given(scores)
def test_the_area_under_the_curve_is_the_share_of_pairs_in_the_right_order(rows: list) -> None:
    values = np.array([float(score) for score, _ in rows])
    positive = np.array([each for _, each in rows])
    false, true = roc(values, positive)
    area = float(np.sum(np.diff(false) * (true[1:] + true[:-1]) / 2))
    assert area == pytest.approx(pairs_won(values[positive], values[~positive]))


def test_a_perfect_curve_is_1_from_the_start() -> None:
    assert on_grid(np.array([0.9, 0.8, 0.1]), np.array([True, True, False])).tolist() == [1.0] * len(GRID)


def test_areas_of_three_classes_are_those_of_counting_pairs() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 60)
    shares = rng.dirichlet((1, 1, 1), 60) + 0.2 * np.eye(3)[truth]
    shares /= shares.sum(axis=1, keepdims=True)
    # Logits are the logarithms of probabilities but for a number that is the same for all classes.
    found = areas(np.log(shares) + rng.normal(size=(60, 1)), truth)
    abnormal = 1 - shares[:, 0]
    share = shares[:, 2] / (shares[:, 1] + shares[:, 2])
    assert found["auc_benign"] == pytest.approx(pairs_won(shares[truth == 1, 1], shares[truth != 1, 1]))
    assert found["auc_abnormal"] == pytest.approx(pairs_won(abnormal[truth > 0], abnormal[truth == 0]))
    assert found["auc_malignant_benign"] == pytest.approx(pairs_won(share[truth == 2], share[truth == 1]))


def test_probabilities_and_log_odds_of_logits() -> None:
    logits = np.log([[0.5, 0.25, 0.25], [0.1, 0.2, 0.7]]) + 800
    np.testing.assert_allclose(probabilities(logits), [[0.5, 0.25, 0.25], [0.1, 0.2, 0.7]])
    np.testing.assert_allclose(log_odds(logits, 2), np.log([0.25 / 0.75, 0.7 / 0.3]))


def test_answers_that_are_all_but_certain_keep_their_order() -> None:
    # Each is 1 to the last digit of a probability.
    sure = np.array([[0.0, 0.0, 45.0], [0.0, 0.0, 50.0], [0.0, 0.0, 55.0], [0.0, 0.0, 60.0]])
    assert set(probabilities(sure)[:, 2]) == {1.0}
    found = areas(sure, np.array([0, 0, 2, 2]))
    assert found["auc_malignant"] == 1.0
    assert found["auc_abnormal"] == 1.0


@pytest.mark.parametrize(
    # Newcombe (1998), Statistics in Medicine 17:857, table I, method 3.
    ("right", "count", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilsons_interval(right: int, count: int, low: float, high: float) -> None:
    interval = wilson(right / count, count)
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=5e-5)


def test_crops_of_one_patient_count_as_one_draw() -> None:
    rng = np.random.default_rng(1)
    right = rng.random(40) < 0.7
    once = over_patients([f"p{i}" for i in range(40)], lambda at: [right[at].mean()])[0]
    many = np.repeat(right, 8)
    eightfold = over_patients(
        [f"p{i:02d}" for i in range(40) for _ in range(8)], lambda at: [many[at].mean()]
    )[0]
    assert eightfold.high - eightfold.low == pytest.approx(once.high - once.low, rel=0.1)
    assert over_patients(["p"] * 40, lambda at: [right[at].mean()])[0].low == right.mean()


def test_a_figure_that_no_draw_has_stays_unknown() -> None:
    assert np.isnan(over_patients(["a", "b"], lambda _: [float("nan")])[0].value)
