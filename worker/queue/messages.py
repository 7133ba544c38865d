"""What the queue's messages are, for those who send them: that there is work, and on which lane.

Who carries them is `worker.pool.app`: nothing here knows Celery.
"""

from __future__ import annotations

from typing import Protocol

from worker.queue.job import Lane


class Messages(Protocol):
    """Sends messages. Every method raises QueueError if the queue does not take it."""

    def send(self, job_id: str, lane: Lane) -> None:
        """Put a message for the job on the queue of its lane."""

    def send_region(self, region_id: str) -> None:
        """Put a message for a region that is to be classified on the interactive lane."""


def queue_name(lane: Lane) -> str:
    """The queue, and Redis list, of a lane."""
    return f"bcd.{lane}"
