"""A queue whose jobs are done in this process when a test says so: real Redis, a real (small) network."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import redis

from bcd_model.weights import read_info
from converters.films.studies import find_studies
from worker.pool.app import make_messages
from worker.pool.execution import run_job
from worker.queue.job import Priority, Record
from worker.queue.records import Records
from worker.queue.submission import Submitted, Submitter
from worker.settings import Settings


class Watcher(logging.Handler):
    """The log: what it said, and what is to happen when it says something."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[tuple[str, dict[str, object]]] = []
        self.actions: list[tuple[str, dict[str, object], Callable[[], object]]] = []

    def emit(self, record: logging.LogRecord) -> None:
        said, fields = record.getMessage(), getattr(record, "fields", {})
        self.said.append((said, fields))
        for name, wanted, action in list(self.actions):
            if said == name and wanted.items() <= fields.items():
                self.actions.remove((name, wanted, action))
                action()

    def times(self, name: str) -> int:
        return [said for said, _ in self.said].count(name)


@dataclass
class Queue:
    """A queue without a worker: its jobs are done when a test says so, by holders with a name each."""

    url: str
    settings: Settings
    out: Path
    watcher: Watcher
    client: redis.Redis
    records: Records = field(init=False)

    def __post_init__(self) -> None:
        self.records = Records(self.url)

    def submitter(
        self, *, out: Path | None = None, priority: Priority = "interactive", force: bool = False
    ) -> Submitter:
        weights = read_info(self.settings.model)
        settings, messages = self.settings, make_messages(self.settings)
        return Submitter(self.records, messages, weights, settings, out or self.out, priority, force=force)

    def submit(
        self, films: Path, *, out: Path | None = None, priority: Priority = "interactive", force: bool = False
    ) -> Submitted:
        (study,) = find_studies([films]).studies
        return self.submitter(out=out, priority=priority, force=force).submit(study)

    def run(self, job: str, holder: str = "message/node/1") -> Record:
        run_job(job, holder, self.settings)
        return self.record(job)

    def record(self, job: str) -> Record:
        record = self.records.get(job)
        assert record is not None
        return record

    def when(self, name: str, action: Callable[[], object], **fields: object) -> None:
        """Do ``action`` once, when the log says so."""
        self.watcher.actions.append((name, fields, action))

    def let_it_be_due(self, job: str) -> None:
        """The time until a job is tried again is over, and a worker sweeps."""
        assert self.client.zadd("bcd:later", {job: 1.0}, xx=True, ch=True)
        self.client.set("bcd:swept", self.client.time()[0] - 10)
        assert [sent for sent, *_ in self.records.sweep(1.0, 1000.0, 90).send] == [job]

    def give_to_another(self, job: str) -> None:
        """The lease ends unnoticed, and another worker takes the job."""
        assert self.client.zadd("bcd:running", {job: 1.0}, xx=True, ch=True)
        assert self.records.claim(job, "another/node/2", 1000.0) == "claimed"
