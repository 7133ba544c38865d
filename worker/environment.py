"""Environment variables that Celery would obey, or what it is built on: taken out before it is loaded.

A machine may have them set for another program. Celery prefers some of them to what an application says:
``CELERY_BROKER_URL`` would send our jobs to that program's queue, even those of the embedded engine.
Everything about our queue is said by ``BCD_*``.
"""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from typing import Final

_PREFIXES: Final = ("CELERY", "EVENTLET_", "GEVENT", "KOMBU_", "_MP_FORK_")
_NAMES: Final = frozenset(
    {
        "AUTOSCALE_KEEPALIVE",
        "C_BENCH",
        "C_BENCH_EVERY",
        "C_FORCE_ROOT",
        "C_IMPDEBUG",
        "C_REMDEBUG",
        "C_STRICT_APP",
        "C_WARN_APP",
        "C_WNOCONF",
        "DISABLE_TRACEBACKS",
        "FORKED_BY_MULTIPROCESSING",
        "MP_LOG",
        "MP_MAIN_FILE",
        "MULTIPROCESSING_FORKING_DISABLE",
        "NOSETPS",
        "PICKLE_PROTOCOL",
        "REMAP_SIGTERM",
        "TIMER_DEBUG",
        "USE_FAST_LOCALS",
    }
)
"""Read by celery 5.7, kombu 5.7 and billiard 4.3, beside all that begin with one of the prefixes."""

_ignored: set[str] = set()


def ignore_variables(environment: MutableMapping[str, str] = os.environ) -> None:
    """Take them out, for this process and those that it starts."""
    for name in [name for name in environment if name in _NAMES or name.startswith(_PREFIXES)]:
        del environment[name]
        _ignored.add(name)


def ignored_variables() -> tuple[str, ...]:
    """Those that were set when this process began."""
    return tuple(sorted(_ignored))
