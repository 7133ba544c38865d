"""The out-of-fold marks of a training run: what ``bcd-admin train --out DIR`` leaves in ``DIR``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, model_validator

from bcd_model.errors import InputError, TruthError, UsageError
from bcd_model.evaluation.cases import Case
from bcd_model.evaluation.scored_films import ScoredMark
from bcd_model.reading import reading
from bcd_model.weights import read_info
from bcd_model.words import AnnotatedFilm

_FOLD = re.compile(r"fold-([0-9]+)\.json")
_REMEDY = "name a folder that 'bcd-admin train --out' wrote"


@dataclass(frozen=True, slots=True)
class Run:
    """Marks by film's name, each film with the fold whose network had not seen it.

    Attributes:
        digests: of the pixels and truth of each film it was made of.
        data_digest: of all of them, None if the run is not finished.
        folds: how many it has, None if the run is not finished.
    """

    marks: dict[str, tuple[ScoredMark, ...]]
    fold: dict[str, int]
    digests: dict[str, str]
    data_digest: str | None
    folds: int | None


class _Mark(BaseModel, strict=True, allow_inf_nan=False):
    center: tuple[float, float]
    score: float
    malignant: float
    radius: float | None = Field(default=None, gt=0)


class _Fold(BaseModel, strict=True):
    films: dict[str, str]
    marks: dict[str, list[_Mark]]

    @model_validator(mode="after")
    def _has_digests(self) -> _Fold:
        if not self.marks.keys() <= self.films.keys():
            raise ValueError("a film that has marks is missing from films")
        return self


def read_run(folder: Path) -> Run:
    """Read the folds that are done.

    Raises:
        UsageError: the folder does not exist.
        InputError: it holds no fold, a damaged one, or one film in two folds.
    """
    if not folder.is_dir():
        raise UsageError("there is no such folder", _REMEDY, folder)
    files = {int(m[1]): path for path in sorted(folder.iterdir()) if (m := _FOLD.fullmatch(path.name))}
    if not files:
        raise InputError("holds no fold-0.json and so on", _REMEDY, folder)
    marks: dict[str, tuple[ScoredMark, ...]] = {}
    placed: dict[str, int] = {}
    digests: dict[str, str] = {}
    for fold, path in sorted(files.items()):
        with reading(
            path, InputError, "remove it and start 'bcd-admin train' again", unopened="check its permissions"
        ):
            of_fold = _Fold.model_validate_json(path.read_bytes())
        for name, found in of_fold.marks.items():
            if name in placed:
                raise InputError(
                    f"film {name} is in folds {placed[name]} and {fold}: not one run", _REMEDY, folder
                )
            marks[name] = tuple(ScoredMark(**dict(mark)) for mark in found)
            placed[name], digests[name] = fold, of_fold.films[name]
    card = _card(folder)
    data = card.get("data")
    digest = data.get("digest") if isinstance(data, dict) else None
    return Run(marks, placed, digests, digest, card.get("folds"))


def check_film(run: Run, case: Case, shape: tuple[int, int]) -> None:
    """Refuse a film that only has the name of one of the run: nothing is known of its part in the training.

    Args:
        shape: of the film.

    Raises:
        InputError: its pixels or its truth are not those of the run, or a mark lies outside it.
    """
    name = case.film.name
    outside = any(
        not (-0.5 <= mark.center[0] < shape[0] - 0.5 and -0.5 <= mark.center[1] < shape[1] - 0.5)
        for mark in case.marks
    )
    if outside or run.digests[name] != case.pixels.truth_digest:
        raise InputError(
            f"film {name} or its truth is not that of the run", "name the films and the truth of its training"
        )


def check_patients(run: Run, films: Sequence[AnnotatedFilm]) -> None:
    """Refuse a run whose folds part a patient: its marks are then not out of fold.

    Raises:
        TruthError: one patient in two folds.
    """
    of_patient: dict[str, tuple[int, str]] = {}
    for film in films:
        if film.name not in run.fold:
            continue
        fold, other = of_patient.setdefault(film.patient, (run.fold[film.name], film.name))
        if fold != run.fold[film.name]:
            raise TruthError(
                f"films {other} and {film.name} are one patient, but in folds {fold} and "
                f"{run.fold[film.name]} of the run: its marks are not out of fold",
                "train it again by patient, or correct the truth",
            )


def _card(folder: Path) -> dict[str, Any]:
    """The model card of the finished run, empty of one that is not finished."""
    path = folder / "bcd-scan.safetensors"
    return read_info(path).card if path.exists() else {}
