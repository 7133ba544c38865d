"""What a row of the table says: jobs, lost, doubled, time to recover, and what was not as expected."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.small_films import Study


class SkippedRowError(Exception):
    """A row cannot be tried on this machine; the message says why."""


@dataclass
class Outcome:
    """What came of a row; ``lost``, ``doubled`` and ``problems`` are one line each.

    Attributes:
        jobs: studies that were submitted.
        problems: expectations of the row itself that did not hold.
        recovery: seconds from the fault, or from its end where the row says so, until the job that was hit
            is at work again or has ended; None where no job is hit.
        all_done: seconds from the same moment until every job has ended.
        took: seconds for the whole row, without the comparison with an undisturbed run.
        notes: figures that are no verdict.
        roots: the results folders with the studies that are published in each.
    """

    row: str
    jobs: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    recovery: float | None = None
    all_done: float | None = None
    took: float = 0.0
    skipped: str = ""
    notes: list[str] = field(default_factory=list)
    evidence: list[str] = field(default_factory=list)
    roots: dict[Path, list[Study]] = field(default_factory=dict)

    @property
    def good(self) -> bool:
        """Whether nothing was lost, doubled or otherwise than the row expects."""
        return not (self.lost or self.doubled or self.problems)
