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


class Task:
    """Runs ``work(task)`` in a thread; its events are ``Progress``, then one ``Done`` or ``Failed``."""

    def __init__(self, work: Callable[[Task], Any]) -> None:
        self.events: queue.Queue[Any] = queue.Queue()
        self._work = work
        self._stop = threading.Event()
        self._keep_job = False
        self._thread = threading.Thread(target=self._run, name="BCD gateway", daemon=True)

    def start(self) -> Task:
        """Begin; returns self."""
        self._thread.start()
        return self

    def cancel(self) -> None:
        """Ask the work to end soon, and the gateway to end the job; returns at once."""
        self._stop.set()

    def abandon(self) -> None:
        """Ask the work to end soon; the job at the gateway goes on and its result can be found later."""
        self._keep_job = True
        self._stop.set()

    def cancelled(self) -> bool:
        """Whether the work is to end."""
        return self._stop.is_set()

    @property
    def keep_job(self) -> bool:
        """Whether the job at the gateway is to go on."""
        return self._keep_job

    @property
    def alive(self) -> bool:
        """Whether the thread still runs."""
        return self._thread.is_alive()

    def join(self, seconds: float) -> None:
        """Wait for the thread."""
        self._thread.join(seconds)

    def say(self, text: str, fraction: Any = None) -> None:
        """Report progress."""
        self.events.put(Progress(text, fraction))

    def wait(self, seconds: float) -> None:
        """Wait, but end with ``CancelledError`` as soon as the work is cancelled."""
        if self._stop.wait(seconds):
            raise CancelledError

    def drain(self) -> list[Any]:
        """The events since the last call."""
        events = []
        while True:
            try:
                events.append(self.events.get_nowait())
            except queue.Empty:
                return events

    def _run(self) -> None:
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
