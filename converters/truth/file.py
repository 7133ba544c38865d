"""``truth.json``: the annotations of converted films, beside the DICOM files and never in them.

docs/reference/truth-json.md describes it; docs/reference/truth.schema.json is made from the classes below.
"""

from __future__ import annotations

import json
from codecs import BOM_UTF8
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, TypeAdapter, model_validator

from bcd_model.errors import TruthError
from bcd_model.reading import reading
from bcd_model.words import DISCLAIMER, Label, Lesion
from converters.atomic import write_atomically

TRUTH_FILE = "truth.json"
SCHEMA_VERSION = 1

_FARTHEST = 1e6  # pixels
_REMEDY = "correct it: docs/reference/truth-json.md says what it holds"


def _on_a_film(lesion: Lesion) -> Lesion:
    if not (0 < lesion.radius <= _FARTHEST and all(abs(value) <= _FARTHEST for value in lesion.center)):
        raise ValueError("not a circle on a film")
    return lesion


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmTruth:
    """What is known of one film. Patient and label are required in the file.

    Attributes:
        patient: the unit of every split.
        label: class of the film.
        lesions: those with a place.
        unlocated: True if the film has an abnormality without a place.
        name: the film's name in its collection; by default its SOP Instance UID.
        file: the DICOM file, relative to ``truth.json``, with ``/``.
        tissue: the collection's own code of the background tissue (MIAS: F, G, D).
    """

    patient: Annotated[str, Field(min_length=1)]
    label: Label
    lesions: tuple[Annotated[Lesion, AfterValidator(_on_a_film)], ...] = ()
    unlocated: bool = False
    name: str = ""
    file: str = ""
    tissue: str = ""

    @model_validator(mode="after")
    def _label_fits_lesions(self) -> FilmTruth:
        if (self.label == "normal") == bool(self.lesions or self.unlocated):
            raise ValueError("a normal film has no lesion; every other has one, or 'unlocated' is true")
        return self


@dataclass(frozen=True, slots=True)
class TruthFile:
    """The whole file. Other keys beside these, such as ``notice``, are passed over.

    Attributes:
        films: by SOP Instance UID.
    """

    schema_version: Literal[1]
    films: dict[str, FilmTruth]


TRUTH: TypeAdapter[TruthFile] = TypeAdapter(TruthFile)
"""Reads the file, and gives its JSON Schema."""

_FILMS = TypeAdapter(dict[str, FilmTruth])  # without what a kind of film has beside its truth


def write_truth(path: Path, films: Mapping[str, FilmTruth]) -> None:
    """Write ``films``, by SOP Instance UID, as JSON; the same films always give the same bytes.

    Raises:
        OutputError: the file cannot be written.
    """
    in_order = dict(sorted(films.items(), key=lambda item: item[1].file))
    content = {"schema_version": SCHEMA_VERSION, "notice": DISCLAIMER, "films": _FILMS.dump_python(in_order)}
    write_atomically(path, (json.dumps(content, indent=2) + "\n").encode())


def read_truth(path: Path) -> dict[str, FilmTruth]:
    """Read the films' truth by SOP Instance UID.

    Raises:
        TruthError: the file is missing, not JSON, of another version, or an entry is not valid.
    """
    with reading(path, TruthError, _REMEDY):
        films = TRUTH.validate_json(path.read_bytes().removeprefix(BOM_UTF8), strict=True).films
    return {uid: film if film.name else replace(film, name=uid) for uid, film in films.items()}
