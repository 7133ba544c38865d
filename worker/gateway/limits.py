"""How much one token may ask of the gateway: requests a minute, uploads at the same time, work on them.

What one token has been granted is never in the way of another: `Turns` and `Locks` are by token or job.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from anyio import CapacityLimiter, to_thread

from worker.gateway.problems import ProblemError, try_again

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

    def forget(self, known: set[str]) -> None:
        """Forget tokens that are not ``known`` any more."""
        for token in self._buckets.keys() - known:
            del self._buckets[token]


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
            raise self._full()
        self._used[token] += 1
        try:
            yield
        finally:
            self._used[token] -= 1
            if not self._used[token]:
                del self._used[token]
            if not self._used:
                self._none_left()

    @staticmethod
    def _full() -> ProblemError:
        return try_again(503, "too many uploads at the same time; try again in a moment", _SLOT_SECONDS)


@dataclass(slots=True)
class _Place:
    """The places of one token, and how many hold one or wait for it."""

    limiter: CapacityLimiter
    users: int = 0


class Turns:
    """Threads for what follows an upload: one token has one at a time, whatever it sends.

    Args:
        total: how many threads there are. Of those that wait for one, no two are of the same token, and
            the first comes first.
    """

    def __init__(self, total: int) -> None:
        self._all = CapacityLimiter(total)
        self._places: dict[str, _Place] = {}

    async def run(self, token: str, work: Callable[[], T]) -> T:
        """What ``work`` returns, in a thread, when it is the turn of ``token``."""
        place = self._places.setdefault(token, _Place(CapacityLimiter(1)))
        place.users += 1
        try:
            async with place.limiter:
                return await to_thread.run_sync(work, limiter=self._all)
        finally:
            place.users -= 1
            if not place.users:
                del self._places[token]


class Locks:
    """A lock for each name, made when it is needed."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._locks: dict[str, tuple[threading.Lock, int]] = {}

    @contextmanager
    def held(self, name: str) -> Iterator[None]:
        """Hold the lock of ``name``."""
        with self._guard:
            lock, users = self._locks.get(name, (threading.Lock(), 0))
            self._locks[name] = (lock, users + 1)
        try:
            with lock:
                yield
        finally:
            with self._guard:
                users = self._locks[name][1] - 1
                if users:
                    self._locks[name] = (lock, users)
                else:
                    del self._locks[name]
