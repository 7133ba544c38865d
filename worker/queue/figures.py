"""How the queue stands, in figures: for metrics and for the command line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class QueueFigures:
    """The queue at one moment.

    Attributes:
        waiting: jobs that wait for a worker, by priority.
        oldest: for how long the one at the front has waited, seconds, by priority; 0 if none waits.
        later: jobs that wait to be tried again.
        running: jobs that run.
        states: jobs by state.
        refused: messages that were none of ours, by reason.
        workers: workers that are at work.
    """

    waiting: Mapping[str, int]
    oldest: Mapping[str, float]
    later: int
    running: int
    states: Mapping[str, int]
    refused: Mapping[str, int]
    workers: int
