"""Puts a study's result into the scene: a curve for each finding, a table for the study."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import vtk

from . import geometry, nodes
from .errors import InputError
from .words import Film, Finding, Point, Probability, Study, finding_label, percent

COLORS = {"malignant": (1.0, 0.63, 0.0), "benign": (0.0, 1.0, 1.0)}
"""As in the overlays and presentation states of the result."""

_NUMBERS = ("row", "column", "P(abnormal)", "P(malignant)")
COLUMNS = ("film", *_NUMBERS[:2], "class", *_NUMBERS[2:], "verdict", "source", "tracking UID")


def show_study(scene: Any, study: Study) -> Any:
    """Show the result of a study whose films are loaded, in the place of an earlier one.

    Films that are not loaded stay out, unless they failed: loaded later, they are not scanned yet. What an
    earlier result says of a film that is not loaded now stays. The reader's word is kept: another job gives
    its findings other tracking UIDs, so what the reader has judged is found again by its place.

    Returns:
        The study's table node.

    Raises:
        InputError: none of its films is loaded.
    """
    uid = study.study_instance_uid
    known = {film_uid for volume in nodes.volumes(scene) for film_uid in nodes.film_uids(volume)}
    loaded = [film for film in study.films if film.sop_instance_uid in known]
    if not loaded:
        raise InputError("none of the result's films is loaded; load the study first")
    for node in nodes.heat_maps(scene, uid):
        scene.RemoveNode(node)
    table = nodes.study_node(scene, uid)
    if table is None:
        table = scene.AddNewNodeByClass("vtkMRMLTableNode", scene.GenerateUniqueName("BCD findings"))
        table.SetAttribute(nodes.ROLE, "study")
    nodes.set_info(table, replace(study, films=_known(table, study, loaded)))
    missing = _supersede(scene, study, loaded)
    _file(scene, table, [add_finding(scene, uid, finding) for finding in missing])
    fill_table(scene, table)
    return table


def _known(table: Any, study: Study, loaded: list[Film]) -> tuple[Film, ...]:
    """The films of which the scene can say something: loaded, failed, or known from an earlier result."""
    earlier = nodes.info(table).films if table.GetAttribute(nodes.INFO) else ()
    before = {film.sop_instance_uid for film in earlier}
    films = [film for film in study.films if film in loaded or film.failed or film.sop_instance_uid in before]
    listed = {film.sop_instance_uid for film in films}
    return (*films, *(film for film in earlier if film.sop_instance_uid not in listed))


def _supersede(scene: Any, study: Study, loaded: list[Film]) -> list[Finding]:
    """Put the new result in the place of the earlier one; returns the findings that have no curve yet."""
    renewed = {film.sop_instance_uid for film in loaded}
    new = {finding.tracking_uid: finding for film in loaded for finding in film.findings}
    judged = []
    for curve in nodes.findings(scene, study.study_instance_uid):
        if curve.GetAttribute(nodes.FILM) not in renewed:
            continue
        tracking_uid = curve.GetAttribute(nodes.TRACKING_UID)
        if tracking_uid in new:
            del new[tracking_uid]  # it is there already
        elif curve.GetAttribute(nodes.VERDICT) == nodes.UNREAD:
            scene.RemoveNode(curve)
        else:
            judged.append(curve)
    nearest = _nearest(judged, list(new.values()))
    for curve in judged:
        finding = nearest.get(curve.GetID())
        if finding is not None:
            _take_over(scene, curve, new.pop(finding.tracking_uid))
        else:
            _renumber(
                scene, curve, {f.number for film in loaded for f in film.findings if f.film == _film(curve)}
            )
    return list(new.values())


def _film(curve: Any) -> str:
    return str(curve.GetAttribute(nodes.FILM))


def _renumber(scene: Any, curve: Any, taken: set[int]) -> None:
    """Give a curve that no new finding replaces a number that none of them has."""
    if nodes.number(curve) not in taken:
        return
    others = {nodes.number(c) for c in nodes.findings(scene) if _film(c) == _film(curve)}
    curve.SetAttribute(nodes.NUMBER, str(1 + max(taken | others)))
    set_label(curve, curve.GetAttribute(nodes.LABEL))


def _nearest(curves: list[Any], found: list[Finding]) -> dict[str, Finding]:
    """By node ID the finding nearest to where the curve's own was found, if that lies within its radius.

    The nearest two of all belong together first: no curve takes a finding that lies nearer to another curve.
    """
    near = []
    for curve in curves:
        if curve.GetAttribute(nodes.SOURCE) == nodes.DETECTOR:
            row, column, radius = json.loads(curve.GetAttribute(nodes.FOUND_AT))
            for finding in found:
                distance = math.dist((row, column), finding.center)
                if finding.film == _film(curve) and distance <= radius:
                    near.append((distance, curve.GetID(), finding.tracking_uid))
    left = {finding.tracking_uid: finding for finding in found}
    nearest: dict[str, Finding] = {}
    for _, curve_id, tracking_uid in sorted(near):
        if curve_id not in nearest and tracking_uid in left:
            nearest[curve_id] = left.pop(tracking_uid)
    return nearest


def _take_over(scene: Any, curve: Any, finding: Finding) -> None:
    """Let a judged curve stand for a finding of another job: verdict, accepted class and move stay."""
    _describe(curve, finding)
    if not curve.GetAttribute(nodes.MOVED):
        volume = nodes.volume_of(scene, finding.film)
        draw(curve, volume, nodes.slice_of(volume, finding.film), finding.outline)
        set_place(curve, finding.center, finding.radius)
    accepted = curve.GetAttribute(nodes.VERDICT) == nodes.ACCEPTED
    set_label(curve, curve.GetAttribute(nodes.LABEL) if accepted else finding.label)


def add_finding(scene: Any, study_uid: str, finding: Finding) -> Any:
    """The locked curve of a detector's finding."""
    curve = _curve(scene, study_uid, finding.film, finding.number, finding.outline)
    curve.SetAttribute(nodes.SOURCE, nodes.DETECTOR)
    curve.SetAttribute(nodes.VERDICT, nodes.UNREAD)
    _describe(curve, finding)
    set_place(curve, finding.center, finding.radius)
    set_label(curve, finding.label)
    return curve


