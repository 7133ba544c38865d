"""Reasons as the tests write and read them."""

from __future__ import annotations

from bcd_model.reasons import Reason
from converters.results.study_result import FailedFilm, FilmResult


def because(detail: str, code: str = "film") -> Reason:
    """A reason that says ``detail``."""
    return Reason(code, detail)


def said(reason: Reason | None) -> str | None:
    """What a reason says to everybody; None if there is none."""
    return None if reason is None else str(reason)


def reason_of(film: FilmResult) -> Reason | None:
    """Why a film failed; None if it did not."""
    return film.reason if isinstance(film, FailedFilm) else None
