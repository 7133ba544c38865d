"""The study pipeline: a study's films, read and scanned one after the other.

The same code runs in the queue's worker, in ``bcd-admin scan`` and in the Python API::

    from pathlib import Path
    from bcd_model.model import load_model
    from bcd_model.scan import Scanner
    from converters.studies import find_studies
    from worker.pipeline import new_job, scan_study
    from worker.publish import publish

    scanner = Scanner(load_model())
    for study in find_studies([Path("films")]).studies:
        result = scan_study(study, scanner, new_job(study, scanner))
        publish(result, Path("results"))
"""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import lru_cache, partial
from pathlib import Path

from pydicom.dataset import Dataset

from bcd_model.errors import FilmError, OutputError
from bcd_model.pairs import other_breasts
from bcd_model.words import Film, OperatingPoint, Projection, StudyScanner
from converters import film_attributes
from converters.dicom_file import load, survey, text, uid
from converters.dicom_in import DicomFilm, film_of
from converters.result import FilmResult, JobIdentity, StudyResult
from converters.studies import FilmSource, StudyInput
from converters.uids import UUID_ROOT
from worker.job import job_id, now

Progress = Callable[[int, int], None]
"""Called with (k, n) before film k of n is read, k from 1; may raise to end the job."""


Scanned = Callable[[int, FilmResult, float], None]
"""Called with (k, its result, seconds) after film k."""

# The storage may be well again in a while: it is full, its server is away, the machine is short of something.
_MAY_PASS = frozenset(
    {
        errno.EAGAIN,
        errno.EBUSY,
        errno.EDQUOT,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.EINTR,
        errno.EIO,
        errno.EMFILE,
        errno.ENETUNREACH,
        errno.ENFILE,
        errno.ENOLCK,
        errno.ENOMEM,
        errno.ENOSPC,
        errno.ENOTCONN,
        errno.ESTALE,
        errno.ETIMEDOUT,
    }
)


def may_pass(error: BaseException) -> bool:
    """Whether ``error`` comes from a failure of the storage that may pass by itself.

    A share that is not mounted is such a failure: then the results folder is not there, or the folder of
    a film. A film that is missing from its folder is not.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, FileNotFoundError):
            return isinstance(error, OutputError) or not Path(cause.filename or "").parent.is_dir()
        if isinstance(cause, OSError):
            return cause.errno in _MAY_PASS
        cause = cause.__cause__
    return False


def shaping(uid_root: str, point: OperatingPoint) -> dict[str, object]:
    """The settings that shape a result, as they stand in the job's id and in ``result.json``."""
    return {"prevalence": point.prevalence, "threshold": point.threshold, "uid_root": uid_root}


def new_job(
    study: StudyInput, scanner: StudyScanner, *, uid_root: str = UUID_ROOT, created: datetime | None = None
) -> JobIdentity:
    """The identity of the job that scans ``study`` with ``scanner``; ``created`` is now if not given."""
    settings = shaping(uid_root, scanner.operating_point)
    return JobIdentity(job_id(study, scanner.identity, settings), created or now(), uid_root)


def scan_study(
    study: StudyInput,
    scanner: StudyScanner,
    job: JobIdentity,
    *,
    settings: Mapping[str, object] | None = None,
    progress: Progress | None = None,
    scanned: Scanned | None = None,
    patient: bool = False,
) -> StudyResult:
    """Read and scan every film of ``study``; a film that cannot be used costs only itself.

    Args:
        settings: as they are to stand in the result; by default those of ``shaping``.
        progress: see `Progress`.
        scanned: see `Scanned`.
        patient: whether the study is to be tried again when the storage fails in a way that may pass.

    Raises:
        FilmError: only if ``patient``: the storage fails in such a way (see `may_pass`).
    """
    pictures = _Pictures(study.films, compared=scanner.compares, patient=patient)
    films: dict[int, FilmResult] = {}
    for number, index in enumerate(pictures.order(), start=1):
        if progress is not None:
            progress(number, len(study.films))
        since = time.perf_counter()
        films[index] = _scan_film(index, study.films[index], pictures, scanner, patient)
        if scanned is not None:
            scanned(number, films[index], time.perf_counter() - since)
    return StudyResult(
        job=job,
        study_instance_uid=study.study_instance_uid,
        input_digest=study.digest,
        model=scanner.identity,
        operating_point=scanner.operating_point,
        films=tuple(films[index] for index in range(len(study.films))),
        settings=shaping(job.uid_root, scanner.operating_point) if settings is None else dict(settings),
        warnings=tuple(study.warnings),
    )


