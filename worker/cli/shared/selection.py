"""Which jobs a command means: by their ids, or by their batch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from bcd_model.errors import UsageError
from worker.cli.shared.figures import counted
from worker.cli.shared.session import Queue
from worker.queue.job import Record

if TYPE_CHECKING:
    from worker.queue.records import Records

LOST = "lost (no readable record)"
"""Of jobs whose records are gone, or cannot be read."""

_BATCHES_NAMED = 5


def check_selection(command: str, ids: Sequence[str], batch: str | None) -> None:
    """Raise UsageError unless either jobs or a batch are named."""
    if bool(ids) == (batch is not None):
        named = "a job's id, a Study Instance UID"
        wrong = f"takes {named} or --batch NAME, not both" if ids else f"needs {named} or --batch NAME"
        raise UsageError(f"{command} {wrong}", "bcd-admin jobs lists them")


def ids_of_batch(records: Records, batch: str) -> list[str]:
    """Ids of the jobs of ``batch``, the newest first.

    Raises:
        UsageError: there is no such batch; it names those that there are.
    """
    try:
        return records.ids(batch)
    except UsageError:
        names = records.batches()
        if not names:
            raise
        named = ", ".join(names[:_BATCHES_NAMED])
        more = f" and {counted(len(names) - _BATCHES_NAMED, 'older one')}" if names[_BATCHES_NAMED:] else ""
        raise UsageError(f"no batch {batch!r}", f"the last ones are: {named}{more}") from None


def selected(queue: Queue, ids: Sequence[str], batch: str | None) -> tuple[list[Record], list[str]]:
    """The jobs that are meant, each once, the newest of a batch first; and those of it that are lost.

    Raises:
        UsageError: an id is that of no job or may be several, or there is no such batch.
    """
    records = queue.records
    if batch is not None:
        meant = ids_of_batch(records, batch)
        listed = records.listing(meant)
        return listed, lost_of(meant, listed)
    found = {record.job_id: record for record in map(records.find, ids)}
    return list(found.values()), []


def lost_of(ids: Iterable[str], records: Iterable[Record]) -> list[str]:
    """Those of ``ids`` that are not among ``records``: their records are gone, or cannot be read."""
    return sorted(set(ids) - {record.job_id for record in records})
