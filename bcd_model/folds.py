"""Folds by patient: they never part a patient's films."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from bcd_model.duplicates import NamedFilm, check_pictures
from bcd_model.errors import TruthError
from bcd_model.words import Lesion


class _Annotated(NamedFilm, Protocol):
    @property
    def lesions(self) -> Sequence[Lesion]: ...

    @property
    def unlocated(self) -> bool: ...

    @property
    def pixel_digest(self) -> str: ...


def check_split(films: Sequence[_Annotated], placed: Mapping[str, int]) -> None:
    """Refuse folds from which no figure on unseen patients can come.

    Args:
        placed: patient -> fold.

    Raises:
        TruthError: one picture is two films, no film is normal, or a fold leaves no lesion of a class to
            train on.
    """
    check_pictures((film.pixel_digest or film.name, film) for film in films)
    if all(film.lesions or film.unlocated for film in films):
        raise TruthError("no film is normal", "train on normal and abnormal films")
    folds = sorted(set(placed.values()))
    for label in ("benign", "malignant"):
        of = {film.patient for film in films if not film.unlocated and _shows(film, label)}
        for fold in folds:
            if all(placed[patient] == fold for patient in of):
                raise TruthError(
                    f"fold {fold + 1} of {len(folds)} would be trained without a {label} lesion "
                    f"({len(of)} patient{'s'[: len(of) != 1]} with one that has a place)",
                    f"give films of more patients with {label} lesions",
                )


def _shows(film: _Annotated, label: str) -> bool:
    return any(lesion.label == label for lesion in film.lesions)


def patient_folds(severity: dict[str, int], folds: int, seed: int) -> dict[str, int]:
    """Return the fold of each patient, stratified by the worst class among the patient's films.

    Args:
        severity: patient -> 0 normal, 1 benign, 2 malignant.

    Raises:
        TruthError: fewer patients than folds.
    """
    if len(severity) < folds:
        raise TruthError(
            f"{len(severity)} patients cannot fill {folds} folds", "give more films or fewer folds"
        )
    rng = np.random.default_rng(seed)
    placed: dict[str, int] = {}
    for wanted in (2, 1, 0):
        stratum = sorted(patient for patient, worst in severity.items() if worst == wanted)
        for index in rng.permutation(len(stratum)):
            # One counter through all strata keeps the folds equal in size.
            placed[stratum[index]] = len(placed) % folds
    return placed
