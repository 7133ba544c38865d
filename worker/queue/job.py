"""A job: its id, its states, its lane, and the record that is kept of it.

A record holds UIDs, digests, paths and states; no patient data.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal, TypeVar, get_args

from bcd_model.reasons import Reason, reason_from_json, reason_of_earlier_version
from bcd_model.words import ModelIdentity, Projection
from converters.films.studies import FilmSource, Shown, StudyInput
from converters.product import SOFTWARE_VERSION
from worker.study.outcome import NOTHING, STATES, UNDER_WAY, State, Tally, in_one_line
from worker.study.published import job_of
from worker.study.scan import _ID_LENGTH

T = TypeVar("T", bound=str)


Lane = Literal["interactive", "batch"]
LANES: Final[tuple[Lane, ...]] = get_args(Lane)
"""In the order in which workers serve them."""

KEY = "bcd:job:"
"""What the key of a record in Redis begins with; the job's id follows."""

_MANY = 1 << 31  # more films, attempts or lost workers are no count of ours
_SECONDS = re.compile(r"[0-9]+(\.[0-9]+)?(e\+[0-9]+)?")  # some Redis write 1.7957970194664497e+9
_BEFORE_VERSIONS = "0.1.0"  # the one release whose records do not state it


@dataclass(frozen=True, slots=True)
class Standing:
    """What stands in the results folders of a job.

    Attributes:
        folder: with its own result; None if there is none.
        other: the first one with something else, if there is none of its own.
        other_job: whose result that is; "" if that cannot be told.
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
        lane: which queue it waits in.
        batch: the last batch it was submitted with, "" if none.
        film: films scanned so far, of ``films``.
        attempts: how often a worker has begun it since it was last submitted.
        lost: how many of these ended without an outcome, as the process that worked on it died.
        tries: how many of these ended because the storage failed, and are to be made again.
        holder: who works on it; "" if nobody.
        begun: when the last attempt began, seconds since 1970 by Redis's clock; 0 if there was none.
        ended: when the job ended, likewise; 0 if it has not.
        due: when it is to be tried again, likewise; 0 if it need not wait.
        reason: why it failed, or waits; None if there is nothing to say.
        exit_code: what the command line ends with because of it.
        outs: results folders in which this run's result is to stand, absolute; the last asked for is last.
        homes: those of them whose submitters know the names of the films' files; results elsewhere do not
            tell these names. Empty in listings.
        replace: whether another job's result there may be replaced (``--force``).
        study: the films; empty in listings.
        software_version: of the product for which it was submitted.
        refused: whether its submission was refused, so that there is nothing to be retried.
        superseded_by: id of the job in its place, which has its films; "" if there is none.
    """

    job_id: str
    study_instance_uid: str
    input_digest: str
    model: ModelIdentity
    settings: Mapping[str, Any]
    created: datetime
    updated: datetime
    films: int
    outs: tuple[Path, ...]
    lane: Lane = "interactive"
    batch: str = ""
    state: State = "queued"
    film: int = 0
    attempts: int = 0
    lost: int = 0
    tries: int = 0
    holder: str = ""
    begun: float = 0.0
    ended: float = 0.0
    due: float = 0.0
    reason: Reason | None = None
    exit_code: int = 0
    homes: tuple[Path, ...] = ()
    replace: bool = False
    tally: Tally = NOTHING
    study: StudyInput | None = None
    software_version: str = SOFTWARE_VERSION
    refused: bool = False
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
            with_place: for whoever named the files, with the file's or folder's name; without it where
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
            "lane": self.lane,
            "batch": self.batch or None,
            "created": self.created.isoformat(),
            "updated": self.updated.isoformat(),
            "begun": _iso(self.begun),
            "ended": _iso(self.ended),
            "tried_again_at": _iso(self.due),
            "attempts": self.attempts,
            "attempts_lost": self.lost,
            "reason": self.why(with_place=True) or None,
            "reason_code": self.reason.code if self.reason else None,
            "films_scanned": self.tally.scanned,
            "films_failed": self.tally.failed,
            "films_excluded": self.tally.excluded,
            "films_flagged": self.tally.flagged,
            "highest_probability": self.tally.highest,
            "model": {
                "name": self.model.name,
                "version": self.model.version,
                "digest": self.model.digest,
            },
            "software_version": self.software_version,
            "settings": dict(self.settings),
            "input_digest": self.input_digest,
            "result": str(standing.folder) if standing.folder else None,
            "result_replaced_by": standing.other_job or None,
            "superseded_by": self.superseded_by or None,
        }


