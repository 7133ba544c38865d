"""How a study ended: its state, its exit code, its films by what became of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Final, Literal, get_args

from pydantic import Field

from bcd_model.errors import BcdError, InputError
from bcd_model.reasons import Reason
from converters.results import film_facts, wording
from converters.results.outcome import Coverage, Extent, coverage, uncovered
from converters.results.study_result import FailedFilm, FilmResult, ScannedFilm, StudyResult

State = Literal["queued", "running", "done", "done with failures", "failed", "cancelled"]
STATES: Final[tuple[State, ...]] = get_args(State)
UNDER_WAY: Final[frozenset[State]] = frozenset({"queued", "running"})

Count = Annotated[int, Field(ge=0, lt=1 << 31)]
"""Of films, attempts or lost workers: more cannot be."""

ENDINGS: Final[Mapping[Extent, tuple[State, int]]] = {
    "all": ("done", 0),
    "some": ("done with failures", BcdError.exit_code),
    "none": ("failed", InputError.exit_code),
}
"""How a job ends, and with which exit code, by how much of its study was looked at."""


@dataclass(frozen=True, slots=True)
class Tally:
    """What a finished job found, as far as a summary of many jobs needs it.

    Attributes:
        scanned: films scanned.
        failed: films that could not be scanned.
        flagged: films with a finding at or above the operating point.
        highest: the highest probability of abnormality of any finding; 0 if there is none.
        excluded: films that were left out of the scan by a rule.
    """

    scanned: Count = 0
    failed: Count = 0
    flagged: Count = 0
    highest: Annotated[float, Field(ge=0, le=1)] = 0.0
    excluded: Count = 0


NOTHING = Tally()


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a study ended: its state, why it failed, the exit code that belongs to it, and what was found."""

    state: State
    reason: Reason | None = None
    exit_code: int = 0
    tally: Tally = NOTHING


def outcome_of(result: StudyResult) -> Outcome:
    """Done if the study was looked at as a whole, failed if nothing of it was, else done with failures."""
    extent = coverage(result)
    state, exit_code = ENDINGS[extent.extent]
    return Outcome(state, None if state == "done" else _why(result, extent), exit_code, tally_of(result))


def _why(result: StudyResult, extent: Coverage) -> Reason:
    """Why a study was not looked at as a whole: of its first film that failed, else of its unseen views."""
    if extent.failed:
        failed = next(film for film in result.films if isinstance(film, FailedFilm))
        place = failed.reason.place or failed.file
        return replace(failed.reason, film=_called(result, failed), place=place)
    first = uncovered(result)[0]
    detail = f"{wording.why_not_scanned(first)} (not looked at: {', '.join(extent.unseen)})"
    return Reason("view-not-seen", detail, film=_called(result, first))


def in_one_line(reason: Reason | None, films: int, tally: Tally, *, with_place: bool = False) -> str:
    """Why a job ended as it did, or waits: how many films of it failed, then the reason; "" if there is none.

    Args:
        films: of the job.
        with_place: for the user who named the files, with the file's or folder's name.
    """
    if reason is None:
        return ""
    said = reason.with_place if with_place else str(reason)
    if not reason.film:
        return said
    if not tally.scanned:
        return f"no film of {films} could be scanned; {said}"
    if tally.failed:
        return f"{tally.failed} of {films} films failed; {said}"
    return f"a view was not looked at; {said}"


def _called(result: StudyResult, film: FilmResult) -> str:
    """What people call ``film``: its file may be named after a patient, and records are passed on."""
    return film_facts.name(film, next(number for number, each in result.numbered if each is film))


def tally_of(result: StudyResult) -> Tally:
    """What a summary of many jobs needs to know of ``result``."""
    scans = [film.scan for film in result.films if isinstance(film, ScannedFilm)]
    presents = result.operating_point.presents
    extent = coverage(result)
    return Tally(
        scanned=extent.scanned,
        failed=extent.failed,
        excluded=extent.excluded,
        flagged=sum(any(presents(finding) for finding in scan.findings) for scan in scans),
        highest=round(max((f.probability.abnormal for scan in scans for f in scan.findings), default=0.0), 6),
    )
