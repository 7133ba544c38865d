"""Which film shows the other breast of the same patient in the same view."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bcd_model.words import Projection


def other_breasts(films: Sequence[Projection]) -> list[int | None]:
    """Return for each film the index of the film of the other breast in the same view and of the same kind.

    Of repeats it is the one that was taken last. None if there is none, if it is not known which of several
    was last, or if view or laterality are not known.
    """
    return [_other(film, films) for film in films]


def _other(film: Projection, films: Sequence[Projection]) -> int | None:
    if film.view is None or film.laterality is None:
        return None
    wanted = replace(film, laterality="R" if film.laterality == "L" else "L")
    found = [index for index, each in enumerate(films) if each == wanted]
    latest = max((films[index].rank for index in found), default=0)
    last = [index for index in found if films[index].rank == latest]
    return last[0] if len(last) == 1 else None