def refusal_id(job: str, whose: str) -> str:
    """The id of a refusal: ``job`` itself may be somebody else's."""
    return hashlib.sha256(f"refused\x1f{job}\x1f{whose}".encode()).hexdigest()[:_ID_LENGTH]


def _iso(seconds: float) -> str | None:
    return datetime.fromtimestamp(seconds).astimezone().isoformat(timespec="seconds") if seconds else None


def tally_fields(tally: Tally) -> dict[str, object]:
    """The tally as fields of the record's hash."""
    return {
        "scanned": tally.scanned,
        "failed_films": tally.failed,
        "excluded_films": tally.excluded,
        "flagged": tally.flagged,
        "highest": round(tally.highest, 6),
    }


def to_fields(record: Record) -> dict[str, object]:
    """The record as the fields of a Redis hash.

    All but ``outs`` and ``state``, which the scripts of `worker.queue.transitions` alone may set.

    Raises:
        ValueError: the record has no study.
    """
    if record.study is None:
        raise ValueError("a record is submitted with its study")
    return {
        "study_instance_uid": record.study_instance_uid,
        "input_digest": record.input_digest,
        "model_name": record.model.name,
        "model_version": record.model.version,
        "model_digest": record.model.digest,
        "software_version": record.software_version,
        "settings": json.dumps(dict(record.settings), sort_keys=True),
        "created": record.created.isoformat(),
        "updated": record.updated.isoformat(),
        "films": record.films,
        "lane": record.lane,
        "film": record.film,
        "attempts": record.attempts,
        "lost": record.lost,
        "tries": record.tries,
        "holder": record.holder,
        "begun": record.begun,
        "ended": record.ended,
        "due": record.due,
        "reason": reason_field(record.reason),
        "exit_code": record.exit_code,
        "replace": int(record.replace),
        "refused": int(record.refused),
        "superseded_by": record.superseded_by,
        "study": _study_to_json(record.study),
        **tally_fields(record.tally),
    }


def from_fields(job: str, fields: Mapping[str, str], *, whole: bool) -> Record | None:
    """The record from the fields of its hash.

    Args:
        whole: with its study.

    Returns:
        None if it is damaged: a field is missing, or says what none of ours ever does.
    """
    try:
        record = Record(
            job_id=job,
            study_instance_uid=fields["study_instance_uid"],
            input_digest=fields["input_digest"],
            model=ModelIdentity(fields["model_name"], fields["model_version"], fields["model_digest"]),
            software_version=fields.get("software_version") or _BEFORE_VERSIONS,
            settings=_settings(fields["settings"]),
            created=_date(fields["created"]),
            updated=_date(fields["updated"]),
            films=_count(fields["films"]),
            outs=_outs(fields["outs"]),
            lane=_one_of(LANES, fields["lane"]),
            batch=fields.get("batch") or "",
            state=_one_of(STATES, fields["state"]),
            film=_count(fields["film"]),
            attempts=_count(fields["attempts"]),
            lost=_count(fields["lost"]),
            tries=_count(fields["tries"]),
            holder=fields["holder"],
            begun=_time(fields["begun"]),
            ended=_time(fields["ended"]),
            due=_time(fields["due"]),
            reason=reason_of_field(fields["reason"]),
            exit_code=_count(fields["exit_code"]),
            homes=tuple(map(Path, json.loads(fields.get("homes") or "[]"))),
            replace=fields["replace"] == "1",
            tally=Tally(
                _count(fields["scanned"]),
                _count(fields["failed_films"]),
                _count(fields["flagged"]),
                float(fields["highest"]),
                _count(fields.get("excluded_films", "0")),  # a record of version 0.1 has none
            ),
            refused=fields.get("refused") == "1",
            superseded_by=fields.get("superseded_by") or "",
            study=study_from_json(fields["study"], fields["study_instance_uid"]) if whole else None,
        )
        if not (record.films >= 1 and 0 <= record.tally.highest <= 1):
            raise ValueError("no record of a job")
    except (KeyError, ValueError, TypeError, AttributeError, OverflowError, OSError, RecursionError):
        return None
    return record


def reason_field(reason: Reason | None) -> str:
    """A reason as a field of a hash: JSON, as the scripts of `worker.queue.transitions` write it."""
    return json.dumps(reason.as_json()) if reason is not None else ""


