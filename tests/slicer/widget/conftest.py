"""The panel on PySide6 and slicer-core's scene; skipped where they are not installed."""

from __future__ import annotations

import importlib
import os
import sys
import time
from pathlib import Path

import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
pytest.importorskip("slicer", reason="needs slicer-core: make slicer-test has it")
pytest.importorskip("PySide6", reason="needs PySide6: make slicer-test has it")

import slicer_double
from fake_gateway import TOKEN
from PySide6 import QtCore, QtWidgets
from qt_double import Settings
from scene_world import World

from BCDDetectorLib import films as films_of
from BCDDetectorLib import geometry, mammogram, nodes
from BCDDetectorLib.result_reader import read_result

PICTURES = Path(__file__).parents[3] / "build" / "slicer"


class Dialogs:
    """The user's answers, and what the panel said."""

    def __init__(self) -> None:
        self.agree = True
        self.asked: list[str] = []
        self.errors: list = []
        self.path: Path | None = None
        self.opened: list[Path] = []

    def confirm(self, text: str) -> bool:
        self.asked.append(text)
        return self.agree

    def error(self, error) -> None:
        self.errors.append(error)

    def save_path(self, title: str, name: str, kinds: str) -> Path | None:
        return self.path

    def open_file(self, path: Path) -> None:
        self.opened.append(path)


class Panel:
    """The widget with its world, and a user's hands."""

    def __init__(self) -> None:
        self.app = QtWidgets.QApplication.instance() or QtWidgets.QApplication([])
        Settings.kept.clear()
        self.world = World()
        self.database = slicer_double.install(self.world.scene, self.world.application)
        for name in [
            name for name in sys.modules if name.startswith("BCDDetectorUI") or name == "BCDDetector"
        ]:
            del sys.modules[name]
        self.module = importlib.import_module("BCDDetector")
        self.widget = self.module.BCDDetectorWidget()
        self.widget.dialogs = self.dialogs = Dialogs()
        self.widget.setup()
        self.ui = self.widget.ui

    @property
    def scene(self):
        return self.world.scene

    def load(self, films) -> list:
        volumes = [
            self.world.add_film(path, self.database, mammogram.name(films_of.header(path)))
            for _, path in sorted(films.items())
        ]
        self.spin()
        return volumes

    def connect(self, gateway) -> None:
        self.ui.addressEdit.text = gateway.address
        self.ui.tokenEdit.text = TOKEN

    def apply(self) -> None:
        self.ui.applyButton.click()

    def scan(self) -> None:
        self.apply()
        self.until(lambda: not self.widget.scan.runner.busy)

    def spin(self) -> None:
        for _ in range(3):
            self.app.processEvents(QtCore.QEventLoop.ProcessEventsFlag.AllEvents, 20)

    def until(self, condition, seconds: float = 20.0) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, "it did not happen"
            self.app.processEvents(QtCore.QEventLoop.ProcessEventsFlag.AllEvents, 20)
            time.sleep(0.005)
        self.spin()

    def rows(self) -> list[list[str]]:
        table = self.ui.findingsTable
        return [
            [table.item(row, column).text() for column in range(table.columnCount)]
            for row in range(table.rowCount)
        ]

    def select(self, row: int):
        """Choose a finding in the table; gives its curve."""
        self.ui.findingsTable.selectRow(row)
        self.spin()
        return self.widget.findings.curve

    def click(self, volume, *points, shown=None) -> None:
        """Clicks in the view, as the place mode of Markups hands them on.

        Args:
            shown: the volume of the view that is clicked, as Markups notes it down; not noted without.
        """
        line = next(nodes.nodes(self.scene, "vtkMRMLMarkupsLineNode", "drawing"))
        interaction = self.scene.GetNodeByID("vtkMRMLInteractionNodeSingleton")
        assert interaction.GetCurrentInteractionMode() == interaction.Place
        for index, point in enumerate(points):
            line.AddControlPoint(geometry.to_ras(volume, point))
            if shown is not None:
                line.SetNthControlPointAssociatedNodeID(index, shown.GetID())
        self.spin()

    def picture(self, name: str) -> Path:
        from qt_double import unwrap

        parent = self.widget.parent
        parent.resize(430, parent.sizeHint().height())
        parent.show()
        self.spin()
        PICTURES.mkdir(parents=True, exist_ok=True)
        path = PICTURES / f"{name}.png"
        parent.grab().save(str(path))
        assert unwrap(self.ui.applyButton).isVisible()
        return path


@pytest.fixture
def panel(monkeypatch):
    from BCDDetectorLib import jobs

    monkeypatch.setattr(jobs, "POLL_SECONDS", 0.02)
    made = Panel()
    yield made
    made.widget.cleanup()
    made.widget.parent.close()
    made.world.close()


@pytest.fixture
def load(panel, case, gateway):
    """``load(case)``: its films in the scene, its result at the gateway; gives the study's words."""

    def do(name="two-films"):
        folder, films = case(name)
        study = read_result(folder)
        gateway.results[study.study_instance_uid] = folder
        panel.load(films)
        return study

    return do


@pytest.fixture
def scanned(panel, load, gateway):
    """The study of two films, scanned and shown."""
    study = load()
    panel.connect(gateway)
    panel.scan()
    assert panel.dialogs.errors == []
    return study
