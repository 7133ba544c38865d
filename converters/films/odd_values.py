"""What of a header could not be read, or only by taking it for what it must mean: remarks."""

from __future__ import annotations

from collections.abc import Iterable

from pydicom.dataset import Dataset

from converters.dicom.copied import copied
from converters.dicom.file import finite, integer, name_of, numbers, values, why_no_uid
from converters.dicom.values import FileNumber

_NUMBERS = (
    "DistanceSourceToDetector",
    "DistanceSourceToPatient",
    "EstimatedRadiographicMagnificationFactor",
    "ImagerPixelSpacing",
    "NominalScannedPixelSpacing",
    "PixelAspectRatio",
    "PixelPaddingRangeLimit",
    "PixelPaddingValue",
    "PixelSpacing",
    "RescaleIntercept",
    "RescaleSlope",
    "WindowCenter",
    "WindowWidth",
)
"""Elements that a film may do without: where they cannot be read it does not fail, and says so."""


def odd_values(header: Dataset) -> tuple[str, ...]:
    """What was done with the odd values of a header, one remark for each kind; without the values."""
    unread, in_part, commas = [], [], []
    for keyword in _NUMBERS:
        stated = [value for value in values(header, keyword) if str(value).strip(" \0")]
        good = numbers(header, keyword)
        if stated and not good:
            unread.append(keyword)
        elif any(finite(value) is None for value in stated):
            in_part.append(keyword)
        if keyword in header and isinstance(element := header[keyword], FileNumber) and element.commas:
            commas.append(keyword)
    found = []
    if unread:
        found.append(f"{_listed(unread)} could not be read: not a number")
    if in_part:
        found.append(f"{_listed(in_part)}: a value could not be read and was left out")
    if commas:
        found.append(f"{_listed(commas)}: decimal commas, read as decimal points")
    if integer(header, "NumberOfFrames") == 0:
        found.append("Number of Frames is 0: taken for one")
    for keyword in ("SOPClassUID", "SeriesInstanceUID"):  # that of the film itself is needed (acceptance)
        if why := why_no_uid(header, keyword):
            found.append(f"{why.detail}: no DICOM object of the result can point to the film")
    return (*found, *not_copied(header))


def not_copied(header: Dataset) -> tuple[str, ...]:
    """What of patient and study the results leave out; without the values."""
    left_out = copied(header).left_out
    return (f"{_listed(left_out)}: not valid in DICOM, left out of the result's objects",) if left_out else ()


def _listed(keywords: Iterable[str]) -> str:
    names = [name_of(keyword) for keyword in keywords]
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
