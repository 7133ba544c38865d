"""A site with a queue and nobody at work, for the tests of many jobs at once."""

import re
from collections.abc import Callable
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any

from bcd_model.reasons import Reason
from tests.support.made_records import make_study, record_of
from worker.queue.job import Record
from worker.queue.records import Records
from worker.study.outcome import Tally

NUMBERS = count(1)
HOLDER = "a worker"


class Site:
    """A queue at a site with nobody at work: the test plays the worker."""

    def __init__(self, url: str, admin: Any, run: Callable[..., Any]) -> None:
        self.url = url
        self.admin = admin
        self.run = run
        self.records = Records(url)

    def __call__(self, *arguments: object) -> Any:
        return self.run(*arguments, BCD_BROKER_URL=self.url)

    def start(self, *arguments: object) -> Any:
        return self.admin.start(*arguments, BCD_BROKER_URL=self.url)

    def add(self, batch: str = "", films: int = 2) -> str:
        """Queue a study of its own; the id of its job."""
        record = make_record(batch=batch, films=films, out=self.admin.folder / "out")
        self.records.submit(record, published=False, force=False)
        return record.job_id

    def begin(self, job: str) -> None:
        assert self.records.claim(job, HOLDER, 600) == "claimed"

    def end(
        self, job: str, state: Any = "done", reason: Reason | None = None, tally: Tally | None = None
    ) -> None:
        self.begin(job)
        code = 0 if state == "done" else 1
        tally = tally or Tally(scanned=2)
        assert self.records.end(job, HOLDER, state=state, reason=reason, exit_code=code, tally=tally)


def make_record(*, batch: str = "", films: int = 2, out: Path = Path("/out")) -> Record:
    """The record of a study of its own."""
    study = make_study(f"1.2.3.{next(NUMBERS)}", films)
    return record_of(study, out, datetime.now().astimezone(), priority="batch", batch=batch)


def table(text: str) -> list[str]:
    """The job ids at the start of the lines."""
    return re.findall(r"^([0-9a-f]{16})\b", text, re.MULTILINE)
