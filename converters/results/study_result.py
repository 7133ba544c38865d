"""What one job says of one study: the content of every result object.

The writers (CAD SR, GSPS, overlay, ``result.json``) are functions of these values alone, so the
same job gives the same bytes: no writer looks at the clock or draws a random number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Annotated, ClassVar, Literal

from pydantic import Field
from pydicom.dataset import Dataset

from bcd_model.reasons import Reason
from bcd_model.words import Film, FilmScan, ModelIdentity, OperatingPoint, Point
from converters.films.acceptance import Rule
from converters.films.identity import Identity
from converters.films.pixels.grayscale import Transformations
from converters.uids import UUID_ROOT, make_uid

FilmOutcome = Literal["scanned", "failed", "excluded"]
"""What became of a film."""


@dataclass(frozen=True, slots=True)
class Shaping:
    """The settings that shape a result, as they stand in the job's id and in ``result.json``.

    Attributes:
        prevalence: share of abnormal films where its probabilities hold.
        threshold: on P(abnormal), from where its findings are presented.
        uid_root: below which every UID of it is made.
    """

    prevalence: Annotated[float, Field(gt=0, lt=1, strict=True)]
    threshold: Annotated[float, Field(ge=0, le=1, strict=True)]
    uid_root: str


@dataclass(frozen=True, slots=True)
class JobIdentity:
    """What the result objects need to know of their job.

    Attributes:
        job_id: follows from the study's content, the model, the software and the settings.
        created: when the job was first submitted, with time zone; dates and times of all objects.
        uid_root: below which every UID of the result is made.
    """

    job_id: str
    created: datetime
    uid_root: str = UUID_ROOT

    def uid(self, *parts: str) -> str:
        """The UID of ``parts`` of this job's result; another job or time gives another one."""
        return make_uid(self.job_id, self.created.isoformat(), *parts, root=self.uid_root)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class FilmResult:
    """One film of the study, whatever became of it: see the three kinds below.

    Attributes:
        file: name of the source file, without its folder.
        sop_instance_uid: None if the file cannot be read that far.
        header: the source's data elements without its pixels; None if unreadable.
        sha256: of the file, in hexadecimal.
        digest: what identifies the film: the SHA-256 of the first file that it came in.
        facts: what its header says (`converters.films.facts`); "" if it cannot be used.
        all_sha256: of every film that was given under its SOP Instance UID.
    """

    outcome: ClassVar[FilmOutcome]

    file: str
    sop_instance_uid: str | None
    header: Dataset | None = None
    sha256: str = ""
    digest: str = ""
    facts: str = ""
    all_sha256: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ScannedFilm(FilmResult):
    """A film that was scanned.

    Attributes:
        film: the pixels that were scanned.
        scan: what was found.
        pixel_digest: of its stored values (`converters.films.pixels.stored`); "" if not known.
        gray_scale: how these became the pixels that were scanned; by default as they are.
    """

    outcome: ClassVar[FilmOutcome] = "scanned"

    header: Dataset
    film: Film
    scan: FilmScan
    pixel_digest: str = ""
    gray_scale: Transformations = field(default_factory=Transformations)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class FailedFilm(FilmResult):
    """A film that could not be scanned, and why."""

    outcome: ClassVar[FilmOutcome] = "failed"

    reason: Reason


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ExcludedFilm(FilmResult):
    """A film that was left out of the scan, and by which rule."""

    outcome: ClassVar[FilmOutcome] = "excluded"

    rule: Rule


def failed(film: FilmResult, reason: Reason) -> FailedFilm:
    """``film`` as one that has failed."""
    kept = {field.name: getattr(film, field.name) for field in fields(FilmResult)}
    return FailedFilm(**kept, reason=reason)


@dataclass(frozen=True, slots=True)
class Reference:
    """What DICOM needs in order to point to an object (PS3.3 10.3 and C.17.2.1)."""

    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str

    def item(self) -> Dataset:
        """The item of a Referenced SOP or image sequence."""
        item = Dataset()
        item.ReferencedSOPClassUID = self.sop_class_uid
        item.ReferencedSOPInstanceUID = self.sop_instance_uid
        return item


