"""When a mark counts as on a lesion; a rule can be worth ten points, so every figure names its own."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from bcd_model.evaluation.scored_films import ScoredMark
from bcd_model.words import Lesion, Point

RuleName = Literal["centre", "iou"]
RULES: tuple[RuleName, ...] = get_args(RuleName)

LEAST_IOU = 0.2

MIN_HIT_RADIUS = 15.0
"""Pixels; a smaller lesion may be missed by this much and still count as found."""


@dataclass(frozen=True, slots=True)
class HitRule:
    """One rule for what is a hit.

    Attributes:
        name: "centre": the mark's centre lies within the annotated radius, or ``least_radius`` if that
            is greater; "iou": the circles of mark and lesion share at least a fifth of their union.
        least_radius: source pixels; of "centre" alone.
    """

    name: RuleName = "centre"
    least_radius: float = MIN_HIT_RADIUS

    @property
    def text(self) -> str:
        """The rule in words, as every output states it."""
        if self.name == "iou":
            return (
                f"a mark hits a lesion if the intersection over union of their circles is {LEAST_IOU} or more"
            )
        return (
            "a mark hits a lesion if its centre lies within the annotated radius, "
            f"at least {self.least_radius:g} px"
        )

    def hits(self, mark: ScoredMark, lesion: Lesion) -> bool:
        """Whether ``mark`` is on ``lesion``; a mark without a radius has no circle and so no overlap."""
        if self.name == "iou":
            if mark.radius is None:
                return False
            return circle_iou(mark.center, mark.radius, lesion.center, lesion.radius) >= LEAST_IOU
        return math.dist(mark.center, lesion.center) <= max(lesion.radius, self.least_radius)


CENTRE = HitRule()
"""The rule by which networks are trained, and their figures measured."""


def circle_iou(a: Point, a_radius: float, b: Point, b_radius: float) -> float:
    """Return the intersection over union of two circles; radii are positive."""
    distance = math.dist(a, b)
    areas = math.pi * a_radius**2, math.pi * b_radius**2
    if distance >= a_radius + b_radius:
        return 0.0
    if distance <= abs(a_radius - b_radius):
        return min(areas) / max(areas)
    # Each circle's sector less the triangle that both radii to the crossings span.
    lens = 0.0
    for own, other in ((a_radius, b_radius), (b_radius, a_radius)):
        reach = (distance**2 + own**2 - other**2) / (2 * distance)
        half = math.acos(min(1.0, max(-1.0, reach / own)))
        lens += own**2 * (half - math.sin(2 * half) / 2)
    return lens / (sum(areas) - lens)
