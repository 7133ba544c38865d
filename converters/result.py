"""What one job says of one study: the content of every result object.

The writers (CAD SR, GSPS, overlay, ``result.json``) are functions of these values alone, so the
same job gives the same bytes: no writer looks at the clock or draws a random number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from pydicom.dataset import Dataset

from bcd_model.words import Film, FilmScan, ModelIdentity, OperatingPoint
from converters.uids import UUID_ROOT, make_uid


@dataclass(frozen=True, slots=True)
class JobIdentity:
    """What the result objects need to know of their job.

    Attributes:
        job_id: follows from the study's content, the model and the settings.
        created: when the job was first submitted, with time zone; dates and times of all objects.
        uid_root: below which every UID of the result is made.
    """

    job_id: str
    created: datetime
    uid_root: str = UUID_ROOT

    def uid(self, *parts: str) -> str:
        """The UID of ``parts`` of this job's result; another job or time gives another one."""
        return make_uid(self.job_id, self.created.isoformat(), *parts, root=self.uid_root)


@dataclass(frozen=True, slots=True, eq=False)
class FilmResult:
    """One film of the study: scanned, or failed with a reason.

    Attributes:
        file: name of the source file, without its folder.
        sop_instance_uid: None if the file cannot be read that far.
        header: the source's data elements without its pixels; None if unreadable.
        film: the pixels that were scanned; None if the film failed.
        scan: None if the film failed.
        reason: why it failed, one line without patient data; None if it was scanned.
    """

    file: str
    sop_instance_uid: str | None
    header: Dataset | None = None
    film: Film | None = None
    scan: FilmScan | None = None
    reason: str | None = None

    @property
    def failed(self) -> bool:
        """True if there is no scan of this film."""
        return self.scan is None


@dataclass(frozen=True, slots=True, eq=False)
class StudyResult:
    """Everything one job found out about one study.

    Attributes:
        settings: the settings that shaped the result, as they stand in ``result.json``.
        input_digest: SHA-256 over the study's films (see ``converters.studies``).
        warnings: what concerns the study as a whole (a film given twice, a file of no study).
    """

    job: JobIdentity
    study_instance_uid: str
    input_digest: str
    model: ModelIdentity
    operating_point: OperatingPoint
    films: tuple[FilmResult, ...]
    settings: Mapping[str, object] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def tracking_uid(self, film: FilmResult, index: int) -> str:
        """UID that follows finding ``index`` of ``film`` through every result object."""
        return self.job.uid("finding", film.sop_instance_uid or film.file, str(index))
