"""The job records of one Redis: what is known of every job, and the only way to change it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, cast

from redis.commands.core import Script
from redis.exceptions import ResponseError

from bcd_model.errors import UsageError
from worker import transitions
from worker.figures import QueueFigures
from worker.job import (
    KEY,
    LANES,
    NOTHING,
    STATES,
    DamagedRecordError,
    Lane,
    Record,
    State,
    Tally,
    from_fields,
    now,
    study_from_json,
    tally_fields,
    to_fields,
)
from worker.redis_link import RedisLink

Answer = Literal["queued", "under way", "done"]
"""What a submission comes to: new work, work already begun, or work already done."""

MAX_LOST: Final = 3
"""So often may a job end the process that works on it, before it is put aside."""

_INDEX = "bcd:jobs"
_BATCH = "bcd:batch:"
_SHORT = (
    "study_instance_uid",
    "state",
    "lane",
    "batch",
    "film",
    "films",
    "created",
    "updated",
    "attempts",
    "lost",
    "tries",
    "holder",
    "begun",
    "ended",
    "due",
    "reason",
    "exit_code",
    "scanned",
    "failed_films",
    "flagged",
    "highest",
    "outs",
    "model_name",
    "model_version",
    "model_digest",
    "input_digest",
    "settings",
    "replace",
)
_PAGE = 500  # records read at a time
_SWEPT = 200  # jobs that one sweep puts right, of each kind
_MESSAGE_LOST = 10.0  # seconds after which a job without a message is sent again
_WORKER_GONE = 4  # leases without a sign of life, until a worker counts as gone


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep found.

    Attributes:
        send: (job, lane, whether it is next) for which a message is to be sent.
        requeued: jobs whose holder was gone.
        aside: likewise, but once too often.
    """

    send: tuple[tuple[str, Lane, bool], ...] = ()
    requeued: tuple[str, ...] = ()
    aside: tuple[str, ...] = ()


