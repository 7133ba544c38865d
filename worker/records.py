"""Job records: what is known of every job, in Redis; and the id that names a job.

A record is the hash ``bcd:job:<id>``; the sorted set ``bcd:jobs`` lists the ids by the time of their
first submission. Every change of state is one Lua script, so that two submitters or a submitter and
a worker never overwrite each other. A record holds UIDs, digests, paths and states; no patient data.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal, cast
from urllib.parse import parse_qs, urlsplit

import redis
from redis.backoff import ExponentialBackoff
from redis.exceptions import AuthenticationError, RedisError, ResponseError
from redis.retry import Retry

from bcd_model.errors import QueueError, UsageError
from bcd_model.words import ModelIdentity
from converters.studies import FilmSource, StudyInput
from worker.settings import hide_secrets

State = Literal["queued", "running", "done", "done with failures", "failed", "cancelled"]
UNDER_WAY: Final[frozenset[State]] = frozenset({"queued", "running"})
PUBLISHED: Final[frozenset[State]] = frozenset({"done", "done with failures"})

Answer = Literal["queued", "under way", "done"]
"""What a submission comes to: new work, work already begun, or work already done."""

_INDEX = "bcd:jobs"
_KEY = "bcd:job:"
_ID_LENGTH = 16  # hex digits: 64 bits, so that even 40 million jobs hardly ever collide
_SHORT = (
    "study_instance_uid",
    "state",
    "film",
    "films",
    "created",
    "updated",
    "attempts",
    "reason",
    "exit_code",
    "outs",
    "model_name",
    "model_version",
    "model_digest",
    "input_digest",
    "settings",
    "replace",
)

# KEYS: record, index. ARGV: id, result is published (0/1), force (0/1), out, score, then the fields.
# A job under way gets the folder as one more destination; a job done and published there is left alone.
_SUBMIT = """
local state = redis.call('HGET', KEYS[1], 'state')
local under_way = state == 'queued' or state == 'running'
local done = (state == 'done' or state == 'done with failures') and ARGV[2] == '1' and ARGV[3] == '0'
if under_way or done then
  local outs = cjson.decode(redis.call('HGET', KEYS[1], 'outs'))
  local kept = {}
  for _, out in ipairs(outs) do if out ~= ARGV[4] then table.insert(kept, out) end end
  table.insert(kept, ARGV[4])
  redis.call('HSET', KEYS[1], 'outs', cjson.encode(kept))
  return done and 'done' or 'under way'
end
for i = 6, #ARGV, 2 do
  if not (state and ARGV[i] == 'created') then redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
