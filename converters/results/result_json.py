"""``result.json``: everything a job found out about a study, for programs and for people."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from bcd_model.errors import InputError
from bcd_model.words import CLASSES, DISCLAIMER, Finding, Point, Probability
from converters.films.acceptance import RULES
from converters.product import SOFTWARE_VERSION
from converters.results import film_facts
from converters.results.outcome import Extent, coverage
from converters.results.patients import by_patient, identity_of
from converters.results.study_result import (
    ExcludedFilm,
    FailedFilm,
    FilmOutcome,
    FilmResult,
    ScannedFilm,
    StudyResult,
)

SCHEMA_VERSION = 2
"""Raised when a key changes its meaning or goes away; new keys do not raise it."""

FILE_NAME = "result.json"

DECIMALS = 6
"""Probabilities and coordinates are rounded to this many decimals: the same on every machine."""


def to_json(result: StudyResult) -> dict[str, Any]:
    """The content of ``result.json``; docs/reference describes each key.

    Coordinates are [row, column] in pixels of the film, the centre of its top-left pixel being
    [0, 0]. Outlines are closed polygons whose first corner is not repeated. ``presented`` says
    whether the finding reaches the operating point.
    """
    point = result.operating_point
    extent = coverage(result)
    patients = {film: part.patient for part in by_patient(result) for film in part.films}
    return {
        "schema_version": SCHEMA_VERSION,
        "disclaimer": DISCLAIMER,
        "job_id": result.job.job_id,
        "created": result.job.created.isoformat(),
        "study_instance_uid": result.study_instance_uid,
        "input_digest": result.input_digest,
        "software_version": SOFTWARE_VERSION,
        "model": {
            "name": result.model.name,
            "version": result.model.version,
            "digest": result.model.digest,
        },
        "settings": dict(result.settings),
        "operating_point": {
            "threshold": _rounded(point.threshold),
            "prevalence": point.prevalence,
            "sensitivity": None if point.sensitivity is None else _rounded(point.sensitivity),
            "false_marks_per_film": (
                None if point.false_marks_per_film is None else _rounded(point.false_marks_per_film)
            ),
            "basis": point.basis,
        },
        "looked_at": extent.extent,
        "not_looked_at": list(extent.unseen),
        "warnings": list(result.warnings),
        "films": [_film(result, film, patients[film]) for film in result.films],
    }


def _film(result: StudyResult, film: FilmResult, patient: int) -> dict[str, Any]:
    size = film_facts.size(film)
    scanned = film if isinstance(film, ScannedFilm) else None
    scan = scanned.scan if scanned is not None else None
    reason = film.reason if isinstance(film, FailedFilm) else None
    return {
        "sop_instance_uid": film.sop_instance_uid,
        "file": film.file,
        "sha256": film.sha256 or None,
        "film_digest": film.digest or None,
        "facts_digest": film.facts or None,
        "pixel_digest": scanned.pixel_digest or None if scanned is not None else None,
        **({"all_sha256": list(film.all_sha256)} if film.all_sha256 else {}),
        "patient": patient if identity_of(film) is not None else None,
        "laterality": film_facts.laterality(film),
        "view": film_facts.view(film),
        "rows": size[0] if size else None,
        "columns": size[1] if size else None,
        "spacing": None if scanned is None else [_rounded(value) for value in scanned.film.spacing],
        "spacing_assumed": None if scanned is None else scanned.film.spacing_assumed,
        "status": film.outcome,
        "reason": str(reason) if reason is not None else None,
        "reason_code": reason.code if reason is not None else None,
        "rule": film.rule if isinstance(film, ExcludedFilm) else None,
        "warnings": list(film_facts.warnings(film)),
        "class": None if scan is None else scan.label,
        "film_probability": None if scan is None else _probability(scan.probability),
        "findings": [
            _finding(result, film, finding, index, size)
            for index, finding in enumerate(() if scan is None else scan.findings)
        ],
    }


def _finding(
    result: StudyResult, film: FilmResult, finding: Finding, index: int, size: tuple[int, int] | None
) -> dict[str, Any]:
    outline = film_facts.on_film(finding.outline, size) if size else finding.outline
    return {
        "tracking_uid": result.tracking_uid(film, index),
        "center": _point(finding.center),
        "radius": _rounded(finding.radius),
        "outline": [_point(corner) for corner in outline],
        "class": finding.label,
        "probability": _probability(finding.probability),
        "presented": result.operating_point.presents(finding),
    }


def _probability(probability: Probability) -> dict[str, float]:
    return {
        "normal": _rounded(probability.normal),
        "benign": _rounded(probability.benign),
        "malignant": _rounded(probability.malignant),
    }


def _point(point: Point) -> list[float]:
    return [_rounded(point[0]), _rounded(point[1])]


def _rounded(value: float) -> float:
    return round(float(value), DECIMALS)


def encode(result: StudyResult) -> bytes:
    """``result.json`` as bytes: UTF-8, keys in the order above, a newline at the end.

    A file name that is no UTF-8 reaches us with lone surrogates; they become JSON escapes.
    """
    text = json.dumps(to_json(result), indent=1, ensure_ascii=False, allow_nan=False)
    return (text + "\n").encode(errors="backslashreplace")


_Kind = type | tuple[type, ...]
_NUMBER: _Kind = (int, float)
_TEXT_OR_NONE: _Kind = (str, type(None))
_INT_OR_NONE: _Kind = (int, type(None))

_RESULT: Mapping[str, _Kind] = {
    "schema_version": int,
    "job_id": str,
    "created": str,
    "study_instance_uid": str,
    "input_digest": str,
    "model": dict,
    "settings": dict,
    "operating_point": dict,
    "looked_at": str,
    "not_looked_at": list,
    "warnings": list,
    "films": list,
}
_MODEL: Mapping[str, _Kind] = {"name": str, "version": str, "digest": str}
_OPERATING_POINT: Mapping[str, _Kind] = {"threshold": _NUMBER, "prevalence": _NUMBER}
_FILM: Mapping[str, _Kind] = {
    "sop_instance_uid": _TEXT_OR_NONE,
    "file": str,
    "laterality": _TEXT_OR_NONE,
    "view": _TEXT_OR_NONE,
    "rows": _INT_OR_NONE,
    "columns": _INT_OR_NONE,
    "status": str,
    "reason": _TEXT_OR_NONE,
    "rule": _TEXT_OR_NONE,
    "warnings": list,
    "class": _TEXT_OR_NONE,
    "film_probability": (dict, type(None)),
    "findings": list,
}
_FINDING: Mapping[str, _Kind] = {
    "tracking_uid": str,
    "center": list,
    "radius": _NUMBER,
    "outline": list,
    "class": str,
    "probability": dict,
    "presented": bool,
}
_PROBABILITY: Mapping[str, _Kind] = dict.fromkeys(CLASSES, _NUMBER)


def read_result(folder: Path) -> dict[str, Any]:
    """The content of ``folder/result.json``, checked against the schema of :func:`to_json`.

    Raises:
        InputError: there is none, or it is not one that this version can read.
    """
    path = folder / FILE_NAME
    try:
        found = json.loads(path.read_bytes())
    except OSError as error:
        raise InputError(
            f"cannot be read ({error.strerror or error})", "give the folder of a result", path
        ) from error
    except (ValueError, RecursionError) as error:
        raise InputError("is no JSON", "run the study again with --force", path) from error
    try:
        _check_result(found)
    except _SchemaError as error:
        raise InputError(str(error), "run the study again with --force", path) from error
    return dict(found)


class _SchemaError(Exception):
    """Where the file departs from the schema."""


def _check_result(found: object) -> None:
    result = _check(found, _RESULT, "result")
    if result["schema_version"] != SCHEMA_VERSION:
        raise _SchemaError(
            f"schema_version is {result['schema_version']}, this version reads {SCHEMA_VERSION}"
        )
    _check(result["model"], _MODEL, "model")
    point = _check(result["operating_point"], _OPERATING_POINT, "operating_point")
    if not 0 < point["prevalence"] < 1:
        raise _SchemaError("operating_point.prevalence is not between 0 and 1")
    _check_one_of(result["looked_at"], "looked_at", get_args(Extent))
    for number, entry in enumerate(result["films"]):
        where = f"films[{number}]"
        film = _check(entry, _FILM, where)
        _check_one_of(film["status"], f"{where}.status", get_args(FilmOutcome))
        if film["status"] == "excluded":
            _check_one_of(film["rule"], f"{where}.rule", RULES)
        if film["status"] == "scanned":
            _check_one_of(film["class"], f"{where}.class", CLASSES)
            _check(film["film_probability"], _PROBABILITY, f"{where}.film_probability")
        for index, finding in enumerate(film["findings"]):
            _check_finding(finding, f"{where}.findings[{index}]")


def _check_finding(entry: object, where: str) -> None:
    finding = _check(entry, _FINDING, where)
    _check_one_of(finding["class"], f"{where}.class", CLASSES[1:])
    _check(finding["probability"], _PROBABILITY, f"{where}.probability")
    for name, points in (("center", [finding["center"]]), ("outline", finding["outline"])):
        for point in points:
            if not isinstance(point, list) or len(point) != 2 or not all(map(_is_number, point)):
                raise _SchemaError(f"{where}.{name} is not made of [row, column]")


def _check_one_of(value: object, where: str, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise _SchemaError(f"{where} is none of {', '.join(allowed)}")


def _check(found: object, keys: Mapping[str, _Kind], where: str) -> Mapping[str, Any]:
    if not isinstance(found, dict):
        raise _SchemaError(f"{where} is no object")
    for key, kind in keys.items():
        if key not in found:
            raise _SchemaError(f"{where}.{key} is missing")
        value = found[key]
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise _SchemaError(f"{where}.{key} has the wrong type")
    return found


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
