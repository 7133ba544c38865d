"""The study pipeline: a study's films, read and scanned one after the other.

The same code runs in the queue's worker, in ``bcd-admin scan`` and in the Python API (`worker.api`).
"""

from __future__ import annotations

import errno
import hashlib
import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from bcd_model.digests import film_digest
from bcd_model.errors import BcdError, FilmError, OutputError
from bcd_model.pairs import other_breasts
from bcd_model.reasons import Reason
from bcd_model.words import Film, ModelIdentity, StudyScanner
from converters.dicom.file import FileBytes, Header, load, parse_dicom, survey, uid
from converters.films.pixels.stored import picture_digest, stored_pixels
from converters.films.projection import NO_PROJECTION
from converters.films.read import DicomFilm, film_of
from converters.films.studies import FilmSource, StudyInput
from converters.product import SOFTWARE_VERSION
from converters.results.patients import patients_of, patients_warning
from converters.results.study_result import (
    ExcludedFilm,
    FailedFilm,
    FilmResult,
    JobIdentity,
    Predecessor,
    ScannedFilm,
    Shaping,
    StudyResult,
)
from converters.uids import UUID_ROOT

Progress = Callable[[int, int], None]
"""Called with (k, n) before film k of n is read, k from 1; may raise to end the job."""


Scanned = Callable[[int, FilmResult, float], None]
"""Called with (k, its result, seconds) after film k."""

Broke = Callable[[int, Exception], None]
"""Called with (k, error) if film k ended in an unexpected error: its text may hold what a log must not."""

CONTESTED = Reason(
    "contested",
    "the same picture stands under another patient in this study: one of them carries a wrong name, "
    "and it is not known which",
)

_NO_REASON = Reason("failed", "no reason given")

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


def new_job(
    study: StudyInput, scanner: StudyScanner, *, uid_root: str = UUID_ROOT, created: datetime | None = None
) -> JobIdentity:
    """The identity of the job that scans ``study`` with ``scanner``; ``created`` is now if not given."""
    point = scanner.operating_point
    shaping = Shaping(point.prevalence, point.threshold, uid_root)
    return JobIdentity(job_id(study, scanner.identity, shaping), created or now(), uid_root)


def scan_study(
    study: StudyInput,
    scanner: StudyScanner,
    job: JobIdentity,
    *,
    predecessor: Predecessor | None = None,
    progress: Progress | None = None,
    scanned: Scanned | None = None,
    broke: Broke | None = None,
    ending: tuple[type[BaseException], ...] = (),
    patient: bool = False,
) -> StudyResult:
    """Read and scan every film of ``study``; whatever one film brings about costs that film alone.

    Args:
        predecessor: the result that this one is to replace.
        progress: see `Progress`.
        scanned: see `Scanned`.
        broke: see `Broke`.
        ending: exceptions that are no fault of a film and end the job.
        patient: whether the study is to be tried again when the storage fails in a way that may pass.

    Raises:
        FilmError: only if ``patient``: the storage fails in such a way (see `may_pass`).
    """
    passed_on: tuple[type[BaseException], ...] = (BcdError, *ending)
    pictures = _Pictures(study, compared=scanner.compares, patient=patient, passed_on=passed_on)
    films: dict[int, FilmResult] = {}
    for number, index in enumerate(pictures.order(), start=1):
        if progress is not None:
            progress(number, len(study.films))
        since = time.perf_counter()
        try:
            films[index] = _scan_film(index, pictures, scanner, patient)
        except passed_on:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it costs this film alone
            if broke is not None:
                broke(number, error)
            why = Reason("unexpected", f"could not be scanned ({type(error).__name__})")
            films[index] = _not_scanned(study.films[index], why, _header(study.films[index]))
        if scanned is not None:
            scanned(number, films[index], time.perf_counter() - since)
    found = _with_doubles_named([films[index] for index in range(len(study.films))])
    return StudyResult(
        job=job,
        study_instance_uid=study.study_instance_uid,
        input_digest=study.digest,
        model=scanner.identity,
        operating_point=scanner.operating_point,
        films=found,
        warnings=(*study.warnings, *patients_warning(len(patients_of(found))), *pictures.remarks()),
        predecessor=predecessor,
    )