end
redis.call('HSET', KEYS[1], 'outs', cjson.encode({ARGV[4]}))
redis.call('ZADD', KEYS[2], 'NX', ARGV[5], ARGV[1])
return 'queued'
"""

# KEYS: record, index. ARGV: id, score, out, then the fields.
_RESTORE = """
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
for i = 4, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
redis.call('HSET', KEYS[1], 'outs', cjson.encode({ARGV[3]}))
redis.call('ZADD', KEYS[2], 'NX', ARGV[2], ARGV[1])
return 1
"""

# KEYS: record. ARGV: number of states allowed, these states, then the fields to set.
_ADVANCE = """
local state = redis.call('HGET', KEYS[1], 'state')
local allowed = false
for i = 2, 1 + tonumber(ARGV[1]) do allowed = allowed or ARGV[i] == state end
if not allowed then return 0 end
for i = 2 + tonumber(ARGV[1]), #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
return 1
"""

# KEYS: record. ARGV: number of outs published to, then the fields to set. 0 if one was added since.
_FINISH = """
if redis.call('HGET', KEYS[1], 'state') ~= 'running' then return 1 end
if #cjson.decode(redis.call('HGET', KEYS[1], 'outs')) > tonumber(ARGV[1]) then return 0 end
for i = 2, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
return 1
"""


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


class Records:
    """The job records of one Redis.

    Every method raises QueueError if Redis cannot be reached or refuses.
    """

    def __init__(self, url: str) -> None:
        self._shown_url = hide_secrets(url)
        self._redis = _client(url)
        self._submit = self._redis.register_script(_SUBMIT)
        self._restore = self._redis.register_script(_RESTORE)
        self._advance = self._redis.register_script(_ADVANCE)
        self._finish = self._redis.register_script(_FINISH)

    def ping(self) -> None:
        """Raise QueueError if Redis does not answer."""
        with self._errors():
            self._redis.ping()

    def configuration(self) -> dict[str, str]:
        """Redis's own ``maxmemory-policy`` and ``appendonly``; empty if it may not be asked."""
        with self._errors():
            try:
                policy = cast("dict[str, str]", self._redis.config_get("maxmemory-policy"))
                return policy | cast("dict[str, str]", self._redis.config_get("appendonly"))
            except ResponseError:
                return {}

    def submit(self, record: Record, *, published: bool, force: bool) -> Answer:
        """Queue the job unless it is under way or done.

        Args:
            record: as it is to stand if the job is new; ``outs`` holds the one folder asked for.
            published: whether its result stands there already.
            force: whether to run it again even so.
        """
        fields = _flat(_to_hash(record))
        arguments: list[Any] = [
            record.job_id,
            int(published),
            int(force),
            str(record.outs[0]),
            record.created.timestamp(),
        ]
        with self._errors():
            keys = [_KEY + record.job_id, _INDEX]
            return cast(Answer, self._submit(keys=keys, args=arguments + fields))

    def restore(self, record: Record) -> None:
        """Write a record that was lost; one that is there stays as it is."""
        fields = _flat(_to_hash(record))
        arguments = [record.job_id, record.created.timestamp(), str(record.outs[0]), *fields]
        with self._errors():
            self._restore(keys=[_KEY + record.job_id, _INDEX], args=arguments)

    def forget_messages(self, queue: str) -> None:
        """Delete every message of ``queue``, also those that a worker has taken and not acknowledged."""
        with self._errors():
            self._redis.delete(queue, "unacked", "unacked_index", "unacked_mutex")

    def advance(self, job: str, *, allowed: frozenset[State], **fields: object) -> bool:
        """Set ``fields`` if the job's state is one of ``allowed``; whether it was."""
        fields["updated"] = now().isoformat()
        arguments = [len(allowed), *sorted(allowed), *_flat(fields)]
        with self._errors():
            return bool(self._advance(keys=[_KEY + job], args=arguments))

    def finish(self, record: Record, **fields: object) -> bool:
        """End a running job; False if a results folder has been added that ``record`` does not know."""
        fields["updated"] = now().isoformat()
        arguments = [len(record.outs), *_flat(fields)]
        with self._errors():
            return bool(self._finish(keys=[_KEY + record.job_id], args=arguments))

    def get(self, job: str) -> Record | None:
        """The whole record, with its study; None if there is none."""
        with self._errors():
            fields = cast("dict[str, str]", self._redis.hgetall(_KEY + job))
        if not fields:
            return None
        record = _from_hash(job, fields)
        return replace(record, study=_study_from_json(fields["study"], record.study_instance_uid))

    def listing(self, ids: Sequence[str] | None = None) -> list[Record]:
        """Records without their studies: of ``ids``, or all, the newest first."""
        with self._errors():
            if ids is None:
                ids = cast("list[str]", self._redis.zrevrange(_INDEX, 0, -1))
            pipeline = self._redis.pipeline(transaction=False)
            for job in ids:
                pipeline.hmget(_KEY + job, list(_SHORT))
            rows = pipeline.execute() if ids else []
        return [
            _from_hash(job, dict(zip(_SHORT, row, strict=True)))
            for job, row in zip(ids, rows, strict=True)
            if row[0] is not None
        ]

    def find(self, start: str) -> Record:
        """The record whose id begins with ``start``, or whose study's UID it is.

        Raises:
            UsageError: no job or more than one is meant.
        """
        with self._errors():
            ids = cast("list[str]", self._redis.zrevrange(_INDEX, 0, -1))
        matches = [job for job in ids if job.startswith(start)]
        if not matches:
            matches = [r.job_id for r in self.listing(ids) if r.study_instance_uid == start]
        if not matches:
            raise UsageError(f"no job {start!r}", "bcd-admin jobs lists them")
        if len(matches) > 1:
            raise UsageError(f"{start!r} may be {len(matches)} jobs", "give the id of one, or more of it")
        record = self.get(matches[0])
        if record is None:
            raise UsageError(f"the record of job {matches[0]} is gone", "submit the study again")
        return record

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except AuthenticationError:
            message = f"the queue at {self._shown_url} refuses the password"
            raise QueueError(message, "mend BCD_BROKER_URL") from None
        except RedisError as error:
            message = f"the queue at {self._shown_url} does not answer: {_one_line(error)}"
            raise QueueError(message, "start Redis or mend BCD_BROKER_URL") from None


def _client(url: str) -> redis.Redis:
    parts = urlsplit(url)
    if parts.scheme == "redis+socket":  # Celery's form; redis-py's is unix://PATH?db=N
        database = parse_qs(parts.query).get("virtual_host", ["0"])[0]
        login = f"{parts.netloc}" if parts.netloc else ""
        url = f"unix://{login}{parts.path}?db={database}"
    return redis.Redis.from_url(
        url,
        decode_responses=True,
        encoding_errors="surrogateescape",  # names of files and folders need not be UTF-8
        socket_timeout=10,
        socket_connect_timeout=5,
        retry=Retry(ExponentialBackoff(cap=0.5, base=0.1), 1),
    )


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__


def _flat(fields: Mapping[str, object]) -> list[Any]:
    flat: list[Any] = []
    for name, value in fields.items():
        flat += [name, int(value) if isinstance(value, bool) else value]
    return flat


def _to_hash(record: Record) -> dict[str, object]:
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


def _from_hash(job: str, fields: Mapping[str, str]) -> Record:
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
        raise QueueError(message, f"delete the key {_KEY}{job} in Redis and submit the study again") from None


def _study_to_json(study: StudyInput) -> str:
    films = [[str(f.path), f.sop_instance_uid, f.sha256, f.reason] for f in study.films]
    return json.dumps({"films": films, "warnings": list(study.warnings)})


def _study_from_json(text: str, uid: str) -> StudyInput:
    stored = json.loads(text)
    films = tuple(FilmSource(Path(path), *rest) for path, *rest in stored["films"])
    return StudyInput(uid, films, tuple(stored["warnings"]))
