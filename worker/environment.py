"""Environment variables that libraries obey when they are loaded: what is taken out before, and what is set.

Those of Celery, and of what it is built on, are taken out. A machine may have them set for another program.
Celery prefers some of them to what an application says: ``CELERY_BROKER_URL`` would send our jobs to that
program's queue, even those of the embedded engine. Everything about our queue is said by ``BCD_*``.
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

_SPINS: Final = {"GOMP_SPINCOUNT": "1000", "KMP_BLOCKTIME": "0"}
"""How long a thread of PyTorch that has nothing to do holds its core: GNU's OpenMP, and LLVM's.

By default that is some milliseconds. Beside busy neighbours all wait for the one thread that has no core, and
hold theirs meanwhile: a scan takes 20 times as long (``tests/benchmarks/busy.py``).
"""


def ignore_variables(environment: MutableMapping[str, str] = os.environ) -> None:
    """Take them out, for this process and those that it starts."""
    for name in [name for name in environment if name in _NAMES or name.startswith(_PREFIXES)]:
        del environment[name]
        _ignored.add(name)


def let_idle_threads_sleep(environment: MutableMapping[str, str] = os.environ) -> None:
    """Let idle threads of PyTorch give their cores away soon; before it is imported.

    A variable that says how they wait, and is set already, is left as it is.
    """
    if not {"OMP_WAIT_POLICY", *_SPINS} & environment.keys():
        environment.update(_SPINS)


def ignored_variables() -> tuple[str, ...]:
    """Those that were set when this process began."""
    return tuple(sorted(_ignored))
