"""Backoff: for how long, and how often, a job is tried again after trouble with the storage."""

from __future__ import annotations

import random

from worker.queue.job import Priority
from worker.settings import Settings

_INTERACTIVE_PATIENCE = 10.0  # seconds: the user waits, and can correct what is wrong
_FIRST_DELAY = {"interactive": 1.0, "batch": 10.0}  # seconds until the storage is tried again
_LONGEST_DELAY = 600.0  # seconds


def patience_of(priority: Priority, settings: Settings) -> float:
    """Seconds for which jobs of ``priority`` are tried again."""
    return float(settings.retry_seconds) if priority == "batch" else _INTERACTIVE_PATIENCE


def delay_before_next(priority: Priority, tries: int, patience: float) -> float:
    """Seconds until the next attempt: twice as many each time, and not the same for all jobs.

    Args:
        tries: how many attempts have failed since it was submitted.
        patience: as `patience_of` gives it; no delay is longer than about a quarter of it.
    """
    delay = min(_FIRST_DELAY[priority] * 2.0**tries, _LONGEST_DELAY, max(patience / 4, 0.5))
    return delay * random.uniform(0.75, 1.25)  # not all at once when it is over
