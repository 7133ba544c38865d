"""Loads one mammogram as one single-slice volume, shown as its header says.

Slicer's own reader stacks the four views of a series into one volume, and shows MONOCHROME1 with the right
values but the wrong window: ITK turns the stored values round (PS3.3 C.7.6.3.1.2), the window stays.

The detector also looks at what a VOI LUT or window makes of the pixels, and may take the film's next one;
here the header alone decides.
"""

from __future__ import annotations

import math
import re
import struct
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence
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
_MALFORMED = (
    BytesLengthException,
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
)
"""What pydicom raises on a value that is not as the standard says."""
# As in converters/dicom/values.py: Python takes more for a number.
_DECIMAL = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?", re.ASCII)
_PADDING = " \0\t\r\n"
_16_BITS = 1 << 16
_MOST_LUTS = 4
_FUNCTIONS = ("LINEAR", "LINEAR_EXACT", "SIGMOID")
_INVERTED = "vtkMRMLColorTableNodeInvertedGrey"


def is_mammogram(header: Dataset) -> bool:
    """Whether this is a single gray mammogram, judged from its header alone."""
    frames = _whole(header, "NumberOfFrames") if _text(header, "NumberOfFrames") else 1
    if _whole(header, "SamplesPerPixel") != 1 or frames not in (0, 1):
        return False
    kind = _text(header, "SOPClassUID")
    return kind in _MAMMOGRAPHY or (kind in _GENERAL and _code(header, "Modality") == "MG")


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
        image_laterality=_code(header, "ImageLaterality"),
        frame_lateralities=tuple(_code(anatomy, "FrameLaterality") for anatomy in frames),
        laterality=_code(header, "Laterality"),
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
    return side_rules.Coded(_code(item, "CodeValue"), _code(item, "CodeMeaning"))