def _describe(curve: Any, finding: Finding) -> None:
    """Write what the detector says of the finding, which no reader changes, on its curve."""
    curve.SetAttribute(nodes.NUMBER, str(finding.number))
    curve.SetAttribute(nodes.TRACKING_UID, finding.tracking_uid)
    curve.SetAttribute(nodes.FOUND_AT, json.dumps([*finding.center, finding.radius]))
    shares = finding.probability
    curve.SetAttribute(nodes.PROBABILITY, json.dumps([shares.normal, shares.benign, shares.malignant]))


def add_missed(
    scene: Any, study_uid: str, film_uid: str, tracking_uid: str, center: Point, radius: float, label: str
) -> Any:
    """The locked curve of a finding that the reader adds."""
    volume = nodes.volume_of(scene, film_uid)
    number = 1 + max((nodes.number(c) for c in nodes.findings(scene) if _film(c) == film_uid), default=0)
    curve = _curve(scene, study_uid, film_uid, number, geometry.round_outline(volume, center, radius))
    curve.SetAttribute(nodes.SOURCE, nodes.READER)
    curve.SetAttribute(nodes.VERDICT, nodes.ACCEPTED)
    curve.SetAttribute(nodes.TRACKING_UID, tracking_uid)
    set_place(curve, center, radius)
    set_label(curve, label)
    table = nodes.study_node(scene, study_uid)
    _file(scene, table, [curve])
    fill_table(scene, table)
    return curve


def get_outline(curve: Any) -> tuple[Point, ...]:
    """The outline in pixels of the film, whatever volume shows it, or none."""
    return tuple((row, column) for row, column in json.loads(curve.GetAttribute(nodes.OUTLINE)))


def set_place(curve: Any, center: Point, radius: float) -> None:
    """Keep the exact centre and radius; the control points alone give them by rounding and guess only."""
    curve.SetAttribute(nodes.PLACE, json.dumps([center[0], center[1], radius]))


def get_place(curve: Any) -> tuple[Point, float]:
    """Centre and radius of a finding, as they were found or moved to."""
    row, column, radius = json.loads(curve.GetAttribute(nodes.PLACE))
    return (row, column), radius


def set_label(curve: Any, label: str) -> None:
    """Set a finding's class, and the name, colour and caption that go with it."""
    curve.SetAttribute(nodes.LABEL, label)
    shares, number = nodes.probability(curve), nodes.number(curve)
    curve.SetName(finding_label(number, label, shares) if shares else f"{number} {label} (reader)")
    if shares is None:
        caption = f"{number} {label}, added"
    elif label == shares.label:
        caption = f"{number} {label} {percent(getattr(shares, label))}"
    else:
        caption = f"{number} {label}, by the reader"
    curve.SetAttribute(nodes.CAPTION, caption)
    write_caption(curve)
    set_color(curve, COLORS[label])


def _curve(scene: Any, study_uid: str, film_uid: str, number: int, outline: Sequence[Point]) -> Any:
    volume = nodes.volume_of(scene, film_uid)
    if volume is None:
        raise InputError("the film of a finding is not loaded; load the study first")
    curve = add_curve(scene, "finding", volume, film_uid, outline)
    curve.SetAttribute(nodes.STUDY, study_uid)
    curve.SetAttribute(nodes.NUMBER, str(number))
    display = curve.GetDisplayNode()
    display.SetTextScale(2.5)
    display.SetHandlesInteractive(False)
    return curve