def _scan_film(
    index: int, source: FilmSource, pictures: _Pictures, scanner: StudyScanner, patient: bool
) -> FilmResult:
    result = FilmResult(source.path.name, source.sop_instance_uid)
    try:
        if source.reason is not None:
            return replace(result, header=_header(source), reason=source.reason)
        read = pictures.read(index)
        other = pictures.other(index)
        return replace(result, header=read.header, film=read.film, scan=scanner.scan(read.film, other))
    except FilmError as error:
        if patient and may_pass(error):
            raise
        return replace(result, header=_header(source), reason=str(error))


class _Pictures:
    """The films of a study as they are read; where films are compared, each beside its other breast.

    Args:
        patient: whether a failure of the storage that may pass is raised: which films are compared must
            not depend on when it comes and goes.

    Raises:
        FilmError: only if ``patient``: there is such a failure.
    """

    def __init__(self, sources: Sequence[FilmSource], *, compared: bool, patient: bool) -> None:
        self._sources = sources
        self._patient = patient
        self._others = (
            other_breasts([_projection(source, patient) for source in sources]) if compared else None
        )
        # Of a pair, either film is scanned beside the other: nothing need be done twice.
        # Not of a method: what holds itself keeps its films until Python looks for cycles.
        self._kept = lru_cache(maxsize=2)(partial(_read, sources))

    def order(self) -> list[int]:
        """Return the order in which films are scanned: as they come, but a pair together."""
        order: list[int] = []
        for index in range(len(self._sources)):
            other = self._others[index] if self._others is not None else None
            order += [each for each in (index, other) if each is not None and each not in order]
        return order

    def read(self, index: int) -> DicomFilm:
        """Read a film.

        Raises:
            FilmError: it cannot be used, or has changed since it was submitted.
        """
        return _read(self._sources, index) if self._others is None else self._kept(index)

    def other(self, index: int) -> Film | None:
        """Return the other breast in the same view; None if there is none that can be used.

        Raises:
            FilmError: only if ``patient``: the storage fails in a way that may pass.
        """
        at = None if self._others is None else self._others[index]
        if at is None:
            return None
        try:
            return self._kept(at).film
        except FilmError as error:
            if self._patient and may_pass(error):
                raise
            return None  # its own turn tells why


def _read(sources: Sequence[FilmSource], index: int) -> DicomFilm:
    """Read a film once: the bytes whose hash is checked are those that are parsed and decoded."""
    source = sources[index]
    try:
        file = load(source.path)
    except FilmError as error:
        if not isinstance(error.__cause__, OSError):
            raise
        message = f"{source.path.name} cannot be read: {error.__cause__.strerror}"
        raise FilmError(message, "submit the study again when the file is back") from error.__cause__
    if file.sha256 != source.sha256:
        raise FilmError(f"{file.name} has changed since it was submitted", "submit the study again")
    return film_of(file)


def _projection(source: FilmSource, patient: bool) -> Projection:
    header = _header(source, patient=patient) if source.reason is None else None
    if header is None:
        return Projection("", None, None)
    return Projection(
        text(header, "PatientID"),  # a study may hold films of several, by mistake
        film_attributes.view(header),
        film_attributes.laterality(header),
        film_attributes.kind(header),
    )


def _header(source: FilmSource, *, patient: bool = False) -> Dataset | None:
    """The header of a film, if it is readable: the CAD SR lists one that failed by its UIDs, too."""
    try:
        found = survey(source.path)
    except OSError as error:
        if patient and may_pass(error):
            raise FilmError(f"{source.path.name}: cannot be opened: {error.strerror}") from error
        return None
    if found.dicom is None or (source.reason is None and found.sha256 != source.sha256):
        return None
    header = found.dicom.header
    same = source.sop_instance_uid is not None and uid(header, "SOPInstanceUID") == source.sop_instance_uid
    return header if same else None
