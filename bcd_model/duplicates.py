"""Films that are given twice, and pictures that two films share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from bcd_model.errors import TruthError
from bcd_model.words import AnnotatedFilm


class NamedFilm(Protocol):
    """A film with its name and patient."""

    @property
    def name(self) -> str:
        """Of the film."""

    @property
    def patient(self) -> str:
        """Whose it is."""


def duplicates(films: Iterable[tuple[str, NamedFilm]]) -> list[str]:
    """Return a line for every film whose picture is that of an earlier one.

    Such films may stand on both sides of a split, and under two patients make intervals too narrow.

    Args:
        films: the digest of each film's picture, and the film.
    """
    known: dict[str, NamedFilm] = {}
    found = []
    for digest, film in films:
        other = known.setdefault(digest, film)
        if other is not film:
            whose = "" if other.patient == film.patient else ", under two patients"
            found.append(f"films {other.name} and {film.name} are the same picture{whose}")
    return found


def check_pictures(films: Iterable[tuple[str, NamedFilm]]) -> None:
    """Refuse two films that are one picture.

    Raises:
        TruthError: see :func:`duplicates`.
    """
    for line in duplicates(films):
        raise TruthError(line, "give every film once")


def check_given_once(films: Sequence[AnnotatedFilm]) -> None:
    """Refuse a film that is given twice: it would count twice, or stand on both sides of a split.

    Raises:
        TruthError: one is, and the message names it; or there are none.
    """
    if not films:
        raise TruthError("there is no film with truth", "name films and their truth")
    seen: set[str] = set()
    for film in films:
        if film.name in seen:
            raise TruthError(f"film {film.name} is given twice", "give every film once")
        seen.add(film.name)