def add_curve(scene: Any, role: str, volume: Any, film_uid: str, outline: Sequence[Point]) -> Any:
    """A locked curve on a film, with its caption beside it."""
    curve = scene.AddNewNodeByClass("vtkMRMLMarkupsClosedCurveNode", role)
    curve.SetAttribute(nodes.ROLE, role)
    curve.SetAttribute(nodes.FILM, film_uid)
    curve.SetCurveTypeToLinear()
    curve.CreateDefaultDisplayNodes()
    draw(curve, volume, nodes.slice_of(volume, film_uid), outline)
    curve.SetLocked(True)
    display = curve.GetDisplayNode()
    display.SetPropertiesLabelVisibility(False)  # it would cover the finding
    display.SetPointLabelsVisibility(True)
    display.SetGlyphScale(0.6)
    display.SetUseGlyphScale(True)
    display.SetVisibility3D(False)
    return curve


def set_color(curve: Any, color: tuple[float, float, float]) -> None:
    """Set the curve's colour, whatever the mouse is at."""
    display = curve.GetDisplayNode()
    for setter in (display.SetColor, display.SetSelectedColor, display.SetActiveColor):
        setter(*color)


def draw(curve: Any, volume: Any, slice_index: int, outline: Sequence[Point]) -> None:
    """Give the curve the corners of ``outline``."""
    curve.SetAttribute(nodes.OUTLINE, json.dumps([list(corner) for corner in outline]))
    world = vtk.vtkPoints()
    for corner in outline:
        world.InsertNextPoint(geometry.to_ras(volume, corner, slice_index))
    locked = curve.GetLocked()
    curve.SetLocked(False)
    curve.SetControlPointPositionsWorld(world)
    curve.SetLocked(locked)
    write_caption(curve)


def write_caption(curve: Any) -> None:
    """Write the finding's number, class and probability beside the outline: at its corner furthest right."""
    rightmost, furthest = 0, float("inf")
    position = [0.0, 0.0, 0.0]
    count = curve.GetNumberOfControlPoints()
    for index in range(count):
        curve.GetNthControlPointPosition(index, position)
        if position[0] < furthest:  # R falls to the right of an axial view
            rightmost, furthest = index, position[0]
    for index in range(count):
        caption = curve.GetAttribute(nodes.CAPTION) if index == rightmost else ""
        curve.SetNthControlPointLabel(index, caption or "")


def fill_table(scene: Any, table: Any) -> None:
    """Write the study's findings as they are now into its table node."""
    study = nodes.info(table)
    names = {film.sop_instance_uid: film.name for film in study.films}
    rows: list[tuple[Any, ...]] = []
    for curve in nodes.findings(scene, study.study_instance_uid):
        (row, column), _ = get_place(curve)
        shares: Probability | None = nodes.probability(curve)
        rows.append(
            (
                names.get(curve.GetAttribute(nodes.FILM), "film"),
                round(row, 1),
                round(column, 1),
                curve.GetAttribute(nodes.LABEL),
                round(shares.abnormal, 4) if shares else -1.0,
                round(shares.malignant, 4) if shares else -1.0,
                curve.GetAttribute(nodes.VERDICT) + (" (moved)" if curve.GetAttribute(nodes.MOVED) else ""),
                curve.GetAttribute(nodes.SOURCE),
                curve.GetAttribute(nodes.TRACKING_UID),
            )
        )
    content = vtk.vtkTable()
    for index, name in enumerate(COLUMNS):
        column_values = vtk.vtkDoubleArray() if name in _NUMBERS else vtk.vtkStringArray()
        column_values.SetName(name)
        for entry in rows:
            column_values.InsertNextValue(entry[index])
        content.AddColumn(column_values)
    table.SetAndObserveTable(content)


def _file(scene: Any, table: Any, curves: Sequence[Any]) -> None:
    """Put curves into the study's folder in the subject hierarchy: the one in which its table lies."""
    hierarchy = scene.GetSubjectHierarchyNode()
    own = hierarchy.GetItemByDataNode(table) if hierarchy is not None else 0
    if not own:  # Slicer gives each node its item, as long as its subject hierarchy is at work
        return
    top = hierarchy.GetSceneItemID()
    folder = hierarchy.GetItemParent(own) or top
    if folder == top:
        folder = hierarchy.CreateFolderItem(top, table.GetName())
        hierarchy.SetItemParent(own, folder)
    for item in filter(None, map(hierarchy.GetItemByDataNode, curves)):
        hierarchy.SetItemParent(item, folder)