def _scan_film(index: int, pictures: _Pictures, scanner: StudyScanner, patient: bool) -> FilmResult:
    source = pictures.sources[index]
    if source.reason is not None or source.rule is not None:
        return _not_scanned(source, source.reason, _header(source))
    picture = pictures.read(index)
    if picture.read is None:
        return _not_scanned(source, picture.reason, picture.header)
    try:
        scan = scanner.scan(picture.read.film, pictures.other(index))
    except FilmError as error:
        if patient and may_pass(error):
            raise
        return _not_scanned(source, error.reason, picture.header)
    return ScannedFilm(
        **_named(source),
        header=picture.read.header,
        film=picture.read.film,
        scan=scan,
        pixel_digest=picture.read.pixel_digest,
        gray_scale=picture.read.gray_scale,
    )


def _named(source: FilmSource) -> dict[str, Any]:
    """What every result says of a film."""
    return {
        "file": source.path.name,
        "sop_instance_uid": source.sop_instance_uid,
        "sha256": source.sha256,
        "digest": source.digest,
        "facts": source.facts,
        "all_sha256": source.all_sha256,
    }


def _not_scanned(source: FilmSource, reason: Reason | None, header: Header | None) -> FilmResult:
    """A film without a scan, with as much of its header as can be read: the CAD SR lists it by its UIDs."""
    if source.rule is not None:
        return ExcludedFilm(**_named(source), header=header, rule=source.rule)
    return FailedFilm(**_named(source), header=header, reason=reason or _NO_REASON)


def _with_doubles_named(films: Sequence[FilmResult]) -> tuple[FilmResult, ...]:
    """The films; those whose pixels another film has as well are given a warning."""
    alike: defaultdict[str, list[tuple[int, ScannedFilm]]] = defaultdict(list)
    for number, film in enumerate(films, start=1):
        if isinstance(film, ScannedFilm):
            alike[film_digest(film.film)].append((number, film))
    named = list(films)
    for doubles in alike.values():
        shown = {(double.film.laterality, double.film.view) for _, double in doubles}
        for number, double in doubles if len(doubles) > 1 else ():
            numbers = ", ".join(str(other) for other, _ in doubles if other != number)
            text = f"film {numbers} of this study has the same pixels"
            if len(shown) > 1:
                text += " under another side or view: one of them is labelled wrongly"
            scan = replace(double.scan, warnings=(*double.scan.warnings, text))
            named[number - 1] = replace(double, scan=scan)
    return tuple(named)


@dataclass(frozen=True, slots=True, eq=False)
class _Picture:
    """What was read of a film's file, by one opening: all that is said of the film comes from its bytes.

    Attributes:
        header: None if it cannot be read, or is that of another film.
        read: None if the film cannot be used; the ``reason`` then says why.
    """

    header: Header | None
    read: DicomFilm | None
    reason: Reason | None = None


