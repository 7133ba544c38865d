"""Which token may see which jobs: kept in Redis beside the jobs, so that a new gateway knows it too."""

from __future__ import annotations

import time
from typing import cast

from worker.queue.link import RedisLink

_KEY = "bcd:gateway:jobs:"
_SETTLED = 60.0  # seconds; a job is granted before its record is written
_MOST = 10_000  # jobs that one token sees; the oldest are let go

# One step, or a job that is submitted again meanwhile would be forgotten.
_DROP = """
for i = 2, #ARGV do
  local granted = redis.call('ZSCORE', KEYS[1], ARGV[i])
  if granted and tonumber(granted) < tonumber(ARGV[1]) then
    redis.call('ZREM', KEYS[1], ARGV[i])
  end
end
"""


class Grants:
    """The jobs of each token. Every method raises QueueError if Redis cannot be reached.

    Args:
        url: as in ``BCD_BROKER_URL``.
        days: for how long a token that submits nothing more keeps its jobs.
    """

    def __init__(self, url: str, days: int) -> None:
        self._link = RedisLink(url)
        self._redis = self._link.redis
        self._drop = self._redis.register_script(_DROP)
        self._seconds = days * 86400

    def add(self, token: str, job: str) -> None:
        """Let ``token`` see ``job``, as its newest."""

        def write() -> None:
            pipeline = self._redis.pipeline()
            pipeline.zadd(_KEY + token, {job: time.time()})
            pipeline.zremrangebyrank(_KEY + token, 0, -_MOST - 1)
            pipeline.expire(_KEY + token, self._seconds)
            pipeline.execute()

        self._link.call(write)

    def has(self, token: str, job: str) -> bool:
        """Whether ``token`` may see ``job``."""
        return self._link.call(lambda: self._redis.zscore(_KEY + token, job)) is not None

    def jobs(self, token: str) -> list[str]:
        """The jobs of ``token``, the last submitted first."""
        return self._link.call(lambda: cast("list[str]", self._redis.zrevrange(_KEY + token, 0, -1)))

    def drop(self, token: str, jobs: list[str]) -> None:
        """Forget those of ``jobs``, which have no record, that have not just been granted."""
        if jobs:
            before = time.time() - _SETTLED
            self._link.call(lambda: self._drop(keys=[_KEY + token], args=[before, *jobs]))

    def shared(self, job: str, tokens: list[str]) -> bool:
        """Whether any of ``tokens`` may see ``job``."""

        def read() -> bool:
            pipeline = self._redis.pipeline(transaction=False)
            for token in tokens:
                pipeline.zscore(_KEY + token, job)
            return any(score is not None for score in pipeline.execute())

        return bool(tokens) and self._link.call(read)
