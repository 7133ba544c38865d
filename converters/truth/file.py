"""``truth.json``: the annotations of converted films, beside the DICOM files and never in them.

One JSON object: ``schema_version``, ``notice``, and ``films``, keyed by SOP Instance UID. A film has
``file`` (relative to ``truth.json``), ``name``, ``patient``, ``label``, ``tissue``, ``unlocated`` and
``lesions``; a lesion has ``center`` [row, column] and ``radius`` in source pixels (pixel centres are
whole numbers), ``label`` and ``kind``.
"""

from __future__ import annotations

import json
from codecs import BOM_UTF8
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, TypeAdapter

from bcd_model.errors import TruthError
from bcd_model.reading import reading
from bcd_model.words import DISCLAIMER, Label, Lesion
from converters.atomic import write_atomically

TRUTH_FILE = "truth.json"
SCHEMA_VERSION = 1

_FARTHEST = 1e6  # pixels
_REMEDY = "convert the films again to make a new one"


def _on_a_film(lesion: Lesion) -> Lesion:
    if not (0 < lesion.radius <= _FARTHEST and all(abs(value) <= _FARTHEST for value in lesion.center)):
        raise ValueError("not a circle on a film")
    return lesion


@dataclass(frozen=True, slots=True)
class FilmTruth:
    """What is known of one converted film.

    Attributes:
        file: the DICOM file, relative to ``truth.json``, with ``/``.
        name: the film's name in its collection.
        patient: the unit of every split.
        label: class of the film.
        tissue: the collection's own code of the background tissue (MIAS: F, G, D).
        unlocated: True if the film has an abnormality without a place.
        lesions: those with a place.
    """

    file: str
    name: str
    patient: str
    label: Label
    tissue: str
    unlocated: bool
    lesions: tuple[Annotated[Lesion, AfterValidator(_on_a_film)], ...]


@dataclass(frozen=True, slots=True)
class _File:
    schema_version: Literal[1]
    films: dict[str, FilmTruth]


_FILE = TypeAdapter(_File)


def write_truth(path: Path, films: Mapping[str, FilmTruth]) -> None:
    """Write ``films``, by SOP Instance UID, as JSON; the same films always give the same bytes.

    Raises:
        OutputError: the file cannot be written.
    """
    content = {
        "schema_version": SCHEMA_VERSION,
        "notice": DISCLAIMER,
        "films": {uid: asdict(film) for uid, film in sorted(films.items(), key=lambda item: item[1].file)},
    }
    write_atomically(path, (json.dumps(content, indent=2) + "\n").encode())


def read_truth(path: Path) -> dict[str, FilmTruth]:
    """Read the films' truth by SOP Instance UID.

    Raises:
        TruthError: the file is missing, no JSON, of another version, or an entry is not as above.
    """
    with reading(path, TruthError, _REMEDY):
        return _FILE.validate_json(path.read_bytes().removeprefix(BOM_UTF8), strict=True).films
