"""Accept, reject and move: what the reader does to the findings in the scene."""

from __future__ import annotations

import json
import math
from typing import Any

from . import geometry, nodes, show
from .errors import InputError
from .reading import Mark, Reading
from .words import ABNORMAL, MIN_CORNERS

_BEFORE = "BCD.OutlineBefore"
_STILL = 0.5  # pixels; less is a tremor, not a move


def collect(scene: Any, table: Any, reader: str) -> Reading:
    """The reading of a study as it stands in the scene."""
    study = nodes.info(table)
    marks = []
    for curve in nodes.findings(scene, study.study_instance_uid):
        center, radius = show.get_place(curve)
        marks.append(
            Mark(
                tracking_uid=curve.GetAttribute(nodes.TRACKING_UID),
                film=curve.GetAttribute(nodes.FILM),
                number=nodes.number(curve),
                center=center,
                radius=radius,
                outline=show.get_outline(curve),
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
        raise InputError(f"unknown verdict {verdict!r}")
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
        InputError: its centre lies outside the film, or its corners were deleted; it is put back.
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
    if len(after) < MIN_CORNERS:
        show.draw(curve, volume, nodes.slice_of(volume, film), before)
        raise InputError("the finding's outline was deleted; it is back where it was")
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
    show.draw(curve, volume, nodes.slice_of(volume, film), after)
    show.set_place(curve, center, radius * grown)
    curve.SetAttribute(nodes.MOVED, "1")
    curve.SetAttribute(nodes.VERDICT, nodes.ACCEPTED)
    return True
