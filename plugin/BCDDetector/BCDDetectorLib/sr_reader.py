"""Reads our Mammography CAD SR (TID 4000) into the same words as ``result.json``.

What the report does not hold stays open: the threshold is given as "required" or "optional" for each
finding.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean

import pydicom
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from .coordinates import from_scoord
from .errors import InputError
from .words import MIN_CORNERS, Film, Finding, Probability, Study

CAD_SR_CLASS = "1.2.840.10008.5.1.4.1.1.88.50"
PRODUCT = "bcd-cad"

_LIBRARY, _SUMMARY, _DETECTIONS = "111028", "111017", "111064"
_FAILED_DETECTIONS = "111025"
_IMPRESSION, _FINDING, _INTENT, _REQUIRED = "111034", "111059", "111056", "111150"
_TRACKING_UID, _CERTAINTY, _CANCER = "112040", "111012", "111047"
_CENTER, _OUTLINE = "111010", "111041"
_LATERALITY, _VIEW = "111027", "111031"
_MODEL_NAME, _MODEL_VERSION = "111001", "111003"
_BREASTS = {"80248007": "L", "73056007": "R"}
VIEWS = {
    "399162004": "CC",
    "399368009": "MLO",
    "399260004": "ML",
    "399352003": "LM",
    "399099002": "LMO",
    "399192008": "XCCL",
    "399101009": "XCCM",
    "399196006": "FB",
    "399188001": "SIO",
    "441555000": "ISO",
}

Position = tuple[int, ...]

_DAMAGED = (
    InvalidDicomError,
    AttributeError,
    KeyError,
    ValueError,
    IndexError,
    TypeError,
    OverflowError,
    RecursionError,
)


def is_ours(header: Dataset) -> bool:
    """Whether the object is a Mammography CAD SR of this software."""
    return (
        header.get("SOPClassUID") == CAD_SR_CLASS
        and str(header.get("ManufacturerModelName", "")).strip().lower() == PRODUCT
    )


def read_cad_sr(path: Path) -> Study:
    """The study's result as the report gives it.

    Raises:
        InputError: no Mammography CAD SR, or one that lacks what this reader needs.
    """
    try:
        document = pydicom.dcmread(path)
        if document.get("SOPClassUID") != CAD_SR_CLASS:
            raise InputError("the file is not a Mammography CAD SR", str(path))
        return _study(document)
    except OSError as error:
        raise InputError(f"the report cannot be read ({error.strerror or error})", str(path)) from error
    except _DAMAGED as error:
        raise InputError("the report is damaged or of another maker", f"{path}\n{error}") from error


def _study(document: Dataset) -> Study:
    tree = dict(_walk(document, (1,)))
    library = _child(document, _LIBRARY)
    places: dict[Position, str] = {
        position: item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID
        for position, item in tree.items()
        if item.get("ValueType") == "IMAGE" and "ReferencedSOPSequence" in item
    }
    failed = _failed(document, places)
    summary = _child(document, _SUMMARY)
    findings: dict[str, list[Finding]] = {}
    for impression in _children(summary, _IMPRESSION):
        for item in _children(impression, _FINDING):
            film = places[_target(_child(item, _CENTER))]
            numbered = findings.setdefault(film, [])
            numbered.append(_finding(item, film, len(numbered) + 1))
    films = tuple(
        _film(item, failed, findings)
        for item in library.get("ContentSequence", ())
        if item.ValueType == "IMAGE"
    )
    return Study(
        study_instance_uid=str(document.StudyInstanceUID),
        job_id="",
        model=f"{_text(summary, _MODEL_NAME)} {_text(summary, _MODEL_VERSION)}".strip(),
        threshold=None,
        films=films,
    )


def _film(item: Dataset, failed: set[str], findings: dict[str, list[Finding]]) -> Film:
    uid = str(item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID)
    side, view = _code(item, _LATERALITY), _code(item, _VIEW)
    return Film(
        sop_instance_uid=uid,
        laterality=_BREASTS.get(side or ""),
        view=VIEWS.get(view or ""),
        failed=uid in failed,
        reason="listed as a failed detection" if uid in failed else "",
        findings=tuple(findings.get(uid, ())),
    )


def _finding(item: Dataset, film: str, number: int) -> Finding:
    (center,) = from_scoord(_child(item, _CENTER).GraphicData)
    outline = from_scoord(_child(item, _OUTLINE).GraphicData)
    if len(outline) > 1 and outline[0] == outline[-1]:
        outline = outline[:-1]
    if len(outline) < MIN_CORNERS:
        raise ValueError("an outline without an inside")
    abnormal, malignant = _number(item, _CERTAINTY) / 100, _number(item, _CANCER) / 100
    benign = max(abnormal - malignant, 0.0)
    return Finding(
        tracking_uid=str(_child(item, _TRACKING_UID).UID),
        film=film,
        number=number,
        center=center,
        radius=fmean(math.dist(center, corner) for corner in outline),
        outline=outline,
        label="malignant" if malignant > benign else "benign",
        probability=Probability(max(1.0 - abnormal, 0.0), benign, malignant),
        presented=_code(item, _INTENT) == _REQUIRED,
    )


def _failed(document: Dataset, places: dict[Position, str]) -> set[str]:
    """SOP Instance UIDs of the films below Failed Detections."""
    found = set()
    for summary in _children(document, _DETECTIONS):
        for group in _children(summary, _FAILED_DETECTIONS):
            for performed in group.get("ContentSequence", ()):
                for item in performed.get("ContentSequence", ()):
                    if "ReferencedContentItemIdentifier" in item:
                        found.add(places[_position(item)])
    return found


def _walk(item: Dataset, position: Position) -> Iterator[tuple[Position, Dataset]]:
    """Every content item with its position in the tree (PS3.3 C.17.3.2.5): the root is 1."""
    yield position, item
    for index, child in enumerate(item.get("ContentSequence", ()), start=1):
        yield from _walk(child, (*position, index))


def _position(item: Dataset) -> Position:
    value = item.ReferencedContentItemIdentifier
    return (int(value),) if isinstance(value, int) else tuple(int(part) for part in value)


def _target(item: Dataset) -> Position:
    """Where the image stands from which the coordinates are selected."""
    for child in item.ContentSequence:
        if "ReferencedContentItemIdentifier" in child:
            return _position(child)
    raise ValueError("coordinates that are selected from no image")


def _children(item: Dataset, code: str) -> list[Dataset]:
    return [
        child
        for child in item.get("ContentSequence", ())
        if "ConceptNameCodeSequence" in child and child.ConceptNameCodeSequence[0].CodeValue == code
    ]


def _child(item: Dataset, code: str) -> Dataset:
    found = _children(item, code)
    if not found:
        raise ValueError(f"content item {code} is missing")
    return found[0]


def _code(item: Dataset, code: str) -> str | None:
    found = _children(item, code)
    return str(found[0].ConceptCodeSequence[0].CodeValue) if found else None


def _text(item: Dataset, code: str) -> str:
    found = _children(item, code)
    return str(found[0].TextValue) if found else ""


def _number(item: Dataset, code: str) -> float:
    return float(_child(item, code).MeasuredValueSequence[0].NumericValue)
