"""What every row of the table has in common: a site with studies, the clock, and the verdict."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from redis import RedisError

from tests.faults.outcome import Outcome
from tests.faults.sites import Look, Site, TimeoutInRowError, wait_for
from tests.faults.small_films import SMALL, Study, make_study
from tests.faults.watcher import Watcher
from tests.support.small_studies import make_weights

_STAGED = 6.0  # seconds after which what a killed worker has staged is cleared away by the next one


@dataclass(frozen=True)
class Numbers:
    """How large the rows are.

    Attributes:
        small: studies of one small film that wait behind the one that is hit.
        slow_films, slow_side: number and side of the films of the study that is hit in mid film.
        copies: submissions at once of the same study.
        submitted: studies of the submission that is killed.
        studies, kills: of the long runs.
        full_seconds: for which the disk stays full after every job has found it so.
        patience: seconds until what a row waits for counts as never to happen.
        lease, visibility: BCD_LEASE_SECONDS, and BCD_VISIBILITY_TIMEOUT where the worker is stopped.
        tiny: scan with random weights: a small film takes a tenth of the time, and no row is about findings.
    """

    small: int = 6
    slow_films: int = 5
    slow_side: int = 1024
    copies: int = 20
    submitted: int = 200
    studies: int = 1000
    kills: int = 30
    full_seconds: float = 10.0
    patience: float = 480.0
    lease: int = 2
    visibility: int = 20
    tiny: bool = False


FULL = Numbers()
QUICK = Numbers(
    small=2,
    slow_films=4,
    slow_side=768,
    copies=8,
    submitted=24,
    studies=30,
    kills=3,
    full_seconds=1.0,
    patience=100.0,
    tiny=True,
)


def model_settings(numbers: Numbers, folder: Path) -> dict[str, str]:
    """What makes a site scan with the model of ``numbers``, whose bytes are the same in any ``folder``."""
    if not numbers.tiny:
        return {}
    return {"BCD_MODEL": str(make_weights(folder / "tiny.safetensors", seed=0))}


class Bench:
    """The site of one row, its studies and its verdict; a context manager."""

    def __init__(
        self,
        row: str,
        folder: Path,
        numbers: Numbers,
        seed: int,
        *,
        out: Path | None = None,
        settings: dict[str, str] | None = None,
    ) -> None:
        self.row = row
        self.folder = folder
        self.numbers = numbers
        self.seed = seed
        self.out = out or folder / "results"
        self.studies: list[Study] = []
        self.job_of: dict[str, str] = {}  # by Study Instance UID
        self.outcome = Outcome(row)
        self.watcher = Watcher(self.out)
        self.site = Site(
            folder,
            {"BCD_LEASE_SECONDS": str(numbers.lease), "BCD_LOG_FORMAT": "json"}
            | model_settings(numbers, folder)
            | (settings or {}),
        )
        self._quarantined: dict[str, str] = {}  # reason that is expected, by Study Instance UID
        self.strangers = False  # whether the row itself sends what is to be refused
        self.since = 0.0
        self._stack = ExitStack()

    def __enter__(self) -> Bench:
        self._begun = time.monotonic()
        self._stack.enter_context(self.site)
        self._stack.enter_context(self.watcher)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    # --- studies and jobs ---

    def make(self, count: int = 1, *, films: int = 1, side: int = SMALL) -> list[Study]:
        """Write as many new studies."""
        first = len(self.studies)
        prefix = f"{self.row.replace(' ', '-')}-{self.seed}"
        made = [
            make_study(self.folder / "films", f"{prefix}-{number:04}", films=films, side=side)
            for number in range(first, first + count)
        ]
        self.studies += made
        return made

    def make_slow(self) -> Study:
        """Write a study that takes some seconds: several large films."""
        (study,) = self.make(films=self.numbers.slow_films, side=self.numbers.slow_side)
        return study

    def submit(self, studies: Iterable[Study], *options: object) -> dict[str, str]:
        """Submit studies by one command; what each was answered, by its UID."""
        folders = [study.folder for study in studies]
        answer = self.site.admin("submit", *folders, "--out", self.out, *self.priority, *options, "--json")
        self.expect(answer.code == 0, f"submit ended with {answer.code}: {answer.err.strip()[-300:]}")
        return self.take_answers(answer.out) if answer.code == 0 else {}

    def take_answers(self, out: str) -> dict[str, str]:
        """What ``submit --json`` answers for each study, by its UID; their jobs are known from now on."""
        jobs = json.loads(out)["jobs"]
        self.job_of |= {job["study_instance_uid"]: job["job_id"] for job in jobs}
        return {job["study_instance_uid"]: job["submission"] for job in jobs}

    priority: Sequence[str] = ("--priority", "batch")

    def job(self, study: Study) -> str:
        """The id of the study's job, as its submission told it."""
        return self.job_of[study.uid]

    # --- waiting ---

    def wait_until_scanning(self, study: Study, film: int = 2) -> Look:
        """Wait until the worker is at this film of the study; what its record says."""
        found: list[Look] = []

        def there() -> bool:
            look = self.site.look(self.job(study))
            if look is not None and look.final:
                raise TimeoutInRowError(f"the study was {look.state} before film {film} was seen")
            if look is not None and look.state == "running" and look.film >= film:
                found.append(look)
            return bool(found)

        wait_for(there, self.numbers.patience, f"film {film} of a study of {study.films}")
        return found[0]

    def fault(self) -> None:
        """The clock starts: now the fault happens (or ends, where that counts)."""
        self.since = time.monotonic()

    def wait_until_recovered(self, study: Study, before: Look | None) -> None:
        """Wait until the job is at work again or has ended, and take the time since `fault`.

        Args:
            before: its record when the fault happened: what still says the same is no progress.
        """
        job = self.job(study)

        def progress() -> bool:
            look = self.site.look(job)
            return look is not None and look != before and (look.final or look.state == "running")

        wait_for(progress, self.numbers.patience, "the job that was hit is at work again")
        self.outcome.recovery = time.monotonic() - self.since

    def wait_until_ended(self, seconds: float | None = None) -> None:
        """Wait until every job has ended, whichever way."""
        jobs = list(self.job_of.values())

        def ended() -> bool:
            if not self.site.living:
                codes = [
                    f"{worker.log.name} with {worker.process.returncode}" for worker in self.site.workers
                ]
                raise TimeoutInRowError(f"no worker lives: ended {', '.join(codes)}")
            return all(look is not None and look.final for look in self.site.looks(jobs))

        wait_for(ended, seconds or self.numbers.patience, f"all of {len(jobs)} jobs have ended", poll=0.05)
        if self.since:
            self.outcome.all_done = time.monotonic() - self.since

    # --- the verdict ---

    def expect(self, condition: object, text: str) -> None:
        """Note a problem unless the condition holds."""
        if not condition:
            self.outcome.problems.append(text)

    def note(self, text: str) -> None:
        """Add a figure to the row's line."""
        self.outcome.notes.append(text)

    def quarantined(self, study: Study, reason: str) -> None:
        """Expect that this study's job fails with a reason that holds these words."""
        self._quarantined[study.uid] = reason

    def finish(self) -> Outcome:
        """Let everything come to rest, then count what is lost and what is doubled."""
        self.outcome.jobs = len(self.studies)
        try:
            # what has not happened for a long time will not happen now
            self.wait_until_ended(10 if self.outcome.problems else None)
            self._sweep_stages()
        except TimeoutInRowError as error:
            self.expect(False, str(error))
        self._end_workers()
        self.watcher.look(closely=True)
        self._judge()
        self.outcome.took = time.monotonic() - self._begun
        return self.outcome

    def _end_workers(self) -> None:
        """SIGTERM to all at once: whatever they still have in hand comes to light now."""
        living = self.site.living
        for worker in living:
            worker.process.terminate()
        for worker in living:
            try:
                code = worker.process.wait(60)
            except subprocess.TimeoutExpired:
                self.expect(False, f"{worker.log.name}: does not end within 60 s of SIGTERM")
            else:
                self.expect(code == 0, f"{worker.log.name}: ended with {code} after SIGTERM")

    def _sweep_stages(self) -> None:
        """What killed workers have staged may stay until the next result is published, and no longer."""
        if not self.watcher.left_over():
            return
        self.note(f"one study more to clear away {len(self.watcher.left_over())} staging folders")
        time.sleep(_STAGED)
        if not self.site.living:
            self.site.start_worker()
        self.submit(self.make())
        self.wait_until_ended()

    def _judge(self) -> None:
        answer = self.site.admin("jobs", "--limit", "0", "--json")
        if answer.code != 0:
            self.expect(False, f"jobs ended with {answer.code}: {answer.err.strip()[-300:]}")
            return
        outcome = self.outcome
        listing = answer.json
        by_study: dict[str, list[dict[str, object]]] = {}
        for job in listing["jobs"]:
            by_study.setdefault(job["study_instance_uid"], []).append(job)
        for study in self.studies:
            self._judge_study(study, by_study.pop(study.uid, []))
        outcome.doubled += [f"{uid} is no study that was submitted" for uid in by_study]
        names = {study.uid for study in self.studies}
        outcome.doubled += [f"{n} in the results folder" for n in sorted(self.watcher.seen.keys() - names)]
        outcome.doubled += [f"{name} is left over" for name in self.watcher.left_over()]
        outcome.doubled += self.watcher.doubled()
        self._judge_books(listing)
        self._judge_refused()
        published = [study for study in self.studies if (self.out / study.uid / "result.json").is_file()]
        outcome.roots[self.out] = published
        again = sum(seen.publications - 1 for seen in self.watcher.seen.values())
        if again:
            self.note(f"{again} published a second time")

    def _judge_study(self, study: Study, jobs: Sequence[dict[str, object]]) -> None:
        if len(jobs) > 1:
            self.outcome.doubled.append(f"{study.uid} has {len(jobs)} jobs")
        there = (self.out / study.uid / "result.json").is_file()
        state = str(jobs[0]["state"]) if jobs else "unknown"
        reason = str(jobs[0]["reason"]) if jobs else ""
        expected = self._quarantined.get(study.uid)
        if expected is not None:
            said = state == "failed" and expected in reason
            self.expect(said, f"{study.uid} is {state} ({reason}); expected: failed, {expected!r}")
            self.expect(not there, f"{study.uid} was quarantined and yet has a result")
        elif state != "done" or not there:
            text = f"{study.uid} is {state} ({reason}), its result is {'there' if there else 'missing'}"
            self.outcome.lost.append(text)
        else:
            self._judge_time(study, str(jobs[0]["created"]))

    def _judge_time(self, study: Study, recorded: str) -> None:
        """All dates and UIDs follow from this time, so a result of another time is another result."""
        result = json.loads((self.out / study.uid / "result.json").read_text(encoding="utf-8"))
        if datetime.fromisoformat(result["created"]) != datetime.fromisoformat(recorded):
            text = f"{study.uid}: its result was created {result['created']}, its job {recorded}"
            self.outcome.doubled.append(text)

    def _judge_books(self, listing: dict[str, object]) -> None:
        """What is counted must be what is listed, and no job that has ended may still be in any line."""
        jobs, states = listing["jobs"], listing["states"]
        assert isinstance(jobs, list)
        assert isinstance(states, dict)
        counted = {state: count for state, count in states.items() if count}
        listed: dict[str, int] = {}
        for job in jobs:
            listed[job["state"]] = listed.get(job["state"], 0) + 1
        self.expect(counted == listed, f"counted {counted}, listed {listed}")
        self.expect(listing["total"] == len(jobs), f"total {listing['total']}, listed {len(jobs)}")
        for name in ("bcd:waiting:batch", "bcd:waiting:interactive", "bcd:later", "bcd:running"):
            try:
                left = self.site.redis.zcard(name)
            except RedisError as error:
                left = str(error)
            self.expect(left == 0 or self.outcome.lost, f"{left} jobs left in {name}")

    def _judge_refused(self) -> None:
        """What comes back through the queue is ours: nothing may take it for a stranger's."""
        try:
            refused = self.site.redis.hgetall("bcd:refused")
        except RedisError as error:
            refused = str(error)
        self.expect(self.strangers or not refused, f"messages refused that were ours: {refused}")

    def gather_evidence(self) -> None:
        """The ends of the logs, for a row that is not good."""
        for worker in self.site.workers:
            self.outcome.evidence += _tail(worker.log)
        self.outcome.evidence += _tail(self.site.folder / "redis.log", 5)


def _tail(path: Path, lines: int = 12) -> list[str]:
    if not path.is_file():
        return []
    return [f"{path.name}: {line}" for line in path.read_text(errors="replace").splitlines()[-lines:]]
