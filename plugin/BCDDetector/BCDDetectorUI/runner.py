"""Runs a task and hears of it on Slicer's main thread."""

from __future__ import annotations

import time
from typing import Any, Callable

import qt

from BCDDetectorLib.errors import DetectorError
from BCDDetectorLib.tasks import Done, Failed, Progress, Task

_MILLISECONDS = 100
_BREATH = 0.005  # seconds


def after_event(action: Callable[[], None]) -> None:
    """Call ``action`` when the event that is being handled is over."""
    qt.QTimer.singleShot(0, action)


class Runner:
    """One task at a time; a timer drains its queue, so that nodes and widgets change here alone."""

    def __init__(self) -> None:
        self._task: Task | None = None
        self._handlers: Any = None
        self._timer = qt.QTimer()
        self._timer.setInterval(_MILLISECONDS)
        self._timer.connect("timeout()", self.drain)

    @property
    def busy(self) -> bool:
        """Whether a task is under way."""
        return self._task is not None

    def start(
        self,
        work: Callable[[Task], Any],
        progress: Callable[[Progress], None],
        done: Callable[[Any], None],
        failed: Callable[[DetectorError], None],
    ) -> None:
        """Begin ``work`` in a thread; the others are called on this thread."""
        self._handlers = progress, done, failed
        self._task = Task(work)
        self._task.start()
        self._timer.start()

    def cancel(self) -> None:
        """Ask the task to end, and its job at the gateway with it."""
        if self._task is not None:
            self._task.cancel()

    def abandon(self) -> None:
        """Forget the task; its job at the gateway goes on."""
        self._timer.stop()
        if self._task is not None:
            self._task.abandon()
            self._task = None

    def drain(self) -> None:
        """Hand on what the task has said."""
        task = self._task
        if task is None:
            return
        # Slicer's Qt loop never gives up Python's lock: without this rest no thread gets on while it idles.
        time.sleep(_BREATH)
        progress, done, failed = self._handlers
        for event in task.drain():
            if task is not self._task:
                return  # a handler has let go of it
            if isinstance(event, Progress):
                progress(event)
                continue
            self._timer.stop()
            self._task = None
            if isinstance(event, Done):
                done(event.value)
            elif isinstance(event, Failed):
                failed(event.error)
