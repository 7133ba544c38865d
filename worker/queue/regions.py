"""Regions: circles on a film that are classified one by one, as the paper does, while the user waits.

A region is not a job: nothing is published, and its answer is not needed after an hour. Request and
answer live in Redis for so long, the message on the queue holds the region's id alone. Asking for the answer
also sends the message again if it was lost, so no sweep is needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal, cast

from pydantic import TypeAdapter, ValidationError

from bcd_model.errors import UsageError
from bcd_model.reasons import Reason
from bcd_model.words import ModelIdentity, Probability
from worker.queue.fields import Stored, to_json
from worker.queue.job import reason_field
from worker.queue.link import RedisLink
from worker.queue.messages import Messages, queue_name

State = Literal["queued", "running", "done", "failed"]

KEEP_SECONDS: Final = 3600
"""So long are a region, its film and its answer kept."""

_KEY = "bcd:region:"
_LOST_SECONDS = 10.0  # after which a message that is not on the queue counts as lost
_STUCK_SECONDS = 120.0  # after which a region that is at work counts as lost


@dataclass(frozen=True, slots=True)
class RegionRecord:
    """One region.

    Attributes:
        film: its file.
        center: (row, column) in source pixels, (0, 0) the centre of the top-left one.
        radius: in source pixels.
        owner: who asked.
        probability: of the three classes; None as long as there is no answer.
        model: that gave the answer; None likewise.
        warnings: what is to be known of the film.
        reason: why there is none.
        touched: when it was last written, by Redis's clock.
    """

    region_id: str
    film: Path
    center: Stored[tuple[float, float]]
    radius: float
    owner: str = ""
    state: State = "queued"
    probability: Stored[Probability | None] = None
    model: Stored[ModelIdentity | None] = None
    warnings: Stored[tuple[str, ...]] = ()
    reason: Stored[Reason | None] = None
    touched: float = 0.0


_REGION = TypeAdapter(RegionRecord)


class Regions:
    """The regions of one Redis. Every method raises QueueError if it cannot be reached.

    Args:
        url: as in ``BCD_BROKER_URL``.
        patience: as in `worker.queue.records.Records`.
    """

    def __init__(self, url: str, patience: float = 0.0) -> None:
        self._link = RedisLink(url, patience)
        self._redis = self._link.redis

    def add(self, record: RegionRecord) -> None:
        """Keep a region that is new."""
        self._write(record.region_id, _REGION.dump_python(record, mode="json", exclude={"region_id"}))

    def get(self, region_id: str) -> RegionRecord | None:
        """A region; None if there is none, or not any more, or it is damaged."""
        fields = self._link.call(lambda: cast("dict[str, str]", self._redis.hgetall(_KEY + region_id)))
        try:
            return _REGION.validate_python({"region_id": region_id, **fields})
        except ValidationError:  # its text may hold what stands there
            return None

    def begin(self, region_id: str) -> int:
        """Note that it is begun; how often that has been."""
        attempts = self._link.call(lambda: self._redis.hincrby(_KEY + region_id, "attempts", 1))
        self._write(region_id, {"state": "running"})
        return int(attempts)

    def end(
        self, region_id: str, probability: Probability, model: ModelIdentity, warnings: tuple[str, ...]
    ) -> None:
        """Note the answer."""
        found = {"probability": asdict(probability), "model": asdict(model), "warnings": warnings}
        self._write(region_id, {"state": "done"} | {name: to_json(value) for name, value in found.items()})

    def fail(self, region_id: str, reason: Reason) -> None:
        """Note why there is no answer."""
        self._write(region_id, {"state": "failed", "reason": reason_field(reason)})

    def send_again(self, record: RegionRecord, messages: Messages) -> bool:
        """Send the message of a region once more if it must be lost; whether it was."""
        waited = self._link.call(self._now) - record.touched
        if record.state == "queued":
            queue = queue_name("interactive")
            if waited < _LOST_SECONDS or self._link.call(lambda: self._redis.llen(queue)):
                return False
        elif record.state != "running" or waited < _STUCK_SECONDS:
            return False
        self._write(record.region_id, {"state": "queued"})
        messages.send_region(record.region_id)
        return True

    def _now(self) -> float:
        """Redis's clock: those of its clients need not agree."""
        seconds, microseconds = self._redis.time()
        return float(seconds + microseconds / 1e6)

    def _write(self, region_id: str, fields: Mapping[Any, Any]) -> None:
        key = _KEY + region_id

        def write() -> None:
            pipeline = self._redis.pipeline()
            pipeline.hset(key, mapping={**fields, "touched": self._now()})
            pipeline.expire(key, KEEP_SECONDS)
            pipeline.execute()

        self._link.call(write)


def check_inside(center: tuple[float, float], radius: float, shape: tuple[int, int]) -> None:
    """Raise UsageError unless the circle's centre is on a film of ``shape``, and it no wider than that."""
    (row, column), (rows, columns) = center, shape
    if not (-0.5 <= row <= rows - 0.5 and -0.5 <= column <= columns - 0.5):
        raise UsageError(
            "the region is outside the film", f"it has {rows} rows and {columns} columns, from 0"
        )
    if not 1 <= radius <= max(rows, columns):
        raise UsageError("the region's radius cannot be used", f"give 1 to {max(rows, columns)} pixels")
