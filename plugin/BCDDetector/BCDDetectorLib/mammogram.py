"""Loads one mammogram as one single-slice volume, shown as its header says.

Slicer's own reader stacks the four views of a series into one volume, and shows MONOCHROME1 with the right
values but the wrong window: ITK turns the stored values round (PS3.3 C.7.6.3.1.2), the window stays.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydicom import uid
from pydicom.dataset import Dataset

from . import films, nodes
from .errors import InputError
from .sr_reader import VIEWS

_MAMMOGRAPHY = (
    uid.DigitalMammographyXRayImageStorageForPresentation,
    uid.DigitalMammographyXRayImageStorageForProcessing,
)
_GENERAL = (uid.SecondaryCaptureImageStorage, uid.ComputedRadiographyImageStorage)


def is_mammogram(header: Dataset) -> bool:
    """Whether this is a single gray mammogram, judged from its header alone."""
    if header.get("SamplesPerPixel") != 1 or int(header.get("NumberOfFrames") or 1) != 1:
        return False
    if header.get("SOPClassUID") in _MAMMOGRAPHY:
        return True
    return header.get("SOPClassUID") in _GENERAL and header.get("Modality") == "MG"


def name(header: Dataset) -> str:
    """What the volume is called: "L MLO", as far as the header says it."""
    side = str(header.get("ImageLaterality") or header.get("Laterality") or "")
    codes = header.get("ViewCodeSequence") or []
    view = VIEWS.get(str(codes[0].get("CodeValue", ""))) if codes else None
    parts = [part for part in (side, view or str(header.get("ViewPosition") or "")) if part]
    return " ".join(parts) or "mammogram"


def spacing(header: Dataset) -> tuple[float, float] | None:
    """mm between pixel centres, (rows, columns); None if the header does not say (PS3.3 10.7.1.3)."""
    for keyword in ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"):
        stated = header.get(keyword)
        if stated is not None and len(stated) == 2 and min(stated) > 0:
            return float(stated[0]), float(stated[1])
    return None


def window(header: Dataset) -> tuple[float, float] | None:
    """The first window, else the range of the VOI LUT; None if the header has neither.

    Returns:
        The values that are shown black and white, the lower one first, as Slicer holds them: rescaled, and
        for MONOCHROME1 turned round. A SIGMOID is shown by the straight line through its middle, a VOI LUT
        by the values that it maps (PS3.3 C.11.2.1).
    """
    found = _stated(header)
    if found is None or header.get("PhotometricInterpretation") != "MONOCHROME1":
        return found
    slope, intercept = float(header.get("RescaleSlope") or 1), float(header.get("RescaleIntercept") or 0)
    bits, signed = int(header.BitsStored), bool(header.PixelRepresentation)
    least, most = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
    total = slope * (least + most) + 2 * intercept  # a value and the one it is turned into add up to this
    low, high = found
    return total - high, total - low


def _stated(header: Dataset) -> tuple[float, float] | None:
    center, width = _first(header.get("WindowCenter")), _first(header.get("WindowWidth"))
    if center is not None and width is not None and width >= 1:
        if str(header.get("VOILUTFunction") or "LINEAR") == "LINEAR":
            center, width = center - 0.5, max(width - 1, 1e-6)
        return center - width / 2, center + width / 2
    tables = header.get("VOILUTSequence")
    if tables:
        entries, first = int(tables[0].LUTDescriptor[0]) or 65536, int(tables[0].LUTDescriptor[1])
        return float(first), float(first + entries - 1)
    return None


def _first(value: Any) -> float | None:
    if value is None or value == "":
        return None
    return float(value if isinstance(value, (int, float, str)) else value[0])


def load(scene: Any, path: Path) -> Any:
    """Load a film as a volume of its own, in axial position, without a patient's body around it.

    Raises:
        InputError: the file cannot be read.
    """
    header = films.header(path)
    storage = scene.CreateNodeByClass("vtkMRMLVolumeArchetypeStorageNode")
    storage.UnRegister(None)
    storage.SetFileName(str(path))
    storage.SetSingleFile(1)
    storage.SetCenterImage(0)
    volume = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", scene.GenerateUniqueName(name(header)))
    if not storage.ReadData(volume):
        scene.RemoveNode(volume)
        raise InputError("the film's pixels cannot be read by Slicer", str(path))
    # Columns to the right, rows downwards in an axial view; positions mean nothing on a projection.
    rows, columns = spacing(header) or (1.0, 1.0)
    volume.SetIJKToRASDirections(-1, 0, 0, 0, -1, 0, 0, 0, 1)
    volume.SetSpacing(columns, rows, 1.0)
    volume.SetOrigin(0.0, 0.0, 0.0)
    volume.SetAttribute(nodes.INSTANCE_UIDS, str(header.SOPInstanceUID))
    volume.CreateDefaultDisplayNodes()
    shown = window(header)
    display = volume.GetDisplayNode()
    if shown is not None:
        display.AutoWindowLevelOff()
        display.SetWindowLevelMinMax(*shown)
    else:
        display.AutoWindowLevelOn()
    return volume
