"""How far a study was looked at: the one place that decides it, for every object and every summary.

A study is looked at as a whole if each of its films was scanned, or is a plain specimen, or was excluded by a
rule while a scanned film shows the same breast of the same patient in the same view, an implant displaced in
both or in neither. A specimen by its code or its own attributes is plain if it states no view; one by a word,
if nothing names its breast or view.
A film that failed, or a view that no scanned film shows, leaves it looked at in part.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from converters.films import header as film_header
from converters.films import kinds
from converters.films.identity import Identity
from converters.results import film_facts
from converters.results.patients import identity_of
from converters.results.study_result import ExcludedFilm, FilmResult, ScannedFilm, StudyResult

Extent = Literal["all", "some", "none"]
"""How much of a study was looked at."""

_Projection = tuple[Identity, str, str, bool]
"""Patient, side and view; whether an implant is displaced, as the two show other tissue."""

NOT_STATED = "a view that is not stated"


@dataclass(frozen=True, slots=True)
class Coverage:
    """What became of the films of a study.

    Attributes:
        scanned: how many were scanned; ``failed`` and ``excluded`` likewise.
        unseen: the views that no scanned film shows ("L MLO"), in the order of the films.
        findings: whether any film has a finding, also below the operating point.
    """

    scanned: int
    failed: int
    excluded: int
    unseen: tuple[str, ...]
    findings: bool

    @property
    def extent(self) -> Extent:
        """How much was looked at."""
        if self.scanned == 0:
            return "none"
        return "some" if self.failed or self.unseen else "all"


def coverage(result: StudyResult) -> Coverage:
    """What became of the films of ``result``."""
    outcomes = [film.outcome for film in result.films]
    return Coverage(
        scanned=outcomes.count("scanned"),
        failed=outcomes.count("failed"),
        excluded=outcomes.count("excluded"),
        unseen=tuple(dict.fromkeys(film_facts.projection(film) or NOT_STATED for film in uncovered(result))),
        findings=any(isinstance(film, ScannedFilm) and film.scan.findings for film in result.films),
    )


def uncovered(result: StudyResult) -> tuple[FilmResult, ...]:
    """The films that were not scanned and whose view no scanned film shows.

    A plain specimen is none of them beside a film that was scanned.
    """
    scanned = [film for film in result.films if film.outcome == "scanned"]
    whole = [film for film in scanned if not film_facts.is_partial(film)]
    shown = {_projection(film) for film in whole} - {None}  # a magnified film shows a part of its view
    return tuple(
        film
        for film in result.films
        if film.outcome != "scanned"
        and _projection(film) not in shown
        and not (scanned and _is_plain_specimen(film))
    )


def _is_plain_specimen(film: FilmResult) -> bool:
    """Whether it was excluded as a specimen and shows no breast: "L CC after specimen" may show one."""
    if not isinstance(film, ExcludedFilm) or film.rule != "specimen" or film.header is None:
        return False
    if kinds.is_coded_specimen(film.header):
        return film_header.view_of_exposure(film.header) is None
    return not film_facts.projection(film)


def _projection(film: FilmResult) -> _Projection | None:
    patient, side, view = identity_of(film), film_facts.laterality(film), film_facts.view(film)
    if patient is None or side is None or view is None:
        return None
    return patient, side, view, film_facts.is_displaced(film)
