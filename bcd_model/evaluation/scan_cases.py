"""Films scanned with a model, for an assessment: deeper than a result reaches, and with the truth beside."""

from __future__ import annotations

from dataclasses import replace

from bcd_model.detector.calibration import SCORE_FLOOR
from bcd_model.detector.model import Model
from bcd_model.detector.scan import Scanner
from bcd_model.evaluation.cases import Case, describe
from bcd_model.evaluation.scored_films import MARKS_PER_FILM, ScoredMark
from bcd_model.words import AnnotatedFilm, Film


class CaseScanner:
    """Scans films as ``detector.scan`` does, but keeps their marks down to the floor of an assessment."""

    def __init__(self, model: Model) -> None:
        self._scanner = Scanner(model, floor=SCORE_FLOOR)

    def scan(self, annotated: AnnotatedFilm, film: Film, other: Film | None = None) -> Case:
        """Scan one film.

        Args:
            film: what ``annotated`` was read to.
            other: the other breast of the same patient in the same view.

        Raises:
            FilmError: the film cannot be judged.
        """
        pixels = describe(annotated, film)  # refuses what cannot be judged before the scan
        kept = tuple(
            ScoredMark(mark.center, mark.score, mark.malignant, mark.radius_mm / film.spacing[0])
            for mark in self._scanner.marks(film, other, MARKS_PER_FILM)
        )
        if not self._scanner.shows_breast(film):
            pixels = replace(pixels, warnings=(*pixels.warnings, "no breast was found: nothing was scanned"))
        return Case(annotated, pixels, kept)
