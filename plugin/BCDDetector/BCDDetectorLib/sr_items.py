"""Content items of an SR document (PS3.3 C.17.3), as few as a reading needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items

Code = tuple[str, str, str]
"""Value, coding scheme, meaning."""


def coded(code: Code) -> Dataset:
    """An item of a code sequence (PS3.3 8.8)."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code
    return item


def item(relationship: str, value_type: str, name: Any = None, **values: Any) -> Dataset:
    """A content item; ``values`` are its elements by keyword."""
    new = Dataset()
    new.RelationshipType = relationship
    new.ValueType = value_type
    if name is not None:
        new.ConceptNameCodeSequence = Items([coded(name)])
    for keyword, value in values.items():
        setattr(new, keyword, value)
    return new


def with_children(parent: Dataset, children: Sequence[Dataset]) -> Dataset:
    """``parent`` with its content; returns it."""
    if children:
        parent.ContentSequence = Items(list(children))
    return parent


def container(relationship: str, name: Code, children: Sequence[Dataset], template: str = "") -> Dataset:
    """A CONTAINER, with its template's number where that must be said."""
    new = item(relationship, "CONTAINER", name, ContinuityOfContent="SEPARATE")
    if template:
        used = Dataset()
        used.MappingResource, used.TemplateIdentifier = "DCMR", template
        new.ContentTemplateSequence = Items([used])
    return with_children(new, children)


def code(relationship: str, name: Code, value: Code) -> Dataset:
    """A CODE."""
    return item(relationship, "CODE", name, ConceptCodeSequence=Items([coded(value)]))


def text(relationship: str, name: Code, value: str) -> Dataset:
    """A TEXT."""
    return item(relationship, "TEXT", name, TextValue=value)


def percent(relationship: str, name: Code, share: float) -> Dataset:
    """A NUM in percent of a share in [0, 1]."""
    measured = Dataset()
    measured.NumericValue = f"{100 * share:.4f}".rstrip("0").rstrip(".")
    measured.MeasurementUnitsCodeSequence = Items([coded(("%", "UCUM", "Percent"))])
    return item(relationship, "NUM", name, MeasuredValueSequence=Items([measured]))


def image(relationship: str, sop_class: str, instance: str) -> Dataset:
    """An IMAGE."""
    reference = Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = sop_class, instance
    return item(relationship, "IMAGE", ReferencedSOPSequence=Items([reference]))


def coordinates(name: Code, kind: str, data: list[float], source: Dataset) -> Dataset:
    """A SCOORD that is selected from an image."""
    new = item("CONTAINS", "SCOORD", name, GraphicType=kind, GraphicData=data)
    return with_children(new, [source])
