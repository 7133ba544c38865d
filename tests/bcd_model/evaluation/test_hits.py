"""Both hit rules, against circles counted in pixels and cases made by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bcd_model.evaluation import hits
from bcd_model.evaluation.hits import HitRule, circle_iou
from bcd_model.words import Lesion
from tests.support.made_cases import mark

CENTRE, IOU = HitRule("centre"), HitRule("iou")


def counted_iou(a: tuple[float, float], ra: float, b: tuple[float, float], rb: float) -> float:
    """The same by counting points of a fine grid."""
    rows, columns = np.meshgrid(*[np.arange(-60, 60, 0.1)] * 2, indexing="ij")
    one, other = (np.hypot(rows - c[0], columns - c[1]) <= r for c, r in ((a, ra), (b, rb)))
    return float((one & other).sum() / (one | other).sum())


@pytest.mark.parametrize(
    ("a", "ra", "b", "rb"),
    [
        ((0, 0), 20, (0, 0), 20),
        ((0, 0), 20, (0, 0), 10),  # one inside the other
        ((0, 0), 20, (5, 5), 10),
        ((0, 0), 20, (15, 0), 20),
        ((0, 0), 20, (0, 18), 7),  # the smaller one's centre inside
        ((-10, 3), 20, (21, -4), 15),
        ((0, 0), 20, (30, 0), 10),  # they touch
        ((0, 0), 5, (40, 0), 10),
        ((1, 1), 25, (3, 8), 24),  # the far side of one is within the other
    ],
)
def test_circle_iou_is_what_a_pixel_count_says(a, ra, b, rb) -> None:
    assert circle_iou(a, ra, b, rb) == pytest.approx(counted_iou(a, ra, b, rb), abs=2e-3)


places = st.tuples(st.floats(-50, 50), st.floats(-50, 50))
radii = st.floats(0.5, 80)


@given(places, radii, places, radii)
def test_circle_iou_is_symmetric_and_a_share(a, ra, b, rb) -> None:
    value = circle_iou(a, ra, b, rb)
    assert 0 <= value <= 1
    assert value == pytest.approx(circle_iou(b, rb, a, ra), abs=1e-9)


def test_equal_circles_overlap_wholly() -> None:
    assert circle_iou((3, 4), 7, (3, 4), 7) == 1.0


@pytest.mark.parametrize(
    ("center", "radius", "lesion_radius", "centre_hits", "iou_hits"),
    [
        ((100, 100), 30, 30, True, True),
        ((100, 129), 30, 30, True, True),  # IoU 0.24
        ((100, 129.9), 120, 30, True, False),  # the centre is on it, but the circle is far too big
        ((100, 131), 30, 30, False, True),  # just beside, and yet the circles share more than a fifth
        ((100, 140), 30, 30, False, False),
        ((100, 112), 30, 5, True, False),  # a small lesion is given 15 px
        ((100, 116), 30, 5, False, False),
    ],
)
def test_the_two_rules_by_hand(center, radius, lesion_radius, centre_hits, iou_hits) -> None:
    lesion, at = Lesion((100, 100), lesion_radius, "benign", "CIRC"), mark(*center, 1.0, radius)
    assert CENTRE.hits(at, lesion) is centre_hits
    assert IOU.hits(at, lesion) is iou_hits
    assert iou_hits is (circle_iou(center, radius, (100, 100), lesion_radius) >= 0.2)


def test_the_least_radius_is_the_users() -> None:
    lesion = Lesion((100, 100), 5, "benign", "CALC")
    assert HitRule("centre", 30).hits(mark(100, 130, 0), lesion)
    assert not HitRule("centre", 0).hits(mark(100, 106, 0), lesion)


@pytest.mark.parametrize(
    ("center", "radius", "hit"),
    [((100, 130), 30, True), ((100, 130.5), 30, False), ((100, 115), 3, True), ((100, 115.5), 3, False)],
)
def test_training_and_the_demo_hit_within_the_radius_or_15_pixels(center, radius, hit) -> None:
    lesion = Lesion((100, 100), radius, "benign", "CALC")
    assert hits.CENTRE.hits(mark(*center, 0), lesion) is hit


def test_a_mark_without_a_radius_overlaps_nothing() -> None:
    assert not IOU.hits(mark(100, 100, 0, None), Lesion((100, 100), 30, "benign", "CIRC"))


def test_every_rule_says_what_it_is() -> None:
    assert CENTRE.text == (
        "a mark hits a lesion if its centre lies within the annotated radius, at least 15 px"
    )
    assert "0.2" in IOU.text
