"""Films of a study that come late, or again in part: what has become of its earlier films."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from bcd_model.errors import OutputError
from bcd_model.reasons import Reason
from converters.films.studies import FilmSource, StudyInput
from worker.gateway.access import Grants
from worker.gateway.storage.folders import Folders
from worker.gateway.storage.result_files import stands
from worker.gateway.tokens import Token, Tokens
from worker.gateway.upload.inspector import Inspector
from worker.queue.job import Record
from worker.queue.records import Records
from worker.study.growth import MissingFilmsError, contents_of, forced, grown, holds, is_held
from worker.study.published import published
from worker.study.same_film import (
    KnownFilms,
    comes_in_other_files,
    films_in_result,
    films_submitted,
    recognised,
)


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


@dataclass(frozen=True, slots=True)
class Late:
    """Puts late films together with the earlier ones of their study, of one token."""

    records: Records
    folders: Folders
    grants: Grants
    inspector: Inspector
    tokens: Tokens

    def together(self, studies: Sequence[StudyInput], token: Token) -> list[Together]:
        """Each of ``studies`` with the films that ``token`` has sent of it before, if they still count.

        What has to be read of earlier films is read in one go: a night that is sent anew has hundreds.

        Raises:
            ProblemError: from looking through them.
            QueueError: the queue cannot be reached.
        """
        known = self._recognised(studies, token, force=False)
        plans = [
            self._planned(study, token)
            if isinstance(study, StudyInput)
            else (Together(None, refused=study), ())
            for study in known
        ]
        due = [
            (study, earlier)
            for study, (_, earlier) in zip(known, plans, strict=True)
            if earlier and isinstance(study, StudyInput)
        ]
        wholes = iter(self.inspector.run(partial(_all_grown, due)) if due else ())
        return [replace(plan, study=next(wholes)) if earlier else plan for plan, earlier in plans]

    def _recognised(
        self, studies: Sequence[StudyInput], token: Token, *, force: bool
    ) -> Sequence[StudyInput | Reason]:
        """``studies``; a film that ``token`` has sent before in another file is described as it was then.

        In the place of a study whose film comes with other pixels, the reason why it is refused.
        """
        found = [self._found(study, token.id) for study in studies]
        known = [self._known(study, parts) for study, parts in zip(studies, found, strict=True)]
        if not any(map(comes_in_other_files, studies, known)):
            return [recognised(study, each) for study, each in zip(studies, known, strict=True)]
        return self.inspector.run(
            partial(_all_recognised, list(zip(studies, known, strict=True)), force=force)
        )

    def _known(self, study: StudyInput, parts: Sequence[Record]) -> tuple[KnownFilms, KnownFilms]:
        """The films of the results, and of the submissions, of the jobs ``parts``."""
        folders = [self.folders.result_root(part.job_id) / study.study_instance_uid for part in parts]
        results = [found.contents for folder in folders if (found := published(folder)) is not None]
        return (
            films_in_result([film for contents in results for film in contents]),
            films_submitted(part.study for part in parts if part.study is not None and not part.refused),
        )

    def _planned(self, study: StudyInput, token: Token) -> tuple[Together, tuple[StudyInput, ...]]:
        """What is to be done with ``study``, and the earlier ones that it has to be put together with."""
        found = self._found(study, token.id)
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
        results, uid = self.folders.results, study.study_instance_uid
        standing = (
            part.job_id for part in found if not _is_of(part, study) and stands(results, part.job_id, uid)
        )
        return Together(study, parts, replaced=next(standing, "")), earlier

    def alone(self, studies: Sequence[StudyInput], token: Token) -> list[Together]:
        """Each of ``studies`` as it is (``force``), in the place of the token's jobs of it that have failed.

        Raises:
            ProblemError: from looking through them.
            QueueError: the queue cannot be reached.
        """
        answers = self._recognised(studies, token, force=True)
        studies = [study for study in answers if isinstance(study, StudyInput)]
        found = [self._found(study, token.id) for study in studies]
        known = [
            [film for part in parts if part.study and not part.refused for film in part.study.films]
            for parts in found
        ]
        if any(known):
            studies = self.inspector.run(partial(_all_forced, list(zip(studies, known, strict=True))))
        return [
            Together(
                study, tuple(part for part in parts if part.state == "failed" and not _is_of(part, study))
            )
            for study, parts in zip(studies, found, strict=True)
        ]

    def take_place(self, parts: Sequence[Record], job: str, token: Token) -> None:
        """Let ``job`` stand for those of ``parts`` that are not done, unless others wait for them."""
        others = [other.id for other in self.tokens.all() if other.id != token.id]
        for part in parts:
            ours_alone = part.refused or part.outs == (self.folders.result_root(part.job_id),)
            if part.job_id != job and ours_alone and not self.grants.shared(part.job_id, others):
                self.records.supersede(part.job_id, job)

    def _found(self, study: StudyInput, token: str) -> list[Record]:
        """The token's jobs of the study that are wanted, the newest first.

        They are under way, have failed, or have a result.
        """
        found = []
        for job in self.records.of_study(study.study_instance_uid):
            record = self.records.get(job) if self.grants.has(token, job) else None
            if record is None:
                continue
            result = stands(self.folders.results, job, study.study_instance_uid)
            if record.wanted or result:
                found.append(record)
        return sorted(found, key=lambda record: record.created, reverse=True)


def _all_recognised(
    studies: Sequence[tuple[StudyInput, Sequence[KnownFilms]]], *, force: bool
) -> list[StudyInput | Reason]:
    return [_recognised(study, known, force=force) for study, known in studies]


def _recognised(study: StudyInput, known: Sequence[KnownFilms], *, force: bool) -> StudyInput | Reason:
    try:
        return recognised(study, known, force=force)
    except OutputError as error:
        return error.reason


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


def _all_grown(
    studies: Sequence[tuple[StudyInput, Sequence[StudyInput]]],
) -> list[StudyInput | None]:
    return [_grown(study, earlier) for study, earlier in studies]


def _all_forced(studies: Sequence[tuple[StudyInput, Sequence[FilmSource]]]) -> list[StudyInput]:
    return [forced(study, known) if known else study for study, known in studies]


def _grown(study: StudyInput, earlier: Sequence[StudyInput]) -> StudyInput | None:
    try:
        return grown(study, earlier)
    except MissingFilmsError:
        return None
