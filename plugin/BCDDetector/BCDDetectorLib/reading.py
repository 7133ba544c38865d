"""What the reader says of a study: accepted, rejected, moved and added findings; and as JSON.

The JSON is a ``truth.json`` (``converters.truth.file``, schema version 1) with more keys, and ``read_truth``
reads it: only films that the reader has declared to be read completely are in ``films``, and their lesions
are the accepted findings. The detector's findings and what became of them stand beside.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from . import nodes
from .errors import InputError
from .words import DISCLAIMER, Film, Point, Probability, Study

SCHEMA_VERSION = 1
KIND = "reading"


@dataclass(frozen=True)
class Mark:
    """One finding as the reader leaves it.

    Attributes:
        number: as the view shows it, from 1 on each film.
        verdict: "accepted", "rejected" or "unread".
        source: "detector" or "reader".
        probability: None of a finding that the reader added.
        outline: closed polygon in source pixels.
    """

    tracking_uid: str
    film: str
    number: int
    center: Point
    radius: float
    outline: tuple[Point, ...]
    label: str
    verdict: str
    source: str
    moved: bool
    probability: Probability | None


@dataclass(frozen=True)
class Reading:
    """One reader's word on one study.

    Attributes:
        films_read: SOP Instance UIDs of the films that were read completely.
    """

    study: Study
    reader: str
    films_read: frozenset[str]
    marks: tuple[Mark, ...]

    def of(self, film: Film) -> tuple[Mark, ...]:
        """The marks on one film."""
        return tuple(mark for mark in self.marks if mark.film == film.sop_instance_uid)


def to_json(reading: Reading, created: datetime, patient: str) -> dict[str, Any]:
    """The reading as JSON.

    Args:
        patient: identifies the patient, so that no split of a training set parts one's films; hashed here,
            without salt, so that two exports agree: who knows the identities can find the hash again.
    """
    pseudonym = hashlib.sha256(patient.encode()).hexdigest()[:16]
    films: dict[str, Any] = {}
    unread: list[str] = []
    for film in reading.study.films:
        uid = film.sop_instance_uid
        if not uid:
            continue
        if uid not in reading.films_read:
            unread.append(uid)
            continue
        marks = reading.of(film)
        lesions = [mark for mark in marks if mark.verdict == nodes.ACCEPTED]
        films[uid] = {
            "file": f"{uid}.dcm",
            "name": uid,
            "patient": pseudonym,
            "label": _worst(lesions),
            "tissue": "",
            "unlocated": False,
            "lesions": [
                {"center": list(mark.center), "radius": mark.radius, "label": mark.label, "kind": ""}
                for mark in lesions
            ],
            "findings": [_finding(mark) for mark in marks],
        }
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": KIND,
        "notice": DISCLAIMER,
        "reader": reading.reader,
        "created": created.isoformat(timespec="seconds"),
        "study_instance_uid": reading.study.study_instance_uid,
        "job_id": reading.study.job_id,
        "model": reading.study.model,
        "films": films,
        "films_not_read": unread,
    }


def write_json(content: dict[str, Any], path: Path) -> None:
    """Write the reading.

    Raises:
        InputError: the file cannot be written.
    """
    try:
        path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"the file cannot be written ({error.strerror or 'no reason given'})", str(path)
        ) from error


def _worst(lesions: list[Mark]) -> str:
    labels = {mark.label for mark in lesions}
    return "malignant" if "malignant" in labels else "benign" if labels else "normal"


def _finding(mark: Mark) -> dict[str, Any]:
    return {
        "tracking_uid": mark.tracking_uid,
        "number": mark.number,
        "verdict": mark.verdict,
        "source": mark.source,
        "moved": mark.moved,
        "center": list(mark.center),
        "radius": mark.radius,
        "outline": [list(corner) for corner in mark.outline],
        "class": mark.label,
        "probability": asdict(mark.probability) if mark.probability else None,
    }
