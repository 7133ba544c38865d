"""The connection to Redis that job records travel on: what it waits for, and how its errors read."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar
from urllib.parse import parse_qs, urlsplit

import redis
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from bcd_model.errors import QueueError
from worker.settings import hide_secrets

T = TypeVar("T")

_FIRST_PAUSE = 0.05  # seconds
_LONGEST_PAUSE = 2.0  # seconds: so soon is work taken up again when Redis is back


class RedisLink:
    """A client of one Redis.

    Args:
        url: as in ``BCD_BROKER_URL``.
        patience: seconds for which a call is made again while Redis is away, starting or full.
    """

    def __init__(self, url: str, patience: float = 0.0) -> None:
        self._shown_url = hide_secrets(url)
        self._patience = patience
        self.redis = _client(url)

    def call(self, action: Callable[[], T]) -> T:
        """What ``action`` returns; it may be called more than once.

        Raises:
            QueueError: Redis cannot be reached, refuses, or is full.
        """
        deadline = time.monotonic() + self._patience
        pause = _FIRST_PAUSE
        while True:
            try:
                return action()
            except RedisError as error:
                last = time.monotonic() + pause > deadline
                trouble, remedy, may_pass = _trouble(error)
                # a dropped connection is noticed by the first call after it: once more is always right
                if (last and pause > _FIRST_PAUSE) or not may_pass:
                    raise QueueError(f"the queue at {self._shown_url} {trouble}", remedy) from None
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)


def _trouble(error: RedisError) -> tuple[str, str, bool]:
    """What is wrong with the queue, what to do about it, and whether it may pass."""
    text = str(error)  # where a script fails, Redis 6 says why in its text only
    if isinstance(error, AuthenticationError | NoPermissionError):
        return "refuses the password", "correct BCD_BROKER_URL", False
    if isinstance(error, OutOfMemoryError) or "OOM command not allowed" in text:
        remedy = "raise maxmemory, then submit again; a lower BCD_RECORD_DAYS on a worker keeps it so"
        return "is full and takes no more", remedy, True
    if "MISCONF" in text:
        return "cannot write to its disk and takes no more", "free space there; see Redis's log", True
    if isinstance(error, ReadOnlyError) or "-READONLY" in text:
        return "is a read-only replica", "name the primary in BCD_BROKER_URL", True
    cause = error.__context__
    why = cause.strerror if isinstance(cause, OSError) else ""  # the client's own text repeats the address
    line = why or " ".join(text.split()).rstrip(".") or type(error).__name__
    if isinstance(error, RedisConnectionError | RedisTimeoutError | BusyLoadingError):
        return f"does not answer: {line}", "start Redis or correct BCD_BROKER_URL", True
    return f"refuses: {line}", "see bcd-admin doctor and Redis's log", False


def _client(url: str) -> redis.Redis:
    parts = urlsplit(url)
    if parts.scheme == "redis+socket":  # Celery's form; redis-py's is unix://PATH?db=N
        database = parse_qs(parts.query).get("virtual_host", ["0"])[0]
        url = f"unix://{parts.netloc}{parts.path}?db={database}"
    return redis.Redis.from_url(
        url,
        decode_responses=True,
        encoding_errors="surrogateescape",  # names of files and folders need not be UTF-8
        socket_timeout=10,
        socket_connect_timeout=5,
        retry=Retry(NoBackoff(), 0),  # RedisLink.call does that
    )
