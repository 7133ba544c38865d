"""The marks of all films as arrays, and draws of patients over them.

Every figure is a function of ``weights`` (draws + 1, patients): how often each patient counts. The first
row is the data itself, every patient once; the others are bootstrap draws. So figure and interval come
from one function, and all intervals from the same draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bcd_model.evaluation import statistics
from bcd_model.evaluation.hits import HitRule
from bcd_model.evaluation.scored_films import ScoredFilm
from bcd_model.evaluation.statistics import Interval

DRAWS = 1000

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Tally:
    """Films (F), marks (M) and lesions (L) under one hit rule, in the order of the films.

    Attributes:
        patients: number of patients.
        film_patient: (F,) index of the patient.
        judged: (F,) whether the film counts for the FROC: no abnormality of unknown place.
        abnormal: (F,).
        film_score: (F,) of the most suspicious mark, -inf without one.
        mark_film, mark_score: (M,).
        on_lesion: (M,) whether the mark is on any lesion.
        lesion_film: (L,).
        lesion_score: (L,) of the best mark on it, -inf without one.
        lesion_share: (L,) P(malignant) / P(abnormal) of that mark, nan without one.
        lesion_malignant: (L,).
        pairs: (n, 2) lesion and mark, of every hit.
    """

    patients: int
    film_patient: Indices
    judged: Bools
    abnormal: Bools
    film_score: Floats
    mark_film: Indices
    mark_score: Floats
    on_lesion: Bools
    lesion_film: Indices
    lesion_score: Floats
    lesion_share: Floats
    lesion_malignant: Bools
    pairs: Indices

    @property
    def mark_patient(self) -> Indices:
        """(M,) index of the patient."""
        return self.film_patient[self.mark_film]

    @property
    def lesion_patient(self) -> Indices:
        """(L,) index of the patient."""
        return self.film_patient[self.lesion_film]

    @property
    def judged_mark(self) -> Bools:
        """(M,) whether the mark can be right or wrong."""
        return self.judged[self.mark_film]

    @property
    def judged_lesion(self) -> Bools:
        """(L,) whether the lesion counts for the FROC."""
        return self.judged[self.lesion_film]


def count(films: Sequence[ScoredFilm], rule: HitRule) -> Tally:
    """Return the tally of ``films`` under ``rule``."""
    names = sorted({film.patient for film in films})
    patients = {name: index for index, name in enumerate(names)}
    marks = [(index, mark) for index, film in enumerate(films) for mark in film.marks]
    lesions = [(index, lesion) for index, film in enumerate(films) for lesion in film.lesions]
    of_film: dict[int, list[int]] = {}
    for number, (index, _) in enumerate(marks):
        of_film.setdefault(index, []).append(number)
    pairs = [
        (number, mark)
        for number, (index, lesion) in enumerate(lesions)
        for mark in of_film.get(index, ())
        if rule.hits(marks[mark][1], lesion)
    ]
    score = np.full(len(lesions), -np.inf)
    share = np.full(len(lesions), np.nan)
    for number, index in pairs:
        mark = marks[index][1]
        if mark.score > score[number]:
            score[number], share[number] = mark.score, mark.malignant
    on_lesion = np.zeros(len(marks), dtype=bool)
    on_lesion[[index for _, index in pairs]] = True
    return Tally(
        len(patients),
        np.array([patients[film.patient] for film in films], dtype=np.intp),
        np.array([not film.unlocated for film in films], dtype=bool),
        np.array([film.abnormal for film in films], dtype=bool),
        np.array([film.score for film in films], dtype=np.float64),
        np.array([index for index, _ in marks], dtype=np.intp),
        np.array([mark.score for _, mark in marks], dtype=np.float64),
        on_lesion,
        np.array([index for index, _ in lesions], dtype=np.intp),
        score,
        share,
        np.array([lesion.label == "malignant" for _, lesion in lesions], dtype=bool),
        np.array(pairs, dtype=np.intp).reshape(-1, 2),
    )


def draw_patients(patients: int, seed: int, draws: int = DRAWS) -> Floats:
    """Return the weights (draws + 1, patients): the data itself, then ``draws`` draws."""
    rng = np.random.default_rng(seed)
    drawn = [np.bincount(rng.integers(patients, size=patients), minlength=patients) for _ in range(draws)]
    return np.array([np.ones(patients), *drawn], dtype=np.float64)


def intervals(values: Floats) -> list[Interval]:
    """Return the figures in (draws + 1, n) with their 95 % intervals."""
    return [statistics.interval(float(column[0]), column[1:]) for column in values.T]


def interval(values: Floats) -> Interval:
    """Return the one figure in (draws + 1,) with its interval."""
    return statistics.interval(float(values[0]), values[1:])


def share(part: Floats, whole: Floats) -> Floats:
    """Return ``part / whole``, nan where there is no whole."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(whole > 0, part / whole, np.nan)
