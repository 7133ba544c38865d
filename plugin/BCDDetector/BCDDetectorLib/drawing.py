"""Drawing a circle in a slice view: a click on its centre, then one on its edge."""

from __future__ import annotations

from typing import Any, Callable

from . import geometry, nodes, show, views
from .errors import InputError
from .words import Point

_POINTS = 2
_MIN_RADIUS = 1.0


class Circle:
    """Waits for two clicks and calls ``done`` with film, centre and radius; then the line is gone.

    Args:
        done: gets the volume, the film's UID, centre and radius (pixels along the rows' axis).
        failed: gets the error if the circle is none.
        later: calls a function when the current event is over; Slicer still works on the line during it.
    """

    def __init__(
        self,
        scene: Any,
        done: Callable[[Any, str, Point, float], None],
        failed: Callable[[InputError], None],
        later: Callable[[Callable[[], None]], None],
    ) -> None:
        self._scene, self._done, self._failed, self._later = scene, done, failed, later
        self.line = scene.AddNewNodeByClass("vtkMRMLMarkupsLineNode", "BCD circle: centre, edge")
        self.line.SetAttribute(nodes.ROLE, "drawing")
        self.line.SaveWithSceneOff()
        self.line.CreateDefaultDisplayNodes()
        self._stopped = False
        self._tag: int | None = self.line.AddObserver(self.line.PointPositionDefinedEvent, self._on_point)
        selection = scene.GetNodeByID("vtkMRMLSelectionNodeSingleton")
        interaction = scene.GetNodeByID("vtkMRMLInteractionNodeSingleton")
        if selection is not None and interaction is not None:
            selection.SetReferenceActivePlaceNodeClassName("vtkMRMLMarkupsLineNode")
            selection.SetActivePlaceNodeID(self.line.GetID())
            interaction.SetPlaceModePersistence(0)
            interaction.SetCurrentInteractionMode(interaction.Place)

    def stop(self) -> None:
        """Give up; the line goes away."""
        self._ignore_clicks()
        if not self._stopped:
            self._stopped = True
            self._scene.RemoveNode(self.line)

    def _ignore_clicks(self) -> None:
        if self._tag is not None:
            self.line.RemoveObserver(self._tag)
            self._tag = None

    def _on_point(self, caller: Any, event: str) -> None:
        if self.line.GetNumberOfDefinedControlPoints() < _POINTS:
            return
        self._ignore_clicks()
        self._later(self._finish)

    def _finish(self) -> None:
        if self._stopped:
            return
        try:
            found = self._circle()
        except InputError as error:
            self.stop()
            self._failed(error)
            return
        self.stop()
        self._done(*found)

    def _circle(self) -> tuple[Any, str, Point, float]:
        position = [0.0, 0.0, 0.0]
        self.line.GetNthControlPointPosition(0, position)
        # All films lie in the same place: only Slicer's widget knows in whose view the click was.
        clicked = self.line.GetNthControlPointAssociatedNodeID(0)
        for _, composite, volume in views.slice_views(self._scene):
            shown = "", composite.GetBackgroundVolumeID(), composite.GetForegroundVolumeID()
            film = _film_at(volume, position) if volume is not None and clicked in shown else None
            if film is not None:
                center, radius = geometry.circle_of_line(volume, self.line)
                if radius < _MIN_RADIUS:
                    raise InputError("the circle is too small; click its centre, then a point on its edge")
                return volume, film, center, radius
        raise InputError("the circle lies on no film that has been scanned or has a DICOM origin")


def _film_at(volume: Any, position: Any) -> str | None:
    """The film of the volume that a place in the world lies on, None if it lies beside it."""
    uids = nodes.film_uids(volume)
    (row, column), slice_index = geometry.from_ras(volume, position)
    columns, rows, _ = volume.GetImageData().GetDimensions()
    inside = -0.5 <= row <= rows - 0.5 and -0.5 <= column <= columns - 0.5
    index = round(slice_index)
    return uids[index] if inside and 0 <= index < len(uids) else None


def add_region(scene: Any, volume: Any, film_uid: str, center: Point, radius: float) -> Any:
    """The curve of a circle that is to be classified; the one before goes away."""
    for node in list(nodes.nodes(scene, "vtkMRMLMarkupsClosedCurveNode", "region")):
        scene.RemoveNode(node)
    outline = geometry.round_outline(volume, center, radius)
    curve = show.add_curve(scene, "region", volume, film_uid, outline)
    curve.SetAttribute(nodes.CAPTION, "region")
    show.write_caption(curve)
    show.set_place(curve, center, radius)
    show.set_color(curve, (1.0, 1.0, 0.4))
    return curve
