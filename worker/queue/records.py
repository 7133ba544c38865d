"""The job records of one Redis: what is known of every job, and the only way to change it.

Each change is one script (`worker.queue.transitions`). What only reads is in `worker.queue.reader`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

from bcd_model.reasons import Reason
from worker.queue.fields import to_json
from worker.queue.job import (
    PRIORITIES,
    Priority,
    Record,
    names_of,
    reason_field,
    to_fields,
)
from worker.queue.reader import UNPLACED, StoredRecords
from worker.queue.transitions import script_text
from worker.study.outcome import NOTHING, State, Tally
from worker.study.scan import now

Answer = Literal["queued", "under way", "done"]
"""What a submission comes to: new work, work already begun, or work already done."""

_NO_FIELDS: Final[Mapping[str, Any]] = {}
_PATHS = 1000  # in one command
_SWEPT = 200  # jobs that one sweep puts right, of each kind
_MESSAGE_LOST = 10.0  # seconds after which a job without a message is sent again
_WORKER_GONE = 4  # leases without a heartbeat, until a worker counts as gone


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep found.

    Attributes:
        send: (job, priority, whether it is next) for which a message is to be sent.
        requeued: jobs whose holder was gone.
        quarantined: likewise, but once too often.
        damaged: jobs that were forgotten because their records cannot be worked with.
    """

    send: tuple[tuple[str, Priority, bool], ...] = ()
    requeued: tuple[str, ...] = ()
    quarantined: tuple[str, ...] = ()
    damaged: tuple[str, ...] = ()