@dataclass(frozen=True, slots=True)
class EarlierDocument(Reference):
    """A structured report of the result that this one replaces, and the patient it names."""

    patient: Identity


@dataclass(frozen=True, slots=True)
class EarlierFinding:
    """A finding of the result that this one replaces."""

    center: Point
    radius: float
    tracking_uid: str


@dataclass(frozen=True, slots=True)
class Predecessor:
    """The result of the same study that this one replaces, as far as it is known.

    Attributes:
        documents: its structured reports.
        findings: by the film's `FilmResult.digest` (its file's SHA-256 in a result of an earlier
            version); none if another model made them.
    """

    documents: tuple[EarlierDocument, ...] = ()
    findings: Mapping[str, tuple[EarlierFinding, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class StudyResult:
    """Everything one job found out about one study, or about one patient's films in it.

    Attributes:
        input_digest: SHA-256 over the study's films (see ``converters.films.studies``).
        warnings: what concerns the study as a whole (a film given twice, films of several patients).
        numbers: what people call the films, from 1 in the study; by default their order here.
        patient: the ordinal, from 1, of the patient whose films these are (`converters.results.patients`).
        patients: how many patients the films of the whole study name.
        predecessor: the result that this one replaces.
    """

    job: JobIdentity
    study_instance_uid: str
    input_digest: str
    model: ModelIdentity
    operating_point: OperatingPoint
    films: tuple[FilmResult, ...]
    warnings: tuple[str, ...] = ()
    numbers: tuple[int, ...] = ()
    patient: int = 1
    patients: int = 1
    predecessor: Predecessor | None = None
    _tracking: dict[FilmResult, tuple[str, ...]] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        if not self.numbers:
            object.__setattr__(self, "numbers", tuple(range(1, len(self.films) + 1)))

    @property
    def numbered(self) -> tuple[tuple[int, FilmResult], ...]:
        """The films with what people call them."""
        return tuple(zip(self.numbers, self.films, strict=True))

    def uid(self, *parts: str) -> str:
        """The UID of ``parts`` of the objects of this patient: no series holds two patients."""
        return self.job.uid(*parts, *((f"patient {self.patient}",) if self.patient > 1 else ()))

    def tracking_uid(self, film: FilmResult, index: int) -> str:
        """UID that follows finding ``index`` of ``film`` through every result object, and through results.

        A place that the replaced result reported in the same file keeps its UID: the new centre lies
        within the old finding's radius. Each is kept once, by the nearest.
        """
        if film not in self._tracking:
            self._tracking[film] = self._tracked(film)
        return self._tracking[film][index]

    def _tracked(self, film: FilmResult) -> tuple[str, ...]:
        findings = film.scan.findings if isinstance(film, ScannedFilm) else ()
        new = [
            self.job.uid("finding", film.sop_instance_uid or film.file, str(index))
            for index in range(len(findings))
        ]
        known = self.predecessor.findings if self.predecessor is not None else {}
        earlier = known.get(film.digest) or known.get(film.sha256) or ()
        near = sorted(
            (distance, index, number)
            for index, finding in enumerate(findings)
            for number, old in enumerate(earlier)
            if (distance := _distance(finding.center, old.center)) <= old.radius
        )
        kept: set[int] = set()
        named: dict[int, str] = {}
        for _, index, number in near:
            if index not in named and number not in kept:
                named[index] = earlier[number].tracking_uid
                kept.add(number)
        used = {old.tracking_uid for old in earlier}
        return tuple(
            named.get(index) or (uid if uid not in used else self.job.uid("another finding", uid))
            for index, uid in enumerate(new)
        )


def _distance(one: Point, other: Point) -> float:
    return float(((one[0] - other[0]) ** 2 + (one[1] - other[1]) ** 2) ** 0.5)
