"""The job records of one Redis: what is known of every job.

A record is the hash ``bcd:job:<id>``; the sorted set ``bcd:jobs`` lists the ids by the time of their
first submission. Every change of state is one Lua script, so that two submitters or a submitter and
a worker never overwrite each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Literal, cast
from urllib.parse import parse_qs, urlsplit

import redis
from redis.backoff import ExponentialBackoff
from redis.exceptions import AuthenticationError, RedisError, ResponseError
from redis.retry import Retry

from bcd_model.errors import QueueError, UsageError
from worker.job import KEY, Record, State, from_fields, now, study_from_json, to_fields
from worker.settings import hide_secrets

Answer = Literal["queued", "under way", "done"]
"""What a submission comes to: new work, work already begun, or work already done."""

_INDEX = "bcd:jobs"
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
        fields = _flat(to_fields(record))
        arguments: list[Any] = [
            record.job_id,
            int(published),
            int(force),
            str(record.outs[0]),
            record.created.timestamp(),
        ]
        with self._errors():
            keys = [KEY + record.job_id, _INDEX]
            return cast(Answer, self._submit(keys=keys, args=arguments + fields))

    def restore(self, record: Record) -> None:
        """Write a record that was lost; one that is there stays as it is."""
        fields = _flat(to_fields(record))
        arguments = [record.job_id, record.created.timestamp(), str(record.outs[0]), *fields]
        with self._errors():
            self._restore(keys=[KEY + record.job_id, _INDEX], args=arguments)

    def forget_messages(self, queue: str) -> None:
        """Delete every message of ``queue``, also those that a worker has taken and not acknowledged."""
        with self._errors():
            self._redis.delete(queue, "unacked", "unacked_index", "unacked_mutex")

    def advance(self, job: str, *, allowed: frozenset[State], **fields: object) -> bool:
        """Set ``fields`` if the job's state is one of ``allowed``; whether it was."""
        fields["updated"] = now().isoformat()
        arguments = [len(allowed), *sorted(allowed), *_flat(fields)]
        with self._errors():
            return bool(self._advance(keys=[KEY + job], args=arguments))

    def finish(self, record: Record, **fields: object) -> bool:
        """End a running job; False if a results folder has been added that ``record`` does not know."""
        fields["updated"] = now().isoformat()
        arguments = [len(record.outs), *_flat(fields)]
        with self._errors():
            return bool(self._finish(keys=[KEY + record.job_id], args=arguments))

    def get(self, job: str) -> Record | None:
        """The whole record, with its study; None if there is none."""
        with self._errors():
            fields = cast("dict[str, str]", self._redis.hgetall(KEY + job))
        if not fields:
            return None
        record = from_fields(job, fields)
        return replace(record, study=study_from_json(fields["study"], record.study_instance_uid))

    def listing(self, ids: Sequence[str] | None = None) -> list[Record]:
        """Records without their studies: of ``ids``, or all, the newest first."""
        with self._errors():
            if ids is None:
                ids = cast("list[str]", self._redis.zrevrange(_INDEX, 0, -1))
            pipeline = self._redis.pipeline(transaction=False)
            for job in ids:
                pipeline.hmget(KEY + job, list(_SHORT))
            rows = pipeline.execute() if ids else []
        return [
            from_fields(job, dict(zip(_SHORT, row, strict=True)))
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
