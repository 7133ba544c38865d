"""A job: its id, its states, and the record that is kept of it.

A record holds UIDs, digests, paths and states; no patient data.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal, cast

from bcd_model.errors import QueueError
from bcd_model.words import ModelIdentity
from converters.studies import FilmSource, StudyInput

State = Literal["queued", "running", "done", "done with failures", "failed", "cancelled"]
UNDER_WAY: Final[frozenset[State]] = frozenset({"queued", "running"})

KEY = "bcd:job:"
"""What the key of a record in Redis begins with; the job's id follows."""

_ID_LENGTH = 16  # hex digits: 64 bits, so that even 40 million jobs hardly ever collide


@dataclass(frozen=True, slots=True)
class Record:
    """One job: a study, a model and the settings that shape the result.

    Attributes:
        created: when it was first submitted; kept by ``--force``, for the dates and UIDs follow from it.
        film: films scanned so far, of ``films``.
        attempts: how often a worker has begun it.
        reason: why it failed, one line.
        exit_code: what the command line ends with because of it.
        outs: results folders in which this run's result is to stand, absolute; the last asked for is last.
        replace: whether another job's result there may be replaced (``--force``).
        study: the films; empty in listings.
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
    state: State = "queued"
    film: int = 0
    attempts: int = 0
    reason: str = ""
    exit_code: int = 0
    replace: bool = False
    study: StudyInput | None = None

    @property
    def final(self) -> bool:
        """True if nothing more will happen by itself."""
        return self.state not in UNDER_WAY

    @property
    def description(self) -> str:
        """The state for people."""
        return f"running (film {self.film} of {self.films})" if self.state == "running" else self.state

    def result_folder(self) -> Path | None:
        """The newest published result that still stands, None if there is none."""
        for out in reversed(self.outs):
            folder = out / self.study_instance_uid
            if (folder / "result.json").is_file():
                return folder
        return None

    def as_json(self) -> dict[str, object]:
        """The record for ``--json``."""
        folder = self.result_folder()
        return {
            "job_id": self.job_id,
            "study_instance_uid": self.study_instance_uid,
            "state": self.state,
            "film": self.film,
            "films": self.films,
            "created": self.created.isoformat(),
            "updated": self.updated.isoformat(),
            "attempts": self.attempts,
            "reason": self.reason or None,
            "model": {
                "name": self.model.name,
                "version": self.model.version,
                "digest": self.model.digest,
            },
            "settings": dict(self.settings),
            "input_digest": self.input_digest,
            "result": str(folder) if folder else None,
        }


def job_id(study: StudyInput, model: ModelIdentity, settings: Mapping[str, object]) -> str:
    """The id of the job: it follows from the study's content, the model and ``settings``.

    The results folder is no part of it: the same work published in two places is the same result,
    with the same UIDs, and is done once.
    """
    parts = [
        study.study_instance_uid,
        study.digest,
        model.name,
        model.version,
        model.digest,
        json.dumps(dict(settings), sort_keys=True),
    ]
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:_ID_LENGTH]


def now() -> datetime:
    """The time, to the second, with the zone of this machine."""
    return datetime.now().astimezone().replace(microsecond=0)


def to_fields(record: Record) -> dict[str, object]:
    """The record as the fields of a Redis hash, all but ``outs``, which the queue keeps up to date itself.

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
        "settings": json.dumps(dict(record.settings), sort_keys=True),
        "created": record.created.isoformat(),
        "updated": record.updated.isoformat(),
        "films": record.films,
        "state": record.state,
        "film": record.film,
        "attempts": record.attempts,
        "reason": record.reason,
        "exit_code": record.exit_code,
        "replace": record.replace,
        "study": _study_to_json(record.study),
    }


def from_fields(job: str, fields: Mapping[str, str]) -> Record:
    """The record without its study, from the fields of its hash.

    Raises:
        QueueError: they are damaged.
    """
    try:
        return Record(
            job_id=job,
            study_instance_uid=fields["study_instance_uid"],
            input_digest=fields["input_digest"],
            model=ModelIdentity(fields["model_name"], fields["model_version"], fields["model_digest"]),
            settings=json.loads(fields["settings"]),
            created=datetime.fromisoformat(fields["created"]),
            updated=datetime.fromisoformat(fields["updated"]),
            films=int(fields["films"]),
            outs=tuple(Path(out) for out in json.loads(fields["outs"])),
            state=cast(State, fields["state"]),
            film=int(fields["film"]),
            attempts=int(fields["attempts"]),
            reason=fields["reason"],
            exit_code=int(fields["exit_code"]),
            replace=fields["replace"] == "1",
        )
    except (KeyError, ValueError, TypeError):
        message = f"the record of job {job} cannot be read"
        raise QueueError(message, f"delete the key {KEY}{job} in Redis and submit the study again") from None


def _study_to_json(study: StudyInput) -> str:
    films = [[str(f.path), f.sop_instance_uid, f.sha256, f.reason] for f in study.films]
    return json.dumps({"films": films, "warnings": list(study.warnings)})


def study_from_json(text: str, uid: str) -> StudyInput:
    """The study as it stands in the field ``study``."""
    stored = json.loads(text)
    films = tuple(FilmSource(Path(path), *rest) for path, *rest in stored["films"])
    return StudyInput(uid, films, tuple(stored["warnings"]))
