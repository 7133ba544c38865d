"""What published results say, apart from what may differ between two runs of the same films.

Left out: UIDs and identifiers (replaced by the order in which they appear), dates and times, versions, and
free text. Pictures are kept as the means of 8 x 8 blocks. What is left are codes, places, outlines, classes
and numbers; `differences` compares them to 1e-4.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

TOLERANCE = 1e-4
BLOCKS = 8

_FREE_TEXT = {"ST", "LT", "UT", "UC"}
_MOMENTS = {"DA", "TM", "DT"}
_VERSIONS = {"SoftwareVersions", "ImplementationVersionName"}
_TEXT_KEYS = {"warnings", "reason", "disclaimer", "basis", "software_version", "created", "product", "cause"}
_TEXT_KEYS |= {"films_per_minute"}
"""Keys of JSON answers whose values are sentences, times, speeds or versions."""
_ADDED = {"reason_code", "code", "film_digest", "facts_digest", "pixel_digest"}
"""Keys that answers did not have when the golden content was written."""
_RENAMED = {"lane": "priority"}
"""Keys that say the same under another name since: the field's own word."""
_NAMES = re.compile(r"\b\d+(?:\.\d+){2,}\b|\b[0-9a-f]{16,64}\b")
"""UIDs, and the hexadecimal identifiers of jobs and digests."""
_STANDARD = "1.2.840.10008."
_SHORTEST = 12
"""Digits and dots of a UID; a version has fewer."""


class Names:
    """Stand-ins for UIDs and identifiers, by the order in which they are first met."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def replaced(self, text: str) -> str:
        """``text`` with its UIDs and identifiers replaced."""
        return _NAMES.sub(lambda found: self._name(found[0]), text)

    def _name(self, found: str) -> str:
        if len(found) < _SHORTEST or found.startswith(_STANDARD):
            return found
        return self._known.setdefault(found, f"#{len(self._known) + 1}")


def of_results(root: Path, names: Names) -> dict[str, Any]:
    """The content of every published result below ``root``, by object."""
    found: dict[str, Any] = {}
    for folder in sorted(path.parent for path in root.glob("*/result.json")):
        told = json.loads((folder / "result.json").read_bytes())
        study = names.replaced(folder.name)
        found[f"{study}/result.json"] = of_answer(told, names)
        order = {film["sop_instance_uid"]: number for number, film in enumerate(told["films"])}
        objects = sorted(folder.rglob("*.dcm"), key=lambda path: (order.get(path.stem, -1), path.parent.name))
        for path in objects:
            name = names.replaced(str(path.relative_to(folder)))
            found[f"{study}/{name}"] = of_dataset(pydicom.dcmread(path), names)
    return found


def of_dataset(data: Dataset, names: Names) -> dict[str, Any]:
    """The elements of ``data`` by keyword."""
    found: dict[str, Any] = {}
    for element in data:
        if element.VR in _FREE_TEXT or element.VR in _MOMENTS or element.keyword in _VERSIONS:
            continue
        found[element.keyword or str(element.tag)] = _value(data, element, names)
    return found


def _value(data: Dataset, element: DataElement, names: Names) -> Any:
    if element.VR == "SQ":
        return [_code(item) or of_dataset(item, names) for item in element.value]
    if element.keyword == "PixelData":
        return _picture(data)
    if isinstance(element.value, bytes):
        return len(element.value)
    if element.VM > 1:
        return [_number_or_text(value, names) for value in element.value]
    return _number_or_text(element.value, names)


def _code(item: Dataset) -> str | None:
    """A code sequence's item on one line (PS3.3 8.8)."""
    if "CodeMeaning" not in item or "CodeValue" not in item:
        return None
    return f"({item.CodeValue}, {item.CodingSchemeDesignator}, {item.CodeMeaning})"


def _number_or_text(value: Any, names: Names) -> Any:
    if isinstance(value, int):
        return int(value)
    return float(value) if isinstance(value, float) else names.replaced(str(value or ""))


def _picture(data: Dataset) -> list[list[float]]:
    """The means of its blocks, as parts of the largest value that it can hold."""
    pixels = np.asarray(data.pixel_array, dtype=np.float64)
    pixels = pixels.reshape(*pixels.shape[:2], -1).mean(axis=2)
    means = [
        [block.mean() for block in np.array_split(rows, BLOCKS, axis=1)]
        for rows in np.array_split(pixels, BLOCKS, axis=0)
    ]
    return [[round(float(mean) / ((1 << data.BitsStored) - 1), 5) for mean in row] for row in means]


def of_answer(answer: Any, names: Names) -> Any:
    """A JSON answer of a command without its sentences, times and paths."""
    if isinstance(answer, dict):
        return {
            names.replaced(key): of_answer(value, names)
            for key, value in answer.items()
            if key not in _TEXT_KEYS | _ADDED and not _is_moment(value)
        }
    if isinstance(answer, list):
        return [of_answer(value, names) for value in answer]
    if isinstance(answer, str):
        return names.replaced(Path(answer).name if "/" in answer else answer)
    return answer


def _is_moment(value: Any) -> bool:
    return isinstance(value, str) and re.match(r"\d{4}-\d\d-\d\dT", value) is not None


def rounded(content: Any) -> Any:
    """``content`` with its numbers to six digits: what is kept in a file."""
    if isinstance(content, dict):
        return {key: rounded(value) for key, value in content.items()}
    if isinstance(content, list):
        return [rounded(value) for value in content]
    return float(f"{content:.6g}") if isinstance(content, float) else content


def differences(golden: Any, found: Any, where: str = "") -> Iterator[str]:
    """Where ``found`` is not ``golden``; numbers may differ by 1e-4, or by that part of themselves."""
    if isinstance(golden, dict) and isinstance(found, dict):
        golden = {_RENAMED.get(key, key): value for key, value in golden.items()}
        for key in [*golden, *(key for key in found if key not in golden)]:
            if key not in found or key not in golden:
                yield f"{where}/{key} is {'gone' if key in golden else 'new'}"
            else:
                yield from differences(golden[key], found[key], f"{where}/{key}")
    elif isinstance(golden, list) and isinstance(found, list) and len(golden) == len(found):
        for index, (one, other) in enumerate(zip(golden, found, strict=True)):
            yield from differences(one, other, f"{where}[{index}]")
    elif not _same(golden, found):
        yield f"{where}: {_short(golden)} is now {_short(found)}"


def _same(golden: Any, found: Any) -> bool:
    numbers = all(isinstance(each, (int, float)) and not isinstance(each, bool) for each in (golden, found))
    if numbers:
        return math.isclose(golden, found, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    return type(golden) is type(found) and bool(golden == found)


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) < 100 else f"{text[:97]}..."
