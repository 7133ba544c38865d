"""Reading: accept, reject, move, add; export as DICOM SR and as JSON."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Callable

from BCDDetectorLib import nodes, reading_sr, show, verdicts
from BCDDetectorLib.dicom_write import new_uid
from BCDDetectorLib.drawing import Circle
from BCDDetectorLib.errors import DetectorError
from BCDDetectorLib.session import Session
from BCDDetectorLib.words import Point
from BCDDetectorUI.dialogs import attempt
from BCDDetectorUI.runner import after_event


class ReadingPanel:
    """What the reader says of the findings.

    Args:
        curve: the selected finding's curve, or None.
        changed: called when a finding has changed or was added.
    """

    def __init__(
        self,
        ui: Any,
        session: Session,
        dialogs: Any,
        curve: Callable[[], Any | None],
        changed: Callable[[], None],
    ) -> None:
        self._ui, self._session, self._dialogs = ui, session, dialogs
        self._curve, self._changed = curve, changed
        self._moving: Any | None = None
        self._circle: Circle | None = None
        self._refreshing = False
        ui.acceptButton.connect("clicked(bool)", lambda _checked=False: self._judge(nodes.ACCEPTED))
        ui.rejectButton.connect("clicked(bool)", lambda _checked=False: self._judge(nodes.REJECTED))
        ui.moveButton.connect("toggled(bool)", self._on_move)
        ui.addButton.connect("clicked(bool)", self._on_add)
        ui.filmReadCheck.connect("toggled(bool)", self._on_film_read)
        ui.exportSrButton.connect("clicked(bool)", self._on_export_sr)
        ui.exportJsonButton.connect("clicked(bool)", self._on_export_json)

    def refresh(self) -> None:
        """Bring the widgets up to date with the selection."""
        ui, curve, table = self._ui, self._curve(), self._session.table
        if self._moving is not None and self._moving is not curve:
            self._stop_moving()
        for button in (ui.acceptButton, ui.rejectButton, ui.moveButton):
            button.enabled = curve is not None
            button.toolTip = "" if curve is not None else "Select a finding in the table."
        for button in (ui.addButton, ui.exportSrButton, ui.exportJsonButton):
            button.enabled = table is not None
        film = self._film(curve)
        self._refreshing = True
        ui.filmReadCheck.enabled = film is not None
        ui.filmReadCheck.text = f"{self._name(film)} read completely" if film else "Film read completely"
        ui.filmReadCheck.checked = film is not None and film in nodes.films_read(table)
        if curve is not None:
            ui.classCombo.currentText = curve.GetAttribute(nodes.LABEL)
        self._refreshing = False

    def settle(self) -> None:
        """Lock what was saved while it was being moved."""
        for curve in nodes.findings(self._session.scene):
            if verdicts.moving(curve):
                self._end_move(curve)

    def leave_scene(self) -> None:
        """The scene closes."""
        self._moving = None
        self._release_button()
        if self._circle is not None:
            self._circle.stop()

    def _film(self, curve: Any | None) -> str | None:
        """The film that the reader is at: the selected finding's, else the chosen volume's."""
        table, volume = self._session.table, self._session.volume
        if table is None:
            return None
        if curve is not None:
            return str(curve.GetAttribute(nodes.FILM))
        known = {film.sop_instance_uid for film in nodes.info(table).films if not film.failed}
        return next((uid for uid in nodes.film_uids(volume) if uid in known), None)

    def _name(self, uid: str) -> str:
        films = nodes.info(self._session.table).films
        return next((film.name for film in films if film.sop_instance_uid == uid), "film")

    def _judge(self, verdict: str) -> None:
        curve = self._curve()
        if curve is None:
            return
        label = self._ui.classCombo.currentText if verdict == nodes.ACCEPTED else ""
        verdicts.judge(curve, verdict, label)
        self._session.changed(curve)
        self._changed()

    def _on_move(self, on: bool) -> None:
        if self._refreshing:
            return
        curve = self._curve()
        if on and curve is not None:
            if attempt(self._dialogs, lambda: verdicts.begin_move(self._session.scene, curve)):
                self._moving = curve
        elif not on:
            self._stop_moving()

    def _stop_moving(self) -> None:
        curve, self._moving = self._moving, None
        self._release_button()
        if curve is not None and self._session.scene.GetNodeByID(curve.GetID()) is not None:
            self._end_move(curve)
            self._changed()

    def _release_button(self) -> None:
        before, self._refreshing = self._refreshing, True
        self._ui.moveButton.checked = False
        self._refreshing = before

    def _end_move(self, curve: Any) -> None:
        attempt(self._dialogs, lambda: verdicts.end_move(self._session.scene, curve))
        self._session.changed(curve)

    def _on_add(self, _checked: bool = False) -> None:
        if self._circle is not None:
            self._circle.stop()
        self._circle = Circle(self._session.scene, self._on_circle, self._dialogs.error, after_event)

    def _on_circle(self, volume: Any, film: str, center: Point, radius: float) -> None:
        table = self._session.table
        if table is None or film not in {known.sop_instance_uid for known in nodes.info(table).films}:
            self._dialogs.error(
                DetectorError("the circle lies on a film without a result; choose it and press Apply first")
            )
            return
        curve = show.add_missed(
            self._session.scene,
            table.GetAttribute(nodes.STUDY),
            film,
            new_uid(),
            center,
            radius,
            self._ui.classCombo.currentText,
        )
        self._session.changed(curve)
        self._changed()

    def _on_film_read(self, on: bool) -> None:
        film = self._film(self._curve())
        if not self._refreshing and film is not None:
            nodes.set_film_read(self._session.table, film, on)

    def _on_export_json(self, _checked: bool = False) -> None:
        self._export("Export JSON", "reading.json", "JSON (*.json)", self._session.export_json)

    def _on_export_sr(self, _checked: bool = False) -> None:
        self._export("Export DICOM SR", "reading.dcm", "DICOM (*.dcm)", self._session.export_sr)

    def _export(self, title: str, name: str, kinds: str, write: Callable[..., None]) -> None:
        def export() -> None:
            found = self._session.reading(self._ui.readerEdit.text.strip())
            reading_sr.check_reader(found.reader)
            path = self._dialogs.save_path(title, name, kinds)
            if path is not None:
                write(found, path, datetime.now().astimezone())
                self._ui.statusLabel.text = f"Saved {path.name}."

        attempt(self._dialogs, export)
