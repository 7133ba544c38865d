from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bcd_model.detector.marks import Mark, abnormal_score, cluster_marks, find_marks, malignant_share, merge
from bcd_model.detector.peaks import local_maxima
from bcd_model.detector.pyramid import Pyramid, build_pyramid
from bcd_model.detector.spots import Cluster
from tests.support.blob_films import blob_film


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


SPACING = (0.2, 0.1)


def clustered(*clusters: Cluster) -> Pyramid:
    film = blob_film((300, 150), 5, spacing=SPACING)
    return replace(build_pyramid(film, (0.6, 0.9)), clusters=clusters)


def flat(pyramid: Pyramid) -> list[np.ndarray]:
    """Logits by which every window of every level is normal."""
    logits = []
    for level in pyramid.levels:
        each = np.zeros((3, *level.inside.shape), dtype=np.float32)
        each[0] = 5
        logits.append(each)
    return logits


def test_a_cluster_is_marked_with_the_networks_highest_score_there() -> None:
    pyramid = clustered(Cluster((60.1, 24.05), 7.5), Cluster((30.1, 12.05), 3.0))
    logits = flat(pyramid)
    logits[1][:, round(60.1 / 3.6), round(24.05 / 3.6)] = (0, 1, 2)
    first, second = cluster_marks(pyramid, logits)
    assert first.center == pytest.approx((300, 240)) and first.place_mm == (60.1, 24.05)
    assert (first.radius_mm, first.spots, first.by_spots) == (pyramid.levels[0].radius, 7.5, True)
    assert first.score == pytest.approx(np.log(np.e + np.e**2), abs=1e-5)
    assert first.malignant == pytest.approx(np.e / (1 + np.e), abs=1e-5)
    assert second.score == pytest.approx(np.log(2) - 5, abs=1e-5)


def test_a_cluster_at_the_border_of_the_film_has_the_last_window() -> None:
    pyramid = clustered(Cluster((127.9, 47.9), 1.0))
    logits = flat(pyramid)
    logits[0][:, -1, -1] = (0, 3, 0)
    assert cluster_marks(pyramid, logits)[0].score == pytest.approx(np.log(np.e**3 + 1), abs=1e-5)


def test_a_mark_of_the_network_tells_the_strongest_cluster_within_it() -> None:
    pyramid = clustered(Cluster((60, 24), 3.0), Cluster((62, 24), 5.0), Cluster((60, 40), 9.0))
    logits = flat(pyramid)[0]
    logits[:, 25, 10] = (0, 5, 0)  # the window centred at 60, 24 mm
    logits[:, 8, 10] = (0, 4, 0)
    near, far = find_marks(pyramid, pyramid.levels[0], logits, 0)[::-1]
    assert near.place_mm == pytest.approx((60, 24), abs=0.1) and near.radius_mm < 16
    assert (near.spots, far.spots) == (5.0, 0.0)
    assert not near.by_spots
