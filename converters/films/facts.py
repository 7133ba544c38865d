"""What identifies a film, whatever file it comes in: the facts of its header that a result uses or copies.

A film that went through an archive comes back as another file: other File Meta Information, another transfer
syntax, other lengths, private elements more or fewer. It is the same film. Which facts count is the one list
of `converters.dicom.elements`.
"""

from __future__ import annotations

import hashlib
import json

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence as ItemSequence
from pydicom.tag import Tag

from converters.films.identity import DELIMITERS, UNDECODED

_CHARACTER_SET = Tag("SpecificCharacterSet")  # texts are compared by their characters
_PADDING = " \0"


def facts_digest(header: Dataset) -> str:
    """SHA-256, in hexadecimal, over what a header says; what is empty counts as absent."""
    return hashlib.sha256(json.dumps(_facts(header), sort_keys=True).encode()).hexdigest()


def _facts(dataset: Dataset) -> dict[int, list[object]]:
    facts = ((element.tag, _values(element)) for element in dataset if element.tag != _CHARACTER_SET)
    return {int(tag): found for tag, found in facts if any(found)}


def _values(element: DataElement) -> list[object]:
    value = element.value
    stated = value if isinstance(value, MultiValue | ItemSequence | list) else [value]
    if element.VR == "SQ":
        return [_facts(item) for item in stated if isinstance(item, Dataset)]
    found = [_value(each) for each in stated if each is not None]
    raw = getattr(element, "raw", b"")
    return [raw.hex()] if raw and any(UNDECODED in each for each in found) else list(found)


def _value(value: object) -> str:
    if isinstance(value, str):
        return value.strip(_PADDING)
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, int | float):  # 0.2 is 0.20
        return repr(float(value))
    return str(value).strip(_PADDING).rstrip(DELIMITERS)
