"""A MRML scene of slicer-core with slice views that render off screen."""

from __future__ import annotations

import os
import tempfile

os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import slicer
import vtk
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy


class World:
    """Scene, application logic and two slice views."""

    def __init__(
        self, views: tuple[str, ...] = ("Red", "Yellow"), size: tuple[int, int] = (360, 480)
    ) -> None:
        self.scene = slicer.vtkMRMLScene()
        self.cache = slicer.vtkCacheManager()
        self.cache.SetRemoteCacheDirectory(tempfile.mkdtemp(prefix="bcd-test-"))
        self.data = slicer.vtkDataIOManager()  # without one no bundle can be read
        self.data.SetCacheManager(self.cache)
        self.scene.SetCacheManager(self.cache)
        self.scene.SetDataIOManager(self.data)
        self.application = slicer.vtkSlicerApplicationLogic()
        self.application.SetMRMLScene(self.scene)
        self.markups = slicer.vtkSlicerMarkupsLogic()
        self.markups.SetMRMLApplicationLogic(self.application)
        self.markups.SetMRMLScene(self.scene)
        self.application.SetModuleLogic("Markups", self.markups)
        self.colors = slicer.vtkMRMLColorLogic()
        self.colors.SetMRMLScene(self.scene)
        logics = vtk.vtkCollection()
        self.views = {}
        for name in views:
            logic = slicer.vtkMRMLSliceLogic()
            logic.SetMRMLApplicationLogic(self.application)
            logic.SetMRMLScene(self.scene)
            node = logic.AddSliceNode(name)
            node.SetDimensions(*size, 1)
            logics.AddItem(logic)
            self.views[name] = logic
        self.application.SetSliceLogics(logics)

    def close(self) -> None:
        """Part the logics from the scene before either is destroyed, or VTK ends the process."""
        self.scene.Clear(True)
        for logic in (*self.views.values(), self.markups, self.colors):
            logic.SetMRMLScene(None)
        self.application.SetSliceLogics(None)
        self.application.SetMRMLScene(None)

    def composite(self, name: str = "Red") -> Any:
        return self.views[name].GetSliceCompositeNode()

    def node(self, name: str = "Red") -> Any:
        return self.views[name].GetSliceNode()

    def add_film(self, path: Path, database: Any = None, name: str = "") -> Any:
        """Load a DICOM film as Slicer would: its own pixels, spacing and instance UID."""
        document = pydicom.dcmread(path)
        spacing = document.get("PixelSpacing") or document.get("ImagerPixelSpacing") or (1, 1)
        volume = self.add_pixels(document.pixel_array, (float(spacing[0]), float(spacing[1])), name or "film")
        volume.SetAttribute("DICOM.instanceUIDs", str(document.SOPInstanceUID))
        if database is not None:
            database.files[str(document.SOPInstanceUID)] = str(path)
        return volume

    def add_pixels(self, pixels: Any, spacing: tuple[float, float], name: str) -> Any:
        """A volume of (rows, columns) or (slices, rows, columns), laid as Slicer lays a picture."""
        stack = pixels if pixels.ndim == 3 else pixels[None]
        image = vtk.vtkImageData()
        image.SetDimensions(stack.shape[2], stack.shape[1], stack.shape[0])
        image.GetPointData().SetScalars(numpy_to_vtk(np.ascontiguousarray(stack).ravel(), deep=True))
        volume = self.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
        volume.SetAndObserveImageData(image)
        volume.SetSpacing(spacing[1], spacing[0], 1.0)
        volume.SetIJKToRASDirections(-1, 0, 0, 0, -1, 0, 0, 0, 1)
        volume.CreateDefaultDisplayNodes()
        display = volume.GetDisplayNode()
        display.AutoWindowLevelOff()
        display.SetWindowLevelMinMax(float(stack.min()), float(stack.max()) * 1.1)
        return volume

    def show(self, volume: Any, name: str = "Red") -> None:
        self.composite(name).SetBackgroundVolumeID(volume.GetID())
        self.node(name).SetOrientationToAxial()
        self.views[name].FitSliceToBackground()
        self.node(name).UpdateMatrices()

    def render(self, name: str = "Red", path: Path | None = None) -> Any:
        """The view's picture, (rows, columns, 3), the first row at the top."""
        logic, node = self.views[name], self.node(name)
        width, height, _ = node.GetDimensions()
        renderer, window = vtk.vtkRenderer(), vtk.vtkRenderWindow()
        window.SetOffScreenRendering(1)
        window.SetMultiSamples(0)
        window.AddRenderer(renderer)
        window.SetSize(width, height)
        interactor = vtk.vtkRenderWindowInteractor()
        interactor.SetRenderWindow(window)
        mapper = vtk.vtkImageMapper()
        mapper.SetColorWindow(255)
        mapper.SetColorLevel(127.5)
        mapper.SetInputConnection(logic.GetImageDataConnection())
        actor = vtk.vtkActor2D()
        actor.SetMapper(mapper)
        actor.GetProperty().SetDisplayLocationToBackground()
        renderer.AddViewProp(actor)
        group = slicer.vtkMRMLDisplayableManagerGroup()
        group.SetRenderer(renderer)
        for kind in (
            slicer.vtkMRMLMarkupsDisplayableManager,
            slicer.vtkMRMLOrientationMarkerDisplayableManager,
        ):
            manager = kind()
            manager.SetMRMLApplicationLogic(self.application)
            group.AddDisplayableManager(manager)
        group.SetMRMLDisplayableNode(node)
        window.Render()
        grab = vtk.vtkWindowToImageFilter()
        grab.SetInput(window)
        grab.ReadFrontBufferOff()
        grab.Update()
        image = grab.GetOutput()
        pixels = (
            vtk_to_numpy(image.GetPointData().GetScalars()).reshape(height, width, -1)[::-1, :, :3].copy()
        )
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            writer = vtk.vtkPNGWriter()
            writer.SetFileName(str(path))
            writer.SetInputConnection(grab.GetOutputPort())
            writer.Write()
        group.SetMRMLDisplayableNode(None)
        window.Finalize()
        return pixels

    def to_view(self, ras: Any, name: str = "Red") -> tuple[float, float]:
        """(row, column) in the rendered picture of a place in the world."""
        matrix = vtk.vtkMatrix4x4()
        vtk.vtkMatrix4x4.Invert(self.node(name).GetXYToRAS(), matrix)
        x, y, _, _ = matrix.MultiplyPoint((*ras, 1.0))
        return self.node(name).GetDimensions()[1] - 1 - y, x
