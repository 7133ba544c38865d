"""Films scanned with a model, for an assessment: deeper than a result reaches, and with the truth beside."""

from __future__ import annotations

from dataclasses import replace

from bcd_model.assessment.cases import SCORE_FLOOR, Case, describe
from bcd_model.crossvalidation import MARKS_PER_FILM
from bcd_model.evaluation import ScoredMark
from bcd_model.model import Model
from bcd_model.pyramid import build_pyramid
from bcd_model.scan import final_marks, scan_pyramid
from bcd_model.words import AnnotatedFilm, Film


def scan_case(model: Model, annotated: AnnotatedFilm, other: Film | None = None) -> Case:
    """Scan one film as ``bcd_model.scan`` does, but keep its marks down to the floor of an assessment.

    Args:
        other: the other breast of the same patient in the same view.

    Raises:
        FilmError: the film cannot be read, or judged.
    """
    film = annotated.read()
    pixels = describe(annotated, film)  # refuses what cannot be judged before the scan
    pyramid = build_pyramid(film, model.steps_mm)
    marks, _ = scan_pyramid(model, pyramid, SCORE_FLOOR)
    across = None if other is None else build_pyramid(other, model.steps_mm)
    kept = tuple(
        ScoredMark(mark.center, mark.score, mark.malignant, mark.radius_mm / pyramid.spacing[0])
        for mark in final_marks(model, marks, pyramid, across, MARKS_PER_FILM)
    )
    if pyramid.windows == 0:
        pixels = replace(pixels, warnings=(*pixels.warnings, "no breast was found: nothing was scanned"))
    return Case(annotated, pixels, kept)
