"""Films of a study that come late, or again in part: what has become of its earlier films."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from converters.studies import StudyInput
from worker.gateway.folders import Folders
from worker.gateway.grants import Grants
from worker.gateway.inspector import Inspector
from worker.gateway.result_files import stands
from worker.gateway.tokens import Token, Tokens
from worker.growth import MissingFilmsError, contents_of, grown, holds, is_held
from worker.job import DamagedRecordError, Record
from worker.records import Records


@dataclass(frozen=True, slots=True)
class Together:
    """What is to be done with the films of a study.

    Attributes:
        study: with all its films; None if earlier ones cannot be read any more.
        parts: the token's jobs whose place the new one takes, the newest first.
        known: a job that has all these films, and others; "" if there is none.
        replaced: the job whose result the new one replaces; "" if there is none.
    """

    study: StudyInput | None
    parts: tuple[Record, ...] = ()
    known: str = ""
    replaced: str = ""


@dataclass(frozen=True, slots=True)
class Late:
    """Puts late films together with the earlier ones of their study, of one token."""

    records: Records
    folders: Folders
    grants: Grants
    inspector: Inspector
    tokens: Tokens

    def together(self, study: StudyInput, token: Token) -> Together:
        """``study`` with the films that ``token`` has sent of it before, if their result stands or is due.

        Raises:
            ProblemError: from looking through them.
            QueueError: the queue cannot be reached.
        """
        found = self._found(study, token.id)
        parts = _without_held(found)
        for part in parts:
            held = part.study is not None and is_held(contents_of(study), contents_of(part.study))
            if held and part.state != "failed":
                return Together(study, parts, part.job_id)
        earlier = tuple(part.study for part in parts if part.study is not None)
        if all(holds(contents_of(study), contents_of(each)) for each in earlier):
            return Together(study, parts)  # also if there is none: no file need be looked at
        results, uid = self.folders.results, study.study_instance_uid
        standing = (record.job_id for record in found if stands(results, record.job_id, uid))
        whole = self.inspector.run(partial(_grown, study, earlier))
        return Together(whole, parts, replaced=next(standing, ""))

    def alone(self, study: StudyInput, token: Token) -> Together:
        """``study`` as it is (``force``), in the place of the token's jobs of it that have failed."""
        return Together(study, tuple(part for part in self._found(study, token.id) if part.state == "failed"))

    def take_place(self, parts: Sequence[Record], job: str, token: Token) -> None:
        """Let ``job`` stand for those of ``parts`` that are not done, unless others wait for them."""
        others = [other.id for other in self.tokens.all() if other.id != token.id]
        for part in parts:
            ours_alone = part.outs == (self.folders.result_root(part.job_id),)
            if part.job_id != job and ours_alone and not self.grants.shared(part.job_id, others):
                self.records.supersede(part.job_id, job)

    def _found(self, study: StudyInput, token: str) -> list[Record]:
        """The token's jobs of other films of the study that are wanted, the newest first.

        They are under way, have failed, or have a result.
        """
        files = {film.sha256 for film in study.films}
        found = []
        for job in self.records.of_study(study.study_instance_uid):
            with suppress(DamagedRecordError):
                record = self.records.get(job) if self.grants.has(token, job) else None
                if record is None or record.study is None:
                    continue
                there = record.wanted or stands(self.folders.results, job, study.study_instance_uid)
                if there and {film.sha256 for film in record.study.films} != files:
                    found.append(record)
        return sorted(found, key=lambda record: record.created, reverse=True)


def _without_held(found: Sequence[Record]) -> tuple[Record, ...]:
    """``found`` without those whose films another of them has, too."""
    kept: list[Record] = []
    for record in sorted(found, key=lambda record: record.films, reverse=True):
        if not any(_has(other, record) for other in kept):
            kept.append(record)
    return tuple(sorted(kept, key=lambda record: record.created, reverse=True))


def _has(record: Record, other: Record) -> bool:
    """Whether ``record`` is of each film of ``other``: the very file, or another of its SOP Instance UID."""
    if record.study is None or other.study is None:
        return False
    return holds(contents_of(record.study), contents_of(other.study))


def _grown(study: StudyInput, earlier: Sequence[StudyInput]) -> StudyInput | None:
    try:
        return grown(study, earlier)
    except MissingFilmsError:
        return None