class Records:
    """The job records of one Redis.

    Every method raises QueueError if Redis cannot be reached, refuses or is full.

    Args:
        url: as in ``BCD_BROKER_URL``.
        patience: seconds for which each call waits for a Redis that is away.
    """

    def __init__(self, url: str, patience: float = 0.0) -> None:
        self._link = RedisLink(url, patience)
        self._redis = self._link.redis
        self._scripts: dict[str, Script] = {}

    def _run(self, script: str, *arguments: Any) -> Any:
        known = self._scripts.get(script)
        if known is None:
            known = self._scripts[script] = self._redis.register_script(script)
        return self._link.call(lambda: known(args=list(arguments)))

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
            pipeline.zcard("bcd:later")
            pipeline.zcard("bcd:running")
            pipeline.hgetall("bcd:states")
            pipeline.hgetall("bcd:refused")
            for lane in LANES:
                pipeline.zcard(f"bcd:waiting:{lane}")
                pipeline.zrange(f"bcd:waiting:{lane}", 0, 0, withscores=True)
            return pipeline.execute()

        (seconds, micro), later, running, states, refused, *lanes = self._link.call(read)
        time = seconds + micro / 1e6
        oldest: dict[str, float] = {
            lane: max(0.0, time - first[0][1]) if first else 0.0
            for lane, first in zip(LANES, lanes[1::2], strict=True)
        }
        return QueueFigures(
            waiting=dict(zip(LANES, lanes[0::2], strict=True)),
            oldest=oldest,
            later=later,
            running=running,
            states={state: int(states.get(state, 0)) for state in STATES},
            refused={reason: int(count) for reason, count in refused.items()},
            workers=len(self.workers()),
        )

    # Submitting

    def submit(self, record: Record, *, published: bool, force: bool, days: int = 90) -> tuple[Answer, bool]:
        """Queue the job unless it is under way or done.

        Args:
            record: as it is to stand if the job is new; ``outs`` holds the one folder asked for.
            published: whether its result stands there already.
            force: whether to run it again even so.
            days: for how long the batch is remembered.

        Returns:
            what it comes to, and whether a message is to be sent.
        """
        answer, send = self._run(
            transitions.SUBMIT,
            record.job_id,
            int(published),
            int(force),
            str(record.outs[0]),
            record.created.timestamp(),
            record.lane,
            record.batch,
            now().isoformat(),
            days,
            *_flat(to_fields(record)),
        )
        return cast(Answer, answer), bool(send)

    def restore(self, record: Record) -> None:
        """Write a record that was lost; one that is there stays as it is."""
        self._run(
            transitions.RESTORE,
            record.job_id,
            record.state,
            record.created.timestamp(),
            str(record.outs[0]),
            now().isoformat(),
            *_flat(to_fields(record)),
        )

    def cancel(self, job: str, reason: str, *, unless_shared: bool = False) -> bool:
        """End a job that has not ended; a running one stops before its next film. Whether it was ended.

        Args:
            unless_shared: leave it alone if somebody else has submitted it too.
        """
        return bool(self._run(transitions.CANCEL, job, reason, int(unless_shared), now().isoformat()))

    def retry(self, job: str) -> bool:
        """Queue again what failed, was cancelled or waits for its storage; whether there was anything."""
        return bool(self._run(transitions.RETRY, job, now().isoformat()))

    def forget_messages(self) -> None:
        """Delete every message, also those that a worker has taken and not acknowledged."""
        keys = [f"bcd.{lane}" for lane in LANES] + ["unacked", "unacked_index", "unacked_mutex"]
        self._link.call(lambda: self._redis.delete(*keys))

    # Working

    def claim(self, job: str, holder: str, lease: float) -> str:
        """Become the holder of a job that waits, or whose holder is gone.

        Returns:
            "claimed"; else why not: "unknown", "held", "later", "put aside", or the state it is in.
        """
        return str(self._run(transitions.CLAIM, job, holder, lease, MAX_LOST, now().isoformat()))

    def renew(self, job: str, holder: str, lease: float, film: int | None = None) -> bool:
        """A sign of life; False if the job is not the holder's any more."""
        shown = "" if film is None else film
        return bool(self._run(transitions.RENEW, job, holder, lease, now().isoformat(), shown))

    def end(
        self,
        job: str,
        holder: str,
        *,
        state: State,
        reason: str = "",
        exit_code: int = 0,
        tally: Tally = NOTHING,
        outs: int | None = None,
    ) -> bool | None:
        """End the holder's job.

        Args:
            outs: in how many folders the result has been published; None if that does not matter.

        Returns:
            True; False if another results folder was added meanwhile; None if the job is not the holder's
            any more.
        """
        ended = self._run(
            transitions.END,
            job,
            holder,
            -1 if outs is None else outs,
            state,
            reason,
            exit_code,
            now().isoformat(),
            *_flat(tally_fields(tally)),
        )
        return None if ended < 0 else bool(ended)

    def later(self, job: str, holder: str, delay: float, reason: str, patience: float) -> bool | None:
        """Give a job back, to be tried again after ``delay`` seconds.

        Returns:
            True; False if it has been tried for ``patience`` seconds; None if it is not the
            holder's any more.
        """
        given = self._run(transitions.LATER, job, holder, delay, reason, now().isoformat(), patience)
        return None if given < 0 else bool(given)

    def release(self, job: str, holder_start: str, *, lost: bool) -> str:
        """Take a job from a holder that is gone, or that has not tried; its new state, "" if nothing changed.

        Args:
            holder_start: what the holder's name begins with; "" is any holder.
            lost: whether it was gone without an outcome; after three times the job is put aside.
        """
        arguments = (job, holder_start, int(lost), MAX_LOST, now().isoformat())
        return str(self._run(transitions.RELEASE, *arguments))

    def held_by(self, node: str) -> dict[str, str]:
        """The jobs that processes of the worker ``node`` hold: id and name of the holder."""

        def read() -> dict[str, str]:
            jobs = cast("list[str]", self._redis.zrange("bcd:running", 0, -1))
            holders = {job: cast("str | None", self._redis.hget(KEY + job, "holder")) for job in jobs}
            return {job: holder for job, holder in holders.items() if holder and f"/{node}/" in holder}

        return self._link.call(read)

    def sweep(self, interval: float, lease: float, days: int) -> Swept:
        """Find jobs whose holder is gone, whose time has come, or whose message was lost.

        Nothing is done if somebody has swept within ``interval`` seconds.
        """
        arguments = (interval, lease, _MESSAGE_LOST, MAX_LOST, _SWEPT, days, now().isoformat())
        found = json.loads(self._run(transitions.SWEEP, *arguments))
        return Swept(
            tuple((job, lane, bool(next_)) for job, lane, next_ in found.get("send") or ()),
            tuple(found.get("requeued") or ()),
            tuple(found.get("aside") or ()),
        )

    def count_refused(self, reason: str) -> None:
        """Count a message that was none of ours."""
        self._link.call(lambda: self._redis.hincrby("bcd:refused", reason, 1))

    # Workers

    def beat(self, node: str, about: Mapping[str, object], lease: float) -> None:
        """A worker's sign of life, with what it tells of itself."""

        def write() -> None:
            seconds, _ = self._redis.time()
            entry = json.dumps({**about, "seen": seconds, "gone": seconds + _WORKER_GONE * lease})
            self._redis.hset("bcd:workers", node, entry)

        self._link.call(write)

    def leave(self, node: str) -> None:
        """A worker ends."""
        self._link.call(lambda: self._redis.hdel("bcd:workers", node))

    def workers(self) -> dict[str, dict[str, Any]]:
        """The workers that have given a sign of life lately: node and what it tells of itself."""

        def read() -> tuple[int, dict[str, str]]:
            seconds, _ = self._redis.time()
            return seconds, cast("dict[str, str]", self._redis.hgetall("bcd:workers"))

        seconds, entries = self._link.call(read)
        all_nodes = {node: json.loads(entry) for node, entry in sorted(entries.items())}
        gone = [node for node, about in all_nodes.items() if about["gone"] < seconds]
        if gone:
            self._link.call(lambda: self._redis.hdel("bcd:workers", *gone))
        return {node: about for node, about in all_nodes.items() if node not in gone}

    # Reading

    def get(self, job: str) -> Record | None:
        """The whole record, with its study; None if there is none.

        Raises:
            DamagedRecordError: it cannot be read.
        """
        fields = self._link.call(lambda: cast("dict[str, str]", self._redis.hgetall(KEY + job)))
        if not fields:
            return None
        record = from_fields(job, fields)
        try:
            return replace(record, study=study_from_json(fields["study"], record.study_instance_uid))
        except (KeyError, ValueError, TypeError):
            raise DamagedRecordError(job) from None

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

    def batches(self) -> list[str]:
        """Names of the batches, the last one used first."""
        return self._link.call(lambda: cast("list[str]", self._redis.zrevrange("bcd:batches", 0, -1)))

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

            def read(page: Sequence[str] = page) -> list[Any]:
                pipeline = self._redis.pipeline(transaction=False)
                for job in page:
                    pipeline.hmget(KEY + job, list(_SHORT))
                return pipeline.execute()

            for job, row in zip(page, self._link.call(read), strict=True):
                if row[0] is not None:
                    yield from_fields(job, dict(zip(_SHORT, row, strict=True)))

    def states(self, ids: Sequence[str] | None = None) -> dict[State, int]:
        """How many jobs are in each state: of ``ids``, or all."""
        if ids is None:
            return {state: self.figures().states[state] for state in STATES}
        found = list(self.state_of(ids).values())
        return {state: found.count(state) for state in STATES}

    def state_of(self, ids: Sequence[str]) -> dict[str, State]:
        """The state of each of ``ids``, in their order; lost ones left out."""

        def read() -> list[Any]:
            pipeline = self._redis.pipeline(transaction=False)
            for job in ids:
                pipeline.hget(KEY + job, "state")
            return pipeline.execute()

        found = zip(ids, self._link.call(read), strict=True)
        return {job: cast(State, state) for job, state in found if state is not None}

    def find(self, start: str) -> Record:
        """The record whose id begins with ``start``, or whose study's UID it is.

        Raises:
            UsageError: no job or more than one is meant.
        """
        if not start:
            raise UsageError("an empty id is no job's", "bcd-admin jobs lists them")
        ids = self.ids()
        matches = [job for job in ids if job.startswith(start)]
        if not matches:
            matches = [r.job_id for r in self.each(ids) if r.study_instance_uid == start]
        if not matches:
            raise UsageError(f"no job {start!r}", "bcd-admin jobs lists them")
        if len(matches) > 1:
            raise UsageError(f"{start!r} may be {len(matches)} jobs", "give the id of one, or more of it")
        record = self.get(matches[0])
        if record is None:
            raise UsageError(f"the record of job {matches[0]} is gone", "submit the study again")
        return record


def _flat(fields: Mapping[str, object]) -> list[object]:
    return [part for pair in fields.items() for part in pair]
