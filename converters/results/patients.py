"""Whose film it is: the patient a header names, and the documents of a study whose films name several.

One Study Instance UID may come with films of two women: a film sent to the wrong study, a number
that was corrected. No object may carry another patient's name, so every object of a film takes its
patient from that film, and documents of a study are written for each patient apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from converters.films.identity import Identity, identity_in
from converters.results.study_result import FilmResult, StudyResult


def identity_of(film: FilmResult) -> Identity | None:
    """The patient of ``film``; None if its header cannot be read that far."""
    return None if film.header is None else identity_in(film.header)


def patients_of(films: Iterable[FilmResult]) -> tuple[Identity, ...]:
    """The patients that ``films`` name, in the order of their first films; each has documents of her own."""
    return tuple(dict.fromkeys(patient for patient in map(identity_of, films) if patient is not None))


def patients_warning(patients: int) -> tuple[str, ...]:
    """What is said of a study whose films name so many patients."""
    return (f"its films name {patients} patients; each has documents of its own",) if patients > 1 else ()


def by_patient(result: StudyResult) -> tuple[StudyResult, ...]:
    """``result`` for each of its patients, in the order of their first films; itself if there is one.

    A film that does not state its patient is in the documents of all: it may be of any of them.
    """
    whose = [identity_of(film) for film in result.films]
    patients = patients_of(result.films)
    if len(patients) < 2:
        return (result,)
    return tuple(
        _part(result, [n for n, each in enumerate(whose) if each in (patient, None)], at, len(patients))
        for at, patient in enumerate(patients, start=1)
    )


def _part(result: StudyResult, indices: Sequence[int], at: int, patients: int) -> StudyResult:
    return replace(
        result,
        films=tuple(result.films[index] for index in indices),
        numbers=tuple(result.numbers[index] for index in indices),
        patient=at,
        patients=patients,
        # The study's own warnings may speak of the other's films.
        warnings=(f"this is of one of the {patients} patients that the films of the study name",),
    )
