"""What a cross-validation cannot do without, checked before anything is trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from bcd_model.errors import TruthError

if TYPE_CHECKING:
    from bcd_model.sampling import TrainingFilm


def check_split(films: Sequence[TrainingFilm], placed: Mapping[str, int]) -> None:
    """Refuse folds that no honest figure can come from.

    Args:
        placed: patient -> fold.

    Raises:
        TruthError: one picture is two films, no film is normal, or a fold leaves no lesion of a class to
            train on.
    """
    _check_pictures(films)
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


def _check_pictures(films: Sequence[TrainingFilm]) -> None:
    """The same pixels under two names may stand on both sides of a split."""
    known: dict[str, TrainingFilm] = {}
    for film in films:
        other = known.setdefault(film.pixel_digest or film.name, film)
        if other is not film:
            whose = "" if other.patient == film.patient else ", under two patients"
            raise TruthError(
                f"films {other.name} and {film.name} are the same picture{whose}", "give every film once"
            )


def _shows(film: TrainingFilm, label: str) -> bool:
    return any(lesion.label == label for lesion in film.lesions)


__all__ = ["check_split"]
