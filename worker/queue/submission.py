"""Submitting: studies become job records and messages; then, if wanted, waiting for their end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from bcd_model.detector.prevalence import in_force
from bcd_model.errors import OutputError, QueueError, exit_code_of
from bcd_model.reasons import Reason
from bcd_model.weights import WeightsInfo
from converters.films.studies import StudyInput
from converters.results.study_result import Shaping
from worker.queue.job import Priority, Record, refusal_id
from worker.queue.messages import Messages
from worker.queue.records import Answer, Records
from worker.settings import Settings
from worker.study.growth import (
    MissingFilmsError,
    contents_of,
    films_of,
    forced,
    grown,
    holds,
    is_held,
    not_held,
    remembered,
)
from worker.study.outcome import ENDINGS
from worker.study.publish import check_target
from worker.study.published import Published, published
from worker.study.same_film import comes_in_other_files, films_in_result, films_submitted, recognised
from worker.study.scan import job_id, now
from worker.study.staging import make_results_folder

_POLL = 0.2  # seconds
_LOOK = 100  # records
_ROUNDS = 5  # of submissions of one study by several at the same time, which end with all films in one job
_MANY = 20  # studies; more at once are a batch, whatever the command line says of it


@dataclass(frozen=True, slots=True)
class Submitted:
    """What became of one study at submission.

    ``answer`` is "refused" if its place in the results folder is taken, or films that its result there is of
    are missing; ``reason`` then says so.
    """

    job_id: str
    study_instance_uid: str
    answer: Answer | str
    reason: Reason | None = None


@dataclass(frozen=True, slots=True)
class Submitter:
    """Submits studies to one queue, for one results folder.

    Attributes:
        out: results folder, absolute.
        batch: a name for what is submitted together, "" if none.
        force: whether to run again what is done, and to replace what stands in its place.
        recognises: whether a film that was submitted before in another file is that film.
    """

    records: Records
    messages: Messages
    weights: WeightsInfo
    settings: Settings
    out: Path
    priority: Priority = "interactive"
    batch: str = ""
    force: bool = False
    recognises: bool = True

    def submit(self, study: StudyInput) -> Submitted:
        """Queue one study, unless the same work is under way or done.

        Films that come after others of their study are put together with those, in one job that takes the
        place of the earlier ones (`study.growth`). What is refused stands as a job that failed, so that its
        batch counts it. With ``force`` the study is what is given, and replaces whatever stands in its place;
        of two files of one film see there.

        A message that cannot be sent, or is lost, does not matter: the workers' sweep finds the record.

        Raises:
            QueueError: the queue cannot be reached, or is full.
        """
        with suppress(OSError):  # where it cannot be made, the worker says so: it may see other disks
            make_results_folder(self.out, self.settings.results_mode)
        first = None if self.force else self._submit_first(study)
        if first is not None:
            return first
        jobs = self._jobs_of(study)
        try:
            study = self._recognised(study, jobs) if self.recognises else study
        except OutputError as error:
            return self.refuse(self.make_record(study), error.reason, str(self.out))
        if self.force:
            standing, parts = published(self.out / study.study_instance_uid), self._parts(study, jobs)
            known = films_of(standing.contents) if standing is not None else []
            known += [film for part in parts if part.study and not part.refused for film in part.study.films]
            answer = self._submit(forced(study, known))
            for part in self._parts(study, self._jobs_of(study)):
                if part.final and part.wanted and answer.answer != "refused":
                    self._take_place(part, answer.job_id)
            return answer
        for _ in range(_ROUNDS):  # others may submit films of this study at the same time
            parts, standing = self._parts(study, jobs), published(self.out / study.study_instance_uid)
            whole = self._whole(study, standing, parts)
            if whole is not None:
                return self._submit(whole)
            try:
                earlier = [part.study for part in parts if not part.refused and part.study is not None]
                study = grown(study, earlier)
            except MissingFilmsError as error:
                return self._refuse_for_missing(study, error.count)
            if standing is not None:
                study = remembered(study, standing.contents)
                missing = not_held(contents_of(study), standing.contents)
                if missing:  # as the queue has forgotten where they lie
                    return self._refuse_for_missing(study, missing)
            job = self.make_record(study).job_id
            others = [part for part in parts if part.job_id != job]
            outs = [out for part in others if part.wanted for out in part.outs]
            # of films that others have submitted, their files' names are not for this folder
            answer = self._submit(study, outs, named=all(self.out in part.homes for part in parts))
            if answer.answer == "refused":
                break
            jobs = self._jobs_of(study)  # others may have come meanwhile
            left = self._parts(study, jobs)
            # also those that came meanwhile, as an earlier round's own
            for part in {part.job_id: part for part in (*others, *left)}.values():
                if _has(study, part):
                    self._take_place(part, answer.job_id)
            if all(_has(study, part) or part.refused for part in left):
                break
        return answer

    def _submit_first(self, study: StudyInput) -> Submitted | None:
        """Queue ``study`` if no films of it were submitted before, and no result of it stands; else None."""
        if published(self.out / study.study_instance_uid) is not None:
            return None
        record = replace(self.make_record(study), homes=(self.out,))
        if self._why_no_place(record) is not None:
            return None
        answer, to_send = self.records.submit(record, published=False, force=False, only_first=True)
        return None if answer == "known" else self._sent(record, answer, to_send)

    def _jobs_of(self, study: StudyInput) -> list[Record]:
        """All jobs of ``study``."""
        jobs = self.records.of_study(study.study_instance_uid)
        return [record for record in map(self.records.get, jobs) if record is not None]

    def _recognised(self, study: StudyInput, jobs: Sequence[Record]) -> StudyInput:
        """``study``; a film that came before in another file has the digest that it had then.

        Args:
            jobs: those of the study.
        """
        here = published(self.out / study.study_instance_uid)
        standing = films_in_result(here.contents if here is not None else ())
        given = [job for job in jobs if not job.refused]
        submitted = films_submitted(job.study for job in given if job.study)
        ours = films_submitted(
            job.study for job in given if job.study and job.wanted and self.out in job.outs
        )
        own = (standing, ours)
        if not comes_in_other_files(study, (standing, submitted)):
            return recognised(study, (standing, submitted), own=own, force=self.force)
        folders = [job.result_folder() for job in jobs]
        others = [found.contents for folder in folders if folder and (found := published(folder))]
        elsewhere = films_in_result([film for contents in others for film in contents])
        return recognised(study, (standing, elsewhere, submitted), own=own, force=self.force)

    def _parts(self, study: StudyInput, jobs: Sequence[Record]) -> list[Record]:
        """The jobs of ``study`` for this folder that are under way, have failed, or whose result stands.

        The films of one that was cancelled by hand are not wanted; those of one that failed still are.

        Args:
            jobs: those of the study.
        """
        standing = published(self.out / study.study_instance_uid)
        stands = standing.job_id if standing is not None else ""
        if stands and stands not in (job.job_id for job in jobs):  # one of version 0.1 is not listed there
            unlisted = self.records.get(stands)
            jobs = jobs if unlisted is None else [*jobs, unlisted]
        return [job for job in jobs if self.out in job.outs and (job.wanted or job.job_id == stands)]

    def _whole(
        self, study: StudyInput, standing: Published | None, parts: Sequence[Record]
    ) -> StudyInput | None:
        """The study whose result stands if that is what ``study``, a part of it, would be done as; else None.

        Where its other films lie is not known. They need not be read again: they were all looked at, with the
        same model and settings, and no others are under way.
        """
        if standing is None or standing.looked_at != "all":
            return None
        given = {film.digest: film for film in study.films}
        films = films_of(standing.contents)
        if not is_held(contents_of(study), standing.contents) or len(films) < len(standing.contents):
            return None
        if given.keys() == {film.digest for film in films}:
            return None
        others = [part for part in parts if not part.refused]
        if any(part.job_id != standing.job_id or part.state != "done" for part in others):
            return None
        films = [replace(given.get(film.digest, film), all_sha256=film.all_sha256) for film in films]
        whole = StudyInput(study.study_instance_uid, tuple(films))
        return whole if self.make_record(whole).job_id == standing.job_id else None

    def _take_place(self, part: Record, job: str) -> None:
        """Let ``job`` stand for ``part``, whose films it has: in its batches, and if that is under way."""
        if part.job_id != job:
            self.records.supersede(part.job_id, job, self.batch)

    def _refuse_for_missing(self, study: StudyInput, count: int) -> Submitted:
        reason = Reason(
            "films-missing",
            f"refused: earlier films missing: {count} of this study's result cannot be read any more",
            "submit all films of the study together, or replace its result with --force",
        )
        return self.refuse(self.make_record(study), reason, str(self.out))

    def refuse(self, record: Record, reason: Reason, whose: str) -> Submitted:
        """Keep what was refused as a job of its own that failed, so that its batch counts it.

        Args:
            record: of the job that it would have been, which may be another user's.
            whose: what distinguishes the refusal from others of that job.
        """
        job = refusal_id(record.job_id, whose)
        record = replace(record, job_id=job, outs=(self.out,), homes=(self.out,))
        self.records.refuse(record, reason, OutputError.exit_code)
        return Submitted(record.job_id, record.study_instance_uid, "refused", reason)

    def _submit(self, study: StudyInput, outs: Sequence[Path] = (), *, named: bool = True) -> Submitted:
        """Queue ``study`` as it is.

        Args:
            outs: other results folders that its result is to stand in.
            named: whether the user who submits it knows the names of all its files.
        """
        record = self.make_record(study)
        others = tuple(dict.fromkeys(out for out in outs if out != self.out))
        record = replace(record, outs=(*others, self.out), homes=(self.out,) if named else ())
        no_place = self._why_no_place(record)
        if no_place is not None:
            return self.refuse(record, no_place, str(self.out))
        ours = published(self.out / study.study_instance_uid)
        if ours is not None and ours.job_id == record.job_id:
            # the published result is the truth, even if the queue has forgotten the job
            record = replace(record, created=ours.created or record.created)
        else:
            ours = None
        stands = ours is not None and len(record.outs) == 1
        if ours is not None and stands:
            self.records.restore(restored(record, ours))
        answer, to_send = self.records.submit(record, published=stands, force=self.force)
        return self._sent(record, answer, to_send)

    def _why_no_place(self, record: Record) -> Reason | None:
        """Why the job's result may not stand in this results folder; None if it may."""
        films = contents_of(record.study) if record.study is not None else []
        try:
            check_target(self.out / record.study_instance_uid, record.job_id, replace=self.force, films=films)
        except OutputError as error:
            return error.reason
        return None

    def _sent(self, record: Record, answer: str, to_send: bool) -> Submitted:
        if to_send:
            self.messages.send(record.job_id, record.priority)
        return Submitted(record.job_id, record.study_instance_uid, answer)

    def make_record(self, study: StudyInput) -> Record:
        """The record of a job that is new."""
        settings, weights = self.settings, self.weights
        point = in_force(weights.operating_point, settings.prevalence, settings.threshold)
        shaping = Shaping(point.prevalence, point.threshold, settings.uid_root)
        time_now = now()
        return Record(
            job_id=job_id(study, weights.identity, shaping),
            study_instance_uid=study.study_instance_uid,
            input_digest=study.digest,
            model=weights.identity,
            settings=shaping,
            created=time_now,
            updated=time_now,
            films=len(study.films),
            outs=(self.out,),
            priority=self.priority,
            batch=self.batch,
            replace=self.force,
            study=study,
        )