class Records(StoredRecords):
    """The job records of one Redis, to be read and changed.

    Every method raises QueueError if Redis cannot be reached, refuses or is full.

    Args:
        url: as in ``BCD_BROKER_URL``.
        patience: seconds for which each call waits for a Redis that is away.
    """

    def _run(self, name: str, fields: Mapping[str, Any] = _NO_FIELDS, **arguments: Any) -> Any:
        arguments["updated"] = now().isoformat()
        script = self._redis.register_script(script_text(name, tuple(arguments)))
        flat = [*arguments.values(), *(part for pair in fields.items() for part in pair)]
        return self._link.call(lambda: script(args=flat))

    # Submitting

    def submit(
        self, record: Record, *, published: bool, force: bool, only_first: bool = False
    ) -> tuple[Answer | Literal["known"], bool]:
        """Queue the job unless it is under way or done; a record that cannot be read is replaced.

        Args:
            record: as it is to stand if the job is new; the last of ``outs`` is the folder asked for.
            published: whether its result stands there already.
            force: whether to run it again even so.
            only_first: whether to do nothing where the study has jobs, or the job a record, readable or not.

        Returns:
            what it comes to, "known" if nothing was to be done, and whether a message is to be sent.
        """
        if not only_first:
            self._forget_unreadable(record.job_id)
        answer, send = self._run(
            "submit",
            to_fields(record),
            id=record.job_id,
            only_first=int(only_first),
            published=int(published),
            force=int(force),
            outs=to_json([str(out) for out in record.outs]),
            created=record.created.timestamp(),
            priority=record.priority,
            batch=record.batch,
            study=record.study_instance_uid,
            names=names_of(record.study) if record.study is not None else "",
            homes=to_json([str(out) for out in record.homes]),
        )
        return answer, bool(send)

    def _forget_unreadable(self, job: str) -> None:
        """Forget the job if its record cannot be read."""
        there, record = self._found(job)
        if there and record is None:
            self._run("forget", id=job)

    def restore(self, record: Record) -> None:
        """Write a record that was lost; one that is there, and can be read, stays as it is."""
        self._forget_unreadable(record.job_id)
        self._run(
            "restore",
            to_fields(record),
            id=record.job_id,
            state=record.state,
            created=record.created.timestamp(),
            out=str(record.outs[-1]),
        )

    def refuse(self, record: Record, reason: Reason, exit_code: int) -> None:
        """Keep what cannot be worked on as a job of its own that failed."""
        self._forget_unreadable(record.job_id)
        self._run(
            "refuse",
            to_fields(record),
            id=record.job_id,
            why=reason_field(reason),
            exit_code=exit_code,
            outs=to_json([str(out) for out in record.outs]),
            created=record.created.timestamp(),
            batch=record.batch,
        )

    def supersede(self, old: str, new: str, batch: str = "") -> bool:
        """Put job ``new``, which has the films of ``old``, in its place; end ``old`` if it is under way.

        Args:
            batch: if ``old`` is done it is replaced in this batch alone, else in all that have it.
        """
        why = reason_field(Reason("superseded", f"superseded by job {new}, which has its films"))
        return bool(self._run("supersede", old=old, new=new, why=why, batch=batch))

    def note_unplaced(self, batch: str, unplaced: Sequence[Path], placed: Sequence[Path]) -> None:
        """Remember the files of a batch that may be films of any study, and forget those that are placed."""

        def write() -> None:
            key = UNPLACED + batch
            pipeline = self._redis.pipeline()
            for start in range(0, len(placed), _PATHS):
                pipeline.srem(key, *(os.fsencode(path) for path in placed[start : start + _PATHS]))
            for start in range(0, len(unplaced), _PATHS):
                pipeline.sadd(key, *(os.fsencode(path) for path in unplaced[start : start + _PATHS]))
            pipeline.execute()

        self._link.call(write)

    def cancel(self, job: str, detail: str, *, unless_shared: bool = False) -> bool:
        """End a job that has not ended; a running one stops before its next film. Whether it was ended.

        Args:
            detail: who or what cancelled it.
            unless_shared: leave it alone if others have submitted it, too.
        """
        why, shared = reason_field(Reason("cancelled", detail)), int(unless_shared)
        return bool(self._run("cancel", id=job, why=why, unless_shared=shared))

    def retry(self, job: str) -> bool:
        """Queue again what failed, was cancelled or waits for its storage; whether there was anything.

        A job that was refused, or in whose place another stands, stays as it is.
        """
        return bool(self._run("retry", id=job))

    def forget_messages(self) -> None:
        """Delete every message, also those that a worker has taken and not acknowledged."""
        keys = [f"bcd.{priority}" for priority in PRIORITIES] + ["unacked", "unacked_index", "unacked_mutex"]
        self._link.call(lambda: self._redis.delete(*keys))

    # Working

    def claim(self, job: str, holder: str, lease: float) -> str:
        """Become the holder of a job that waits, or whose holder is gone.

        Returns:
            "claimed"; else why not: "unknown", "held", "later", "quarantined", or its state.
        """
        return str(self._run("claim", id=job, holder=holder, lease=lease))

    def renew(self, job: str, holder: str, lease: float, film: int | None = None) -> bool:
        """A heartbeat of the holder; False if the job is not the holder's any more."""
        renewed = self._run("renew", id=job, holder=holder, lease=lease, film="" if film is None else film)
        return bool(renewed)

    def end(
        self,
        job: str,
        holder: str,
        *,
        state: State,
        reason: Reason | None = None,
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
            "end",
            {"tally": to_json(asdict(tally))},
            id=job,
            holder=holder,
            published_to=-1 if outs is None else outs,
            state=state,
            why=reason_field(reason),
            exit_code=exit_code,
        )
        return None if ended < 0 else bool(ended)

    def later(self, job: str, holder: str, delay: float, reason: Reason, patience: float) -> bool | None:
        """Give a job back, to be tried again after ``delay`` seconds.

        Returns:
            True; False if it has been tried for ``patience`` seconds; None if it is not the
            holder's any more.
        """
        given = self._run(
            "later", id=job, holder=holder, delay=delay, why=reason_field(reason), patience=patience
        )
        return None if given < 0 else bool(given)

    def release(self, job: str, holder_start: str, *, lost: bool) -> str:
        """Take a job from a holder that is gone, or that has not tried; its new state, "" if nothing changed.

        Args:
            holder_start: what the holder's name begins with; "" is any holder.
            lost: whether it was gone without an outcome; after three times the job is quarantined.
        """
        return str(self._run("release", id=job, holder_start=holder_start, lost=int(lost)))

    def sweep(self, interval: float, lease: float, days: int) -> Swept:
        """Find jobs whose holder is gone, whose time has come, or whose message was lost.

        Nothing is done if another worker has swept within ``interval`` seconds.
        """
        swept = self._run(
            "sweep",
            interval=interval,
            lease=lease,
            message_lost=_MESSAGE_LOST,
            limit=_SWEPT,
            days=days,
        )
        found = json.loads(swept)
        return Swept(
            tuple((job, priority, bool(next_)) for job, priority, next_ in found.get("send") or ()),
            tuple(found.get("requeued") or ()),
            tuple(found.get("quarantined") or ()),
            tuple(found.get("damaged") or ()),
        )

    def count_refused(self, reason: str) -> None:
        """Count a message that was none of ours."""
        self._link.call(lambda: self._redis.hincrby("bcd:refused", reason, 1))

    # Workers

    def beat(self, node: str, about: Mapping[str, object], lease: float) -> None:
        """A worker's heartbeat, with what it says of itself."""

        def write() -> None:
            seconds, _ = self._redis.time()
            entry = json.dumps({**about, "seen": seconds, "gone": seconds + _WORKER_GONE * lease})
            self._redis.hset("bcd:workers", node, entry)

        self._link.call(write)

    def leave(self, node: str) -> None:
        """A worker ends."""
        self._link.call(lambda: self._redis.hdel("bcd:workers", node))
