"""Findings: the table with its jump, the threshold, the heat map, the report."""

from __future__ import annotations

from typing import Any, Callable

import qt

from BCDDetectorLib import nodes, rules
from BCDDetectorLib.session import Session
from BCDDetectorLib.words import percent

_LAST = 5


class FindingsPanel:
    """The findings of the chosen study.

    Args:
        selected: called when another finding, or none, is selected.
    """

    def __init__(self, ui: Any, session: Session, dialogs: Any, selected: Callable[[], None]) -> None:
        self._ui, self._session, self._dialogs, self._selected = ui, session, dialogs, selected
        self._rows: list[str] = []  # node ID of each row's curve
        self._filling = False
        ui.thresholdSlider.connect("valueChanged(double)", self._on_threshold)
        ui.heatMapCheck.connect("toggled(bool)", lambda on: self._set_look("heat_map", on))
        ui.opacitySlider.connect("valueChanged(double)", lambda value: self._set_look("opacity", value))
        ui.findingsTable.connect("itemSelectionChanged()", self._on_selection)
        ui.reportButton.connect("clicked(bool)", self._on_report)

    @property
    def curve(self) -> Any | None:
        """The selected finding's curve, or None."""
        row = self._ui.findingsTable.currentRow()
        return self._session.scene.GetNodeByID(self._rows[row]) if 0 <= row < len(self._rows) else None

    def forget(self) -> None:
        """Select no finding."""
        self._ui.findingsTable.clearSelection()
        self._ui.findingsTable.setCurrentCell(-1, -1)

    def refresh(self) -> None:
        """Bring the widgets up to date with the scene; the selected finding stays selected."""
        ui, session = self._ui, self._session
        chosen = self.curve
        self._filling = True
        try:
            ui.thresholdSlider.value = session.state.threshold
            study = nodes.info(session.table) if session.table else None
            ui.prevalenceLabel.text = rules.prevalence_text(study.prevalence if study else None)
            ui.limitsLabel.text = rules.limits_text(study) if study else ""
            ui.heatMapCheck.checked = session.state.heat_map
            ui.opacitySlider.value = session.state.opacity
            self._fill(chosen)
        finally:
            self._filling = False
        ui.heatMapCheck.enabled = bool(nodes.heat_maps(session.scene, session.study_uid() or "none"))
        ui.reportButton.enabled = session.report() is not None
        session.refresh_views()
        self._selected()

    def _fill(self, chosen: Any | None) -> None:
        table, curves = self._ui.findingsTable, self._session.findings()
        study = nodes.info(self._session.table) if curves else None
        names = {film.sop_instance_uid: film.name for film in study.films} if study else {}
        table.clearSelection()
        table.setRowCount(len(curves))
        self._rows = [curve.GetID() for curve in curves]
        for row, curve in enumerate(curves):
            for column, text in enumerate(_texts(curve, names)):
                table.setItem(row, column, qt.QTableWidgetItem(text))
        for column in range(_LAST):  # the last one takes what is left
            table.resizeColumnToContents(column)
        if chosen is not None and chosen.GetID() in self._rows:
            table.selectRow(self._rows.index(chosen.GetID()))
        else:
            table.setCurrentCell(-1, -1)

    def _on_threshold(self, value: float) -> None:
        if not self._filling:
            self._session.state.threshold = value
            self.refresh()

    def _set_look(self, name: str, value: Any) -> None:
        if not self._filling:
            setattr(self._session.state, name, value)
            self._session.refresh_views()

    def _on_selection(self) -> None:
        if self._filling:
            return
        curve = self.curve
        if curve is not None:
            self._session.jump(curve)
        self._selected()

    def _on_report(self, _checked: bool = False) -> None:
        path = self._session.report()
        if path is not None:
            self._dialogs.open_file(path)


def _texts(curve: Any, names: Any) -> list[str]:
    shares = nodes.probability(curve)
    verdict = curve.GetAttribute(nodes.VERDICT)
    if curve.GetAttribute(nodes.MOVED):
        verdict += ", moved"
    if curve.GetAttribute(nodes.SOURCE) == nodes.READER and verdict != nodes.REJECTED:
        verdict = "added"
    return [
        names.get(curve.GetAttribute(nodes.FILM), "film"),
        curve.GetAttribute(nodes.NUMBER),
        curve.GetAttribute(nodes.LABEL),
        percent(shares.abnormal) if shares else "",
        percent(shares.malignant) if shares else "",
        "" if verdict == nodes.UNREAD else verdict,
    ]
