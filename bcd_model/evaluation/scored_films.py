"""Films with their truth and the marks of a scan, as evaluation sees them."""

from __future__ import annotations

import math
from dataclasses import dataclass

from bcd_model.words import Lesion, Point

MARKS_PER_FILM = 12
"""So many of the most suspicious marks of a film are kept for an assessment."""


@dataclass(frozen=True, slots=True)
class ScoredMark:
    """A mark: source (row, column), score, share of malignancy.

    ``radius`` is in source pixels along the rows' axis; None if it was not kept with the mark.
    """

    center: Point
    score: float
    malignant: float = 0.5
    radius: float | None = None


@dataclass(frozen=True, slots=True)
class ScoredFilm:
    """A scanned film with its truth.

    A film with an ``unlocated`` abnormality counts as abnormal for the AUC and not at all for the
    FROC: its marks can be neither right nor wrong.
    """

    name: str
    patient: str
    lesions: tuple[Lesion, ...]
    unlocated: bool
    marks: tuple[ScoredMark, ...]

    @property
    def abnormal(self) -> bool:
        """Whether the film shows an abnormality, located or not."""
        return bool(self.lesions) or self.unlocated

    @property
    def score(self) -> float:
        """The score of the film's most suspicious mark, -inf without one."""
        return max((mark.score for mark in self.marks), default=-math.inf)
