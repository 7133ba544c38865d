"""A film that comes in another file: from an archive, on a medium, in another transfer syntax.

It is the same film if its header says the same (`converters.films.facts`) and its stored values are the same.
As a rule no film comes again in other bytes, so that no pixels are decoded to submit it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from bcd_model.errors import OutputError
from converters.films.read import stored_values_of
from converters.films.studies import FilmSource, StudyInput
from worker.study.growth import Contents

_KEEP_RIGHT_ONE = "keep the right one, or replace the result with --force"


@dataclass(frozen=True, slots=True)
class Known:
    """A file in which a film has come before.

    Attributes:
        digest: what tells the film.
        sha256: of the file.
        path: of the file; None if that is not known.
        pixel_digest: of its stored values; None if it is not known.
    """

    digest: str
    sha256: str
    path: Path | None = None
    pixel_digest: str | None = None


KnownFilms = dict[tuple[str | None, str], list[Known]]
"""By SOP Instance UID and what the header says."""


def known_films(studies: Iterable[StudyInput], results: Iterable[Contents]) -> KnownFilms:
    """The films of earlier submissions and of results."""
    found: KnownFilms = defaultdict(list)
    for contents in results:
        for film in contents:
            if film.facts and film.digest and film.sha256:
                key = film.sop_instance_uid, film.facts
                found[key].append(Known(film.digest, film.sha256, pixel_digest=film.pixel_digest))
    for study in studies:
        for source in study.films:
            if source.facts and not source.contradicts:
                key = source.sop_instance_uid, source.facts
                found[key].append(Known(source.digest, source.sha256, source.path))
    return dict(found)


def comes_in_other_files(study: StudyInput, known: KnownFilms) -> bool:
    """Whether a film of ``study`` may be one that is known, in another file."""
    return any(
        each.sha256 != film.sha256
        for film in study.films
        for each in known.get((film.sop_instance_uid, film.facts), ())
    )


def recognised(study: StudyInput, known: KnownFilms, *, force: bool = False) -> StudyInput:
    """``study``; its films that are known are told as they were when they came first.

    Args:
        force: whether a film may have other pixels than stand in a result.

    Raises:
        OutputError: a film that stands in a result comes with other pixels under the same header.
    """
    films = [
        _recognised(film, known.get((film.sop_instance_uid, film.facts), []), force=force)
        for film in study.films
    ]
    films.sort(key=lambda film: (film.sop_instance_uid or "", film.digest))
    return replace(study, films=tuple(films))


def _recognised(film: FilmSource, known: Sequence[Known], *, force: bool) -> FilmSource:
    if not film.facts or film.contradicts or not known:
        return film
    # what was scanned comes first: a file that was refused has a record, too
    scanned = [each for each in known if each.pixel_digest is not None]
    for some in (scanned, known):
        for each in some:
            if each.sha256 == film.sha256:
                return replace(film, digest=each.digest)
        pixels = _pixels(film.path, film.sha256) if some else None
        for each in some if pixels is not None else ():
            theirs = each.pixel_digest or (_pixels(each.path, each.sha256) if each.path else None)
            if theirs == pixels:
                return replace(film, digest=each.digest)
        if pixels is not None and scanned and not force:
            detail = f"film {film.sop_instance_uid} was scanned before, with the same header and other pixels"
            raise OutputError(detail, _KEEP_RIGHT_ONE, film.path, "other-pixels")
    return film


@lru_cache(maxsize=4)
def _pixels(path: Path, sha256: str) -> str | None:
    return stored_values_of(path, sha256)
