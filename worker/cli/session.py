"""What several commands share: settings, the queue (a site's or the embedded one), studies and places."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from worker.cli.console import counted, warn

if TYPE_CHECKING:
    from converters.studies import StudyInput
    from worker.job import Record
    from worker.records import Records
    from worker.settings import Settings


_NAMED = 3  # files left out for one reason that are named


@dataclass(frozen=True, slots=True)
class Queue:
    """The queue that a command uses.

    Attributes:
        settings: with the broker's address filled in.
        check: raises QueueError if it is known to have gone.
        start_worker: has the embedded engine work on jobs; a site's queue has its own workers.
        embedded: whether this is the embedded engine.
        at_work: whether somebody works on jobs, as far as can be told.
    """

    settings: Settings
    records: Records
    check: Callable[[], None]
    start_worker: Callable[[], None]
    embedded: bool
    at_work: bool

    def shown(self, record: Record) -> Record:
        """The record as it is to be shown: nothing runs where nobody works."""
        if record.final or self.at_work:
            return record
        return replace(record, state="queued", reason="goes on with the next submit or up")


@contextmanager
def open_queue(settings: Settings) -> Iterator[Queue]:
    """The site's queue if ``BCD_BROKER_URL`` names one, else the embedded engine's.

    Raises:
        QueueError: it cannot be reached or started.
    """
    from worker.records import Records

    if settings.broker_url is not None:
        records = Records(settings.broker_url)
        records.ping()
        yield Queue(settings, records, lambda: None, lambda: None, embedded=False, at_work=True)
        return
    from worker.engine import embedded_engine, worker_wanted

    with embedded_engine(settings.state_dir) as engine:
        here = settings.model_copy(update={"broker_url": engine.url})
        at_work = worker_wanted(settings.state_dir)
        yield Queue(here, Records(engine.url), engine.check, engine.start_worker, True, at_work)


def read_studies(paths: Sequence[Path]) -> tuple[StudyInput, ...]:
    """The studies in ``paths``; tells what was left out.

    Raises:
        UsageError: a path does not exist.
        InputError: there is no film in them.
    """
    from converters.studies import find_studies
    from converters.truth import TRUTH_FILE

    found = find_studies([path.absolute() for path in paths])
    left_out: dict[str, list[Path]] = {}
    for skipped in found.skipped:
        if skipped.path.name != TRUTH_FILE:
            left_out.setdefault(skipped.reason, []).append(skipped.path)
    # Results come back beside the films: one line a reason, not one a file.
    for reason, files in left_out.items():
        named = ", ".join(str(path) for path in files[:_NAMED])
        more = f" and {counted(len(files) - _NAMED, 'more file')}" if len(files) > _NAMED else ""
        warn(f"{named}{more}: left out: {reason}")
    for study in found.studies:
        for text in study.warnings:
            warn(f"study {study.study_instance_uid}: {text}")
    return found.studies


def results_root(out: Path | None, settings: Settings) -> Path:
    """Where results go: ``--out``, else ``BCD_RESULTS_DIR``, else ``./bcd-results``; absolute."""
    return (out or settings.results_dir).absolute()
