"""The life of jobs in a real Redis, against a simple model of it: whatever happens, in any order."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.support.made_records import CREATED
from tests.support.reasons import because
from tests.support.two_jobs import DAYS, DELAY, INTERVAL, JOBS, LEASE, PLACES, PLACES_OF, make_record
from worker.queue.job import PRIORITIES, Priority
from worker.queue.records import Records, Swept
from worker.study.outcome import NOTHING, STATES, UNDER_WAY, State, Tally

pytestmark = pytest.mark.redis

HOLDERS = ("message1/a/11", "message1/a/12", "message2/b/21")


@dataclass
class Job:
    """What is to be known of a job; the names are those of `worker.queue.job.Record`.

    ``aged``: whether its time is up, in the place where it is: its lease has ended, it is due to be tried
    again, its message must be lost, or its record need not be kept any longer.
    """

    created: datetime
    priority: Priority = "interactive"
    batch: str = ""
    state: State = "queued"
    place: str = ""
    aged: bool = False
    outs: list[str] = field(default_factory=list)
    film: int = 0
    attempts: int = 0
    lost: int = 0
    tries: int = 0
    holder: str = ""
    begun: bool = False
    joined: bool = False
    replace: bool = False
    exit_code: int = 0
    reason: str = ""
    tally: Tally = NOTHING

    def move(self, state: State, place: str, holder: str = "", reason: str = "") -> None:
        self.state, self.place, self.holder, self.reason, self.aged = state, place, holder, reason, False

    def wait(self, reason: str = "") -> None:
        self.move("queued", f"bcd:waiting:{self.priority}", reason=reason)
        self.film = 0

    def finish(self, state: State, reason: str, code: int) -> None:
        self.move(state, "bcd:ended", reason=reason)
        self.exit_code = code

    def lose(self) -> None:
        self.lost += 1
        if self.lost < MAX_LOST:
            self.wait()
        else:
            self.finish("failed", "quarantined", 1)


MAX_LOST = 3
TALLY = Tally(scanned=2, failed=1, flagged=1, highest=0.75)
AGAIN: frozenset[State] = frozenset({"failed", "cancelled", "done with failures"})
DONE: frozenset[State] = frozenset({"done", "done with failures"})


def only_if(wanted: Callable[[Job], bool]) -> Callable[[Any], Any]:
    """A rule for when there is such a job."""
    return precondition(lambda life: any(wanted(known) for known in life.jobs.values()))


def anything(_: Job) -> bool:
    return True


def running(known: Job) -> bool:
    return known.state == "running"


def retriable(known: Job) -> bool:
    return known.state in AGAIN or known.place == "bcd:later"


class Life(RuleBasedStateMachine):
    """Everything that may happen to two jobs, in any order."""

    url = ""
    client: redis.Redis

    def __init__(self) -> None:
        super().__init__()
        self.client.flushall()
        self.records = Records(self.url)
        self.jobs: dict[str, Job] = {}
        self.batches: dict[str, set[str]] = {}

    @initialize(priority=st.sampled_from(PRIORITIES))
    def first(self, priority: Priority) -> None:
        self.submit(JOBS[0], priority, "", force=False, published=False, out="/out", day=0)

    # What people do

    @rule(
        job=st.sampled_from(JOBS),
        priority=st.sampled_from(PRIORITIES),
        batch=st.sampled_from(["", "one", "two"]),
        force=st.booleans(),
        published=st.booleans(),
        out=st.sampled_from(["/out", "/other"]),
        day=st.integers(0, 3),
    )
    def submit(
        self, job: str, priority: Priority, batch: str, force: bool, published: bool, out: str, day: int
    ) -> None:
        created = CREATED + timedelta(days=day)
        record = replace(make_record(job, out, created), priority=priority, batch=batch, replace=force)
        answer = self.records.submit(record, published=published, force=force)
        if batch:
            self.batches.setdefault(batch, set()).add(job)
        known = self.jobs.get(job)
        if known is None or not (
            known.state in UNDER_WAY or (known.state in DONE and published and not force)
        ):
            assert answer == ("queued", True)
            first = known.created if known else created
            tally = known.tally if known else NOTHING  # of the result that may still stand
            self.jobs[job] = Job(first, priority, batch, outs=[out], replace=force, tally=tally)
            self.jobs[job].wait()
            return
        known.outs = [*(other for other in known.outs if other != out), out]
        known.batch = batch or known.batch
        if known.state in DONE:
            assert answer == ("done", False)
            return
        known.joined = True
        known.replace |= force
        sooner = known.place == "bcd:later" or known.place == "bcd:waiting:batch"
        sooner &= priority == "interactive"
        assert answer == ("under way", sooner)
        if sooner:
            known.priority = priority
            known.wait()

    @precondition(lambda self: len(self.jobs) < len(JOBS))
    @rule(job=st.sampled_from(JOBS), state=st.sampled_from(sorted(DONE)), day=st.integers(0, 3))
    def restore(self, job: str, state: State, day: int) -> None:
        created = CREATED + timedelta(days=day)
        with self._unchanged_unless(job not in self.jobs):
            self.records.restore(replace(make_record(job, "/restored", created), state=state, film=3))
        if job not in self.jobs:
            self.jobs[job] = Job(created, outs=["/restored"], film=3)
            self.jobs[job].finish(state, "", 0)

    @only_if(anything)
    @rule(data=st.data(), unless_shared=st.booleans())
    def cancel(self, data: st.DataObject, unless_shared: bool) -> None:
        job, known = self._one(data)
        expected = known.state in UNDER_WAY and not (unless_shared and known.joined)
        with self._unchanged_unless(expected):
            assert self.records.cancel(job, "not wanted", unless_shared=unless_shared) == expected
        if expected:
            known.finish("cancelled", "not wanted", 1)

    @only_if(retriable)
    @rule(data=st.data())
    def retry(self, data: st.DataObject) -> None:
        job, known = self._one(data, retriable)
        assert self.records.retry(job)
        known.attempts = known.lost = known.tries = known.exit_code = 0
        known.begun = known.joined = False
        known.wait()

    # What processes do

    @only_if(anything)
    @rule(data=st.data(), holder=st.sampled_from(HOLDERS))
    def claim(self, data: st.DataObject, holder: str) -> None:
        job, known = self._one(data)
        answer = self.records.claim(job, holder, LEASE)
        if known.state == "running":
            if known.holder == holder:
                assert answer == "claimed"
                return
            if not known.aged:
                assert answer == "held"
                return
            known.lose()
            if known.state == "failed":
                assert answer == "quarantined"
                return
        elif known.state != "queued":
            assert answer == known.state
            return
        elif known.place == "bcd:later" and not known.aged:
            assert answer == "later"
            return
        assert answer == "claimed"
        known.move("running", "bcd:running", holder)
        known.attempts += 1
        known.film, known.begun = 0, True

    @only_if(running)
    @rule(data=st.data(), film=st.none() | st.integers(1, 3))
    def renew(self, data: st.DataObject, film: int | None) -> None:
        job, known = self._one(data, running)
        assert self.records.renew(job, known.holder, LEASE, film)
        known.aged = False
        known.film = known.film if film is None else film

    @only_if(running)
    @rule(
        data=st.data(),
        state=st.sampled_from(["done", "done with failures", "failed"]),
        outs=st.none() | st.integers(1, 2),
    )
    def end(self, data: st.DataObject, state: State, outs: int | None) -> None:
        job, known = self._one(data, running)
        code = 0 if state == "done" else 1
        in_time = outs is None or outs >= len(known.outs)
        with self._unchanged_unless(in_time):
            assert self._end(job, known.holder, state, code, outs) is in_time
        if in_time:
            known.finish(state, "so", code)
            known.tally = TALLY

    @only_if(running)
    @rule(data=st.data(), patience=st.sampled_from([0.0, 100 * DELAY]))
    def later(self, data: st.DataObject, patience: float) -> None:
        job, known = self._one(data, running)
        given = self.records.later(job, known.holder, DELAY, because("full"), patience)
        assert given is (patience > 0)
        if given:
            known.move("queued", "bcd:later", reason="full")
            known.film = 0
            known.tries += 1

    @only_if(running)
    @rule(data=st.data(), start=st.sampled_from(["", "message1/", "message2/b/"]), lost=st.booleans())
    def release(self, data: st.DataObject, start: str, lost: bool) -> None:
        job, known = self._one(data, running)
        if not known.holder.startswith(start):
            with self._unchanged_unless(False):
                assert self.records.release(job, start, lost=lost) == ""
            return
        state = self.records.release(job, start, lost=lost)
        if lost:
            known.lose()
        else:
            known.attempts -= 1
            known.wait()
        assert state == known.state

    @only_if(anything)
    @rule(data=st.data(), holder=st.sampled_from(HOLDERS))
    def intrude(self, data: st.DataObject, holder: str) -> None:
        """What is not a holder's own it cannot change, and what has not failed is not to be retried."""
        if not any(retriable(known) for known in self.jobs.values()):
            with self._unchanged_unless(False):
                assert not any(self.records.retry(job) for job in self.jobs)
        job, known = self._one(data)
        if known.holder == holder:
            return
        with self._unchanged_unless(False):
            assert not self.records.renew(job, holder, LEASE, 2)
            assert self._end(job, holder, "done", 0, None) is None
            assert self.records.later(job, holder, DELAY, because("full"), 100 * DELAY) is None
            assert self.records.release(job, holder, lost=True) == ""

    def _end(self, job: str, holder: str, state: State, code: int, outs: int | None) -> bool | None:
        return self.records.end(
            job, holder, state=state, reason=because("so"), exit_code=code, tally=TALLY, outs=outs
        )

    # What time and accidents do

    @only_if(lambda known: not known.aged)
    @rule(data=st.data())
    def time_passes(self, data: st.DataObject) -> None:
        job, known = self._one(data, lambda known: not known.aged)
        self.client.zadd(known.place, {job: 1.0}, xx=True)
        known.aged = True

    @only_if(lambda known: known.aged)
    @rule(message=st.booleans(), passed=st.booleans())
    def sweep(self, message: bool, passed: bool) -> None:
        """``message``: the batch queue has one; ``passed``: those that are begun were sent much later."""
        self.client.delete("bcd:front:batch")
        if message:
            self.client.lpush("bcd.batch", "a message")
        if passed:
            self.client.set("bcd:front:batch", self._time())
        quiet = {"bcd:waiting:batch"} if message and not passed else set()
        aged = {job: known for job, known in self.jobs.items() if known.aged}
        at = {place: {job for job, known in aged.items() if known.place == place} for place in PLACES}
        aside = {job for job in at["bcd:running"] if aged[job].lost == MAX_LOST - 1}
        requeued = at["bcd:running"] - aside
        message_lost = {job for place in set(PLACES[:2]) - quiet for job in at[place]}
        found = self._sweep(since=INTERVAL)
        assert (set(found.requeued), set(found.quarantined)) == (requeued, aside)
        send = requeued | at["bcd:later"] | message_lost
        assert sorted(found.send) == sorted(
            (job, self.jobs[job].priority, self.jobs[job].begun) for job in send
        )

    @only_if(lambda known: known.aged)
    @rule()
    def sweep_too_soon(self) -> None:
        self.client.set("bcd:swept", self._time() - 0.5 * INTERVAL)
        with self._unchanged_unless(False):
            assert self.records.sweep(INTERVAL, LEASE, DAYS) == Swept()

    @only_if(lambda known: known.aged and running(known))
    @rule()
    def sweep_after_an_outage(self) -> None:
        """Nobody could renew a lease, so none is taken as ended."""
        for known in self.jobs.values():
            known.aged &= not running(known)
        found = self._sweep(since=2 * LEASE)
        assert (found.requeued, found.quarantined) == ((), ())

    def _sweep(self, since: float) -> Swept:
        for job, known in self.jobs.items():  # a slow machine must not make it look as if a message was lost
            if known.place in PLACES[:2] and not known.aged:
                self.client.zadd(known.place, {job: self._time()}, xx=True)
        self.client.set("bcd:swept", self._time() - since)
        found = self.records.sweep(INTERVAL, LEASE, DAYS)
        for job, known in list(self.jobs.items()):
            if known.aged and known.place == "bcd:ended":
                del self.jobs[job]
            elif known.aged and known.place == "bcd:running":
                known.lose()
            elif known.aged and known.place == "bcd:later":
                known.wait(known.reason)
        for job, *_ in found.send:
            if job in self.jobs and self.jobs[job].place in PLACES[:2]:
                self.jobs[job].aged = False
        self.client.delete("bcd.batch")
        return found

    def _one(self, data: st.DataObject, wanted: Callable[[Job], bool] = anything) -> tuple[str, Job]:
        job = data.draw(st.sampled_from([job for job in JOBS if job in self.jobs and wanted(self.jobs[job])]))
        return job, self.jobs[job]

    def _time(self) -> float:
        seconds, micro = self.client.time()
        return seconds + micro / 1e6

    def _at(self, place: str) -> int:
        return [known.place for known in self.jobs.values()].count(place)

    @contextmanager
    def _unchanged_unless(self, expected: bool) -> Iterator[None]:
        """What is refused leaves no trace."""
        before = None if expected else self._everything()
        yield
        assert before is None or self._everything() == before

    def _everything(self) -> dict[str, object]:
        # not dumped: the order of a hash in there changes by itself, as Redis makes room in it bit by bit
        read: dict[str, Callable[[str], object]] = {
            "hash": self.client.hgetall,
            "zset": lambda key: self.client.zrange(key, 0, -1, withscores=True),
            "list": lambda key: self.client.lrange(key, 0, -1),
            "set": self.client.smembers,
            "string": self.client.get,
        }
        return {key: read[self.client.type(key)](key) for key in self.client.scan_iter()}

    # What is true at any time

    @invariant()
    def every_job_is_as_the_model_says(self) -> None:
        for job in JOBS:
            known, record = self.jobs.get(job), self.records.get(job)
            assert (record is None) == (known is None)
            if record is None or known is None:
                continue
            shown = {name: getattr(record, name) for name in _COMPARED}
            assert shown == {name: getattr(known, name) for name in _COMPARED}
            assert [str(out) for out in record.outs] == known.outs
            assert known.reason in str(record.reason or "")
            assert (record.reason is None) == (not known.reason)
            assert (record.begun > 0) == known.begun
            assert (record.ended > 0) == record.final
            assert (record.due > 0) == (known.place == "bcd:later")
            assert bool(record.holder) == (record.state == "running")
            assert record.lost < MAX_LOST or record.state == "failed"

    @invariant()
    def every_job_is_in_exactly_one_place_and_it_fits(self) -> None:
        pipeline = self.client.pipeline(transaction=False)
        for place in PLACES:
            pipeline.zrange(place, 0, -1)
        found = sorted(
            (job, place) for place, ids in zip(PLACES, pipeline.execute(), strict=True) for job in ids
        )
        assert found == sorted((job, known.place) for job, known in self.jobs.items())
        assert all(known.place in PLACES_OF[known.state] for known in self.jobs.values())

    @invariant()
    def the_sums_and_the_lists_are_right(self) -> None:
        figures = self.records.figures()
        states = [known.state for known in self.jobs.values()]
        assert figures.states == {state: states.count(state) for state in STATES}
        assert (figures.running, figures.later) == (self._at("bcd:running"), self._at("bcd:later"))
        assert figures.waiting == {priority: self._at(f"bcd:waiting:{priority}") for priority in PRIORITIES}
        newest_first = sorted(self.jobs, key=lambda job: (self.jobs[job].created, job), reverse=True)
        assert self.records.ids() == newest_first
        assert set(self.records.batches()) == set(self.batches)
        for batch, members in self.batches.items():
            assert set(self.records.ids(batch)) == members


_COMPARED = (
    "created",
    "priority",
    "batch",
    "state",
    "film",
    "attempts",
    "lost",
    "tries",
    "holder",
    "replace",
    "exit_code",
    "tally",
)


def test_whatever_happens_a_job_is_where_it_belongs(url: str, client: redis.Redis) -> None:
    Life.url, Life.client = url, client
    run_state_machine_as_test(
        Life,
        settings=settings(
            max_examples=60,
            stateful_step_count=50,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
