"""A clock for ages that no leap of the system's clock sets forward.

Files carry the system's time, which may be years off for a while: a dead battery, a wrong time server. What
was uploaded a minute before such a leap must not be years old after it. So the time that ages are counted by
goes on with a steady clock while the gateway runs. While it does not, a leap looks like a holiday: no more
than a limit counts then. It is never ahead of the system's clock, so a leap back makes
nothing older either. What bears a time that is still to come is as old as if it had come just now.
"""

from __future__ import annotations

import json
import threading
import time
from contextlib import suppress
from pathlib import Path

from bcd_model.atomic import replacing


class Clock:
    """The time for ages, seconds since 1970.

    Args:
        path: where it is kept from one run to the next.
        away: seconds that count at most from one run to the next.
    """

    def __init__(self, path: Path, away: float) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._steady = _steady()
        wall = time.time()
        then, kept = self._kept() or (wall, wall)
        self._now = min(wall, kept + min(max(0.0, wall - then), away))

    def now(self) -> float:
        """The time."""
        with self._lock:
            steady = _steady()
            self._now = min(time.time(), self._now + steady - self._steady)
            self._steady = steady
            return self._now

    def keep(self) -> None:
        """Write it down for the next run.

        Raises:
            OSError: it cannot be written.
        """
        with replacing(self._path) as staged:
            staged.write_text(json.dumps({"system": time.time(), "now": self.now()}))

    def _kept(self) -> tuple[float, float] | None:
        with suppress(OSError, ValueError, KeyError, TypeError, OverflowError):
            content = json.loads(self._path.read_bytes()[:1000])
            then, now = float(content["system"]), float(content["now"])
            if 0 <= now <= then < 1e11:
                return then, now
        return None


def _steady() -> float:
    """Seconds of a clock that is never set; where it can, it goes on while the machine sleeps."""
    number = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if number is None else time.clock_gettime(number)
