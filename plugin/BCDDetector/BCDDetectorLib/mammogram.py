"""Loads one mammogram as one single-slice volume, shown as its header says.

Slicer's own reader stacks the four views of a series into one volume, and shows MONOCHROME1 with the right
values but the wrong window: ITK turns the stored values round (PS3.3 C.7.6.3.1.2), the window stays.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.tag import Tag

from . import films, nodes, side_rules, spacing_rules
from .errors import InputError

_MAMMOGRAPHY = (
    uid.DigitalMammographyXRayImageStorageForPresentation,
    uid.DigitalMammographyXRayImageStorageForProcessing,
)
_GENERAL = (
    uid.SecondaryCaptureImageStorage,
    uid.ComputedRadiographyImageStorage,
    uid.DigitalXRayImageStorageForPresentation,
    uid.DigitalXRayImageStorageForProcessing,
)


def is_mammogram(header: Dataset) -> bool:
    """Whether this is a single gray mammogram, judged from its header alone."""
    if header.get("SamplesPerPixel") != 1 or int(header.get("NumberOfFrames") or 1) != 1:
        return False
    if header.get("SOPClassUID") in _MAMMOGRAPHY:
        return True
    return header.get("SOPClassUID") in _GENERAL and header.get("Modality") == "MG"


def name(header: Dataset) -> str:
    """What the volume is called: "L MLO", as far as the header says it (`side_rules`)."""
    places = side_rules.said(_stated_of_side(header))
    parts = [part for part in (side_rules.side(places), side_rules.view(places)) if part]
    return " ".join(parts) or "mammogram"


def spacing(header: Dataset) -> tuple[float, float] | None:
    """mm between pixel centres, (rows, columns), by `spacing_rules`; None if the header does not say."""
    found = spacing_rules.spacing(_sizes(header))
    return found.pair if found is not None and found.keyword else None


def _stated_of_side(header: Dataset) -> side_rules.Stated:
    frames = [
        anatomy
        for group in _items(header, "SharedFunctionalGroupsSequence")
        for anatomy in _items(group, "FrameAnatomySequence")
    ]
    regions = _items(header, "AnatomicRegionSequence")
    modifiers = [each for region in regions for each in _items(region, "AnatomicRegionModifierSequence")]
    return side_rules.Stated(
        image_laterality=_text(header, "ImageLaterality"),
        frame_lateralities=tuple(_text(anatomy, "FrameLaterality") for anatomy in frames),
        laterality=_text(header, "Laterality"),
        regions=tuple(map(_coded, [*regions, *modifiers])),
        body_part=_text(header, "BodyPartExamined"),
        views=tuple(map(_coded, _items(header, "ViewCodeSequence"))),
        view_position=_text(header, "ViewPosition"),
        processing=_text(header, "AcquisitionDeviceProcessingDescription"),
        orientation=tuple(str(value).strip().upper() for value in _values(header, "PatientOrientation")),
        series=_text(header, "SeriesDescription"),
        protocol=_text(header, "ProtocolName"),
        acquisition=_text(header, "AcquisitionProtocolDescription"),
    )


def _coded(item: Dataset) -> side_rules.Coded:
    return side_rules.Coded(_text(item, "CodeValue"), _text(item, "CodeMeaning"))


def _sizes(header: Dataset) -> spacing_rules.Sizes:
    ratio = _numbers(header, "PixelAspectRatio")
    return spacing_rules.Sizes(
        rows=int(_number(header, "Rows") or 1),
        columns=int(_number(header, "Columns") or 1),
        spacings={
            keyword: _numbers(header, keyword) or (None if _text(header, keyword) else ())
            for keyword in spacing_rules.KEYWORDS
            if keyword in header
        },
        calibrated=bool(_text(header, "PixelSpacingCalibrationType")),
        factor=_number(header, "EstimatedRadiographicMagnificationFactor"),
        to_detector=_number(header, "DistanceSourceToDetector"),
        to_patient=_number(header, "DistanceSourceToPatient"),
        aspect_ratio=ratio[0] / ratio[1] if len(ratio) == 2 and min(ratio) > 0 else None,
    )


def _values(header: Dataset, keyword: str) -> list[Any]:
    """The values of an element, empty ones at its end left out; numbers that pydicom cannot read as texts."""
    try:
        value = header.get(keyword)
    except (ValueError, TypeError, ArithmeticError):
        written = header.get_item(Tag(keyword)).value
        value = (
            written.decode("ascii", "replace").strip(" \0").split("\\")
            if isinstance(written, bytes)
            else None
        )
    found = list(value) if isinstance(value, (MultiValue, list)) else [value]
    while found and found[-1] in (None, ""):
        found.pop()
    return found


def _items(header: Dataset, keyword: str) -> list[Dataset]:
    return [item for item in header.get(keyword) or () if isinstance(item, Dataset)]


def _text(header: Dataset, keyword: str) -> str:
    return " ".join(str(value).strip() for value in _values(header, keyword))


def _numbers(header: Dataset, keyword: str) -> tuple[float, ...]:
    """The values of a numeric element that are finite numbers."""
    return tuple(found for found in map(_finite, _values(header, keyword)) if found is not None)


def _finite(value: Any) -> float | None:
    """A number, also one with a comma for its point; None if it is none."""
    try:
        found = float(value.strip(" \0").replace(",", ".") if isinstance(value, str) else value)
    except (TypeError, ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def _number(header: Dataset, keyword: str) -> float | None:
    found = _numbers(header, keyword)
    return found[0] if found else None


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
    slope, intercept = _number(header, "RescaleSlope") or 1.0, _number(header, "RescaleIntercept") or 0.0
    bits, signed = int(header.BitsStored), bool(header.PixelRepresentation)
    least, most = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
    total = slope * (least + most) + 2 * intercept  # a value and the one it is turned into add up to this
    low, high = found
    return total - high, total - low


def _stated(header: Dataset) -> tuple[float, float] | None:
    windows = zip(map(_finite, _values(header, "WindowCenter")), map(_finite, _values(header, "WindowWidth")))
    for center, width in windows:
        if center is None or width is None or width <= 0:
            continue
        if width > 1 and (_text(header, "VOILUTFunction") or "LINEAR") == "LINEAR":  # else LINEAR_EXACT
            center, width = center - 0.5, width - 1
        return center - width / 2, center + width / 2
    tables = header.get("VOILUTSequence")
    if tables:
        entries, first = int(tables[0].LUTDescriptor[0]) or 65536, int(tables[0].LUTDescriptor[1])
        return float(first), float(first + entries - 1)
    return None


def load(scene: Any, path: Path) -> Any:
    """Load a film as a volume of its own, in axial position, without a patient's body around it.

    A film whose header does not say how large its pixels are has pixels of 1 mm, and a name that says so.

    Raises:
        InputError: the file cannot be read.
    """
    header = films.header(path)
    storage = scene.CreateNodeByClass("vtkMRMLVolumeArchetypeStorageNode")
    storage.UnRegister(None)
    storage.SetFileName(str(path))
    storage.SetSingleFile(1)
    storage.SetCenterImage(0)
    pair = spacing(header)
    called = name(header) if pair else f"{name(header)} (pixel size unknown)"
    volume = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", scene.GenerateUniqueName(called))
    if not storage.ReadData(volume):
        scene.RemoveNode(volume)
        raise InputError("the film's pixels cannot be read by Slicer", str(path))
    # Columns to the right, rows downwards in an axial view; positions mean nothing on a projection.
    rows, columns = pair or (1.0, 1.0)
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
