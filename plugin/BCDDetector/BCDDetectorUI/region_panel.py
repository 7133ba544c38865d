"""A region: a circle drawn on a film is classified as the paper does."""

from __future__ import annotations

from typing import Any

from BCDDetectorLib import drawing, films, jobs, nodes, show
from BCDDetectorLib.drawing import Circle
from BCDDetectorLib.errors import CancelledError, DetectorError
from BCDDetectorLib.session import Session
from BCDDetectorLib.words import CLASSES, Point
from BCDDetectorUI.dialogs import attempt
from BCDDetectorUI.runner import Runner, after_event
from BCDDetectorUI.scan_panel import ScanPanel


class RegionPanel:
    """Draw, send, answer."""

    def __init__(self, ui: Any, session: Session, dialogs: Any, scan: ScanPanel) -> None:
        self._ui, self._session, self._dialogs, self._scan = ui, session, dialogs, scan
        self._circle: Circle | None = None
        self.runner = Runner()
        ui.drawButton.connect("clicked(bool)", self._on_draw)
        ui.classifyButton.connect("clicked(bool)", self._on_classify)

    @property
    def _region(self) -> Any:
        return next(nodes.nodes(self._session.scene, "vtkMRMLMarkupsClosedCurveNode", "region"), None)

    def refresh(self) -> None:
        """Bring the buttons up to date."""
        ui, ready = self._ui, bool(self._session.volume is not None)
        ui.drawButton.enabled = ready
        ui.classifyButton.enabled = self._region is not None
        ui.classifyButton.text = "Cancel" if self.runner.busy else "Classify"
        ui.classifyButton.toolTip = "" if self._region is not None else "Draw a circle first."

    def leave_scene(self) -> None:
        """The scene closes."""
        self.runner.abandon()
        if self._circle is not None:
            self._circle.stop()
        self._ui.regionLabel.text = ""

    def _on_draw(self, _checked: bool = False) -> None:
        if self._circle is not None:
            self._circle.stop()
        if not self._wrap_if_needed():
            return
        self._ui.regionLabel.text = "Click the centre of the region, then a point on its edge."
        self._circle = Circle(self._session.scene, self._on_circle, self._dialogs.error, after_event)

    def _wrap_if_needed(self) -> bool:
        """A volume without DICOM origin becomes a film before it can carry a circle."""
        if self._session.has_origin or self._session.volume.GetAttribute(nodes.WRAPPED_UID):
            return True  # wrapped anew under another description, its findings would lose their film
        return attempt(self._dialogs, lambda: self._session.prepare(self._scan.description()))

    def _on_circle(self, volume: Any, film: str, center: Point, radius: float) -> None:
        self.runner.abandon()  # an answer to the circle before is none to this one
        drawing.add_region(self._session.scene, volume, film, center, radius)
        self._ui.regionLabel.text = (
            f"Circle at row {center[0]:.0f}, column {center[1]:.0f}, radius {radius:.0f} px."
        )
        self.refresh()

    def _on_classify(self, _checked: bool = False) -> None:
        if self.runner.busy:
            self.runner.cancel()
        else:
            attempt(self._dialogs, self._classify)

    def _classify(self) -> None:
        region = self._region
        film = region.GetAttribute(nodes.FILM)
        volume = nodes.volume_of(self._session.scene, film)
        if volume is None:
            raise DetectorError("the circle's film is not loaded any more; draw it again")
        path = self._session.file_of_film(volume, film)
        gateway = self._scan.gateway()
        if not self._scan.agree(films.study_of(path) or "", 1, path.stat().st_size):
            self._ui.regionLabel.text = "Nothing was sent."
            return
        center, radius = show.get_place(region)
        self.runner.start(
            lambda task: jobs.classify(task, gateway, path, center, radius),
            lambda progress: setattr(self._ui.regionLabel, "text", progress.text),
            self._on_answer,
            self._on_failed,
        )
        self.refresh()

    def _on_answer(self, answer: Any) -> None:
        label, shares = answer
        numbers = ", ".join(f"{name} {getattr(shares, name):.0%}" for name in CLASSES)
        self._ui.regionLabel.text = f"The circle is {label}: {numbers}."
        if self._region is not None:
            self._region.SetAttribute(nodes.CAPTION, f"region: {label} {getattr(shares, label, 0.0):.0%}")
            show.write_caption(self._region)
        self.refresh()

    def _on_failed(self, error: DetectorError) -> None:
        self._ui.regionLabel.text = "Cancelled." if isinstance(error, CancelledError) else error.message
        self.refresh()
        if not isinstance(error, CancelledError):
            self._dialogs.error(error)
