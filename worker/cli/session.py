"""What several commands share: settings, the queue (a site's or the embedded one), studies and places."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from worker.cli.console import busy, counted, warn

if TYPE_CHECKING:
    from converters.films.studies import Discovery
    from worker.queue.job import DamagedRecordError, Record
    from worker.queue.records import Records
    from worker.settings import Settings
    from worker.study.outcome import State


_NAMED = 3  # files left out for one reason that are named
_BATCHES_NAMED = 5
_PATIENCE = 60.0  # seconds for which a command that waits puts up with a site's Redis that is away


@dataclass(frozen=True, slots=True)
class Queue:
    """The queue that a command uses.

    Attributes:
        settings: with the broker's address filled in.
        check: raises QueueError if it is known to have gone.
        start_worker: has the embedded engine work on jobs; a site's queue has its own workers.
        embedded: whether this is the embedded engine.
        at_work: whether somebody works on jobs, as far as can be told.
        unreadable: the jobs whose records could not be read, each told to the user once.
    """

    settings: Settings
    records: Records
    check: Callable[[], None]
    start_worker: Callable[[], None]
    embedded: bool
    at_work: Callable[[], bool]
    unreadable: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Have the user told of records that cannot be read."""

        def tell(error: DamagedRecordError) -> None:
            if error.job not in self.unreadable:
                self.unreadable.add(error.job)
                warn(str(error))

        self.records.on_damage = tell

    def shown(self, records: Iterable[Record]) -> list[Record]:
        """The records as they are to be shown: nothing runs where nobody works."""
        if self.at_work():
            return list(records)
        reason = "goes on with the next submit or up"
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
        from worker.queue.records import Records

        records = Records(self.settings.broker_url or "", _PATIENCE)
        records.on_damage = self.records.on_damage  # it knows what has been told
        return records


@contextmanager
def open_queue(settings: Settings) -> Iterator[Queue]:
    """The site's queue if ``BCD_BROKER_URL`` names one, else the embedded engine's.

    Raises:
        QueueError: it cannot be reached or started.
    """
    from worker.queue.records import Records

    if settings.broker_url is not None:
        records = Records(settings.broker_url)
        records.ping()
        yield Queue(settings, records, lambda: None, lambda: None, embedded=False, at_work=lambda: True)
        return
    from worker.engine.client import embedded_engine, worker_wanted

    with embedded_engine(settings.state_dir) as engine:
        here = settings.model_copy(update={"broker_url": engine.url})
        records = Records(engine.url)

        def at_work() -> bool:
            return worker_wanted(settings.state_dir)

        yield Queue(here, records, engine.check, engine.start_worker, embedded=True, at_work=at_work)


def check_selection(command: str, ids: Sequence[str], batch: str | None) -> None:
    """Raise UsageError unless either jobs or a batch are named."""
    from bcd_model.errors import UsageError

    if bool(ids) == (batch is not None):
        wrong = "not both" if ids else "and there is neither"
        raise UsageError(f"{command} takes a job's id or --batch NAME, {wrong}", "bcd-admin jobs lists them")


def ids_of_batch(records: Records, batch: str) -> list[str]:
    """Ids of the jobs of ``batch``, the newest first.

    Raises:
        UsageError: there is no such batch; it names those that there are.
    """
    from bcd_model.errors import UsageError

    try:
        return records.ids(batch)
    except UsageError:
        names = records.batches()
        if not names:
            raise
        named = ", ".join(names[:_BATCHES_NAMED])
        more = f" and {counted(len(names) - _BATCHES_NAMED, 'older one')}" if names[_BATCHES_NAMED:] else ""
        raise UsageError(f"no batch {batch!r}", f"the last ones are: {named}{more}") from None


def read_studies(paths: Sequence[Path]) -> Discovery:
    """The studies in ``paths``; tells what was left out, and what may be a film and belongs to no study.

    Raises:
        UsageError: a path does not exist.
        InputError: there is no film in them.
    """
    from converters.films.studies import find_studies
    from converters.results.patients import told
    from converters.truth.file import TRUTH_FILE

    with busy("looking for films"):
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
    for lost in found.unplaced:
        warn(f"{lost.path}: NOT SCANNED, and it may be a film of any study: {lost.reason}")
    for study in found.studies:
        for text in (*study.warnings, *told(study.patients)):
            warn(f"study {study.study_instance_uid}: {text}")
    for clash in found.clashes:
        warn(f"{', '.join(str(path) for path in clash)}: have one SOP Instance UID; keep the right one")
    return found


def unplaced_json(found: Discovery) -> list[dict[str, str]]:
    """What may be films of any study, for ``--json``."""
    return [{"file": str(lost.path), "reason": lost.reason} for lost in found.unplaced]


def results_root(out: Path | None, settings: Settings) -> Path:
    """Where results go: ``--out``, else ``BCD_RESULTS_DIR``, else ``./bcd-results``; absolute."""
    return (out or settings.results_dir).absolute()
