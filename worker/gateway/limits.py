"""How much one token may ask of the gateway: requests a minute, and uploads at the same time."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from worker.gateway.problems import ProblemError, try_again

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
