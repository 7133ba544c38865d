"""The CSV files of an assessment (RFC 4180): its marks, lesions, films and curves, one a row."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import SupportsFloat

from bcd_model.detector.calibration import logistic
from bcd_model.evaluation import froc
from bcd_model.evaluation.evaluate import Assessment
from bcd_model.evaluation.hits import circle_iou

Rows = Iterator[Sequence[object]]


def froc_rows(made: Assessment) -> Rows:
    """``froc.csv``: the curves of the hit rules, point by point."""
    yield "hit_rule", "false_marks_per_film", "sensitivity", "low", "high", "above_score", "overlap"
    for curve in made.curves:
        for rate, point, above in zip(froc.RATES, curve.sensitivity, curve.thresholds, strict=True):
            ends = map(_number, (point.value, point.low, point.high))
            yield (curve.rule.name, float(rate), *ends, _number(above), made.overlap.verdict)


def films_rows(made: Assessment) -> Rows:
    """``films.csv``: a row for every film."""
    p = made.predictions.films
    yield (
        *("film", "patient", "tissue", "class", "abnormal", "unknown_place", "lesions", "fold", "marks"),
        *("score", "p_abnormal", "digest", "trained_on"),
    )
    for index, case in enumerate(made.cases):
        film = case.film
        yield (
            *(film.name, film.patient, film.tissue, film.label, _word(bool(made.tally.abnormal[index]))),
            *(_word(film.unlocated), len(film.lesions), case.fold),
            *(
                len(case.marks),
                _number(case.score),
                "" if p is None else _number(logistic(p[index])),
            ),
            *(case.pixels.digest, _word(made.overlap.trained_on[index])),
        )


def marks_rows(made: Assessment) -> Rows:
    """``marks.csv``: a row for every mark; ``lesion`` counts the film's lesions from 1."""
    tally, p = made.tally, made.predictions.marks
    first: dict[int, int] = {}
    for number, film in enumerate(tally.lesion_film):
        first.setdefault(int(film), number)
    on: dict[int, list[int]] = {}
    for lesion, mark in tally.pairs:
        on.setdefault(int(mark), []).append(int(lesion) - first[int(tally.lesion_film[lesion])])
    yield (
        *("film", "patient", "fold", "mark", "row", "column", "radius", "score", "p_abnormal"),
        *("malignant_share", "verdict", "lesion", "iou", "trained_on"),
    )
    number = -1
    for case, seen in zip(made.cases, made.overlap.trained_on, strict=True):
        hit: set[int] = set()
        for rank, mark in enumerate(case.marks, start=1):
            number += 1
            lesions = on.get(number, [])
            verdict = "false" if not lesions else "again" if hit.issuperset(lesions) else "hit"
            hit.update(lesions)
            overlaps = [
                circle_iou(mark.center, mark.radius, lesion.center, lesion.radius)
                for lesion in case.film.lesions
                if mark.radius is not None
            ]
            yield (
                *(case.film.name, case.film.patient, case.fold, rank),
                *(_number(mark.center[0]), _number(mark.center[1])),
                *("" if mark.radius is None else _number(mark.radius), _number(mark.score)),
                *("" if p is None else _number(logistic(p[number])), _number(mark.malignant)),
                *(
                    "not judged" if case.film.unlocated else verdict,
                    " ".join(str(n + 1) for n in lesions),
                ),
                _number(max(overlaps)) if overlaps else "",
                _word(seen),
            )


def lesions_rows(made: Assessment) -> Rows:
    """``lesions.csv``: a row for every lesion with a place, with the best mark on it."""
    yield (
        *("film", "patient", "lesion", "row", "column", "radius", "radius_mm", "class", "kind", "tissue"),
        *("judged", "best_score", "malignant_share", "found", "trained_on"),
    )
    number = -1
    for case, seen in zip(made.cases, made.overlap.trained_on, strict=True):
        for index, lesion in enumerate(case.film.lesions, start=1):
            number += 1
            score = float(made.tally.lesion_score[number])
            yield (
                *(case.film.name, case.film.patient, index, *map(_number, lesion.center)),
                *(_number(lesion.radius), _number(lesion.radius * case.pixels.spacing)),
                *(lesion.label, lesion.kind, case.film.tissue, _word(not case.film.unlocated)),
                *(_number(score), _number(float(made.tally.lesion_share[number]))),
                *(_word(score > made.threshold), _word(seen)),
            )


def _number(value: SupportsFloat) -> object:
    return round(float(value), 6) + 0.0 if math.isfinite(value) else ""


def _word(value: bool | None) -> str:
    return "" if value is None else str(value).lower()
