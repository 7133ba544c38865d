"""``result.json``: everything a job found out about a study, for programs and for people."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bcd_model.errors import InputError
from bcd_model.reading import reading
from bcd_model.words import DISCLAIMER, Finding, Point, Probability
from converters.product import SOFTWARE_VERSION
from converters.results import film_facts
from converters.results.outcome import coverage
from converters.results.patients import by_patient, identity_of
from converters.results.result_schema import Result, checked
from converters.results.study_result import (
    ExcludedFilm,
    FailedFilm,
    FilmResult,
    ScannedFilm,
    Shaping,
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
        "model": asdict(result.model),
        "settings": asdict(Shaping(point.prevalence, point.threshold, result.job.uid_root)),
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

    A file name that is not UTF-8 reaches us with lone surrogates; they become JSON escapes.
    """
    text = json.dumps(to_json(result), indent=1, ensure_ascii=False, allow_nan=False)
    return (text + "\n").encode(errors="backslashreplace")


def read_result(folder: Path) -> dict[str, Any]:
    """The content of ``folder/result.json``, checked against `result_schema`.

    Raises:
        InputError: there is none, or it is not one that this version can read.
    """
    path = folder / FILE_NAME
    with reading(
        path, InputError, "run the study again with --force", unopened="give the folder of a result"
    ):
        found: dict[str, Any] = json.loads(path.read_bytes())
        checked(found, Result)
    return found
