"""What a split of films by patient cannot do without, checked before anything is trained."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from bcd_model.errors import TruthError

if TYPE_CHECKING:
    from bcd_model.training.windows import TrainingFilm


def check_split(films: Sequence[TrainingFilm], placed: Mapping[str, int]) -> None:
    """Refuse folds that no honest figure can come from.

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


def twins(films: Iterable[tuple[str, _Named]]) -> list[str]:
    """Return a line for every film whose picture is that of an earlier one.

    Such films may stand on both sides of a split, and under two patients make intervals too narrow.

    Args:
        films: the digest of each film's picture, and the film.
    """
    known: dict[str, _Named] = {}
    told = []
    for digest, film in films:
        other = known.setdefault(digest, film)
        if other is not film:
            whose = "" if other.patient == film.patient else ", under two patients"
            told.append(f"films {other.name} and {film.name} are the same picture{whose}")
    return told


def check_pictures(films: Iterable[tuple[str, _Named]]) -> None:
    """Refuse films of which one picture is two.

    Raises:
        TruthError: see :func:`twins`.
    """
    for told in twins(films):
        raise TruthError(told, "give every film once")


class _Named(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def patient(self) -> str: ...


def _shows(film: TrainingFilm, label: str) -> bool:
    return any(lesion.label == label for lesion in film.lesions)


__all__ = ["check_pictures", "check_split", "twins"]
