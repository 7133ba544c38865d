"""A job: its id, its states, its priority, and the record that is kept of it.

A record holds UIDs, digests, paths and states; no patient data.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final, Literal, get_args

from pydantic import AfterValidator, AwareDatetime, Field, TypeAdapter

from bcd_model.reasons import Reason
from bcd_model.words import ModelIdentity
from converters.films.studies import StudyInput
from converters.product import SOFTWARE_VERSION
from converters.results.study_result import Shaping
from worker.queue.earlier_versions import in_todays_form, is_earlier
from worker.queue.fields import Flag, Seconds, Stored, to_json
from worker.study.outcome import NOTHING, UNDER_WAY, Count, State, Tally, in_one_line
from worker.study.published import job_of
from worker.study.scan import _ID_LENGTH

Priority = Literal["interactive", "batch"]
PRIORITIES: Final[tuple[Priority, ...]] = get_args(Priority)
"""In the order in which workers serve them."""

KEY = "bcd:job:"
"""What the key of a record in Redis begins with; the job's id follows."""


def _absolute(path: Path) -> Path:
    if not path.is_absolute():
        raise ValueError("not an absolute path")
    return path


Folder = Annotated[Path, AfterValidator(_absolute)]


@dataclass(frozen=True, slots=True)
class Standing:
    """What stands in the results folders of a job.

    Attributes:
        folder: with its own result; None if there is none.
        other: the first one with something else, if there is none of its own.
        other_job: whose result that is; "" if that is not known.
    """

    folder: Path | None = None
    other: Path | None = None
    other_job: str = ""

    def explained(self) -> str:
        """Why there is no result of the job, for people; "" if there is nothing to say."""
        if self.other is None:
            return ""
        whose = f"the result of another job ({self.other_job})" if self.other_job else "no readable result"
        return f"{self.other} holds {whose} by now"


@dataclass(frozen=True, slots=True)
class Record:
    """One job: a study, a model and the settings that shape the result.

    Attributes:
        created: when it was first submitted; kept by ``--force``, for the dates and UIDs follow from it.
        priority: which priority queue it waits in.
        batch: the last batch it was submitted with, "" if none.
        film: films scanned so far, of ``films``.
        attempts: how often a worker has begun it since it was last submitted.
        lost: how many of these ended without an outcome, as the process that worked on it died.
        tries: how many of these ended because the storage failed, and are to be made again.
        holder: who works on it; "" if nothing does.
        begun: when the last attempt began, seconds since 1970 by Redis's clock; 0 if there was none.
        ended: when the job ended, likewise; 0 if it has not.
        due: when it is to be tried again, likewise; 0 if it need not wait.
        reason: why it failed, or waits; None if there is nothing to say.
        exit_code: what the command line ends with because of it.
        outs: results folders in which this run's result is to stand, absolute; the last asked for is last.
        homes: those of them whose submitters know the names of the films' files; results elsewhere do not
            show these names. Empty in listings.
        replace: whether another job's result there may be replaced (``--force``).
        study: the films; empty in listings.
        software_version: of the product for which it was submitted.
        refused: whether its submission was refused, so that there is nothing to be retried.
        superseded_by: id of the job in its place, which has its films; "" if there is none.
    """

    job_id: str
    study_instance_uid: str
    input_digest: str
    model: Stored[ModelIdentity]
    settings: Stored[Shaping]
    created: AwareDatetime
    updated: AwareDatetime
    films: Annotated[Count, Field(ge=1)]
    outs: Stored[Annotated[tuple[Folder, ...], Field(min_length=1)]]
    priority: Priority = "interactive"
    batch: str = ""
    state: State = "queued"
    film: Count = 0
    attempts: Count = 0
    lost: Count = 0
    tries: Count = 0
    holder: str = ""
    begun: Seconds = 0.0
    ended: Seconds = 0.0
    due: Seconds = 0.0
    reason: Stored[Reason | None] = None
    exit_code: Count = 0
    homes: Stored[tuple[Folder, ...]] = ()
    replace: Flag = False
    tally: Stored[Tally] = NOTHING
    study: Stored[StudyInput | None] = None
    software_version: str = SOFTWARE_VERSION
    refused: Flag = False
    superseded_by: str = ""

    @property
    def final(self) -> bool:
        """True if nothing more will happen by itself."""
        return self.state not in UNDER_WAY

    @property
    def wanted(self) -> bool:
        """True if its films still wait for a result: under way, or failed with no other job in its place."""
        return not self.final or (self.state == "failed" and not self.superseded_by)

    @property
    def description(self) -> str:
        """The state for people."""
        return f"running (film {self.film} of {self.films})" if self.state == "running" else self.state

    @property
    def names_files(self) -> bool:
        """Whether those who submitted it know the names of the films' files."""
        return set(self.outs) <= set(self.homes)

    def why(self, *, with_place: bool = False) -> str:
        """Why it failed, or waits, in one line; "" if there is nothing to say.

        Args:
            with_place: for the user who named the files, with the file's or folder's name; without it where
                others have joined, who named theirs otherwise.
        """
        if self.reason is None or self.reason.code != "earlier-version":
            with_place = with_place and self.names_files
        return in_one_line(self.reason, self.films, self.tally, with_place=with_place)

    def standing(self) -> Standing:
        """What stands where this job has published, or was to; the folder asked for last comes first."""
        found = Standing()
        for out in reversed(self.outs):
            folder = out / self.study_instance_uid
            job = job_of(folder)
            if job == self.job_id:
                return Standing(folder)
            if job is not None and found.other is None:
                found = Standing(None, folder, job)
        return found

    def result_folder(self) -> Path | None:
        """The newest published result of this job that still stands, None if there is none."""
        return self.standing().folder

    def as_json(self) -> dict[str, object]:
        """The record for ``--json``."""
        standing = self.standing()
        return {
            "job_id": self.job_id,
            "study_instance_uid": self.study_instance_uid,
            "state": self.state,
            "film": self.film,
            "films": self.films,
            "priority": self.priority,
            "batch": self.batch or None,
            "created": self.created.isoformat(),
            "updated": self.updated.isoformat(),
            "begun": iso(self.begun),
            "ended": iso(self.ended),
            "tried_again_at": iso(self.due),
            "attempts": self.attempts,
            "attempts_lost": self.lost,
            "reason": self.why(with_place=True) or None,
            "reason_code": self.reason.code if self.reason else None,
            "films_scanned": self.tally.scanned,
            "films_failed": self.tally.failed,
            "films_excluded": self.tally.excluded,
            "films_flagged": self.tally.flagged,
            "highest_probability": self.tally.highest,
            "model": asdict(self.model),
            "software_version": self.software_version,
            "settings": asdict(self.settings),
            "input_digest": self.input_digest,
            "result": str(standing.folder) if standing.folder else None,
            "result_replaced_by": standing.other_job or None,
            "superseded_by": self.superseded_by or None,
        }


