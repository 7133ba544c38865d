"""``truth.json``: the annotations of converted films, beside the DICOM files and never in them.

One JSON object: ``schema_version``, ``notice``, and ``films``, keyed by SOP Instance UID. A film has
``file`` (relative to ``truth.json``), ``name``, ``patient``, ``label``, ``tissue``, ``unlocated`` and
``lesions``; a lesion has ``center`` [row, column] and ``radius`` in source pixels (pixel centres are
whole numbers), ``label`` and ``kind``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bcd_model.errors import TruthError
from bcd_model.words import CLASSES, DISCLAIMER, Label, Lesion
from converters.atomic import write_atomically

TRUTH_FILE = "truth.json"
SCHEMA_VERSION = 1

_FARTHEST = 1e6  # pixels
_REMEDY = "convert the films again to make a new one"


@dataclass(frozen=True, slots=True)
class FilmTruth:
    """What is known of one converted film.

    Attributes:
        file: the DICOM file, relative to ``truth.json``, with ``/``.
        name: the film's name in its collection.
        patient: the unit of every split.
        label: class of the film.
        tissue: the collection's own code of the background tissue (MIAS: F, G, D).
        lesions: those with a place.
        unlocated: True if the film has an abnormality without a place.
    """

    file: str
    name: str
    patient: str
    label: Label
    tissue: str
    lesions: tuple[Lesion, ...]
    unlocated: bool


def write_truth(path: Path, films: Mapping[str, FilmTruth]) -> None:
    """Write ``films``, by SOP Instance UID, as JSON; the same films always give the same bytes.

    Raises:
        OutputError: the file cannot be written.
    """
    content = {
        "schema_version": SCHEMA_VERSION,
        "notice": DISCLAIMER,
        "films": {uid: _to_json(film) for uid, film in sorted(films.items(), key=lambda item: item[1].file)},
    }
    write_atomically(path, (json.dumps(content, indent=2) + "\n").encode())


def read_truth(path: Path) -> dict[str, FilmTruth]:
    """Read the films' truth by SOP Instance UID.

    Raises:
        TruthError: the file is missing, no JSON, of another version, or an entry is not as above.
    """
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise TruthError(f"cannot be read ({error.strerror or error})", _REMEDY, path) from error
    except (ValueError, RecursionError) as error:  # JSONDecodeError, UnicodeDecodeError
        raise TruthError(f"is no JSON ({error})", _REMEDY, path) from error
    if not isinstance(content, dict) or content.get("schema_version") != SCHEMA_VERSION:
        raise TruthError(f"is no truth of schema version {SCHEMA_VERSION}", _REMEDY, path)
    films = content.get("films")
    if not isinstance(films, dict):
        raise TruthError("has no 'films'", _REMEDY, path)
    try:
        return {_text(uid): _film(entry) for uid, entry in films.items()}
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise TruthError(f"a film's entry is damaged ({error})", _REMEDY, path) from error


def _to_json(film: FilmTruth) -> dict[str, object]:
    return {
        "file": film.file,
        "name": film.name,
        "patient": film.patient,
        "label": film.label,
        "tissue": film.tissue,
        "unlocated": film.unlocated,
        "lesions": [
            {"center": list(item.center), "radius": item.radius, "label": item.label, "kind": item.kind}
            for item in film.lesions
        ],
    }


def _film(entry: Mapping[str, object]) -> FilmTruth:
    """One entry of ``films``; raises KeyError, TypeError, ValueError or OverflowError if it is wrong."""
    lesions, unlocated = entry["lesions"], entry["unlocated"]
    if not isinstance(lesions, list) or not isinstance(unlocated, bool):
        raise TypeError("lesions or unlocated of another type")
    return FilmTruth(
        file=_text(entry["file"]),
        name=_text(entry["name"]),
        patient=_text(entry["patient"]),
        label=_label(entry["label"]),
        tissue=_text(entry["tissue"]),
        lesions=tuple(_lesion(item) for item in lesions),
        unlocated=unlocated,
    )


def _lesion(entry: Mapping[str, object]) -> Lesion:
    center = entry["center"]
    if not isinstance(center, list) or len(center) != 2:
        raise ValueError("a center that is not [row, column]")
    label = _label(entry["label"])
    radius = _number(entry["radius"])
    if label == "normal" or radius <= 0:
        raise ValueError("a lesion that is normal or has no radius")
    return Lesion((_number(center[0]), _number(center[1])), radius, label, _text(entry["kind"]))


def _label(value: object) -> Label:
    for label in CLASSES:
        if value == label:
            return label
    raise ValueError(f"{value!r} is no class")


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    value.encode()  # JSON can hold halves of characters, which no file can
    return value


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise TypeError(f"{value!r} is no number")
    if abs(value) > _FARTHEST:
        raise ValueError(f"{value!r} is no place on a film")
    return float(value)
