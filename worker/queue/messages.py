"""What the queue's messages are, for those who send them: that there is work, and on which priority queue.

Who carries them is `worker.pool.app`: nothing here knows Celery.
"""

from __future__ import annotations

from typing import Protocol

from worker.queue.job import Priority


class Messages(Protocol):
    """Sends messages. Every method raises QueueError if the queue does not take it."""

    def send(self, job_id: str, priority: Priority) -> None:
        """Put a message for the job on its priority queue."""

    def send_region(self, region_id: str) -> None:
        """Put a message for a region that is to be classified on the interactive priority queue."""


def queue_name(priority: Priority) -> str:
    """The priority queue, which is a Redis list."""
    return f"bcd.{priority}"
