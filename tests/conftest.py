"""What holds for every test."""

import os

import pytest
from hypothesis import settings

# Continuous integration judges a change, not the luck of a draw: there, the same examples each time.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")

LONG = ("tests/faults/", "tests/golden/", "tests/fuzz/", "tests/outcomes/", "tests/slicer/project/")
"""What takes minutes; begun last, it would keep one core busy while the others have nothing left."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONG))
