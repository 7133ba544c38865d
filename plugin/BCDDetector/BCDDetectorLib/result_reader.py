"""Reads ``result.json`` of a fetched result folder."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .errors import InputError
from .words import ABNORMAL, CLASSES, MIN_CORNERS, Film, Finding, Point, Probability, Study

SCHEMA_VERSION = 2
RESULT = "result.json"
HEATMAP = "heatmap"
REPORT = "report.html"


def read_result(folder: Path) -> Study:
    """The study's result.

    Raises:
        InputError: there is none, or it is not one that this version understands.
    """
    path = folder / RESULT
    try:
        content = json.loads(path.read_bytes())
        if content["schema_version"] != SCHEMA_VERSION:
            raise InputError(f"{RESULT} has schema version {content['schema_version']}; update this module")
        return _study(content)
    except OSError as error:
        raise InputError(f"{RESULT} cannot be read ({error.strerror or error})", str(path)) from error
    except (ValueError, KeyError, TypeError, IndexError, OverflowError, RecursionError) as error:
        raise InputError(
            f"{RESULT} is damaged; scan the study again", f"{type(error).__name__}: {error}"
        ) from error


def _study(content: Mapping[str, Any]) -> Study:
    model, unseen = content["model"], content["not_looked_at"]
    warning = [f"NOT LOOKED AT: {', '.join(map(str, unseen))}"] if unseen else []
    return Study(
        study_instance_uid=str(content["study_instance_uid"]),
        job_id=str(content["job_id"]),
        model=f"{model['name']} {model['version']}",
        threshold=_number(content["operating_point"]["threshold"]),
        films=tuple(_film(entry) for entry in content["films"]),
        warnings=(*warning, *map(str, content["warnings"])),
        prevalence=_share(content["operating_point"]["prevalence"]),
    )


def _film(entry: Mapping[str, Any]) -> Film:
    uid = _text_or_none(entry["sop_instance_uid"])
    return Film(
        sop_instance_uid=uid,
        laterality=_text_or_none(entry["laterality"]),
        view=_text_or_none(entry["view"]),
        failed=entry["status"] != "scanned",
        reason=_reason(entry),
        warnings=tuple(str(text) for text in entry["warnings"]),
        findings=tuple(
            _finding(found, uid or "", number) for number, found in enumerate(entry["findings"], start=1)
        ),
    )


def _reason(entry: Mapping[str, Any]) -> str:
    """Why a film was not scanned."""
    if entry["status"] == "excluded":
        return f"excluded: {entry['rule']}"
    return str(entry["reason"] or "")


def _finding(entry: Mapping[str, Any], film: str, number: int) -> Finding:
    if entry["class"] not in ABNORMAL:
        raise ValueError(f"a finding of class {entry['class']!r}")
    if len(entry["outline"]) < MIN_CORNERS:
        raise ValueError("an outline without an inside")
    return Finding(
        tracking_uid=str(entry["tracking_uid"]),
        film=film,
        number=number,
        center=_point(entry["center"]),
        radius=_number(entry["radius"]),
        outline=tuple(_point(corner) for corner in entry["outline"]),
        label=entry["class"],
        probability=Probability(*(_number(entry["probability"][key]) for key in CLASSES)),
        presented=bool(entry["presented"]),
    )


def _point(value: Any) -> Point:
    row, column = value
    return _number(row), _number(column)


def _number(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{value!r} is not a number")
    return number


def _share(value: Any) -> float:
    number = _number(value)
    if not 0 < number < 1:
        raise ValueError(f"{value!r} is not a share of films")
    return number


def _text_or_none(value: Any) -> str | None:
    if value is not None and not isinstance(value, str):
        raise TypeError(f"{value!r} is not text")
    return value
