"""BCD Detector: scans mammograms through a BCD gateway and shows, reads and exports the findings.

Research use only. The panel stands in ``BCDDetectorUI``, everything else in ``BCDDetectorLib``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable

import qt
import slicer
import vtk
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)

from BCDDetectorLib import nodes
from BCDDetectorLib.session import Session
from BCDDetectorUI.dialogs import Dialogs
from BCDDetectorUI.findings_panel import FindingsPanel
from BCDDetectorUI.reading_panel import ReadingPanel
from BCDDetectorUI.region_panel import RegionPanel
from BCDDetectorUI.scan_panel import ScanPanel


class BCDDetector(ScriptedLoadableModule):
    """What Slicer's list of modules says."""

    def __init__(self, parent: Any) -> None:
        super().__init__(parent)
        parent.title = "BCD Detector"
        parent.categories = ["Mammography"]
        parent.dependencies = ["Markups"]
        parent.contributors = ["BCD contributors"]
        parent.helpText = (
            "Sends the loaded mammograms of a study to a BCD gateway and shows its findings: outlines, "
            "probabilities, heat map. Findings can be accepted, rejected, moved, added and exported.<br>"
            "<b>Research use only.</b> Not a medical device; not for diagnosis or screening decisions."
        )
        parent.acknowledgementText = (
            "Detector after Tan, Sim and Ting (2017), trained on mini-MIAS (Suckling et al., 1994)."
        )


class BCDDetectorLogic(ScriptedLoadableModuleLogic):
    """Slicer's scene and database, handed to the session; its methods are for scripts."""

    def session(self) -> Session:
        """A session on Slicer's scene."""
        return Session(slicer.mrmlScene, slicer.app.applicationLogic(), _database_file)


def _database_file(uid: str) -> str:
    """Where Slicer's DICOM database keeps an instance, "" if it does not."""
    database = getattr(slicer, "dicomDatabase", None)
    return str(database.fileForInstance(uid) or "") if database is not None and database.isOpen else ""


class BCDDetectorWidget(ScriptedLoadableModuleWidget):
    """The panel: loads the ``.ui`` file, joins its parts, watches the scene."""

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self.logic = BCDDetectorLogic()
        self.dialogs = Dialogs()
        self._observed: list[tuple[Any, int]] = []
        self._views: list[tuple[Any, int]] = []
        self._busy = False

    def setup(self) -> None:
        """Called once, when the module is first shown."""
        super().setup()
        widget = slicer.util.loadUI(self.resourcePath("UI/BCDDetector.ui"))
        self.layout.addWidget(widget)
        self.ui = slicer.util.childWidgetVariables(widget)
        self.session = self.logic.session()
        self.ui.inputSelector.setMRMLScene(slicer.mrmlScene)
        self.scan = ScanPanel(
            self.ui, self.session, self.dialogs, qt.QSettings(), self.refresh, self._on_chosen
        )
        self.findings = FindingsPanel(self.ui, self.session, self.dialogs, self._on_selected)
        self.reading = ReadingPanel(
            self.ui, self.session, self.dialogs, lambda: self.findings.curve, self.refresh
        )
        self.region = RegionPanel(self.ui, self.session, self.dialogs, self.scan)
        scene = slicer.mrmlScene
        for event, handler in (
            (scene.StartCloseEvent, self._on_scene_closes),
            (scene.EndCloseEvent, self._on_scene_changed),
            (scene.EndImportEvent, self._on_scene_read),
            (scene.EndBatchProcessEvent, self._on_scene_changed),
            (scene.NodeAddedEvent, self._on_node),
            (scene.NodeRemovedEvent, self._on_node),
        ):
            self._observed.append((scene, scene.AddObserver(event, handler)))
        self._watch_views()
        self.refresh()

    def enter(self) -> None:
        """Called when the user opens the module."""
        self.refresh()

    def cleanup(self) -> None:
        """Called when the module is unloaded or Slicer ends."""
        for node, tag in (*self._observed, *self._views):
            node.RemoveObserver(tag)
        self._observed, self._views = [], []
        if hasattr(self, "session"):
            self.scan.close()
            self.reading.leave_scene()
            self.region.leave_scene()
            self.session.close()

    def refresh(self) -> None:
        """Bring the whole panel up to date with the scene."""
        self._once(self.scan.refresh, self.findings.refresh, self.region.refresh)

    def _on_chosen(self) -> None:
        self.findings.forget()
        self.refresh()

    def _on_selected(self) -> None:
        self.reading.refresh()

    def _on_scene_closes(self, _caller: Any, _event: str) -> None:
        self.scan.leave_scene()
        self.reading.leave_scene()
        self.region.leave_scene()

    def _on_scene_changed(self, _caller: Any, _event: str) -> None:
        self._watch_views()
        self.refresh()

    def _on_scene_read(self, caller: Any, event: str) -> None:
        self.reading.settle()
        self._on_scene_changed(caller, event)

    def _on_node(self, _caller: Any, _event: str) -> None:
        """A node came or went; while Slicer loads or closes a scene, that waits until it has done so."""
        if not slicer.mrmlScene.IsBatchProcessing() and not self._busy:
            qt.QTimer.singleShot(0, self._on_idle)

    def _on_idle(self) -> None:
        if self._observed:  # not after cleanup
            self._watch_views()
            self.refresh()

    def _watch_views(self) -> None:
        """Hear when a slice view shows another film: its findings must come, the others' go."""
        for node, tag in self._views:
            node.RemoveObserver(tag)
        self._views = []
        for name, handler in (
            ("vtkMRMLSliceCompositeNode", self._on_view),
            ("vtkMRMLSliceNode", self._on_slice),
        ):
            for node in nodes.nodes(slicer.mrmlScene, name):
                self._views.append((node, node.AddObserver(vtk.vtkCommand.ModifiedEvent, handler)))

    def _on_view(self, _caller: Any, _event: str) -> None:
        if not slicer.mrmlScene.IsBatchProcessing():
            self._once(self.session.refresh_views)

    def _on_slice(self, _caller: Any, _event: str) -> None:
        """A view moves: in a volume of several films it may come to another one's heat map."""
        if not slicer.mrmlScene.IsBatchProcessing():
            self._once(self.session.refresh_heat_maps)

    def _once(self, *actions: Callable[[], None]) -> None:
        """Do these, unless they come from what is being done already."""
        if self._busy:
            return
        self._busy = True
        try:
            for action in actions:
                action()
        finally:
            self._busy = False


class BCDDetectorTest(ScriptedLoadableModuleTest):
    """Self test for a real Slicer; see ``Testing/Python``."""

    def runTest(self) -> None:
        """Run every test."""
        import sys

        sys.path.append(str(Path(__file__).parent / "Testing" / "Python"))
        import bcd_detector_self_test

        bcd_detector_self_test.run(self)