class _Pictures:
    """The films of a study as they are read; where films are compared, each beside its other breast.

    A picture that stands under several patients is beside none, and none is beside it.

    Args:
        patient: whether a failure of the storage that may pass is raised.
        passed_on: exceptions that are no fault of a film.

    Attributes:
        sources: the films; those whose picture stands under several patients with that reason.

    Raises:
        FilmError: only if ``patient``: there is such a failure.
    """

    def __init__(
        self,
        study: StudyInput,
        *,
        compared: bool,
        patient: bool,
        passed_on: tuple[type[BaseException], ...],
    ) -> None:
        self._patient = patient
        self._passed_on = passed_on
        contested = self._contested(study)
        self.sources: Sequence[FilmSource] = [
            replace(source, reason=CONTESTED, shown=None) if index in contested else source
            for index, source in enumerate(study.films)
        ]
        shown = [source.shown for source in self.sources]
        self._anonymous = any(each is not None and not each.stated for each in shown)
        projections = [each.projection if each is not None else NO_PROJECTION for each in shown]
        self._others = other_breasts(projections) if compared else None
        # Of a pair, either film is scanned beside the other: nothing need be done twice.
        # Not of a method: what holds itself keeps its films until Python looks for cycles.
        read = partial(_read, self.sources, patient=patient)
        self._read = lru_cache(maxsize=2)(read) if compared else read

    def order(self) -> list[int]:
        """Return the order in which films are scanned: as they come, but a pair together."""
        order: list[int] = []
        for index in range(len(self.sources)):
            other = self._others[index] if self._others is not None else None
            order += [each for each in (index, other) if each is not None and each not in order]
        return order

    def remarks(self) -> tuple[str, ...]:
        """What is to be said of the comparison as a whole."""
        if self._others is None or not self._anonymous:
            return ()
        return ("films whose header states no Patient ID are not compared with the other breast",)

    def read(self, index: int) -> _Picture:
        """Read a film.

        Raises:
            FilmError: only if ``patient``: the storage fails in a way that may pass.
        """
        return self._read(index)

    def other(self, index: int) -> Film | None:
        """Return the other breast in the same view; None if there is none that can be used.

        One film under two sides is not a pair: compared with itself, each place would pass for normal.

        Raises:
            FilmError: only if ``patient``: the storage fails in a way that may pass.
        """
        at = None if self._others is None else self._others[index]
        if at is None:
            return None
        try:
            own, other = self._read(index).read, self._read(at).read
        except self._passed_on:
            raise
        except Exception:  # noqa: BLE001 - its own turn says what; it costs that film alone
            return None
        if own is None or other is None:
            return None  # its own turn says why
        return None if np.array_equal(other.film.pixels, own.film.pixels) else other.film

    def _contested(self, study: StudyInput) -> set[int]:
        """The films whose picture stands under several patients; as a rule no film is read for it."""
        whose = [source.shown.patient if source.shown is not None else 0 for source in study.films]
        may_be_one, named_here = set(map(frozenset, study.may_be_one)), set(whose) - {0}
        pairs = len(named_here) * (len(named_here) - 1) // 2
        if pairs == sum(pair <= named_here for pair in may_be_one):
            return set()
        named: defaultdict[str, defaultdict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
        for index, patient in enumerate(whose):
            for digest in self._digests(study.films[index]) if patient else ():
                named[digest][patient].append(index)
        return {
            index
            for patients in named.values()
            for patient, indices in patients.items()
            if any(frozenset((patient, other)) not in may_be_one for other in patients.keys() - {patient})
            for index in indices
        }

    def _digests(self, source: FilmSource) -> Iterator[str]:
        """What identifies the picture of a film: its stored values, and as it is shown, whatever they are.

        Nothing if it cannot be read: its own turn says why.
        """
        try:
            file = _load(source)
            dicom = parse_dicom(file)
            yield picture_digest(stored_pixels(file, dicom))
            yield film_digest(film_of(file, dicom).film)
        except FilmError as error:
            if self._patient and may_pass(error):
                raise
        except self._passed_on:
            raise
        except Exception:  # noqa: BLE001 - whatever it is, it costs this film alone
            pass


def _read(sources: Sequence[FilmSource], index: int, *, patient: bool) -> _Picture:
    """Read a film once: the bytes whose hash is checked are those that are parsed and decoded.

    Raises:
        FilmError: only if ``patient``: the storage fails in a way that may pass.
    """
    source = sources[index]
    header = None
    try:
        file = _load(source)
        dicom = parse_dicom(file)
        header = _own(dicom.header, source)
        return _Picture(header, film_of(file, dicom))
    except FilmError as error:
        if patient and may_pass(error):
            raise
        return _Picture(header, None, error.reason)


def _load(source: FilmSource) -> FileBytes:
    try:
        file = load(source.path)
    except FilmError as error:
        if not isinstance(error.__cause__, OSError):
            raise
        detail = f"cannot be read: {error.__cause__.strerror}"
        remedy = "submit the study again when the file is back"
        raise FilmError(detail, remedy, source.path.name, "unreadable-file") from error.__cause__
    if file.sha256 != source.sha256:
        detail = "has changed since it was submitted"
        raise FilmError(detail, "submit the study again", file.name, "changed")
    return file


def _header(source: FilmSource) -> Header | None:
    """The header of a film that is not scanned, if it is readable."""
    try:
        found = survey(source.path)
    except OSError:
        return None
    if found.dicom is None or found.sha256 != source.sha256:  # another file stands there, or it is several
        return None
    return _own(found.dicom.header, source)


def _own(header: Header, source: FilmSource) -> Header | None:
    """``header``, if it is that of the film."""
    same = source.sop_instance_uid is not None and uid(header, "SOPInstanceUID") == source.sop_instance_uid
    return header if same else None


_ID_LENGTH = 16  # hex digits: 64 bits, so that even 40 million jobs hardly ever collide


def job_id(
    study: StudyInput,
    model: ModelIdentity,
    shaping: Shaping,
    software_version: str = SOFTWARE_VERSION,
) -> str:
    """The id of the job: it follows from the study's content, the model, ``shaping`` and this software.

    Another version of the software may find other places with the same weights: that is another job, whose
    objects and findings have other UIDs.

    The results folder is no part of it: the same work published in two places is the same result,
    with the same UIDs, and is done once.
    """
    parts = [
        study.study_instance_uid,
        study.digest,
        model.name,
        model.version,
        model.digest,
        json.dumps(asdict(shaping), sort_keys=True),
        software_version,
    ]
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:_ID_LENGTH]


def now() -> datetime:
    """The time, to the second, with the zone of this machine."""
    return datetime.now().astimezone().replace(microsecond=0)
