"""From an upload to jobs: looked through by a process of its own, then every study kept and submitted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from bcd_model.reasons import Reason
from bcd_model.weights import WeightsInfo
from converters.films.studies import StudyInput
from worker.gateway.access import Grants
from worker.gateway.limits import Locks
from worker.gateway.problems import Skipped, try_again
from worker.gateway.storage.folders import Folders
from worker.gateway.storage.result_files import stands
from worker.gateway.tokens import Token
from worker.gateway.upload.contents import look_through
from worker.gateway.upload.form import Upload
from worker.gateway.upload.inspector import Inspector
from worker.gateway.upload.late import Late, Together
from worker.queue.messages import Messages
from worker.queue.records import Records
from worker.queue.submission import Submitted, Submitter
from worker.settings import Settings
from worker.study.outcome import UNDER_WAY, State

_JOBS_SECONDS = 30  # after which a token that had too many jobs under way may try again
_DONE = ("done", "done with failures")
_MISSING = Reason(
    "films-missing",
    "refused: earlier films missing: they are not kept any more",
    "send all films of the study together",
)


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of an upload: one answer for every study, and the files that are part of none."""

    submitted: tuple[Submitted, ...]
    skipped: tuple[Skipped, ...]


@dataclass(frozen=True, slots=True)
class Intake:
    """Submits what is uploaded, for any token.

    Attributes:
        inspector: looks through an upload.
        late: puts films that come late together with the earlier ones.
        counting: by token; held from counting its jobs under way until those of an upload are begun.
        deciding: by job; held while it is begun, or ended because only one token waits for it: what was seen
            must still be so.
    """

    records: Records
    messages: Messages
    weights: WeightsInfo
    settings: Settings
    folders: Folders
    grants: Grants
    inspector: Inspector
    late: Late
    counting: Locks = field(default_factory=Locks)
    deciding: Locks = field(default_factory=Locks)

    def take(self, files: Sequence[Upload], folder: Path, token: Token, *, force: bool) -> Taken:
        """Submit the studies in ``files``, which are in ``folder``.

        Raises:
            ProblemError: 413 too much in a zip or to look through, 422 no film, 503 too many jobs of this
                token.
            OSError: there is no room.
            QueueError: the queue cannot be reached.
        """
        found = self.inspector.run(partial(look_through, tuple(files), folder, self.settings))
        with self.counting.held(token.id):
            late = self.late.alone if force else self.late.together
            all_films = late(found.studies, token)
            begun = [films.study for films in all_films if films.study is not None and not films.known]
            self._check_jobs(begun, token, force=force)
            submitted = [
                self._submit(study, films, folder, token, force=force)
                for study, films in zip(found.studies, all_films, strict=True)
            ]
        return Taken(tuple(submitted), found.skipped)

    def _check_jobs(self, studies: Sequence[StudyInput], token: Token, *, force: bool) -> None:
        """Refuse an upload after which ``token`` would have too many jobs under way.

        Raises:
            ProblemError: 503.
        """
        most = self.settings.gateway_jobs
        sent = {self._job(study): study for study in studies}
        jobs = sorted({*sent, *self.grants.jobs(token.id)})
        if len(jobs) <= most:
            return
        states = self.records.state_of(jobs)
        under_way = {job for job in jobs if states.get(job) in UNDER_WAY}
        begun = {job for job, study in sent.items() if force or not self._stands(study, job, states.get(job))}
        if not begun <= under_way and len(begun | under_way) > most:
            detail = f"no more than {most} jobs under way for a token; wait, or send fewer studies at once"
            raise try_again(503, detail, _JOBS_SECONDS)

    def _stands(self, study: StudyInput, job: str, state: State | None) -> bool:
        """Whether the study is done and its result still kept, so that nothing is begun for it."""
        return state in _DONE and stands(self.folders.results, job, study.study_instance_uid)

    def _job(self, study: StudyInput) -> str:
        return self._submitter(Path(), force=False).make_record(study).job_id

    def _submit(
        self, given: StudyInput, films: Together, folder: Path, token: Token, *, force: bool
    ) -> Submitted:
        """Begin the job of a study, if there is anything to be done.

        Args:
            given: what was sent of it just now.
            films: what it is together with what was sent before.
        """
        if films.known:
            self.grants.add(token.id, films.known)
            state = self.records.state_of([films.known]).get(films.known)
            answer = "under way" if state in UNDER_WAY else "done"
            return Submitted(films.known, given.study_instance_uid, answer)
        study = films.study or given
        job = self._job(study)
        submitter = self._submitter(self.folders.result_root(job), force)
        with self.deciding.held(job):
            if films.study is None:
                refused = submitter.refuse(submitter.make_record(study), films.refused or _MISSING, token.id)
                self.grants.add(token.id, refused.job_id)
                return refused
            self.grants.add(token.id, job)  # first, so that no job is without a token that sees it
            kept = self.folders.keep(study, job, folder)
            if films.replaced:
                self.folders.put_before(films.replaced, job, study.study_instance_uid, folder)
            submitted = submitter.submit(kept)
        if submitted.answer == "refused":
            self.grants.add(token.id, submitted.job_id)  # it is a job of its own
        else:
            self.late.take_place(films.parts, job, token)
        return submitted

    def _submitter(self, out: Path, force: bool) -> Submitter:
        return Submitter(
            self.records,
            self.messages,
            self.weights,
            self.settings,
            out,
            force=force,
            recognises=False,  # of what other tokens have sent, nothing is looked at
        )