def _sizes(header: Dataset) -> spacing_rules.Sizes:
    ratio = _numbers(header, "PixelAspectRatio")
    return spacing_rules.Sizes(
        rows=_whole(header, "Rows") or 1,
        columns=_whole(header, "Columns") or 1,
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
    except _MALFORMED:
        written = header.get_item(Tag(keyword)).value
        value = written.decode("latin_1").strip(_PADDING).split("\\") if isinstance(written, bytes) else None
    found = list(value) if isinstance(value, (MultiValue, Sequence, list)) else [value]
    while found and found[-1] in (None, ""):
        found.pop()
    return found


def _items(header: Dataset, keyword: str) -> list[Dataset]:
    return [item for item in _values(header, keyword) if isinstance(item, Dataset)]


def _text(header: Dataset, keyword: str) -> str:
    return " ".join(str(value).strip() for value in _values(header, keyword))


def _code(header: Dataset, keyword: str) -> str:
    """The first value that is not empty, in capitals."""
    return next(filter(None, (str(value).strip().upper() for value in _values(header, keyword))), "")


def _numbers(header: Dataset, keyword: str) -> tuple[float, ...]:
    """The values of a numeric element that are finite numbers."""
    return tuple(found for found in map(_finite, _values(header, keyword)) if found is not None)


def _finite(value: Any) -> float | None:
    """A number, also one with a comma for its point; None if it is none."""
    written = getattr(value, "original_string", value)  # what pydicom read by Python's rules
    if isinstance(written, str):
        written = written.lstrip(_PADDING).partition("\0")[0].rstrip(_PADDING)
        if not _DECIMAL.fullmatch(written):
            return None
        value = written.replace(",", ".")
    elif isinstance(value, bytes):
        return None
    try:
        found = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def _number(header: Dataset, keyword: str) -> float | None:
    found = _numbers(header, keyword)
    return found[0] if found else None


def _whole(header: Dataset, keyword: str) -> int | None:
    """The value that is a whole number; None if there is none, or there are several."""
    found = _numbers(header, keyword)
    return int(found[0]) if len(found) == 1 and found[0].is_integer() else None


Range = tuple[float, float]
"""Of values, the lower one first."""


def window(header: Dataset) -> Range | None:
    """The range of the first VOI LUT that can be used, else the first window; None if the header has neither.

    Returns:
        The values that are shown black and white, as Slicer holds them: rescaled, and for MONOCHROME1 turned
        round. A SIGMOID is shown by the straight line through its middle, a VOI LUT by the values that it
        maps (PS3.3 C.11.2.1). None as well where a Modality LUT leads to other values than Slicer holds.
    """
    stored = _stored(header)
    if stored is None or _items(header, "ModalityLUTSequence"):
        return None
    slope, intercept = _number(header, "RescaleSlope"), _number(header, "RescaleIntercept")
    used = bool(slope) and intercept is not None  # by the detector, whose values these are
    held = (slope or 1.0, intercept or 0.0)
    possible = _rescaled(stored, held if used else (1.0, 0.0))
    for found in (*_tables(header, possible), *_windows(header, possible)):
        shown = found if used else _rescaled(found, held)
        if _is_turned(header):
            total = sum(_rescaled(stored, held))  # a value and the one it is turned into add up to this
            shown = total - shown[1], total - shown[0]
        if -math.inf < shown[0] < shown[1] < math.inf:
            return shown
    return None


def is_inverted(header: Dataset) -> bool:
    """Whether low values are to be bright, and Slicer has not turned them round already."""
    inverse = (
        _code(header, "PhotometricInterpretation") == "MONOCHROME1"
        or _code(header, "PresentationLUTShape") == "INVERSE"
    )
    return inverse and not _is_turned(header)


def _is_turned(header: Dataset) -> bool:
    """Whether ITK turns the stored values round; in small letters it does not know the word."""
    return _text(header, "PhotometricInterpretation") == "MONOCHROME1"


def _stored(header: Dataset) -> Range | None:
    """The least and the most that can be stored; None if the header does not say how many bits there are."""
    bits = _whole(header, "BitsStored") or _whole(header, "BitsAllocated") or 0
    if not 1 <= bits <= 32:
        return None
    if _number(header, "PixelRepresentation"):
        return -(2.0 ** (bits - 1)), 2.0 ** (bits - 1) - 1
    return 0.0, 2.0**bits - 1


def _rescaled(ends: Range, rescale: tuple[float, float]) -> Range:
    slope, intercept = rescale
    one, other = ends[0] * slope + intercept, ends[1] * slope + intercept
    return min(one, other), max(one, other)


def _tables(header: Dataset, possible: Range) -> list[Range]:
    """What each VOI LUT maps, of those that can be used."""
    found = [_table(item, possible) for item in _items(header, "VOILUTSequence")[:_MOST_LUTS]]
    return [each for each in found if each is not None]


def _table(item: Dataset, possible: Range) -> Range | None:
    """The first and the last value that a LUT maps, of the sign by which more of the possible ones are in it.

    None if it has no three whole numbers in its descriptor, one shade alone, or too few entries.
    """
    descriptor = _descriptor(item)
    if len(descriptor) != 3 or not all(map(float.is_integer, descriptor)) or abs(descriptor[1]) >= _16_BITS:
        return None
    count = int(descriptor[0]) % _16_BITS or _16_BITS
    entries = _entries(item, count)
    if not entries.size or entries.min() == entries.max():
        return None
    first = max(
        (descriptor[1], descriptor[1] + (-_16_BITS if descriptor[1] > 0 else _16_BITS)),
        key=lambda start: min(start + count - 1, possible[1]) - max(start, possible[0]),
    )
    last = first + entries.size - 1
    if first >= possible[1] or last <= possible[0] or (entries.size < count and last < possible[1]):
        return None
    return first, last


def _descriptor(item: Dataset) -> tuple[float, ...]:
    values = _values(item, "LUTDescriptor")
    if len(values) == 1 and isinstance(values[0], bytes) and len(values[0]) == 6:  # of implicit VR
        return tuple(map(float, struct.unpack("<3H", values[0])))
    return _numbers(item, "LUTDescriptor")


def _entries(item: Dataset, count: int) -> Any:
    """The entries of a LUT, ``count`` at most: numbers, or bytes of 16-bit words or of two 8-bit entries."""
    data = _values(item, "LUTData")
    if len(data) != 1 or not isinstance(data[0], bytes):
        return np.asarray(_numbers(item, "LUTData")[:count])
    if len(data[0]) in (count, count + count % 2):
        return np.frombuffer(data[0], np.uint8)[:count]
    return np.frombuffer(data[0][: len(data[0]) // 2 * 2], np.dtype("<u2"))[:count]


def _windows(header: Dataset, possible: Range) -> list[Range]:
    """What each window shows as black and white, of those that can be used and show a possible value."""
    function = _code(header, "VOILUTFunction").replace(" ", "_")
    linear = function == "LINEAR" or function not in _FUNCTIONS
    found = []
    for center, width in zip(
        map(_finite, _values(header, "WindowCenter")), map(_finite, _values(header, "WindowWidth"))
    ):
        if center is None or width is None or width <= 0:
            continue
        if width > 1 and linear:  # else LINEAR_EXACT
            center, width = center - 0.5, width - 1
        low, high = center - width / 2, center + width / 2
        if low < possible[1] and high > possible[0]:
            found.append((low, high))
    return found


def load(scene: Any, path: Path) -> Any:
    """Load a film as a volume of its own, in axial position, without a patient's body around it.

    A film whose header does not say how large its pixels are has pixels of 1 mm, and a name that says so.

    Raises:
        InputError: the file cannot be read.
    """
    header = films.header(path)
    # All that the header may be wrong in, before there is a node that would be left behind.
    pair = spacing(header)
    called = name(header) if pair else f"{name(header)} (pixel size unknown)"
    shown, inverted, instance = window(header), is_inverted(header), _text(header, "SOPInstanceUID")
    storage = scene.CreateNodeByClass("vtkMRMLVolumeArchetypeStorageNode")
    storage.UnRegister(None)
    storage.SetFileName(str(path))
    storage.SetSingleFile(1)
    storage.SetCenterImage(0)
    volume = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", scene.GenerateUniqueName(called))
    if not storage.ReadData(volume):
        scene.RemoveNode(volume)
        raise InputError("the film's pixels cannot be read by Slicer", str(path))
    # Columns to the right, rows downwards in an axial view; positions mean nothing on a projection.
    rows, columns = pair or (1.0, 1.0)
    volume.SetIJKToRASDirections(-1, 0, 0, 0, -1, 0, 0, 0, 1)
    volume.SetSpacing(columns, rows, 1.0)
    volume.SetOrigin(0.0, 0.0, 0.0)
    volume.SetAttribute(nodes.INSTANCE_UIDS, instance)
    volume.CreateDefaultDisplayNodes()
    display = volume.GetDisplayNode()
    if inverted and scene.GetNodeByID(_INVERTED) is not None:
        display.SetAndObserveColorNodeID(_INVERTED)
    if shown is not None:
        display.AutoWindowLevelOff()
        display.SetWindowLevelMinMax(*shown)
    else:
        display.AutoWindowLevelOn()
    return volume
