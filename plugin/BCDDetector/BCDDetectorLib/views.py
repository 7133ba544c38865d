"""What the slice views show: only the film's own findings, its heat map, and the place that was asked for.

All films lie in the same place of Slicer's world, so a finding must be kept out of the views that show
another film.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from . import geometry, nodes, show

_APART = 1e-3  # mm; more is another place
_ROUNDING = 2e-6  # result.json has 6 decimals, the report as many: a finding at the threshold is shown


def slice_views(scene: Any) -> Iterator[tuple[Any, Any, Any]]:
    """(slice node, composite node, volume in the background or None) of each slice view."""
    composites = {node.GetLayoutName(): node for node in nodes.nodes(scene, "vtkMRMLSliceCompositeNode")}
    for node in nodes.nodes(scene, "vtkMRMLSliceNode"):
        composite = composites.get(node.GetLayoutName())
        if composite is not None:
            yield node, composite, scene.GetNodeByID(composite.GetBackgroundVolumeID() or "")


def update(scene: Any, threshold: float) -> None:
    """Show the findings at or above ``threshold`` in the views that show their film.

    A reader's own findings are always shown, and rejected ones faintly.
    """
    shown_in: dict[str, list[str]] = {}
    films = {curve.GetAttribute(nodes.FILM) for curve in nodes.findings(scene)}
    for node, _, volume in slice_views(scene):
        for uid in nodes.film_uids(volume) if volume is not None else ():
            first = nodes.volume_of(scene, uid)
            if first is None or first.GetID() != volume.GetID():
                continue  # a second volume of the film may lie elsewhere; its findings are drawn in the first
            shown_in.setdefault(uid, []).append(node.GetID())
            if uid in films:  # R, L, A and P mean nothing on a mammogram
                node.SetOrientationMarkerType(node.OrientationMarkerTypeNone)
    for curve in (*nodes.findings(scene), *nodes.nodes(scene, "vtkMRMLMarkupsClosedCurveNode", "region")):
        where = shown_in.get(curve.GetAttribute(nodes.FILM), [])
        if where:
            _follow(scene, curve)
        display = curve.GetDisplayNode()
        if list(display.GetViewNodeIDs()) != where:
            display.SetViewNodeIDs(where)
        display.SetVisibility(bool(where) and reaches(curve, threshold))
        display.SetOpacity(0.3 if curve.GetAttribute(nodes.VERDICT) == nodes.REJECTED else 1.0)


def _follow(scene: Any, curve: Any) -> None:
    """Draw a curve anew whose film was loaded again and lies elsewhere now."""
    if not curve.GetLocked() or not curve.GetNumberOfControlPoints():
        return  # it is being moved
    film, position = curve.GetAttribute(nodes.FILM), [0.0, 0.0, 0.0]
    volume, outline = nodes.volume_of(scene, film), show.get_outline(curve)
    index = nodes.slice_of(volume, film)
    curve.GetNthControlPointPosition(0, position)
    if math.dist(geometry.to_ras(volume, outline[0], index), position) > _APART:
        show.draw(curve, volume, index, outline)


def reaches(curve: Any, threshold: float) -> bool:
    """Whether the finding is to be shown at this threshold on P(abnormal)."""
    shares = nodes.probability(curve)
    return shares is None or shares.abnormal >= threshold - _ROUNDING


def show_volume(application: Any, scene: Any, volume: Any) -> None:
    """Bring a film into view: where it is shown already, else in an empty view, else in the first one.

    Args:
        application: vtkMRMLApplicationLogic.
    """
    views = list(slice_views(scene))
    views = [view for view in views if view[0].IsMappedInLayout()] or views
    if any(composite.GetBackgroundVolumeID() == volume.GetID() for _, composite, _ in views):
        return
    empty = [view for view in views if view[2] is None]
    for node, composite, _ in (empty or views)[:1]:
        composite.SetBackgroundVolumeID(volume.GetID())
        lay_flat(application, node)


def lay_flat(application: Any, node: Any) -> None:
    """Show the film as it is stored: axial, whole, without a patient's body beside it."""
    node.SetOrientationToAxial()
    node.SetOrientationMarkerType(node.OrientationMarkerTypeNone)
    logic = application.GetSliceLogic(node) if application is not None else None
    if logic is not None:
        logic.FitSliceToBackground()
        logic.SnapSliceOffsetToIJK()


def jump(application: Any, scene: Any, curve: Any) -> None:
    """Bring a finding to the middle of each view that shows its film."""
    film = curve.GetAttribute(nodes.FILM)
    volume = nodes.volume_of(scene, film)
    if volume is None:
        return
    show_volume(application, scene, volume)
    center, _ = show.get_place(curve)
    ras = geometry.to_ras(volume, center, nodes.slice_of(volume, film))
    for node, composite, _ in slice_views(scene):
        if composite.GetBackgroundVolumeID() == volume.GetID():
            node.JumpSliceByCentering(*ras)


def show_heat_maps(scene: Any, on: bool, opacity: float) -> None:
    """Lay each film's heat map over it, or take it away again.

    Args:
        opacity: of the heat map, in [0, 1].
    """
    maps = {node.GetAttribute(nodes.FILM): node for node in nodes.heat_maps(scene)}
    own = {node.GetID() for node in maps.values()}
    for node, composite, volume in slice_views(scene):
        wanted = maps.get(_film_in_view(node, volume)) if on and volume is not None else None
        if wanted is not None:
            composite.SetForegroundVolumeID(wanted.GetID())
            composite.SetForegroundOpacity(opacity)
        elif composite.GetForegroundVolumeID() in own:
            composite.SetForegroundVolumeID(None)
            composite.SetForegroundOpacity(0.0)


def _film_in_view(node: Any, volume: Any) -> str:
    """The film that a slice view shows: of several in one volume, the one at the view's place; "" if none."""
    uids, matrix = nodes.film_uids(volume), node.GetSliceToRAS()
    if len(uids) <= 1:
        return "".join(uids)
    index = round(geometry.from_ras(volume, [matrix.GetElement(axis, 3) for axis in range(3)])[1])
    return uids[index] if 0 <= index < len(uids) else ""
