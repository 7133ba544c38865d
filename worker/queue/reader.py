"""What the job records of one Redis say; `worker.queue.records` changes them."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, cast

from redis.client import Pipeline
from redis.exceptions import ResponseError

from bcd_model.errors import UsageError
from worker.logs import event
from worker.queue import earlier_versions
from worker.queue.figures import QueueFigures
from worker.queue.job import FIELDS, KEY, PRIORITIES, Record, from_fields
from worker.queue.link import RedisLink
from worker.study.outcome import STATES, State

_INDEX = "bcd:jobs"
_BATCH = "bcd:batch:"
_STUDY = "bcd:study:"
UNPLACED = "bcd:unplaced:"  # a set of paths, for each batch
_SHORT = (*FIELDS, *earlier_versions.FIELDS)
_NAMED = 5  # jobs of many
_PAGE = 500  # records read at a time


def log_damage(job: str) -> None:
    """Write down that a record cannot be read."""
    error = f"the record of job {job} cannot be read; submit the study again"
    event("record damaged", logging.ERROR, job=job, error=error)


class StoredRecords:
    """The job records of one Redis, to be read.

    A record that cannot be read counts as none; the log says so.

    Every method raises QueueError if Redis cannot be reached, refuses or is full.

    Args:
        url: as in ``BCD_BROKER_URL``.
        patience: seconds for which each call waits for a Redis that is away.
    """

    def __init__(self, url: str, patience: float = 0.0) -> None:
        self._link = RedisLink(url, patience)
        self._redis = self._link.redis

    # Redis itself

    def ping(self) -> None:
        """Raise QueueError if Redis does not answer."""
        self._link.call(self._redis.ping)

    def configuration(self) -> dict[str, str]:
        """Redis's own settings that matter here, and its used memory; what may not be asked is left out."""

        def read() -> dict[str, str]:
            found: dict[str, str] = {}
            with suppress(ResponseError):
                for name in ("maxmemory-policy", "maxmemory", "appendonly", "appendfsync"):
                    found |= cast("dict[str, str]", self._redis.config_get(name))
                found["used_memory"] = str(self._redis.info("memory")["used_memory"])
            return found

        return self._link.call(read)

    def figures(self) -> QueueFigures:
        """Queue depth and age, jobs by state, refused messages, workers: for metrics and summaries."""

        def read() -> list[Any]:
            pipeline = self._redis.pipeline(transaction=False)
            pipeline.time()
            pipeline.hmget("bcd:clock", "wall", "now")
            pipeline.zcard("bcd:later")
            pipeline.zcard("bcd:running")
            pipeline.hgetall("bcd:states")
            pipeline.hgetall("bcd:refused")
            for priority in PRIORITIES:
                pipeline.zcard(f"bcd:waiting:{priority}")
                pipeline.zrange(f"bcd:waiting:{priority}", 0, 0, withscores=True)
            return pipeline.execute()

        (seconds, micro), clock, later, running, states, refused, *priorities = self._link.call(read)
        time = seconds + micro / 1e6
        if None not in clock:  # by the queue's clock, see worker.queue.transitions
            at_sweep, swept = map(float, clock)
            time = swept + max(0.0, time - at_sweep)
        oldest: dict[str, float] = {
            priority: max(0.0, time - first[0][1]) if first else 0.0
            for priority, first in zip(PRIORITIES, priorities[1::2], strict=True)
        }
        return QueueFigures(
            waiting=dict(zip(PRIORITIES, priorities[0::2], strict=True)),
            oldest=oldest,
            later=later,
            running=running,
            states={state: int(states.get(state, 0)) for state in STATES},
            refused={reason: int(count) for reason, count in refused.items()},
            workers=len(self.workers()),
        )

    def workers(self) -> dict[str, dict[str, Any]]:
        """The workers with a recent heartbeat, by node: what each says of itself.

        The others are forgotten.
        """

        def read() -> tuple[int, dict[str, str]]:
            seconds, _ = self._redis.time()
            return seconds, cast("dict[str, str]", self._redis.hgetall("bcd:workers"))

        seconds, entries = self._link.call(read)
        all_nodes = {node: json.loads(entry) for node, entry in sorted(entries.items())}
        # Nor is one at work whose heartbeat is as far ahead: Redis's clock has been set back since.
        gone = [
            node
            for node, about in all_nodes.items()
            if abs(seconds - about["seen"]) > about["gone"] - about["seen"]
        ]
        if gone:
            self._link.call(lambda: self._redis.hdel("bcd:workers", *gone))
        return {node: about for node, about in all_nodes.items() if node not in gone}

    # Jobs

    def get(self, job: str) -> Record | None:
        """The whole record, with its study; None if there is none."""
        there, record = self._found(job)
        if there and record is None:
            log_damage(job)
        return record

    def _found(self, job: str) -> tuple[bool, Record | None]:
        """Whether anything stands in the place of the record, and the record if it can be read."""
        (fields,) = self._read([job], lambda pipeline, key: pipeline.hgetall(key))
        return fields != {}, from_fields(job, fields, whole=True)

    def ids(self, batch: str | None = None, limit: int | None = None) -> list[str]:
        """Ids of all jobs, or of those of ``batch``; the newest first.

        Raises:
            UsageError: there is no such batch.
        """
        key = _INDEX if batch is None else _BATCH + batch
        last = -1 if limit is None else limit - 1
        found = self._link.call(lambda: cast("list[str]", self._redis.zrevrange(key, 0, last)))
        if batch is not None and not found:
            raise UsageError(f"no batch {batch!r}", "bcd-admin jobs shows the batch of each job")
        return found

    def of_study(self, study_instance_uid: str) -> list[str]:
        """Ids of the jobs of a study, the newest first."""
        key = _STUDY + study_instance_uid
        return self._link.call(lambda: cast("list[str]", self._redis.zrevrange(key, 0, -1)))

    def batches(self) -> list[str]:
        """Names of the batches, the last one used first."""
        return self._link.call(lambda: cast("list[str]", self._redis.zrevrange("bcd:batches", 0, -1)))

    def unplaced(self, batch: str) -> int:
        """How many files were submitted with a batch that may be films of any study."""
        return int(self._link.call(lambda: self._redis.scard(UNPLACED + batch)))

    def batch_begun(self, batch: str) -> float:
        """When a batch was first submitted, seconds since 1970; 0 if there is none."""
        return self._link.call(lambda: self._redis.zscore("bcd:batches:begun", batch)) or 0.0

    def listing(self, ids: Sequence[str] | None = None) -> list[Record]:
        """Records without their studies: of ``ids``, or all, the newest first."""
        return list(self.each(self.ids() if ids is None else ids))

    def each(self, ids: Sequence[str]) -> Iterator[Record]:
        """The records of ``ids`` without their studies, read a few hundred at a time; lost ones left out."""
        for start in range(0, len(ids), _PAGE):
            page = ids[start : start + _PAGE]
            rows = self._read(page, lambda pipeline, key: pipeline.hmget(key, list(_SHORT)))
            for job, row in zip(page, rows, strict=True):
                fields = {name: value for name, value in zip(_SHORT, row, strict=True) if value is not None}
                record = from_fields(job, fields, whole=False)
                if record is not None:
                    yield record
                elif fields:
                    log_damage(job)

    def states(self, ids: Sequence[str] | None = None) -> dict[State, int]:
        """How many jobs are in each state: of ``ids``, or all."""
        if ids is None:
            return {state: self.figures().states[state] for state in STATES}
        found = list(self.state_of(ids).values())
        return {state: found.count(state) for state in STATES}

    def state_of(self, ids: Sequence[str]) -> dict[str, State]:
        """The state of each of ``ids``, in their order; lost ones, and those in none, left out."""
        found = self._read(ids, lambda pipeline, key: pipeline.hget(key, "state"))
        return {job: state for job, state in zip(ids, found, strict=True) if state in STATES}

    def _read(self, ids: Sequence[str], ask: Callable[[Pipeline, str], object]) -> list[Any]:
        """What Redis answers for each of ``ids``."""

        def read() -> list[Any]:
            pipeline = self._redis.pipeline(transaction=False)
            for job in ids:
                ask(pipeline, KEY + job)
            return pipeline.execute()

        return self._link.call(read)

    def find(self, start: str) -> Record:
        """The record whose id begins with ``start``, or whose study's UID it is.

        Raises:
            UsageError: no job or more than one is meant.
        """
        return self._only(start, self._meant(start))

    def find_result(self, start: str) -> Record:
        """As ``find``; of several jobs the one whose result stands.

        Raises:
            UsageError: no job or more than one is meant.
        """
        meant = self._meant(start)
        if len(meant) > 1:
            standing = [record.job_id for record in self.each(meant) if record.result_folder() is not None]
            meant = standing or meant
        return self._only(start, meant)

    def _meant(self, start: str) -> list[str]:
        if not start:
            raise UsageError("an empty id names no job", "bcd-admin jobs lists them")
        ids = self.ids()
        matches = [job for job in ids if job.startswith(start)]
        if not matches:
            uids = self._read(ids, lambda pipeline, key: pipeline.hget(key, "study_instance_uid"))
            matches = [job for job, uid in zip(ids, uids, strict=True) if uid == start]
        if not matches:
            raise UsageError(f"no job {start!r}", "bcd-admin jobs lists them")
        return matches

    def _only(self, start: str, matches: list[str]) -> Record:
        if len(matches) > 1:
            named = ", ".join(matches[:_NAMED]) + (", ..." if matches[_NAMED:] else "")
            message = f"{start!r} stands for {len(matches)} jobs ({named})"
            raise UsageError(message, "give the whole id of one; bcd-admin jobs lists them")
        record = self.get(matches[0])
        if record is None:
            message = f"the record of job {matches[0]} is gone or cannot be read"
            raise UsageError(message, "submit the study again")
        return record

    def held_by(self, node: str) -> dict[str, str]:
        """The jobs that processes of the worker ``node`` hold: id and name of the holder."""

        jobs = self._link.call(lambda: cast("list[str]", self._redis.zrange("bcd:running", 0, -1)))
        holders = self._read(jobs, lambda pipeline, key: pipeline.hget(key, "holder"))
        found = zip(jobs, holders, strict=True)
        return {job: holder for job, holder in found if holder and f"/{node}/" in holder}
