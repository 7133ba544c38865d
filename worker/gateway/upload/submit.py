"""From an upload to jobs: looked through by a process of its own, then every study kept and submitted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from bcd_model.reasons import Reason
from converters.films.studies import StudyInput
from worker.gateway.dependencies import Gateway
from worker.gateway.problems import Skipped, try_again
from worker.gateway.storage.result_files import stands
from worker.gateway.tokens import Token
from worker.gateway.upload.contents import look_through
from worker.gateway.upload.form import Upload
from worker.gateway.upload.late import Together, alone, together
from worker.queue.submission import Submitted, Submitter
from worker.study.outcome import UNDER_WAY

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


def take(here: Gateway, files: Sequence[Upload], folder: Path, token: Token, *, force: bool) -> Taken:
    """Submit the studies in ``files``, which are in ``folder``; a token's uploads one at a time (`Turns`).

    Raises:
        ProblemError: 413 too much in a zip or to look through, 422 no film, 503 too many jobs of this
            token.
        OSError: there is no room.
        QueueError: the queue cannot be reached.
    """
    found = here.inspector.run(partial(look_through, tuple(files), folder, here.settings))
    submitter = Submitter(
        here.records,
        here.messages,
        here.weights,
        here.settings,
        here.folders.results,  # in which each job has a folder of its own
        force=force,
        recognises=False,  # of what other tokens have sent, nothing is looked at
    )
    all_films = (alone if force else together)(here, found.studies, token)
    begun = [films.study for films in all_films if films.study is not None and not films.known]
    _check_jobs(here, {submitter.make_record(study).job_id: study for study in begun}, token, force=force)
    submitted = [
        _submit(here, study, films, folder, token, submitter)
        for study, films in zip(found.studies, all_films, strict=True)
    ]
    return Taken(tuple(submitted), found.skipped)


def _check_jobs(here: Gateway, sent: Mapping[str, StudyInput], token: Token, *, force: bool) -> None:
    """Refuse an upload after which ``token`` would have too many jobs under way.

    Args:
        sent: the studies, by job.

    Raises:
        ProblemError: 503.
    """
    most = here.settings.gateway_jobs
    jobs = sorted({*sent, *here.grants.jobs(token.id)})
    if len(jobs) <= most:
        return
    states = here.records.state_of(jobs)

    def is_kept(job: str, study: StudyInput) -> bool:
        return states.get(job) in _DONE and stands(here.folders.results, job, study.study_instance_uid)

    under_way = {job for job in jobs if states.get(job) in UNDER_WAY}
    begun = {job for job, study in sent.items() if force or not is_kept(job, study)}
    if not begun <= under_way and len(begun | under_way) > most:
        detail = f"no more than {most} jobs under way for a token; wait, or send fewer studies at once"
        raise try_again(503, detail, _JOBS_SECONDS)


def _submit(
    here: Gateway, given: StudyInput, films: Together, folder: Path, token: Token, submitter: Submitter
) -> Submitted:
    """Begin the job of a study, if there is anything to be done.

    Args:
        given: what was sent of it just now.
        films: what it is together with what was sent before.
    """
    if films.known:
        here.grants.add(token.id, films.known)
        state = here.records.state_of([films.known]).get(films.known)
        answer = "under way" if state in UNDER_WAY else "done"
        return Submitted(films.known, given.study_instance_uid, answer)
    study = films.study or given
    record = submitter.make_record(study)
    job = record.job_id
    submitter = replace(submitter, out=here.folders.result_root(job))
    with here.deciding.held(job):
        if films.study is None:
            refused = submitter.refuse(record, films.refused or _MISSING, token.id)
            here.grants.add(token.id, refused.job_id)
            return refused
        here.grants.add(token.id, job)  # first, so that no job is without a token that sees it
        kept = here.folders.keep(study, job, folder)
        if films.replaced:
            here.folders.put_before(films.replaced, job, study.study_instance_uid, folder)
        submitted = submitter.submit(kept)
    if submitted.answer == "refused":
        here.grants.add(token.id, submitted.job_id)  # it is a job of its own
        return submitted
    for part in films.parts:  # of these, it stands for those that are not done, unless others wait for them
        if part.job_id != job and here.waits_alone(part, token):
            here.records.supersede(part.job_id, job)
    return submitted
