"""``cancel``: jobs that are not to go on."""

from __future__ import annotations

import typer

from bcd_model.errors import BcdError
from worker.cli.shared.console import say, say_json
from worker.cli.shared.figures import counted
from worker.cli.shared.options import BATCH, IDS, JSON
from worker.cli.shared.selection import LOST, check_selection, selected
from worker.cli.shared.session import open_queue
from worker.settings import load_settings

_REASON = "cancelled with bcd-admin cancel"


def cancel(ids: list[str] | None = IDS, batch: str | None = BATCH, as_json: bool = JSON) -> None:
    """End jobs that have not ended; a running one stops before its next film.

    Jobs of the batch that were submitted with another batch since then are left to that one.
    """
    check_selection("cancel", ids or [], batch)
    cancelled, ended, others = [], [], []
    with open_queue(load_settings()) as queue:
        # the newest first, so that workers do not begin what is about to be cancelled
        meant, lost = selected(queue, ids or [], batch)
        for record in meant:
            if batch is not None and record.batch != batch and not record.final:
                others.append(record.job_id)
            elif not record.final and queue.records.cancel(record.job_id, _REASON):
                cancelled.append(record.job_id)
            else:
                ended.append(record.job_id)
    code = BcdError.exit_code if lost else 0
    if as_json:
        facts = {"cancelled": cancelled, "ended_already": ended, "of_another_batch": others}
        say_json(facts | {"lost": lost})
        raise typer.Exit(code)
    parts = [f"{counted(len(cancelled), 'job')} cancelled"]
    parts += [f"{len(ended):,} had ended already"] if ended else []
    parts += [f"{len(others):,} left to another batch"] if others else []
    parts += [f"{len(lost):,} {LOST}"] if lost else []
    say(", ".join(parts))
    raise typer.Exit(code)
