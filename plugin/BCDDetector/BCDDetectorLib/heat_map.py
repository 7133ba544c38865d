"""Shows the scan's heat map: a fractional segmentation (PS3.3 A.51) becomes a volume over the film."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import vtk
from pydicom.errors import InvalidDicomError
from vtk.util.numpy_support import numpy_to_vtk

from . import geometry, nodes
from .errors import InputError
from .result_reader import HEATMAP

COLOR_NODE = "vtkMRMLColorTableNodeIron"
"""One of Slicer's own; where it is not, the heat map stays gray."""

FAINTEST = 0.02
"""Below this probability the film alone is shown."""


def load_all(scene: Any, study_uid: str, folder: Path) -> dict[str, str]:
    """Load the heat maps of the study's loaded films; returns why, by film UID, one was not loaded."""
    faults = {}
    for path in sorted((folder / HEATMAP).glob("*.dcm")):
        volume = nodes.volume_of(scene, path.stem)
        if volume is not None:
            try:
                load(scene, study_uid, path.stem, path, volume)
            except InputError as error:
                faults[path.stem] = error.message
    return faults


def load(scene: Any, study_uid: str, film_uid: str, path: Path, film: Any) -> Any:
    """The heat map of one film as a volume in the place of ``film``.

    Raises:
        InputError: the file is not a heat map of a film of this shape.
    """
    values = read(path, film.GetImageData().GetDimensions()[1::-1])
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", scene.GenerateUniqueName("BCD heat map"))
    node.SetAttribute(nodes.ROLE, "heat map")
    node.SetAttribute(nodes.STUDY, study_uid)
    node.SetAttribute(nodes.FILM, film_uid)
    node.SetHideFromEditors(True)  # not offered as a film
    image = vtk.vtkImageData()
    image.SetDimensions(values.shape[1], values.shape[0], 1)
    image.GetPointData().SetScalars(numpy_to_vtk(values.ravel(), deep=True))
    node.SetAndObserveImageData(image)
    node.CopyOrientation(film)  # also the spacing; the origin is that of the film's own slice
    node.SetOrigin(*geometry.to_ras(film, (0.0, 0.0), nodes.slice_of(film, film_uid)))
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    if scene.GetNodeByID(COLOR_NODE) is not None:
        display.SetAndObserveColorNodeID(COLOR_NODE)
    display.AutoWindowLevelOff()
    display.SetWindowLevelMinMax(0.0, 1.0)
    display.SetThreshold(FAINTEST, 1.0)
    display.ApplyThresholdOn()
    return node


def read(path: Path, size: tuple[int, int]) -> Any:
    """Probabilities in [0, 1], (rows, columns), pixel by pixel as the film (PS3.3 A.51.5.1).

    Args:
        size: (rows, columns) of the film.

    Raises:
        InputError: no fractional segmentation of a film of this size.
    """
    try:
        document = pydicom.dcmread(path)
        maximum = float(document.MaximumFractionalValue)
        frame = np.asarray(document.pixel_array, dtype=np.float32)
        values = np.ascontiguousarray(frame.reshape(frame.shape[-2:]) / maximum)
    except (  # pydicom and its decoders: no file, no DICOM, no such element, damaged or unknown pixels
        OSError,
        InvalidDicomError,
        AttributeError,
        ValueError,
        NotImplementedError,
        RuntimeError,
    ) as error:
        raise InputError("it cannot be read", f"{path}\n{error}") from error
    if values.shape != tuple(size):
        raise InputError("it is not as large as its film", f"{path}\n{values.shape} against {size}")
    return values
