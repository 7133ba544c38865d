"""The content tree of an SR document (PS3.3 C.17.3), with relationships by reference.

A by-reference relationship names its target by position in the tree ("1.2.3": third child of
the root's second child), so identifiers are computed by :func:`encode`, when the tree is complete.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from pydicom.dataset import Dataset
from pydicom.valuerep import DSdecimal

from converters.codes import Code


@dataclass(slots=True, eq=False)
class Item:
    """One content item.

    Attributes:
        value_type: Value Type (0040,A040).
        name: the concept; None for an image of the library, which has none.
        value: the elements that hold the value.
        children: (relationship, item or target of a by-reference relationship), in order.
    """

    value_type: str
    name: Code | None
    value: Dataset = field(default_factory=Dataset)
    children: list[tuple[str, Item | Target]] = field(default_factory=list)

    def add(self, relationship: str, *items: Item | Target) -> Item:
        """Append ``items`` with one relationship; return self."""
        self.children.extend((relationship, item) for item in items)
        return self


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """A by-reference relationship's end: an item that stands elsewhere in the tree."""

    item: Item


def container(name: Code, template: str | None = None) -> Item:
    """A CONTAINER of separate items; ``template`` is the one of PS3.16 that it is the root of."""
    item = Item("CONTAINER", name)
    item.value.ContinuityOfContent = "SEPARATE"
    if template is not None:
        identification = Dataset()
        identification.MappingResource = "DCMR"
        identification.TemplateIdentifier = template
        item.value.ContentTemplateSequence = [identification]
    return item


def code(name: Code, value: Code) -> Item:
    """A CODE."""
    item = Item("CODE", name)
    item.value.ConceptCodeSequence = [value.item()]
    return item


def text(name: Code, value: str) -> Item:
    """A TEXT."""
    item = Item("TEXT", name)
    item.value.TextValue = value
    return item


def number(name: Code, value: float, units: Code) -> Item:
    """A NUM; the value is rounded to 4 decimals."""
    measured = Dataset()
    measured.NumericValue = DSdecimal(f"{value:.4f}".rstrip("0").rstrip("."))
    measured.MeasurementUnitsCodeSequence = [units.item()]
    item = Item("NUM", name)
    item.value.MeasuredValueSequence = [measured]
    return item


def uid(name: Code, value: str) -> Item:
    """A UIDREF."""
    item = Item("UIDREF", name)
    item.value.UID = value
    return item


def image(reference: Dataset) -> Item:
    """An IMAGE; ``reference`` is an item of a Referenced SOP Sequence."""
    item = Item("IMAGE", None)
    item.value.ReferencedSOPSequence = [reference]
    return item


def coordinates(name: Code, graphic_type: str, graphic_data: list[float]) -> Item:
    """A SCOORD; ``graphic_data`` is column, row, ... from the image's top-left corner."""
    item = Item("SCOORD", name)
    item.value.GraphicType = graphic_type
    item.value.GraphicData = graphic_data
    return item


def encode(root: Item) -> Dataset:
    """The SR Document Content of the tree: the root's own elements and its Content Sequence.

    Raises:
        ValueError: a by-reference relationship whose target is not in the tree.
    """
    positions = {id(item): position for item, position in _walk(root, (1,))}
    return _encode(root, positions)


def _walk(item: Item, position: tuple[int, ...]) -> Iterator[tuple[Item, tuple[int, ...]]]:
    yield item, position
    for index, (_, child) in enumerate(item.children, start=1):
        if isinstance(child, Item):
            yield from _walk(child, (*position, index))


def _encode(item: Item, positions: dict[int, tuple[int, ...]]) -> Dataset:
    encoded = Dataset()
    encoded.ValueType = item.value_type
    if item.name is not None:
        encoded.ConceptNameCodeSequence = [item.name.item()]
    encoded.update(item.value)
    content = []
    for relationship, child in item.children:
        if isinstance(child, Item):
            entry = _encode(child, positions)
        elif id(child.item) in positions:
            entry = Dataset()
            entry.ReferencedContentItemIdentifier = list(positions[id(child.item)])
        else:
            raise ValueError("by-reference target is not part of the content tree")
        entry.RelationshipType = relationship
        content.append(entry)
    if content:
        encoded.ContentSequence = content
    return encoded
