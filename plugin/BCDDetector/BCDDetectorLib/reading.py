"""What the reader says of a study: accepted, rejected, moved and added findings; and as JSON.

The JSON is a ``truth.json`` (``converters.truth``, schema version 1) with more keys, so that evaluation and
training can take it: only films that the reader has declared to be read completely are in ``films``, and
their lesions are the accepted findings. The detector's findings and what became of them stand beside.
"""

from __future__ import annotations

import hashlib
import json
import math
import uuid
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from . import geometry, nodes, show
from .errors import InputError
from .words import ABNORMAL, DISCLAIMER, Film, Point, Probability, Study

SCHEMA_VERSION = 1
KIND = "reading"

_BEFORE = "BCD.OutlineBefore"
_STILL = 0.5  # pixels; less is a tremor, no move


@dataclass(frozen=True)
class Mark:
    """One finding as the reader leaves it.

    Attributes:
        verdict: "accepted", "rejected" or "unread".
        source: "detector" or "reader".
        probability: None of a finding that the reader added.
        outline: closed polygon in source pixels.
    """

    tracking_uid: str
    film: str
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


def new_tracking_uid() -> str:
    """For a finding that the reader adds: it follows from nothing, so it is drawn (PS3.5 B.2)."""
    return f"2.25.{uuid.uuid4().int}"


def collect(scene: Any, table: Any, reader: str) -> Reading:
    """The reading of a study as it stands in the scene."""
    study = nodes.info(table)
    marks = []
    for curve in nodes.findings(scene, study.study_instance_uid):
        volume = nodes.volume_of(scene, curve.GetAttribute(nodes.FILM))
        if volume is None:
            continue
        center, radius = show.get_place(curve)
        marks.append(
            Mark(
                tracking_uid=curve.GetAttribute(nodes.TRACKING_UID),
                film=curve.GetAttribute(nodes.FILM),
                center=center,
                radius=radius,
                outline=geometry.outline(volume, curve),
                label=curve.GetAttribute(nodes.LABEL),
                verdict=curve.GetAttribute(nodes.VERDICT),
                source=curve.GetAttribute(nodes.SOURCE),
                moved=curve.GetAttribute(nodes.MOVED) == "1",
                probability=nodes.probability(curve),
            )
        )
    return Reading(study, reader, frozenset(nodes.films_read(table)), tuple(marks))


def judge(curve: Any, verdict: str, label: str = "") -> None:
    """Set the reader's verdict on a finding and, where the reader says so, its class."""
    if verdict not in (nodes.ACCEPTED, nodes.REJECTED, nodes.UNREAD):
        raise InputError(f"{verdict!r} is no verdict")
    curve.SetAttribute(nodes.VERDICT, verdict)
    if label in ABNORMAL:
        show.set_label(curve, label)


def begin_move(scene: Any, curve: Any) -> None:
    """Let the reader drag a finding: unlock it and show its handles."""
    volume = nodes.volume_of(scene, curve.GetAttribute(nodes.FILM))
    if volume is None:
        raise InputError("the finding's film is not loaded; load the study first")
    curve.SetAttribute(_BEFORE, json.dumps(geometry.outline(volume, curve)))
    curve.SetLocked(False)
    display = curve.GetDisplayNode()
    display.SetHandlesInteractive(True)
    display.SetTranslationHandleVisibility(True)
    display.SetRotationHandleVisibility(False)
    display.SetScaleHandleVisibility(True)


def moving(curve: Any) -> bool:
    """Whether the reader may drag the finding just now."""
    return bool(curve.GetAttribute(_BEFORE))


def end_move(scene: Any, curve: Any) -> bool:
    """Lock a finding again; one that lies elsewhere now counts as moved and accepted.

    Returns:
        Whether it was moved.

    Raises:
        InputError: its centre lies outside the film; it is put back.
    """
    before = [(row, column) for row, column in json.loads(curve.GetAttribute(_BEFORE) or "[]")]
    curve.RemoveAttribute(_BEFORE)
    curve.SetLocked(True)
    curve.GetDisplayNode().SetHandlesInteractive(False)
    film = curve.GetAttribute(nodes.FILM)
    volume = nodes.volume_of(scene, film)
    if volume is None or not before:
        return False
    # The centre is the most suspicious place, not the outline's middle: it moves as the outline does.
    after = geometry.outline(volume, curve)
    (old, tall), (new, now_tall) = geometry.extent(before), geometry.extent(after)
    center, radius = show.get_place(curve)
    grown = now_tall / tall if tall > 0 else 1.0
    center = (new[0] + grown * (center[0] - old[0]), new[1] + grown * (center[1] - old[1]))
    columns, rows, _ = volume.GetImageData().GetDimensions()
    if not (-0.5 <= center[0] <= rows - 0.5 and -0.5 <= center[1] <= columns - 0.5):
        show.draw(curve, volume, nodes.slice_of(volume, film), before)
        raise InputError("the finding was moved off the film; it is back where it was")
    if max(math.dist(a, b) for a, b in zip(before, after)) < _STILL:
        return False
    show.set_place(curve, center, radius * grown)
    curve.SetAttribute(nodes.MOVED, "1")
    curve.SetAttribute(nodes.VERDICT, nodes.ACCEPTED)
    return True


def to_json(reading: Reading, created: datetime, patient: str) -> dict[str, Any]:
    """The reading as JSON.

    Args:
        patient: what tells patients apart, so that no split of a training set parts one; hashed here.
    """
    pseudonym = hashlib.sha256(patient.encode()).hexdigest()[:16]
    films: dict[str, Any] = {}
    unread: list[str] = []
    for film in reading.study.films:
        uid = film.sop_instance_uid
        if not uid or film.failed:
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
        raise InputError(f"{path.name} cannot be written ({error.strerror or error})", str(path)) from error


def _worst(lesions: list[Mark]) -> str:
    labels = {mark.label for mark in lesions}
    return "malignant" if "malignant" in labels else "benign" if labels else "normal"


def _finding(mark: Mark) -> dict[str, Any]:
    shares = mark.probability
    return {
        "tracking_uid": mark.tracking_uid,
        "verdict": mark.verdict,
        "source": mark.source,
        "moved": mark.moved,
        "center": list(mark.center),
        "radius": mark.radius,
        "outline": [list(corner) for corner in mark.outline],
        "class": mark.label,
        "probability": (
            {"normal": shares.normal, "benign": shares.benign, "malignant": shares.malignant}
            if shares
            else None
        ),
    }
