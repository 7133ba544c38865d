"""One film of an assessment: its truth, the marks on it, and what must be known of its pixels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from bcd_model import digests
from bcd_model.digests import film_digest, truth_digest
from bcd_model.duplicates import check_given_once
from bcd_model.errors import FilmError, TruthError
from bcd_model.evaluation.scored_films import ScoredFilm, ScoredMark
from bcd_model.words import CLASSES, AnnotatedFilm, Film

_SQUARE = 0.01


@dataclass(frozen=True, slots=True)
class Pixels:
    """What is kept of a film's pixels once they are read.

    Attributes:
        digest, truth_digest: see ``bcd_model.digests``.
        spacing: mm between rows.
        warnings: of the film's reader.
    """

    digest: str
    truth_digest: str
    spacing: float
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Case:
    """A film with its truth and its marks, the most suspicious first.

    ``fold`` is that of the run whose marks these are, None if a model scanned the film.
    """

    film: AnnotatedFilm
    pixels: Pixels
    marks: tuple[ScoredMark, ...]
    fold: int | None = None

    @property
    def scored(self) -> ScoredFilm:
        """The case as the figures take it."""
        film = self.film
        return ScoredFilm(film.name, film.patient, film.lesions, film.unlocated, self.marks)

    @property
    def score(self) -> float:
        """The score of the most suspicious mark, -inf without one."""
        return self.scored.score


def describe(annotated: AnnotatedFilm, film: Film) -> Pixels:
    """Return what is kept of the pixels of ``film``, which ``annotated`` was read to.

    Raises:
        FilmError: its pixels are not square: places and radii of the truth are in pixels.
    """
    if not math.isclose(*film.spacing, rel_tol=_SQUARE):
        rows, columns = film.spacing
        raise FilmError(
            f"its pixels are not square ({rows:g} mm by {columns:g} mm)",
            "resample film and truth to square pixels: hits are judged in pixels",
        )
    truth = truth_digest(film, annotated.lesions)
    return Pixels(film_digest(film), truth, film.spacing[0], film.warnings)


def data_digest(cases: Sequence[Case]) -> str:
    """What a model card calls ``data.digest``, of these cases."""
    return digests.data_digest((case.film.name, case.pixels.truth_digest) for case in cases)


def check_films(films: Sequence[AnnotatedFilm]) -> None:
    """Refuse films that nothing can be measured on, before any of them is scanned.

    Raises:
        TruthError: no film, a name twice, a class that its lesions contradict, or no lesion with a place.
    """
    check_given_once(films)
    for film in films:
        shown = bool(film.lesions) or film.unlocated
        worst = max((CLASSES.index(lesion.label) for lesion in film.lesions), default=0)
        if (film.label != "normal") != shown or CLASSES.index(film.label) < worst:
            raise TruthError(
                f"film {film.name} is called {film.label}, which its lesions contradict",
                "correct the truth: an abnormality without a place is 'unlocated'",
            )
    if not any(film.lesions for film in films if not film.unlocated):
        raise TruthError("no film has a lesion with a place", "give films with located lesions")
