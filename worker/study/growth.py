"""Studies that grow: films that come when their study has been submitted already.

A result is of a study, not of those films that came first. So late films make one new job over all films of
the study, which replaces the result that stands; where the earlier films cannot be read any more, they are
refused, for a result over the late ones alone would hide the others.

A late file under a SOP Instance UID that is known never takes the place of the earlier one in silence:

* The very file (SHA-256), or one that has come before, changes nothing.
* A file that is as fit to be scanned as the earlier one is a newer one of the film if both name the same
  patient in full and show the same breast in the same view, or the same Patient ID above the very same
  pixels (a correction), or if the earlier one was known to be unusable and does not name another patient.
  It is taken, and every object warns of it. Both have to be read for that.
* Every other contradicts the earlier one, as if both had been given together: one failed film. But one whose
  header says the very same, and which cannot be used, is refused before (`study.same_film`).
* With ``force``, the same holds of a file that comes for the first time; if nothing can be read of the
  earlier one, or its header says the very same, it is taken with the warning. One that has come before is
  said to be the right one, and taken with the warning. That is how a contradiction ends.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bcd_model.errors import BcdError, FilmError
from converters.dicom.file import integer, load, parse_dicom, survey
from converters.films import header as film_header
from converters.films.identity import Identity, identity_in
from converters.films.studies import FilmSource, StudyInput, contradiction, find_studies
from converters.results.study_result import StudyResult
from worker.study.published import Content

Contents = Collection[Content]
"""What identifies the films of a study."""

_NOWHERE = Path("/")  # not a file


class MissingFilmsError(Exception):
    """Films that were submitted earlier cannot be read any more.

    Args:
        count: how many.
    """

    def __init__(self, count: int) -> None:
        super().__init__(count)
        self.count = count


def contents_of(study: StudyInput | StudyResult) -> Contents:
    """What identifies the films of ``study``."""
    return [
        Content(film.sop_instance_uid, film.digest or None, film.all_sha256, film.sha256)
        for film in study.films
    ]


def films_of(contents: Contents) -> list[FilmSource]:
    """The films of a result, which does not say where they lie; without those that have no digest."""
    return [
        FilmSource(
            _NOWHERE,
            film.sop_instance_uid,
            film.sha256 or film.digest,
            all_sha256=film.all_sha256,
            digest=film.digest,
        )
        for film in contents
        if film.digest
    ]


def holds(new: Contents, old: Contents) -> bool:
    """Whether each film of ``old`` is among ``new``, or one that takes it into account.

    Where ``old`` has no digest, its SOP Instance UID has to do.
    """
    uids, known = {film.sop_instance_uid for film in new} - {None}, _digests(new)
    return all(
        film.sop_instance_uid in uids
        if film.digest is None
        else film.digest in known or (bool(film.all_sha256) and known.issuperset(film.all_sha256))
        for film in old
    )


def is_held(new: Contents, old: Contents) -> bool:
    """Whether ``old`` has every film of ``new``, or has taken it into account."""
    known = _digests(old)
    return all(film.digest in known or film.sha256 in known for film in new)


def _digests(contents: Contents) -> set[str | None]:
    """What identifies the films: in a result of an earlier version the SHA-256 of their files."""
    return {each for film in contents for each in (film.digest, film.sha256, *film.all_sha256)} - {None}


def grows(new: Contents, old: Contents) -> bool:
    """Whether ``new`` is ``old`` with more films, or more files of some: a result of it hides nothing."""
    if any(film.digest is None for film in old):
        more = not {film.sop_instance_uid for film in new} <= {film.sop_instance_uid for film in old}
    else:
        more = not is_held(new, old)
    return more and holds(new, old)


def not_held(new: Contents, old: Contents) -> int:
    """How many films of ``old`` are not among ``new``."""
    return sum(not holds(new, [film]) for film in old)


def remembered(study: StudyInput, contents: Contents) -> StudyInput:
    """``study``; a film that took the place of others in a result did so here, too."""
    known = {film.digest: film.all_sha256 for film in contents}
    films = (replace(film, all_sha256=known.get(film.digest) or film.all_sha256) for film in study.films)
    return replace(study, films=tuple(films))


def grown(study: StudyInput, earlier: Sequence[StudyInput]) -> StudyInput:
    """``study`` and the films of ``earlier`` submissions; of two files of one film see above.

    Raises:
        MissingFilmsError: films of an earlier one are gone, changed, or cannot be read.
    """
    known = _merged((film for each in earlier for film in each.films), _both_read)
    films, newer = dict(known), set()
    for film in study.films:
        there = known.get(_key(film))
        if there is None:
            films[_key(film)] = film
            continue
        newest = _known(film, there)
        if newest is None:
            newest = _newer(film, there) or _both(film, there)
            newer.add(newest.digest)
        films[_key(film)] = newest
    if set(films.values()) == set(study.films):
        return study
    while True:
        # what was known to be unusable stays as it was
        fixed = [film for film in films.values() if film.contradicts or _is_unusable(film, study)]
        union = _read(study.study_instance_uid, [film for film in films.values() if film not in fixed])
        of_file = {film.sha256: film for film in films.values()}
        read = [
            replace(film, digest=of_file[film.sha256].digest, all_sha256=of_file[film.sha256].all_sha256)
            if film.sha256 in of_file
            else film
            for film in union.films
        ]
        # a rule may leave it out for the sake of another film of the whole study
        unfit = [
            film
            for film in read
            if film.digest in newer and (film.reason or (film.rule and film.rule != known[_key(film)].rule))
        ]
        if not unfit:
            break
        for film in unfit:
            films[_key(film)] = contradiction(film.path, film.sop_instance_uid, film.all_sha256)
    gone = sum(not film.path.is_file() for film in fixed)
    if gone:
        raise MissingFilmsError(gone)
    together = sorted((*read, *fixed), key=lambda film: (film.sop_instance_uid or "", film.digest))
    return replace(union, films=tuple(together), warnings=(*union.warnings, *_remarks(fixed)))


def forced(study: StudyInput, known: Iterable[FilmSource]) -> StudyInput:
    """``study`` as it is to be done with ``force``: no other films, and of two files of one film see above.

    Args:
        known: the films of what it is to replace.
    """
    before = _merged(known, _both)
    films = tuple(
        _insisted(film, before[_key(film)]) if _key(film) in before else film for film in study.films
    )
    new = [film for film in films if film not in study.films]
    return replace(study, films=films, warnings=(*study.warnings, *_remarks(new)))


def _insisted(film: FilmSource, there: FilmSource) -> FilmSource:
    """What ``film`` is with ``force``, if ``there`` is what is known of it."""
    files = _files_of(film) | _files_of(there)
    if film.contradicts:
        return contradiction(film.path, film.sop_instance_uid, files)
    if film.digest in _files_of(there):
        return replace(film, all_sha256=tuple(sorted(files)) if len(files) > 1 else ())
    if film.scannable and film.facts and film.facts == there.facts:
        return _in_its_place(film, there)
    try:
        return _newer(film, there) or _both(film, there)
    except MissingFilmsError:  # by force it is the newer one
        return _both(film, there) if film.reason or there.contradicts else _in_its_place(film, there)


def _key(film: FilmSource) -> str:
    return film.sop_instance_uid or film.digest


def _files_of(film: FilmSource) -> frozenset[str]:
    """What identifies each film that ``film`` stands for."""
    return frozenset(film.all_sha256 or (film.digest,))


def _merged(
    films: Iterable[FilmSource], both: Callable[[FilmSource, FilmSource], FilmSource]
) -> dict[str, FilmSource]:
    """Earlier films, each once; of two files of one of which neither is known to be the newer, ``both``."""
    found: dict[str, FilmSource] = {}
    for film in films:
        there = found.get(_key(film))
        found[_key(film)] = film if there is None else _known(film, there) or both(film, there)
    return found


def _known(new: FilmSource, old: FilmSource) -> FilmSource | None:
    """The one of two films that takes all files of the other into account; None if neither does."""
    files, before = _files_of(new), _files_of(old)
    if files == before and new.contradicts == old.contradicts:
        return new if new.digest == old.digest else None
    if files == before:
        return old if new.contradicts else new
    if files < before:
        # where the new one lies it can be read
        if old.contradicts:
            return replace(old, path=new.path)
        return replace(new, all_sha256=old.all_sha256) if old.digest == new.digest else old
    return new if before < files else None


def _newer(new: FilmSource, old: FilmSource) -> FilmSource | None:
    """``new`` in the place of ``old``; None if it is not sure to be a newer file of the same film.

    Raises:
        MissingFilmsError: ``old`` cannot be read any more.
    """
    if new.contradicts or old.contradicts:
        return None
    if new.reason or (new.rule and new.rule != old.rule):
        return None
    if old.reason:  # nothing was found in it that could be lost
        return None if _is_of_another(new, old) else _in_its_place(new, old)
    before, now = _facts(old), _facts(new)
    if now is None or before is None or not now.patient.has_id_of(before.patient):
        return None
    if now != before and not _same_pixels(new, old):
        return None
    return _in_its_place(new, old)


def _is_of_another(new: FilmSource, old: FilmSource) -> bool:
    """Whether ``old`` names another patient than ``new``; not if it names none any more.

    Raises:
        MissingFilmsError: ``new`` is gone.
    """
    try:
        before = _facts(old)
    except MissingFilmsError:
        return False
    now = _facts(new)
    return before is not None and now is not None and now.patient.denies(before.patient)


def _in_its_place(new: FilmSource, old: FilmSource) -> FilmSource:
    return replace(new, all_sha256=tuple(sorted(_files_of(new) | _files_of(old))))


def _same_pixels(new: FilmSource, old: FilmSource) -> bool:
    """Whether two files hold the very same Pixel Data: only what is said of the film has changed."""
    found = _pixels(new)
    return found is not None and found == _pixels(old)


def _pixels(source: FilmSource) -> tuple[object, ...] | None:
    """What identifies the Pixel Data of a file: two may be too large to hold; None if it has none."""
    try:
        file = load(source.path)
        dicom = parse_dicom(file)
    except FilmError:
        return None
    pixels = dicom.pixel_data
    if file.sha256 != source.sha256 or pixels is None or not pixels.whole:
        return None
    shape = tuple(integer(dicom.header, keyword) for keyword in _SHAPE)
    places = pixels.fragments or ((pixels.offset, pixels.present),)
    whole = memoryview(file.data)
    return (
        dicom.transfer_syntax,
        shape,
        [hashlib.sha256(whole[at : at + length]).digest() for at, length in places],
    )


_SHAPE = ("Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation")


@dataclass(frozen=True, slots=True)
class _Facts:
    """What a newer file of a film has to say as the earlier one does."""

    patient: Identity
    laterality: str | None
    view: str | None


def _facts(film: FilmSource) -> _Facts | None:
    """Whose ``film`` is and what it shows; None if its header cannot be read that far.

    Raises:
        MissingFilmsError: the file is gone, or has changed.
    """
    try:
        found = survey(film.path) if film.path.is_file() else None
    except OSError:
        found = None
    if found is None or found.sha256 != film.sha256:
        raise MissingFilmsError(1)
    header = found.dicom.header if found.dicom is not None else None
    patient = identity_in(header) if header is not None else None
    if header is None or patient is None:
        return None
    return _Facts(patient, film_header.laterality(header), film_header.view(header))


def _both(new: FilmSource, old: FilmSource) -> FilmSource:
    return contradiction(new.path, new.sop_instance_uid, _files_of(new) | _files_of(old))


def _both_read(new: FilmSource, old: FilmSource) -> FilmSource:
    """As `_both`.

    Raises:
        MissingFilmsError: one of them cannot be read any more.
    """
    for film in (new, old):
        if not film.contradicts:
            _facts(film)
    return _both(new, old)


def _is_unusable(film: FilmSource, study: StudyInput) -> bool:
    """Whether ``film`` is an earlier one that was known to be unusable."""
    return bool(film.reason and film.sop_instance_uid) and film not in study.films


def _read(study: str, films: Sequence[FilmSource]) -> StudyInput:
    """The study that ``films`` make together.

    Raises:
        MissingFilmsError: some are gone, changed, or cannot be read.
    """
    if not films:
        return StudyInput(study, ())
    there = [film.path for film in films if film.path.is_file()]
    try:
        found = find_studies(there).studies if there else ()
    except BcdError:  # they went meanwhile
        found = ()
    union = {each.study_instance_uid: each for each in found}.get(study)
    read = {film.sha256 for film in union.films} if union is not None else set()
    missing = {film.sha256 for film in films} - read
    if union is None or missing:
        raise MissingFilmsError(max(1, len(missing)))
    return union


def _remarks(films: Iterable[FilmSource]) -> list[str]:
    """What is to be said of films that several files contradict each other about."""
    return [
        f"{len(film.all_sha256)} different files have one SOP Instance UID ({film.sop_instance_uid})"
        for film in films
        if film.contradicts
    ]
