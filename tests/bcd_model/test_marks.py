from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bcd_model.marks import Mark, abnormal_score, local_maxima, malignant_share, merge


@given(
    hnp.arrays(np.float32, hnp.array_shapes(min_dims=2, max_dims=2, max_side=8), elements=st.integers(0, 3))
)
def test_maxima_are_those_a_plain_loop_finds(score: np.ndarray) -> None:
    found = {tuple(place) for place in local_maxima(score, np.ones(score.shape, dtype=bool))}
    expected = set()
    for u, v in np.ndindex(*score.shape):
        around = [
            (score[a, b], (a, b) < (u, v))
            for a in range(max(u - 1, 0), min(u + 2, score.shape[0]))
            for b in range(max(v - 1, 0), min(v + 2, score.shape[1]))
            if (a, b) != (u, v)
        ]
        if all(score[u, v] > value if earlier else score[u, v] >= value for value, earlier in around):
            expected.add((u, v))
    assert found == expected


def test_outside_the_breast_there_is_no_maximum_and_no_rival() -> None:
    score = np.array([[9.0, 1.0], [0.0, 0.5]], dtype=np.float32)
    inside = np.array([[False, True], [True, True]])
    assert local_maxima(score, inside).tolist() == [[0, 1]]


def test_score_and_share_are_those_of_the_softmax() -> None:
    logits = np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32)
    p = np.exp(logits) / np.exp(logits).sum(axis=0)
    np.testing.assert_allclose(1 / (1 + np.exp(-abnormal_score(logits))), p[1] + p[2], rtol=1e-5)
    np.testing.assert_allclose(malignant_share(logits), p[2] / (p[1] + p[2]), rtol=1e-5)


places = st.tuples(st.integers(0, 40), st.integers(0, 40))
marks = st.builds(
    lambda place, radius, score: Mark(place, place, radius, score, 0.5),
    places,
    st.sampled_from([3.0, 5.0, 9.0]),
    st.integers(-4, 4),
)


@given(st.lists(marks, max_size=20), st.integers(1, 10))
def test_merged_marks_lie_apart_and_each_lost_one_has_its_better(found: list[Mark], limit: int) -> None:
    kept = merge(found, limit)
    assert len(kept) <= limit

    def same(a: Mark, b: Mark) -> bool:
        return bool(
            np.hypot(a.center[0] - b.center[0], a.center[1] - b.center[1]) <= max(a.radius_mm, b.radius_mm)
        )

    assert not any(same(a, b) for i, a in enumerate(kept) for b in kept[i + 1 :])
    for mark in found:
        if mark not in kept:
            lower = len(kept) == limit and mark.score <= kept[-1].score
            assert lower or any(same(mark, other) and other.score >= mark.score for other in kept)
