"""The memory that an upload has taken, given back when it is over (glibc; elsewhere nothing is done).

glibc keeps a heap for each of many threads, and what is freed inside a heap stays with the process while
anything lies behind it. So each burst of uploads would leave the process as large as it ever was, or larger.
"""

from __future__ import annotations

import ctypes
import sys
from functools import cache
from typing import Any

_M_ARENA_MAX = -8  # malloc.h


def share_heaps() -> None:
    """Have all threads share two heaps."""
    mallopt = getattr(_libc(), "mallopt", None)
    if mallopt is not None:  # musl has none
        mallopt(_M_ARENA_MAX, 2)


def give_back() -> None:
    """Give free memory back to the system, wherever in a heap it lies; takes some milliseconds."""
    trim = getattr(_libc(), "malloc_trim", None)
    if trim is not None:
        trim(0)


@cache
def _libc() -> Any:
    return ctypes.CDLL(None) if sys.platform.startswith("linux") else None
