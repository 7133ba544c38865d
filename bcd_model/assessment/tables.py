"""``results.json`` and the CSV files of an assessment; the same assessment gives the same text."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, is_dataclass
from typing import Any

import numpy as np

from bcd_model.assessment import detection
from bcd_model.assessment.assess import OPERATING_FALSE_MARKS, Assessment, Curve
from bcd_model.assessment.cases import SCORE_FLOOR, data_digest
from bcd_model.assessment.hits import circle_iou
from bcd_model.assessment.tally import DRAWS
from bcd_model.words import CLASSES, DISCLAIMER

SCHEMA_VERSION = 1
_DIGITS = 4


def results(made: Assessment, remarks: Sequence[str]) -> dict[str, Any]:
    """Return the content of ``results.json``; every number rounded to four digits, nan as None.

    Args:
        remarks: what was odd about the input, one line each.
    """
    content = {
        "schema_version": SCHEMA_VERSION,
        "disclaimer": DISCLAIMER,
        "measure": made.honesty.measure,
        "honesty": {
            "verdict": made.honesty.verdict,
            "text": made.honesty.text,
            "films_trained_on": _known(made.honesty.trained_on),
        },
        "source": {"kind": made.source.kind, **made.source.facts},
        "data": _data(made),
        "remarks": list(remarks),
        "settings": {
            "hit_rule": made.rule.name,
            "hit_rule_text": made.rule.text,
            "least_radius_px": made.rule.least_radius,
            "seed": made.seed,
            "draws_of_patients": DRAWS,
            "score_floor": SCORE_FLOOR,
        },
        "froc": {curve.rule.name: _curve(curve) for curve in made.curves},
        "film_auc": made.film_auc,
        "operating_point": _operating_point(made),
        "groups_at_false_marks_per_film": OPERATING_FALSE_MARKS,
        "groups": made.groups,
        "density": made.densities,
        "calibration": {
            "basis": _basis(made),
            "marks": made.mark_calibration,
            "films": made.film_calibration,
        },
    }
    rounded: dict[str, Any] = _plain(content)
    return rounded


def results_text(content: dict[str, Any]) -> str:
    """The text of ``results.json``."""
    return json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def _known(trained_on: Sequence[bool | None]) -> int | None:
    return None if None in trained_on else sum(map(bool, trained_on))


def _data(made: Assessment) -> dict[str, Any]:
    films = [case.film for case in made.cases]
    return {
        "films": len(films),
        "patients": made.tally.patients,
        "lesions": int(made.tally.judged_lesion.sum()),
        "films_for_froc": int(made.tally.judged.sum()),
        "films_abnormal": int(made.tally.abnormal.sum()),
        "films_with_unknown_place": int((~made.tally.judged).sum()),
        "films_by_class": {name: sum(film.label == name for film in films) for name in CLASSES},
        "digest": data_digest(made.cases),
    }


def _curve(curve: Curve) -> dict[str, Any]:
    return {
        "hit_rule": curve.rule.text,
        "sensitivity_at_false_marks_per_film": {str(rate): value for rate, value in curve.at.items()},
        "malignant_against_benign_auc": curve.malignant_auc,
        "lesions_marked": {"benign": curve.found[0], "malignant": curve.found[1]},
    }


def _operating_point(made: Assessment) -> dict[str, Any] | None:
    if made.operating_point is None:
        return None
    sensitivity, false_marks = made.operating_point
    basis = (
        f"P(abnormal) {made.source.threshold:.4f}, from the weights"
        if made.source.threshold is not None
        else "for each fold, the score of one false mark per film on the other folds"
    )
    return {"basis": basis, "sensitivity": sensitivity, "false_marks_per_film": false_marks}


def _basis(made: Assessment) -> str:
    if made.predictions.missing:
        return f"none: {made.predictions.missing}"
    if made.source.kind == "weights":
        return "the calibration of the weights"
    return "cross-fitted: for each fold, Platt scaling fitted on the marks of the other folds"


def _plain(value: Any) -> Any:
    """Dataclasses as objects, numbers rounded, what is no number None."""
    if is_dataclass(value) and not isinstance(value, type):
        return _plain(asdict(value))
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return round(value, _DIGITS) + 0.0 if math.isfinite(value) else None
    return value


def froc_csv(made: Assessment) -> str:
    """``froc.csv``: the curves of the hit rules, point by point."""

    def rows() -> Iterable[Sequence[object]]:
        yield "hit_rule", "false_marks_per_film", "sensitivity", "low", "high", "above_score"
        for curve in made.curves:
            for rate, point, above in zip(detection.RATES, curve.sensitivity, curve.thresholds, strict=True):
                yield (curve.rule.name, float(rate), *_three(point), _number(above))

    return _csv(rows())


def films_csv(made: Assessment) -> str:
    """``films.csv``: a row for every film."""
    p = made.predictions.films

    def rows() -> Iterable[Sequence[object]]:
        yield (
            *("film", "patient", "tissue", "class", "abnormal", "unknown_place", "lesions", "fold", "marks"),
            *("score", "p_abnormal", "digest", "trained_on"),
        )
        for index, case in enumerate(made.cases):
            film = case.film
            yield (
                *(film.name, film.patient, film.tissue, film.label, _word(bool(made.tally.abnormal[index]))),
                *(_word(film.unlocated), len(film.lesions), "" if case.fold is None else case.fold),
                *(len(case.marks), _number(case.score), "" if p is None else _number(_logistic(p[index]))),
                *(case.pixels.digest, _word(made.honesty.trained_on[index])),
            )

    return _csv(rows())


def marks_csv(made: Assessment) -> str:
    """``marks.csv``: a row for every mark; ``lesion`` counts the film's lesions from 1."""
    tally, p = made.tally, made.predictions.marks
    first: dict[int, int] = {}
    for number, film in enumerate(tally.lesion_film):
        first.setdefault(int(film), number)
    on: dict[int, list[int]] = {}
    for lesion, mark in tally.pairs:
        on.setdefault(int(mark), []).append(int(lesion) - first[int(tally.lesion_film[lesion])])

    def rows() -> Iterable[Sequence[object]]:
        yield (
            *("film", "patient", "fold", "mark", "row", "column", "radius", "score", "p_abnormal"),
            *("malignant_share", "verdict", "lesion", "iou"),
        )
        number = -1
        for case in made.cases:
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
                    *(case.film.name, case.film.patient, "" if case.fold is None else case.fold, rank),
                    *(_number(mark.center[0]), _number(mark.center[1])),
                    *("" if mark.radius is None else _number(mark.radius), _number(mark.score)),
                    *("" if p is None else _number(_logistic(p[number])), _number(mark.malignant)),
                    *(
                        "not judged" if case.film.unlocated else verdict,
                        " ".join(str(n + 1) for n in lesions),
                    ),
                    _number(max(overlaps)) if overlaps else "",
                )

    return _csv(rows())


