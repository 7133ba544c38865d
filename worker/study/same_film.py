"""A film that comes in another file: from an archive, on a medium, in another transfer syntax.

It is the same film if its header says the same (`converters.films.facts`) and its stored values are the same.
As a rule no film comes again in other bytes, so that no pixels are decoded to submit it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from bcd_model.errors import FilmError, OutputError
from bcd_model.reasons import Reason
from converters.films.read import stored_values_of
from converters.films.studies import FilmSource, StudyInput
from worker.study.growth import Contents

_KEEP_RIGHT_ONE = "keep the right one, or replace the result with --force"


@dataclass(frozen=True, slots=True)
class Known:
    """A file in which a film has come before.

    Attributes:
        digest: what identifies the film.
        sha256: of the file.
        scannable: whether it was scanned, or is to be.
        path: of the file; None if that is not known.
        pixel_digest: of its stored values; None if that is not known.
    """

    digest: str
    sha256: str
    scannable: bool
    path: Path | None = None
    pixel_digest: str | None = None


KnownFilms = dict[tuple[str | None, str], list[Known]]
"""By SOP Instance UID and what the header says."""


def films_in_result(contents: Contents) -> KnownFilms:
    """The films of a result."""
    found: KnownFilms = {}
    for film in contents:
        if film.facts and film.digest and film.sha256:
            scanned = film.pixel_digest is not None
            known = Known(film.digest, film.sha256, scanned, pixel_digest=film.pixel_digest)
            found.setdefault((film.sop_instance_uid, film.facts), []).append(known)
    return found


def films_submitted(studies: Iterable[StudyInput]) -> KnownFilms:
    """The films of earlier submissions."""
    found: KnownFilms = {}
    for source in (film for study in studies for film in study.films):
        if source.facts and not source.contradicts:
            known = Known(source.digest, source.sha256, source.scannable, source.path)
            found.setdefault((source.sop_instance_uid, source.facts), []).append(known)
    return found


def comes_in_other_files(study: StudyInput, known: Iterable[KnownFilms]) -> bool:
    """Whether a film of ``study`` may be one that is known, in another file."""
    return any(
        each.sha256 != film.sha256
        for films in known
        for film in study.films
        for each in films.get((film.sop_instance_uid, film.facts), ())
    )


def recognised(
    study: StudyInput,
    known: Sequence[KnownFilms],
    *,
    own: Sequence[KnownFilms] | None = None,
    force: bool = False,
) -> StudyInput:
    """``study``; its films that are known have the digests that they had when they came first.

    Args:
        known: what stands in the results folder, then in others, then what was submitted: the first that has
            a film decides.
        own: those of them that came for the same results folder; by default all.
        force: whether a film may have other pixels than stand in a result, or be one that cannot be used.

    Raises:
        OutputError: a film that stands in a result comes with other pixels under the same header; or one that
            can be used, and came for the same folder, comes with the same header in a file that cannot.
    """
    own = known if own is None else own
    films = []
    for film in study.films:
        key = film.sop_instance_uid, film.facts
        found = [some.get(key, []) for some in known]
        ours = [each for some in own for each in some.get(key, ())]
        # the very file is no other one, whatever an earlier version thought of it
        is_other = all(each.sha256 != film.sha256 for each in ours)
        refused = is_other and any(each.scannable for each in ours) and not force
        films.append(_recognised(film, found, refused=refused, force=force))
    films.sort(key=lambda film: (film.sop_instance_uid or "", film.digest))
    return replace(study, films=tuple(films))


def _recognised(
    film: FilmSource, known: Sequence[Sequence[Known]], *, refused: bool, force: bool
) -> FilmSource:
    """The film as it is known.

    Args:
        refused: whether a file that cannot be used is.
    """
    if not film.facts or film.contradicts:
        return film
    if film.reason is not None and refused:
        raise _unusable(film, film.reason)
    for some in known:
        alike = next((each for each in some if each.sha256 == film.sha256), None)
        if alike is None and not film.scannable:  # there are no pixels to compare
            alike = next((each for each in some if not each.scannable), None)
        elif alike is None and any(each.scannable for each in some):
            try:
                pixels = _pixels(film.path, film.sha256)
            except FilmError as error:
                if refused:
                    raise _unusable(film, error.reason) from error
                return film
            alike = next((each for each in some if _pixels_of(each) == pixels), None)
            if alike is None and not force and any(each.pixel_digest for each in some):
                detail = (
                    f"film {film.sop_instance_uid} was scanned before, with the same header and other pixels"
                )
                raise OutputError(detail, _KEEP_RIGHT_ONE, film.path, "other-pixels")
        if alike is not None:
            return replace(film, digest=alike.digest)
    return film


def _unusable(film: FilmSource, reason: Reason) -> OutputError:
    detail = f"film {film.sop_instance_uid} came before; this file of it cannot be used: {reason.detail}"
    return OutputError(detail, _KEEP_RIGHT_ONE, film.path, reason.code)


def _pixels_of(known: Known) -> str | None:
    """What identifies the stored values of a film that is known; None if they cannot be read any more."""
    if known.pixel_digest is not None or known.path is None:
        return known.pixel_digest
    try:
        return _pixels(known.path, known.sha256)
    except FilmError:
        return None


@lru_cache(maxsize=4)
def _pixels(path: Path, sha256: str) -> str:
    return stored_values_of(path, sha256)
