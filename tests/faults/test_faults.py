"""Every row of the table of faults with small numbers; ``run.py`` prints it with the full ones."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.bench import QUICK
from tests.faults.outcome import Outcome
from tests.faults.registry import run_row
from tests.faults.rows import ROWS
from tests.faults.undisturbed import compare_with_undisturbed
from tests.support.length import long

pytestmark = [
    pytest.mark.redis,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc"),
]

# too long, or in parts the same as others; run.py has them
_LEFT_OUT = ("memory", "worker killed, restarted", "message lost in mid film")
_IN_LONG = (
    "SIGTERM",
    "Redis killed, a process idle",
    "study that kills its worker",
    "Redis's disk full",
    "worker stopped",
    "worker killed, another one there",
    "submit killed",
    "Redis killed",
    "message lost",
    "result deleted",
)
"""Tests of the worker have these in other forms."""


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Where the sites are: not below pytest's own folders, which are kept for three runs."""
    folder = Path(tempfile.mkdtemp(prefix="bcd-faults-"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def outcomes() -> list[Outcome]:
    """What came of the rows so far."""
    return []


def told(outcome: Outcome) -> str:
    """Everything that was not as it should be, with the logs."""
    lines = ["lost:", *outcome.lost, "doubled:", *outcome.doubled, "not as expected:", *outcome.problems]
    return "\n".join([*lines, *outcome.evidence])


@pytest.mark.parametrize(
    "name", [name for name in ROWS if name not in _LEFT_OUT and (long() or name not in _IN_LONG)]
)
def test_nothing_is_lost_and_nothing_doubled(name: str, folder: Path, outcomes: list[Outcome]) -> None:
    outcome = run_row(ROWS[name], folder / name.replace(" ", "-"), QUICK, seed=0)
    if outcome.skipped:
        pytest.skip(outcome.skipped)
    outcomes.append(outcome)
    assert outcome.jobs > 0
    assert outcome.good, told(outcome)


def test_every_result_is_that_of_an_undisturbed_run(folder: Path, outcomes: list[Outcome]) -> None:
    before = [len(outcome.doubled) + len(outcome.problems) for outcome in outcomes]
    compare_with_undisturbed(outcomes, folder / "undisturbed", QUICK, most=1)
    assert sum(len(studies) for outcome in outcomes for studies in outcome.roots.values()) > 0
    after = [len(outcome.doubled) + len(outcome.problems) for outcome in outcomes]
    assert after == before, "\n".join(map(told, outcomes))
