"""Leg 4: the self test for a real Slicer.

In Slicer's Python console::

    slicer.util.selectModule("BCDDetector"); slicer.modules.BCDDetectorWidget.onReloadAndTest()

or from a shell, with the folder of the module in place of ``plugin/BCDDetector``::

    Slicer --no-splash --testing --additional-module-paths plugin/BCDDetector \\
        --python-code "slicer.util.selectModule('BCDDetector'); \\
        from BCDDetector import BCDDetectorTest; BCDDetectorTest().runTest(); slicer.util.exit()"

:func:`check_scene` needs no panel, and runs beside slicer-core too.
"""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path
from typing import Any

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import numpy_to_vtk

from BCDDetectorLib import geometry, nodes, show, verdicts, views
from BCDDetectorLib.words import Film, Finding, Probability, Study

_UID = "2.25.1"
_CENTER = (60.0, 40.0)


def _require(condition: Any, what: str) -> None:
    if not condition:
        raise AssertionError(what)


def _film(scene: Any) -> Any:
    rows, columns = np.indices((120, 90))
    inside = (rows - _CENTER[0]) ** 2 + (columns - _CENTER[1]) ** 2 <= 100
    image = vtk.vtkImageData()
    image.SetDimensions(90, 120, 1)
    pixels = np.where(inside, 3000, 500).astype(np.uint16)
    image.GetPointData().SetScalars(numpy_to_vtk(pixels.ravel(), deep=True))
    volume = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "L MLO")
    volume.SetAndObserveImageData(image)
    volume.SetIJKToRASDirections(-1, 0, 0, 0, -1, 0, 0, 0, 1)
    volume.SetSpacing(0.2, 0.2, 1.0)
    volume.CreateDefaultDisplayNodes()
    volume.SetAttribute(nodes.INSTANCE_UIDS, _UID)
    return volume


def _study(volume: Any) -> Study:
    finding = Finding(
        tracking_uid="2.25.2",
        film=_UID,
        number=1,
        center=_CENTER,
        radius=12.0,
        outline=geometry.round_outline(volume, _CENTER, 12.0),
        label="malignant",
        probability=Probability(0.2, 0.1, 0.7),
        presented=True,
    )
    film = Film(_UID, laterality="L", view="MLO", findings=(finding,))
    return Study("2.25.3", "self test", "made up", 0.5, (film,))


def check_scene(scene: Any, application: Any) -> None:
    """A result is shown in its place, jumped to, judged, hidden by the threshold and shown again."""
    volume = _film(scene)
    table = show.show_study(scene, _study(volume))
    (curve,) = nodes.findings(scene)
    _require(curve.GetLocked(), "the finding is locked")
    _require(table.GetNumberOfRows() == 1, "the table has one row")
    corners = np.array(geometry.outline(volume, curve))
    _require(np.allclose(corners.mean(axis=0), _CENTER, atol=0.01), "the outline lies around the lesion")
    views.jump(application, scene, curve)
    views.update(scene, 0.5)
    _require(curve.GetDisplayNode().GetVisibility(), "shown at the threshold")
    views.update(scene, 0.9)
    _require(not curve.GetDisplayNode().GetVisibility(), "hidden above it")
    verdicts.judge(curve, nodes.ACCEPTED)
    found = verdicts.collect(scene, table, "Self Test")
    _require([mark.verdict for mark in found.marks] == [nodes.ACCEPTED], "the verdict is kept")
    with tempfile.TemporaryDirectory() as folder:
        bundle = str(Path(folder) / "scene.mrb")
        _require(scene.WriteToMRB(bundle), "the scene is saved")
        scene.Clear(False)
        _require(scene.ReadFromMRB(bundle), "the scene is loaded")
    (curve,) = nodes.findings(scene)
    _require(curve.GetAttribute(nodes.VERDICT) == nodes.ACCEPTED, "the verdict comes back")


def check_panel() -> None:
    """The panel loads in a real Slicer, and says why Apply is disabled."""
    slicer.mrmlScene.Clear(False)
    slicer.util.selectModule("BCDDetector")
    slicer.app.processEvents()
    ui = slicer.modules.BCDDetectorWidget.ui
    _require(not ui.applyButton.enabled, "Apply is disabled without a film")
    _require("Load a mammogram" in ui.applyButton.toolTip, "Apply says why")
    for name in ("BCDMammogramDICOMPlugin", "BCDReportDICOMPlugin"):
        _require(name in slicer.modules.dicomPlugins, f"{name} is registered")


def run(test: Any) -> None:
    """Everything; ``test`` is Slicer's own test object."""
    test.delayDisplay("The scene")
    slicer.mrmlScene.Clear(False)
    check_scene(slicer.mrmlScene, slicer.app.applicationLogic())
    test.delayDisplay("The panel")
    check_panel()
    slicer.mrmlScene.Clear(False)
    test.delayDisplay("BCD Detector: self test passed")


class TestBCDDetector(unittest.TestCase):
    """For ``slicer_add_python_unittest``."""

    def test_scene(self) -> None:
        """See :func:`check_scene`."""
        slicer.mrmlScene.Clear(False)
        check_scene(slicer.mrmlScene, slicer.app.applicationLogic())
