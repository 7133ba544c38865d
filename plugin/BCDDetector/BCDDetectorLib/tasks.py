"""Work that waits for the network, in a thread of its own.

The thread touches no MRML node and no widget. What it has to say it puts on a queue, which the panel
drains on Slicer's main thread with a timer.
"""

from __future__ import annotations

import queue
import threading
from dataclasses import dataclass
from typing import Any, Callable

from .errors import CancelledError, DetectorError


@dataclass(frozen=True)
class Progress:
    """How far the work is: ``fraction`` in [0, 1], None if it is not known."""

    text: str
    fraction: Any = None


@dataclass(frozen=True)
class Done:
    """The work is done."""

    value: Any


@dataclass(frozen=True)
class Failed:
    """The work has failed, or the user has cancelled it (``CancelledError``)."""

    error: DetectorError


class Task(threading.Thread):
    """Runs ``work(task)``; its events are ``Progress``, then one ``Done`` or ``Failed``.

    Attributes:
        keep_job: whether the job at the gateway is to go on when the work is cancelled.
    """

    def __init__(self, work: Callable[[Task], Any]) -> None:
        super().__init__(name="BCD gateway", daemon=True)
        self.events: queue.Queue[Any] = queue.Queue()
        self.keep_job = False
        self._work = work
        self._cancelled = threading.Event()

    def cancel(self) -> None:
        """Ask the work to end soon, and the gateway to end the job; returns at once."""
        self._cancelled.set()

    def abandon(self) -> None:
        """Ask the work to end soon; the job at the gateway goes on and its result can be found later."""
        self.keep_job = True
        self._cancelled.set()

    def cancelled(self) -> bool:
        """Whether the work is to end."""
        return self._cancelled.is_set()

    def say(self, text: str, fraction: Any = None) -> None:
        """Report progress."""
        self.events.put(Progress(text, fraction))

    def wait(self, seconds: float) -> None:
        """Wait, but end with ``CancelledError`` as soon as the work is cancelled."""
        if self._cancelled.wait(seconds):
            raise CancelledError

    def drain(self) -> list[Any]:
        """The events since the last call, for the one thread that asks."""
        events = []
        while not self.events.empty():
            events.append(self.events.get())
        return events

    def run(self) -> None:
        """What the thread does."""
        try:
            value = self._work(self)
            if self.cancelled():
                raise CancelledError
            self.events.put(Done(value))
        except DetectorError as error:
            self.events.put(Failed(error))
        except Exception as error:  # noqa: BLE001  a thread that dies silently would leave the panel waiting
            self.events.put(
                Failed(
                    DetectorError("an unexpected fault, please report it", f"{type(error).__name__}: {error}")
                )
            )
