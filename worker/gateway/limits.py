"""How much one token may ask of the gateway: requests a minute, uploads at the same time, work on them.

What one token has been granted is never in the way of another: `Turns` and `Locks` are by token or job.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar
from weakref import WeakValueDictionary

from anyio import CapacityLimiter, Lock, to_thread

from worker.gateway.problems import try_again

T = TypeVar("T")

_BURST = 0.25  # of a minute's requests may come at once
_SLOT_SECONDS = 10  # after which an upload that found no place may try again


class Rates:
    """Requests of each token, as a bucket that fills at a steady rate.

    Args:
        per_minute: requests.
        clock: seconds.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = per_minute / 60
        self._most = max(1.0, per_minute * _BURST)
        self._clock = clock
        self._buckets: dict[str, tuple[float, float]] = {}

    def spend(self, token: str) -> None:
        """Take note of a request.

        Raises:
            ProblemError: 429: there were too many.
        """
        time_now = self._clock()
        left, since = self._buckets.get(token, (self._most, time_now))
        left = min(self._most, left + (time_now - since) * self._rate)
        if left < 1:
            self._buckets[token] = (left, time_now)
            raise try_again(429, "too many requests; wait a little", (1 - left) / self._rate)
        self._buckets[token] = (left - 1, time_now)


class Slots:
    """Uploads that are under way; no token has more than half of them, so that there is room for others.

    Args:
        total: how many there may be.
        none_left: called when the last one that was under way is over.
    """

    def __init__(self, total: int, none_left: Callable[[], None] = lambda: None) -> None:
        self._total = total
        self._none_left = none_left
        self._each = max(1, total // 2)
        self._used: Counter[str] = Counter()

    @contextmanager
    def taken(self, token: str) -> Iterator[None]:
        """Hold a place for the upload of ``token``.

        Raises:
            ProblemError: 503: there is none.
        """
        if self._used.total() >= self._total or self._used[token] >= self._each:
            raise try_again(503, "too many uploads at the same time; try again in a moment", _SLOT_SECONDS)
        self._used[token] += 1
        try:
            yield
        finally:
            self._used -= Counter((token,))  # which forgets a token that has none
            if not self._used:
                self._none_left()


class Turns:
    """Threads for what follows an upload: one token has one at a time, whatever it sends.

    Args:
        total: how many threads there are. Of those that wait for one, no two are of the same token, and
            the first comes first.
    """

    def __init__(self, total: int) -> None:
        self._all = CapacityLimiter(total)
        self._of_token: WeakValueDictionary[str, Lock] = WeakValueDictionary()  # as long as one is used

    async def run(self, token: str, work: Callable[[], T]) -> T:
        """What ``work`` returns, in a thread, when it is the turn of ``token``."""
        async with self._of_token.setdefault(token, Lock()):
            return await to_thread.run_sync(work, limiter=self._all)


class Locks:
    """A lock for each name, which is there as long as it is used."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._locks: WeakValueDictionary[str, threading.Lock] = WeakValueDictionary()

    @contextmanager
    def held(self, name: str) -> Iterator[None]:
        """Hold the lock of ``name``."""
        with self._guard:
            lock = self._locks.setdefault(name, threading.Lock())
        with lock:
            yield
