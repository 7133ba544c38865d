"""``retry``: jobs that are to be done again."""

from __future__ import annotations

import typer

from bcd_model.errors import BcdError
from worker.cli.shared.console import note, say, say_json
from worker.cli.shared.figures import counted
from worker.cli.shared.options import BATCH, IDS, JSON
from worker.cli.shared.progress import film_progress
from worker.cli.shared.report import how_to_watch, report
from worker.cli.shared.selection import LOST, check_selection, selected
from worker.cli.shared.session import open_queue, warn_without_worker
from worker.cli.shared.submission import cancelled_on_interrupt, wait_for_jobs
from worker.queue.job import Record
from worker.queue.summary import MISSED
from worker.settings import load_settings


def retry(ids: list[str] | None = IDS, batch: str | None = BATCH, as_json: bool = JSON) -> None:
    """Do again what failed, was cancelled, is done with failures, or waits to be tried again.

    A study that was refused has to be submitted again. A superseded job is left: another has its films.

    Without a queue of your own (BCD_BROKER_URL) and without 'bcd-admin up', it waits for the jobs like
    'submit', and Ctrl-C cancels them.
    """
    from worker.pool.app import make_messages  # brings Celery
    from worker.queue.submission import Submitted, exit_code  # brings Redis

    check_selection("retry", ids or [], batch)
    ended: list[Record] = []
    with open_queue(load_settings()) as queue:
        waiting = queue.embedded and not queue.at_work()
        messages = make_messages(queue.settings)
        records, lost = selected(queue, ids or [], batch)
        if batch is not None:
            records.reverse()  # the oldest first, as it was submitted
        candidates = [record for record in records if record.state in MISSED or record.due]
        with cancelled_on_interrupt(queue) as again:
            with film_progress(len(candidates), "jobs") as progress:
                for number, record in enumerate(candidates, start=1):
                    if queue.records.retry(record.job_id):
                        again.append(Submitted(record.job_id, record.study_instance_uid, "queued"))
                        messages.send(record.job_id, record.priority)
                    progress(number)
            if waiting:
                ended = wait_for_jobs(queue, again)
        if again and not waiting:
            warn_without_worker(queue)
    retried = [answer.job_id for answer in again]
    left = [record.job_id for record in records if record.job_id not in set(retried)]
    if as_json:
        facts = {"retried": retried, "left": left, "lost": lost}
        say_json(facts | {"jobs": [record.as_json() for record in ended]})
    else:
        rest = f", {len(left):,} left as they are (done, under way, refused or superseded)" if left else ""
        rest += f", {len(lost):,} {LOST}" if lost else ""
        say(f"{counted(len(retried), 'job')} queued again{rest}")
        if ended:
            report(again, ended, as_json=False, batch=batch)
        elif again:
            note(how_to_watch(retried, batch))
    raise typer.Exit(exit_code(ended) or (BcdError.exit_code if lost else 0))