def refusal_id(job: str, whose: str) -> str:
    """The id of a refusal: ``job`` itself may be another user's."""
    return hashlib.sha256(f"refused\x1f{job}\x1f{whose}".encode()).hexdigest()[:_ID_LENGTH]


def iso(seconds: float) -> str | None:
    """Seconds since 1970 as a time for ``--json``; None for 0."""
    return datetime.fromtimestamp(seconds).astimezone().isoformat(timespec="seconds") if seconds else None


_RECORD = TypeAdapter(Record)
_SET_BY_SCRIPTS = {"job_id", "outs", "homes", "state", "batch"}

FIELDS: Final = tuple(field.name for field in fields(Record) if field.name not in ("job_id", "study"))
"""The fields of the hash of a record, but for its study."""


def to_fields(record: Record) -> dict[str, object]:
    """The record as fields of a Redis hash, but for those that only scripts set (`worker.queue.transitions`).

    Raises:
        ValueError: the record has no study.
    """
    if record.study is None:
        raise ValueError("a record is submitted with its study")
    found: dict[str, object] = _RECORD.dump_python(record, mode="json", exclude=_SET_BY_SCRIPTS)
    return found


def from_fields(job: str, fields: Mapping[str, str], *, whole: bool) -> Record | None:
    """The record from the fields of its hash.

    Args:
        whole: with its study.

    Returns:
        None if it cannot be read: a field is missing, or holds what its type does not allow.
    """
    try:
        fields = in_todays_form(fields) if is_earlier(fields) else fields
        named = {name: fields[name] for name in ((*FIELDS, "study") if whole else FIELDS)}
        return _RECORD.validate_python({"job_id": job, **named})
    except (KeyError, TypeError, ValueError, RecursionError):  # their texts may hold what stands there
        return None


def reason_field(reason: Reason | None) -> str:
    """A reason as a field of a hash: JSON, as the scripts of `worker.queue.transitions` write it."""
    return to_json(reason.as_json()) if reason is not None else ""


def names_of(study: StudyInput) -> str:
    """A digest of what the files of a study are called."""
    named = sorted(f"{film.digest} {film.path.name}" for film in study.films)
    return hashlib.sha256("\n".join(named).encode(errors="surrogateescape")).hexdigest()
