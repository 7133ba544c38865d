"""DICOM films with their truth (``truth.json``, ``reading.json``), matched by SOP Instance UID."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Generic, TypeVar

from pydicom.dataset import Dataset

from bcd_model.errors import FilmError, InputError, TruthError
from bcd_model.words import AnnotatedFilm, Film, Projection
from converters.dicom.file import integer, read_header, values
from converters.films.projection import projection
from converters.films.read import read_film
from converters.films.studies import StudyInput
from converters.results.wording import RULES
from converters.truth.file import FilmTruth, read_truth

F_co = TypeVar("F_co", bound=AnnotatedFilm, covariant=True)

_NAMED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class DicomFilm(FilmTruth):
    """One DICOM film with its truth; a :class:`bcd_model.words.AnnotatedFilm`.

    Attributes:
        path: the film.
        projection: with Study Instance UID as a part of its kind, for a scan compares the films of one study.
    """

    path: Path
    projection: Projection

    def read(self) -> Film:
        """Read the pixels.

        Raises:
            FilmError: the file is not a film, or one that cannot be used.
        """
        try:
            return read_film(self.path).film
        except FilmError as error:  # files may be named after patients; reports name films as the truth does
            raise FilmError.of(replace(error.reason, place="")) from error


@dataclass(frozen=True, slots=True)
class AnnotatedFilms(Generic[F_co]):
    """Films that have truth.

    Attributes:
        films: in the order of their names.
        unusable: one line for every film that cannot be used; it is not among ``films``.
        warnings: what else was odd, one line each.
    """

    films: tuple[F_co, ...]
    unusable: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def match_truth(studies: Iterable[StudyInput], paths: Sequence[Path]) -> AnnotatedFilms[DicomFilm]:
    """Give the films of ``studies`` the truth in the files ``paths``: one of a collection, or one a study.

    Raises:
        TruthError: a file cannot be used, two have one film, a study is put under several patients, or a
            lesion lies outside its film.
        InputError: no film has truth.
    """
    truth = _read_all(paths)
    named = paths[0].name if len(paths) == 1 else f"the {len(paths)} files of truth"
    films: list[DicomFilm] = []
    unusable: list[str] = []
    without: list[str] = []
    seen: set[str] = set()
    of_id: dict[str, set[str]] = {}
    warnings: list[str] = []
    for study in studies:
        patients: set[str] = set()
        if study.patients > 1:
            warnings.append(f"study {study.study_instance_uid}: its films name {study.patients} patients")
        for source in study.films:
            uid = source.sop_instance_uid
            if uid is None:
                unusable.append(f"a file without a film's header: left out: {source.reason}")
                continue
            known = truth.get(uid)
            if known is None:
                without.append(uid)
                continue
            seen.add(uid)
            patients.add(known.patient)
            if source.rule is not None:
                unusable.append(f"film {known.name}: left out: {RULES[source.rule]}")
                continue
            if source.reason is not None:
                unusable.append(f"film {known.name}: left out: {source.reason}")
                continue
            try:
                header = read_header(source.path)
            except FilmError as error:
                unusable.append(f"film {known.name}: left out: {error.reason}")
                continue
            _check_places(header, known)
            for value in values(header, "PatientID"):
                if patient_id := str(value).strip():
                    of_id.setdefault(patient_id, set()).add(known.patient)
            rank = source.shown.projection.rank if source.shown is not None else 0
            shown = dataclasses.replace(projection(header, study.study_instance_uid), rank=rank)
            fields = {field.name: getattr(known, field.name) for field in dataclasses.fields(FilmTruth)}
            films.append(DicomFilm(**fields, path=source.path, projection=shown))
        if len(patients) > 1:
            raise TruthError(
                f"puts the films of study {study.study_instance_uid} under {len(patients)} patients",
                "give one patient one name: intervals and folds are by patient",
                named,
            )
    if not films and not unusable:
        raise InputError(
            f"has the truth of none of these {len(without)} films",
            "give the one that names their SOP Instance UIDs",
            named,
        )
    absent = sorted(film.name for uid, film in truth.items() if uid not in seen)
    several = max(map(len, of_id.values()), default=1)
    if several > 1:
        warnings.append(
            f"{named}: {several} of its patients have films of one Patient ID: are they one person?"
        )
    if absent:
        warnings.append(f"{named}: {_some(absent)} with truth not found among the films")
    if without:
        warnings.append(f"{_some(sorted(without))} without truth in {named}: left out")
    return AnnotatedFilms(
        tuple(sorted(films, key=lambda film: film.name)), tuple(sorted(unusable)), tuple(warnings)
    )


def _read_all(paths: Sequence[Path]) -> dict[str, FilmTruth]:
    truth: dict[str, FilmTruth] = {}
    for path in paths:
        for uid, film in read_truth(path).items():
            if uid in truth:
                raise TruthError(f"film {uid} is in another file of truth, too", "name one of them", path)
            truth[uid] = film
    return truth


def _check_places(header: Dataset, truth: FilmTruth) -> None:
    """Refuse a lesion outside its film."""
    shape = (integer(header, "Rows") or 0, integer(header, "Columns") or 0)
    for lesion in truth.lesions:
        if not all(-0.5 <= place < size - 0.5 for place, size in zip(lesion.center, shape, strict=True)):
            raise TruthError(
                f"film {truth.name}: a lesion at {lesion.center} is outside its {shape[0]} rows "
                f"and {shape[1]} columns",
                "check whether the truth belongs to these films",
            )


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:_NAMED]) + (", ..." if len(names) > _NAMED else "")
    return f"{len(names)} film{'s' if len(names) != 1 else ''} ({shown})"
