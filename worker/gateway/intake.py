"""From an upload to jobs: zips are unpacked, studies found, films kept, and every study submitted."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from celery import Celery

from bcd_model.errors import InputError
from bcd_model.weights import WeightsInfo
from converters.studies import Discovery, StudyInput, find_studies
from worker.gateway.archives import Budget, RefusedArchiveError, is_archive, unpack
from worker.gateway.folders import Folders
from worker.gateway.form import Upload
from worker.gateway.grants import Grants
from worker.gateway.problems import ProblemError, try_again
from worker.gateway.tokens import Token
from worker.job import UNDER_WAY, State
from worker.published import published
from worker.records import Records
from worker.settings import Settings
from worker.submission import Submitted, Submitter

_SKIPPED_SHOWN = 200
_JOBS_SECONDS = 30  # after which a token that had too many jobs under way may try again
_DONE = ("done", "done with failures")
_NO_FILMS = "there is no mammogram in the upload that can be used"


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of an upload: one answer for every study, and the files that are part of none."""

    submitted: tuple[Submitted, ...]
    skipped: tuple[dict[str, str], ...]


@dataclass(frozen=True, slots=True)
class Intake:
    """Submits what is uploaded, for any token.

    Attributes:
        reading: held while DICOM headers are read, which silences pydicom for the whole process.
        deciding: held from looking at what is under way until the jobs are begun, or one is ended, for it:
            what was seen must still be so.
    """

    records: Records
    app: Celery
    weights: WeightsInfo
    settings: Settings
    folders: Folders
    grants: Grants
    reading: threading.Lock = field(default_factory=threading.Lock)
    deciding: threading.Lock = field(default_factory=threading.Lock)

    def take(self, files: Sequence[Upload], folder: Path, token: Token, *, force: bool) -> Taken:
        """Submit the studies in ``files``, which are in ``folder``.

        Raises:
            ProblemError: 413 too much in a zip, 422 no film, 503 too many jobs of this token.
            OSError: there is no room.
            QueueError: the queue cannot be reached.
        """
        skipped: list[dict[str, str]] = []
        films = self._films(files, folder, skipped)
        with self.reading:
            found = _find(films, skipped)
        with self.deciding:
            self._check_jobs(found.studies, token, force=force)
            submitted = [self._submit(study, token, force=force) for study in found.studies]
        return Taken(tuple(submitted), tuple(skipped[:_SKIPPED_SHOWN]))

    def _films(self, files: Sequence[Upload], folder: Path, skipped: list[dict[str, str]]) -> dict[Path, str]:
        """Every file that may be a film, those in zips included, with the client's name for it."""
        settings = self.settings
        budget = Budget(
            settings.gateway_upload_files,
            settings.gateway_unpacked_bytes,
            settings.gateway_zip_ratio,
            self.folders.check_room,
        )
        films: dict[Path, str] = {}
        seen: set[Path] = set()

        def add(file: Upload) -> None:
            # a header may be as long as its file, and is read into memory as a whole
            if file.path.stat().st_size > settings.gateway_film_bytes:
                skipped.append(_skipped(file.name, f"more than {settings.gateway_film_bytes} bytes: no film"))
                file.path.unlink()
            else:
                films[file.path] = file.name

        def new(file: Upload) -> bool:
            if file.path in seen:
                skipped.append(_skipped(file.name, "the same file again"))
                return False
            seen.add(file.path)
            return True

        for number, file in enumerate(files):
            if not new(file):
                continue
            if not is_archive(file.path):
                add(file)
                continue
            inside = folder / f"zip-{number}"
            inside.mkdir()
            try:
                for member in unpack(file, inside, budget):
                    if not new(member):
                        continue
                    if is_archive(member.path):
                        skipped.append(_skipped(member.name, "a zip inside a zip: not unpacked"))
                        member.path.unlink()
                    else:
                        add(member)
            except RefusedArchiveError as error:
                # nothing of a zip that is not what it should be
                for path in [path for path in films if path.parent == inside]:
                    del films[path]
                skipped.append(_skipped(file.name, str(error)))
            file.path.unlink(missing_ok=True)
        return films

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
        folder = self.folders.result_root(job) / study.study_instance_uid
        return state in _DONE and published(folder) is not None

    def _job(self, study: StudyInput) -> str:
        return self._submitter(Path(), force=False).make_record(study).job_id

    def _submit(self, study: StudyInput, token: Token, *, force: bool) -> Submitted:
        job = self._job(study)
        kept = self.folders.keep(study, job)
        self.grants.add(token.id, job)  # first, so that no job is without a token that sees it
        return self._submitter(self.folders.result_root(job), force).submit(kept)

    def _submitter(self, out: Path, force: bool) -> Submitter:
        return Submitter(self.records, self.app, self.weights, self.settings, out, "interactive", "", force)


def _find(films: dict[Path, str], skipped: list[dict[str, str]]) -> Discovery:
    """The studies in ``films``; what is left over goes to ``skipped``.

    Raises:
        ProblemError: 422: there is none.
    """
    if not films:
        raise ProblemError(422, _NO_FILMS, skipped=skipped[:_SKIPPED_SHOWN])
    try:
        found = find_studies(list(films))
    except InputError as error:
        skipped += [_skipped(name, _why_none(path)) for path, name in films.items()]
        raise ProblemError(422, _NO_FILMS, skipped=skipped[:_SKIPPED_SHOWN]) from error
    skipped += [_skipped(films.get(left.path, left.path.name), left.reason) for left in found.skipped]
    return found


def _why_none(path: Path) -> str:
    """Why a file of an upload without a film is none, without its path."""
    try:
        find_studies([path])
    except InputError as error:
        return error.message.partition(": ")[2] or "no mammogram"
    return "no mammogram"


def _skipped(name: str, reason: str) -> dict[str, str]:
    return {"file": name, "reason": reason}