def reason_of_field(stored: str) -> Reason | None:
    """What `reason_field` stands for; an earlier version wrote a sentence.

    Raises:
        ValueError: it is no reason.
    """
    if not stored:
        return None
    try:
        found = json.loads(stored)
    except ValueError:
        found = None
    return reason_from_json(found) if isinstance(found, dict) else reason_of_earlier_version(stored)


def _one_of(known: Sequence[T], told: str) -> T:
    """``told``, if it is one of those that are known."""
    for each in known:
        if each == told:
            return each
    raise ValueError(told)


def _count(told: str) -> int:
    """A number as we and Redis write it."""
    number = int(told)
    if str(number) != told or not 0 <= number < _MANY:
        raise ValueError(told)
    return number


def _date(told: str) -> datetime:
    """A time with its zone."""
    date = datetime.fromisoformat(told)
    if date.tzinfo is None:
        raise ValueError(told)
    date.timestamp()
    return date


def _time(told: str) -> float:
    """Seconds since 1970 that are a date."""
    if not _SECONDS.fullmatch(told):
        raise ValueError(told)
    seconds = float(told)
    datetime.fromtimestamp(seconds)
    return seconds


def _outs(stored: str) -> tuple[Path, ...]:
    outs = json.loads(stored)
    if not (isinstance(outs, list) and outs and all(isinstance(out, str) for out in outs)):
        raise ValueError("no results folders of a job")
    paths = tuple(Path(out) for out in outs)
    if not all(path.is_absolute() for path in paths):
        raise ValueError("no results folders of a job")
    return paths


def _settings(stored: str) -> dict[str, Any]:
    settings: dict[str, Any] = json.loads(stored)
    known = 0 < settings["prevalence"] < 1 and 0 <= settings["threshold"] <= 1
    if not (known and isinstance(settings["uid_root"], str)):
        raise ValueError("no settings of a job")
    return settings


def _study_to_json(study: StudyInput) -> str:
    return json.dumps(
        {
            "films": [_film_to_json(film) for film in study.films],
            "warnings": list(study.warnings),
            "patients": study.patients,
            "may_be_one": study.may_be_one,
        }
    )


def _film_to_json(film: FilmSource) -> dict[str, object]:
    fields: dict[str, object] = {
        "path": str(film.path),
        "uid": film.sop_instance_uid,
        "sha256": film.sha256,
        "digest": film.digest,
        "reason": film.reason.as_json() if film.reason is not None else None,
        "rule": film.rule,
        "all_sha256": film.all_sha256,
        "facts": film.facts,
    }
    if film.shown is not None:
        shown, projection = film.shown, film.shown.projection
        fields["shown"] = (
            shown.patient,
            shown.stated,
            projection.patient,
            projection.view,
            projection.laterality,
        )
    return {name: value for name, value in fields.items() if value}


def study_from_json(text: str, uid: str) -> StudyInput:
    """The study as it stands in the field ``study``."""
    stored = json.loads(text)
    may_be_one = tuple((int(one), int(other)) for one, other in stored.get("may_be_one", ()))
    films = tuple(map(_film_from_json, stored["films"]))
    return StudyInput(uid, films, tuple(stored["warnings"]), stored.get("patients", 1), may_be_one)


def _film_from_json(stored: Mapping[str, Any] | Sequence[Any]) -> FilmSource:
    if not isinstance(stored, Mapping):
        return _film_of_earlier_version(*stored)
    patient, stated, *projection = stored.get("shown") or (0, False)
    return FilmSource(
        Path(stored["path"]),
        stored.get("uid"),
        stored["sha256"],
        reason_from_json(stored["reason"]) if "reason" in stored else None,
        stored.get("rule"),
        tuple(stored.get("all_sha256", ())),
        stored["digest"],
        stored.get("facts", ""),
        Shown(patient, stated, Projection(*projection)) if projection else None,
    )


def _film_of_earlier_version(
    path: str, uid: str | None, sha256: str, reason: str | None = None, *rest: Any
) -> FilmSource:
    rule = rest[0] if rest else None  # older records have neither this
    known = rest[1] if rest[1:] else ()  # nor that
    why = reason_of_earlier_version(reason) if reason else None
    return FilmSource(Path(path), uid, sha256, why, rule, tuple(known))


def names_of(study: StudyInput) -> str:
    """What tells how the files of a study are called."""
    named = sorted(f"{film.digest} {film.path.name}" for film in study.films)
    return hashlib.sha256("\n".join(named).encode(errors="surrogateescape")).hexdigest()