def _has(study: StudyInput, part: Record) -> bool:
    """Whether ``study`` has each film of ``part``."""
    return part.study is not None and holds(contents_of(study), contents_of(part.study))


def priority_for(studies: int, batch: str, priority: Priority | None) -> Priority:
    """The priority of a submission that may not have named one: a batch, or so many that they are one."""
    return priority or ("batch" if batch or studies > _MANY else "interactive")


def restored(record: Record, ours: Published) -> Record:
    """The record of a job whose result stands."""
    state, code = ENDINGS[ours.looked_at]
    return replace(record, state=state, film=len(ours.contents), exit_code=code, tally=ours.tally)


def wait(
    records: Records,
    ids: Iterable[str],
    *,
    check: Callable[[], None] = lambda: None,
    changed: Callable[[Record], None] = lambda _: None,
) -> list[Record]:
    """Wait until every job has ended; return their records in the order of ``ids``.

    Where another job took the place of one, that is waited for, too, and its record comes after these.

    Args:
        check: called between two looks; raises if waiting has become pointless.
        changed: called with each record that has changed since the last look.

    Raises:
        QueueError: the queue cannot be reached; or, once all others have ended, it has lost a record.
    """
    order = list(dict.fromkeys(ids))
    pending = list(order)
    seen: dict[str, Record] = {}
    lost: list[str] = []
    while pending:
        looked_at = pending[:_LOOK]  # jobs are taken in order, so those ahead end first
        current = {record.job_id: record for record in records.listing(looked_at)}
        ended: set[str] = set()
        for job in looked_at:
            if job in current:
                if seen.get(job) != current[job]:
                    changed(current[job])
                if current[job].final:
                    ended.add(job)
                    heir = current[job].superseded_by
                    if heir and heir not in order:
                        order.append(heir)
                        pending.append(heir)
            else:
                lost.append(job)
                ended.add(job)
        seen |= current
        pending = [job for job in pending if job not in ended]
        if pending and not ended:
            check()
            time.sleep(_POLL)
    if lost:
        more = f" and {len(lost) - 1:,} more" if lost[1:] else ""
        raise QueueError(f"the queue has lost job {lost[0]}{more}", "submit the same again")
    return [seen[job] for job in order if job in seen]


def exit_code(records: Sequence[Record], submitted: Sequence[Submitted] = ()) -> int:
    """The exit code of these jobs together (`bcd_model.errors.exit_code_of`).

    A job in whose place another of ``records`` stands does not count: that has its films.
    """
    codes = [record.exit_code for record in last_of(records)]
    codes += [OutputError.exit_code for answer in submitted if answer.answer == "refused"]
    return exit_code_of(codes)


def last_of(records: Sequence[Record]) -> list[Record]:
    """``records`` without those in whose place another of them stands."""
    return list({record.job_id: record for record in heirs(records).values()}.values())


def heirs(records: Sequence[Record]) -> dict[str, Record]:
    """For each of ``records``, by its id, the one that stands in its place in the end; as a rule itself."""
    by_id = {record.job_id: record for record in records}
    found = {}
    for job, record in by_id.items():
        passed = {job}
        while record.superseded_by in by_id and record.superseded_by not in passed:
            record = by_id[record.superseded_by]
            passed.add(record.job_id)
        found[job] = record
    return found
