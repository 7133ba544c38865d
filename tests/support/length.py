"""The suite's two lengths: with ``LONG_TESTS=1`` it tries more of each kind."""

from __future__ import annotations

import os

LONG = "LONG_TESTS"


def long() -> bool:
    """Whether the suite is to be long."""
    return bool(os.environ.get(LONG))
