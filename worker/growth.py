"""Studies that grow: films that come when their study has been submitted already.

A result is of a study, not of those films that came first. So late films make one new job over all films of
the study, which replaces the result that stands; where the earlier films cannot be read any more, they are
refused, for a result over the late ones alone would hide the others.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from bcd_model.errors import BcdError
from converters.studies import FilmSource, StudyInput, find_studies

Contents = Collection[tuple[str | None, str | None]]
"""SOP Instance UID and SHA-256 of each film; a result of version 0.1 tells no SHA-256."""


class MissingFilmsError(Exception):
    """Films that were submitted earlier cannot be read any more.

    Args:
        count: how many.
    """

    def __init__(self, count: int) -> None:
        super().__init__(count)
        self.count = count


def contents_of(study: StudyInput) -> Contents:
    """What tells the films of ``study``."""
    return [(film.sop_instance_uid, film.sha256) for film in study.films]


def holds(new: Contents, old: Contents) -> bool:
    """Whether each film of ``old`` is among ``new``: the very file, or another of its SOP Instance UID."""
    uids = {uid for uid, _ in new} - {None}
    hashes = {sha256 for _, sha256 in new} - {None}
    return all(uid in uids or sha256 in hashes for uid, sha256 in old)


def is_held(new: Contents, old: Contents) -> bool:
    """Whether ``old`` has every file of ``new``."""
    return {sha256 for _, sha256 in new} <= {sha256 for _, sha256 in old} - {None}


def grows(new: Contents, old: Contents) -> bool:
    """Whether ``new`` is ``old`` with more films, or newer files of some: a result of it hides nothing."""
    if any(sha256 is None for _, sha256 in old):
        more = not {uid for uid, _ in new} <= {uid for uid, _ in old}
    else:
        more = not is_held(new, old)
    return more and holds(new, old)


def not_held(new: Contents, old: Contents) -> int:
    """How many films of ``old`` are not among ``new``."""
    return sum(not holds(new, [film]) for film in old)


def grown(study: StudyInput, earlier: Sequence[StudyInput]) -> StudyInput:
    """``study`` and the films of ``earlier`` submissions; of two with one UID that of ``study`` is taken.

    A film that was known to be unusable, as one of whose UID there are two files, stays as it was: which
    file is the right one is said by sending that.

    Raises:
        MissingFilmsError: films of an earlier one are gone, changed, or cannot be read.
    """
    new = {film.sop_instance_uid for film in study.films} - {None}
    hashes = {film.sha256 for film in study.films}
    kept: dict[str, FilmSource] = {
        film.sha256: film
        for each in earlier
        for film in each.films
        if film.sop_instance_uid not in new and film.sha256 not in hashes
    }
    if not kept:
        return study
    unusable = [film for film in kept.values() if film.reason and film.sop_instance_uid]
    for film in unusable:
        del kept[film.sha256]
    there = [film.path for film in kept.values() if film.path.is_file()]
    try:
        found = find_studies([*(film.path for film in study.films), *there]).studies
    except BcdError:  # they went meanwhile
        found = ()
    union = {each.study_instance_uid: each for each in found}.get(study.study_instance_uid)
    missing = kept.keys() - {film.sha256 for film in (union.films if union is not None else ())}
    if union is None or missing:
        raise MissingFilmsError(max(1, len(missing)))
    uids = {film.sop_instance_uid for film in union.films}
    films = [*union.films, *(film for film in unusable if film.sop_instance_uid not in uids)]
    films.sort(key=lambda film: (film.sop_instance_uid or "", film.sha256))
    return replace(union, films=tuple(films))