def lesions_csv(made: Assessment) -> str:
    """``lesions.csv``: a row for every lesion with a place, with the best mark on it."""

    def rows() -> Iterable[Sequence[object]]:
        yield (
            *("film", "patient", "lesion", "row", "column", "radius", "radius_mm", "class", "kind", "tissue"),
            *("judged", "best_score", "malignant_share", "found"),
        )
        number = -1
        for case in made.cases:
            for index, lesion in enumerate(case.film.lesions, start=1):
                number += 1
                score = float(made.tally.lesion_score[number])
                yield (
                    *(case.film.name, case.film.patient, index, *map(_number, lesion.center)),
                    *(_number(lesion.radius), _number(lesion.radius * case.pixels.spacing)),
                    *(lesion.label, lesion.kind, case.film.tissue, _word(not case.film.unlocated)),
                    *(_number(score), _number(float(made.tally.lesion_share[number]))),
                    _word(score > made.threshold),
                )

    return _csv(rows())


def _three(point: Any) -> tuple[object, object, object]:
    return _number(point.value), _number(point.low), _number(point.high)


def _logistic(logit: float) -> float:
    return float(1 / (1 + np.exp(-np.clip(logit, -40, 40))))


def _number(value: float) -> object:
    return round(float(value), 6) + 0.0 if math.isfinite(value) else ""


def _word(value: bool | None) -> str:
    return "" if value is None else str(value).lower()


def _csv(rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue()


__all__ = [
    "SCHEMA_VERSION",
    "films_csv",
    "froc_csv",
    "lesions_csv",
    "marks_csv",
    "results",
    "results_text",
]
