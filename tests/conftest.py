"""What holds for every test."""

import os

import pytest
from hypothesis import settings

# As many tests run at a time as there are cores: with threads of their own they would only wait for one
# another, and OpenMP's wait by spinning. It reads this when torch is imported, which is after this.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# The settings file of the developer is not for the tests: they read an empty one.
os.environ["BCD_SETTINGS"] = os.devnull

# Continuous integration judges a change, not the luck of a draw: there, the same examples each time.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")

LONG = (
    "tests/faults/",
    "tests/golden/",
    "tests/fuzz/",
    "tests/outcomes/",
    "tests/slicer/project/",
    "tests/worker/pool/",
)
"""What takes minutes; begun last, it would keep one core busy while the others have nothing left."""


COMMANDS = frozenset({"admin", "kept", "url", "own_site", "site_of_module"})
"""Fixtures that start processes: a command line, its engine, a Redis, a gateway."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One process more than there are cores: of all, one in three waits for a worker, a lease or a client."""
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    return len(cores) + 1


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest; mark what starts processes, so that ``make quick`` leaves it out."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONG))
    for item in items:
        if COMMANDS.intersection(getattr(item, "fixturenames", ())) or item.nodeid.startswith(LONG):
            item.add_marker(pytest.mark.commands)
