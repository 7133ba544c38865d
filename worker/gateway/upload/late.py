"""Films of a study that come late, or again in part: what has become of its earlier films."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import starmap
from typing import TYPE_CHECKING

from bcd_model.errors import OutputError
from bcd_model.reasons import Reason
from converters.films.studies import FilmSource, StudyInput
from worker.gateway.storage.result_files import stands
from worker.gateway.tokens import Token
from worker.queue.job import Record
from worker.study.growth import MissingFilmsError, contents_of, forced, grown, holds, is_held
from worker.study.published import published
from worker.study.same_film import (
    KnownFilms,
    comes_in_other_files,
    films_in_result,
    films_submitted,
    recognised,
)

if TYPE_CHECKING:  # the processes of the inspector, which import this module, need no FastAPI
    from worker.gateway.dependencies import Gateway


@dataclass(frozen=True, slots=True)
class Together:
    """What is to be done with the films of a study.

    Attributes:
        study: with all its films; None if earlier ones cannot be read any more.
        parts: the token's jobs whose place the new one takes, the newest first.
        refused: why there is no ``study``; None if earlier films cannot be read any more.
        known: a job that has all these films, and others; "" if there is none.
        replaced: the job whose result the new one replaces; "" if there is none.
    """

    study: StudyInput | None
    parts: tuple[Record, ...] = ()
    known: str = ""
    replaced: str = ""
    refused: Reason | None = None


def together(here: Gateway, studies: Sequence[StudyInput], token: Token) -> list[Together]:
    """Each of ``studies`` with the films that ``token`` has sent of it before, if they still count.

    What has to be read of earlier films is read in one go: a night that is sent anew has hundreds.

    Raises:
        ProblemError: from looking through them.
        QueueError: the queue cannot be reached.
    """
    found = [_found(here, study, token) for study in studies]
    plans = [
        _planned(here, study, parts) if isinstance(study, StudyInput) else (Together(None, refused=study), ())
        for study, parts in zip(_recognised(here, studies, found, force=False), found, strict=True)
    ]
    due = [(plan.study, earlier) for plan, earlier in plans if plan.study is not None and earlier]
    wholes = iter(here.inspector.run(partial(_all_grown, due)) if due else ())
    return [replace(plan, study=next(wholes)) if earlier else plan for plan, earlier in plans]


def alone(here: Gateway, studies: Sequence[StudyInput], token: Token) -> list[Together]:
    """Each of ``studies`` as it is (``force``), in the place of the token's jobs of it that have failed.

    Raises:
        ProblemError: from looking through them.
        QueueError: the queue cannot be reached.
    """
    found = [_found(here, study, token) for study in studies]
    answers = _recognised(here, studies, found, force=True)
    studies = [study for study in answers if isinstance(study, StudyInput)]  # by force none is refused
    known = [
        [film for part in parts if part.study and not part.refused for film in part.study.films]
        for parts in found
    ]
    if any(known):
        studies = here.inspector.run(partial(_all_forced, list(zip(studies, known, strict=True))))
    return [
        Together(study, tuple(part for part in parts if part.state == "failed" and not _is_of(part, study)))
        for study, parts in zip(studies, found, strict=True)
    ]


def _found(here: Gateway, study: StudyInput, token: Token) -> list[Record]:
    """The token's jobs of the study that are wanted, the newest first.

    They are under way, have failed, or have a result.
    """
    found = []
    uid = study.study_instance_uid
    for job in here.records.of_study(uid):
        record = here.records.get(job) if here.grants.has(token.id, job) else None
        if record is not None and (record.wanted or stands(here.folders.results, job, uid)):
            found.append(record)
    return sorted(found, key=lambda record: record.created, reverse=True)


def _recognised(
    here: Gateway, studies: Sequence[StudyInput], found: Sequence[Sequence[Record]], *, force: bool
) -> Sequence[StudyInput | Reason]:
    """``studies``; a film that the token has sent before in another file is described as it was then.

    In the place of a study whose film comes with other pixels, the reason why it is refused.

    Args:
        found: the token's jobs of each of them.
    """
    known = [(study, _known(here, study, parts)) for study, parts in zip(studies, found, strict=True)]
    look = partial(_all_recognised, known, force=force)
    return here.inspector.run(look) if any(starmap(comes_in_other_files, known)) else look()


def _known(here: Gateway, study: StudyInput, parts: Sequence[Record]) -> tuple[KnownFilms, KnownFilms]:
    """The films of the results, and of the submissions, of the jobs ``parts``."""
    folders = [here.folders.result_root(part.job_id) / study.study_instance_uid for part in parts]
    results = [found.contents for folder in folders if (found := published(folder)) is not None]
    return (
        films_in_result([film for contents in results for film in contents]),
        films_submitted(part.study for part in parts if part.study is not None and not part.refused),
    )


def _planned(
    here: Gateway, study: StudyInput, found: Sequence[Record]
) -> tuple[Together, tuple[StudyInput, ...]]:
    """What is to be done with ``study``, and the earlier ones that it has to be put together with.

    Args:
        found: the token's jobs of it.
    """
    repaired = (part for part in found if part.refused and part.study and _holds(study, part.study))
    kept = _without_held([part for part in found if not part.refused])
    parts = (*(part for part in kept if not _is_of(part, study)), *repaired)
    for part in parts:
        held = part.study is not None and is_held(contents_of(study), contents_of(part.study))
        if held and part.state != "failed":
            return Together(study, parts, part.job_id), ()
    earlier = tuple(part.study for part in kept if part.study is not None)
    if all(_is_included(each, study) for each in earlier):
        return Together(study, parts), ()  # also if there is none: no file need be looked at
    results, uid = here.folders.results, study.study_instance_uid
    standing = (
        part.job_id for part in found if not _is_of(part, study) and stands(results, part.job_id, uid)
    )
    return Together(study, parts, replaced=next(standing, "")), earlier


def _all_recognised(
    studies: Sequence[tuple[StudyInput, Sequence[KnownFilms]]], *, force: bool
) -> list[StudyInput | Reason]:
    answers: list[StudyInput | Reason] = []
    for study, known in studies:
        try:
            answers.append(recognised(study, known, force=force))
        except OutputError as error:
            answers.append(error.reason)
    return answers


def _without_held(found: Sequence[Record]) -> tuple[Record, ...]:
    """``found`` without those whose films another of them has, too."""
    kept: list[Record] = []
    for record in sorted(found, key=_files, reverse=True):
        if not any(_has(other, record) for other in kept):
            kept.append(record)
    return tuple(sorted(kept, key=lambda record: record.created, reverse=True))


def _files(record: Record) -> tuple[int, int]:
    """How many files ``record`` has taken into account; of as many, the more the fewer contradict."""
    films = record.study.films if record.study is not None else ()
    return sum(len(film.all_sha256) or 1 for film in films), -sum(film.contradicts for film in films)


def _is_of(record: Record, study: StudyInput) -> bool:
    """Whether ``record`` is of the files of ``study``."""
    films = record.study.films if record.study is not None else ()
    return {film.digest for film in films} == {film.digest for film in study.films}


def _is_included(earlier: StudyInput, study: StudyInput) -> bool:
    """Whether ``study`` has each film of ``earlier`` and says all that it says of its files."""
    files = {(film.digest, film.all_sha256) for film in study.films}
    digests = {digest for film in study.films for digest in (film.digest, *film.all_sha256)}
    return all(
        (film.digest, film.all_sha256) in files or (not film.all_sha256 and film.digest in digests)
        for film in earlier.films
    )


def _has(record: Record, other: Record) -> bool:
    """Whether ``record`` is of each film of ``other``, or has taken it into account."""
    return record.study is not None and other.study is not None and _holds(record.study, other.study)


def _holds(study: StudyInput, other: StudyInput) -> bool:
    return holds(contents_of(study), contents_of(other))


def _all_grown(studies: Sequence[tuple[StudyInput, Sequence[StudyInput]]]) -> list[StudyInput | None]:
    wholes: list[StudyInput | None] = []
    for study, earlier in studies:
        try:
            wholes.append(grown(study, earlier))
        except MissingFilmsError:
            wholes.append(None)
    return wholes


def _all_forced(studies: Sequence[tuple[StudyInput, Sequence[FilmSource]]]) -> list[StudyInput]:
    return [forced(study, known) if known else study for study, known in studies]
