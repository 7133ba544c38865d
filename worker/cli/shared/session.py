"""The queue that a command uses: a site's, or that of the embedded engine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bcd_model.reasons import Reason
from worker.cli.shared.console import warn
from worker.engine.client import embedded_engine, worker_wanted
from worker.queue.job import Record
from worker.settings import Settings
from worker.study.outcome import State

if TYPE_CHECKING:
    from worker.queue.records import Records

_PATIENCE = 60.0  # seconds for which a command that waits puts up with a site's Redis that is away


@dataclass(frozen=True, slots=True)
class Queue:
    """The queue that a command uses.

    Attributes:
        settings: with the broker's address filled in.
        check: raises QueueError if it is known to have gone.
        start_worker: has the embedded engine work on jobs; a site's queue has its own workers.
        embedded: whether this is the embedded engine.
        at_work: whether jobs are worked on, as far as is known.
    """

    settings: Settings
    records: Records
    check: Callable[[], None]
    start_worker: Callable[[], None]
    embedded: bool
    at_work: Callable[[], bool]

    def shown(self, records: Iterable[Record]) -> list[Record]:
        """The records as they are to be shown: nothing runs without a worker."""
        if self.at_work():
            return list(records)
        reason = Reason("no-worker", "goes on with the next submit or up")
        return [r if r.final else replace(r, state="queued", due=0.0, reason=reason) for r in records]

    def counted(self, states: Mapping[State, int]) -> dict[State, int]:
        """How many jobs are in each state, as it is to be shown."""
        if self.at_work():
            return dict(states)
        return {**states, "queued": states["queued"] + states["running"], "running": 0}

    def patient(self) -> Records:
        """The records for a command that waits: a site's Redis may be away for a minute."""
        if self.embedded:
            return self.records  # without its Redis the embedded engine has ended: see ``check``
        from worker.queue.records import Records  # brings redis

        return Records(self.settings.broker_url or "", _PATIENCE)


@contextmanager
def open_queue(settings: Settings) -> Iterator[Queue]:
    """The site's queue if ``BCD_BROKER_URL`` names one, else the embedded engine's.

    Raises:
        QueueError: it cannot be reached or started.
    """
    from worker.queue.records import Records  # brings redis

    if settings.broker_url is not None:
        records = Records(settings.broker_url)
        records.ping()
        yield Queue(settings, records, lambda: None, lambda: None, embedded=False, at_work=lambda: True)
        return
    with embedded_engine(settings.state_dir) as engine:
        here = settings.model_copy(update={"broker_url": engine.url})
        records = Records(engine.url)

        def at_work() -> bool:
            return worker_wanted(settings.state_dir)

        yield Queue(here, records, engine.check, engine.start_worker, embedded=True, at_work=at_work)


def warn_without_worker(queue: Queue) -> None:
    """Warn if a site's queue has no worker; the embedded engine has its own."""
    if not queue.embedded and not queue.records.workers():
        warn("no worker is at work: the jobs wait until one is started with 'bcd-admin worker'")
