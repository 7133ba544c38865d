"""Redis's clock leaps by years, forward and back: nothing expires, is forgotten, doubled or held for it.

What scripts go by is what has passed since the last sweep, which is written down by both clocks. To say that
Redis's was another one then is the same as to set it now; at the end a Redis has its clock set indeed.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import redis

from tests.support.reasons import because
from tests.support.two_jobs import DAYS, JOBS, make_record
from worker.engine.client import find_redis_server
from worker.engine.host import redis_answer, wait_for
from worker.queue.records import Records, Swept

pytestmark = pytest.mark.redis

LEASE = 20.0
INTERVAL = LEASE / 4
YEARS = 3 * 365 * 86400.0
LEAPS = pytest.mark.parametrize("leap", [YEARS, -YEARS, 86400.0, -86400.0, 0.9 * LEASE, -0.9 * LEASE])


class Clocks:
    """Redis's clock, as it is set and as it goes on."""

    def __init__(self, records: Records, client: redis.Redis) -> None:
        self.records, self.client = records, client
        self.records.sweep(INTERVAL, LEASE, DAYS)

    def passes(self, seconds: float) -> None:
        """Time passes, or seems to: the last sweep was so much earlier by Redis's clock."""
        assert self.client.hexists("bcd:clock", "wall")
        self.client.hincrbyfloat("bcd:clock", "wall", -seconds)

    def sweep(self, after: float = 0.0) -> Swept:
        self.passes(after)
        return self.records.sweep(INTERVAL, LEASE, DAYS)

    def sweeps(self, count: int) -> list[Swept]:
        """So many, at the usual distance."""
        return [self.sweep(INTERVAL) for _ in range(count)]


@pytest.fixture
def clocks(records: Records, client: redis.Redis) -> Clocks:
    return Clocks(records, client)


def queue(records: Records, job: str = JOBS[0]) -> None:
    assert records.submit(make_record(job), published=False, force=False) == ("queued", True)


@LEAPS
def test_no_lease_ends_by_a_leap(clocks: Clocks, records: Records, leap: float) -> None:
    queue(records)
    assert records.claim(JOBS[0], "holder", LEASE) == "claimed"
    clocks.passes(leap)
    assert records.claim(JOBS[0], "another", LEASE) == "held"
    assert clocks.sweep() == Swept()
    assert records.claim(JOBS[0], "another", LEASE) == "held"
    assert records.renew(JOBS[0], "holder", LEASE)
    assert records.end(JOBS[0], "holder", state="done")


@LEAPS
def test_a_holder_that_is_gone_is_noticed_after_a_leap(clocks: Clocks, records: Records, leap: float) -> None:
    """Whether it was renewed before the leap, by the leapt clock, or after it."""
    queue(records)
    records.claim(JOBS[0], "gone", LEASE)
    clocks.passes(leap)
    records.renew(JOBS[0], "gone", LEASE)
    swept = [clocks.sweep(), *clocks.sweeps(7)]
    assert [found.requeued for found in swept if found.requeued] == [(JOBS[0],)]


def test_a_clock_that_leaps_all_the_time_hides_no_holder_that_is_gone(
    clocks: Clocks, records: Records
) -> None:
    queue(records)
    records.claim(JOBS[0], "gone", LEASE)
    found = [clocks.sweep(leap) for leap in (100.0, -100.0, 0.8 * LEASE, -5000.0, 0.8 * LEASE, 0.8 * LEASE)]
    assert (JOBS[0],) not in [swept.requeued for swept in found[:2]]
    assert [swept.requeued for swept in (*found, *clocks.sweeps(6))].count((JOBS[0],)) == 1


@LEAPS
def test_no_record_is_forgotten_by_a_leap(clocks: Clocks, records: Records, leap: float) -> None:
    record = replace(make_record(), batch="night")
    records.submit(record, published=False, force=False)
    records.claim(record.job_id, "holder", LEASE)
    records.end(record.job_id, "holder", state="done")
    clocks.sweep(leap)
    clocks.sweeps(3)
    assert [found.state for found in records.listing()] == ["done"]
    assert records.ids("night") == [record.job_id]
    assert records.batches()


def test_records_and_batches_are_forgotten_when_their_days_have_passed(
    clocks: Clocks, records: Records, client: redis.Redis
) -> None:
    record = replace(make_record(), batch="night")
    records.submit(record, published=False, force=False)
    records.claim(record.job_id, "holder", LEASE)
    records.end(record.job_id, "holder", state="done")
    client.hincrbyfloat("bcd:clock", "now", DAYS * 86400 - 1000)
    clocks.sweep(INTERVAL)
    assert records.ids("night") == [record.job_id]
    client.hincrbyfloat("bcd:clock", "now", 2000)
    clocks.sweep(INTERVAL)
    assert records.listing() == []
    assert not client.keys("bcd:batch*")
    assert not client.keys("bcd:job:*")


@LEAPS
def test_what_waits_for_its_storage_waits_as_long(clocks: Clocks, records: Records, leap: float) -> None:
    queue(records)
    records.claim(JOBS[0], "holder", LEASE)
    assert records.later(JOBS[0], "holder", 4 * LEASE, because("full"), 1000 * LEASE) is True
    assert clocks.sweep(leap) == Swept()
    assert records.claim(JOBS[0], "holder", LEASE) == "later"
    sent = [bool(found.send) for found in clocks.sweeps(17)]
    assert 14 <= sent.index(True) <= 16  # of the 16 sweeps of the delay, the one at the leap is the first
    assert records.claim(JOBS[0], "holder", LEASE) == "claimed"


@LEAPS
def test_a_leap_ends_nobodys_patience(clocks: Clocks, records: Records, leap: float) -> None:
    queue(records)
    for trial in range(2):
        records.claim(JOBS[0], "holder", LEASE)
        assert records.later(JOBS[0], "holder", 0.0, because("full"), 10 * LEASE) is True
        if not trial:
            clocks.sweep(leap)


@LEAPS
def test_a_lost_message_is_noticed_after_a_leap(
    clocks: Clocks, records: Records, client: redis.Redis, leap: float
) -> None:
    queue(records)
    clocks.sweep(leap)
    sent = [message for found in clocks.sweeps(6) for message in found.send]
    assert (JOBS[0], "interactive", False) in sent


@LEAPS
def test_a_worker_is_shown_until_it_gives_no_sign_of_life(
    records: Records, client: redis.Redis, leap: float
) -> None:
    """The leap is in the entry: what a worker has said of itself by the other clock."""
    records.beat("gone", {"priorities": []}, LEASE)
    entry = json.loads(client.hget("bcd:workers", "gone"))
    moved = {name: entry[name] - leap for name in ("seen", "gone")}
    client.hset("bcd:workers", "gone", json.dumps(entry | moved))
    records.beat("alive", {"priorities": []}, LEASE)
    assert "alive" in records.workers()
    assert ("gone" in records.workers()) == (abs(leap) < 4 * LEASE)


def test_when_nobody_sweeps_nothing_ends(clocks: Clocks, records: Records) -> None:
    """All workers were away for a week; a holder that could not reach Redis still has its job."""
    queue(records)
    records.claim(JOBS[0], "holder", LEASE)
    clocks.passes(7 * 86400.0)
    assert records.claim(JOBS[0], "another", LEASE) == "held"
    assert clocks.sweep() == Swept()
    assert records.renew(JOBS[0], "holder", LEASE)


def test_leases_and_delays_end_though_the_queues_clock_was_lost(
    clocks: Clocks, records: Records, client: redis.Redis
) -> None:
    """It was years ahead of Redis's, which had been set back."""
    for job in JOBS:
        queue(records, job)
        records.claim(job, "gone", LEASE)
    records.later(JOBS[1], "gone", LEASE, because("full"), 1000 * LEASE)
    for place in ("bcd:running", "bcd:later"):
        for job in client.zrange(place, 0, -1):
            client.zincrby(place, YEARS, job)
    client.delete("bcd:clock", "bcd:swept")
    assert records.sweep(INTERVAL, LEASE, DAYS) == Swept()
    found = clocks.sweeps(int(600 / INTERVAL) + 2)  # the longest lease that can be set
    client.hincrbyfloat("bcd:clock", "now", 86400)  # longer than any delay
    found += clocks.sweeps(2)
    assert (JOBS[0],) in [swept.requeued for swept in found]
    assert JOBS[1] in [message[0] for swept in found for message in swept.send]


def test_times_for_people_are_those_of_redis(clocks: Clocks, records: Records, client: redis.Redis) -> None:
    clocks.sweep(YEARS)  # the queue's clock is years behind from now on
    queue(records)
    records.claim(JOBS[0], "holder", LEASE)
    records.later(JOBS[0], "holder", 100.0, because("full"), 1000.0)
    record = records.get(JOBS[0])
    now = client.time()[0]
    assert record is not None
    assert abs(record.begun - now) < 60
    assert abs(record.due - now - 100) < 60
    assert records.retry(JOBS[0])
    assert 0 <= records.figures().oldest["interactive"] < 60


@pytest.fixture
def leaping(tmp_path: Path) -> Iterator[tuple[Records, Path]]:
    """A Redis whose clock is ahead by what the file says."""
    compiler, server = shutil.which("cc"), find_redis_server()
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.skip("needs a C compiler, and Linux")
    library, leap, socket = (tmp_path / name for name in ("leap.so", "leap", "redis.sock"))
    leap.write_text("0")
    source = Path(__file__).with_name("leaping_clock.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    command = [str(server), "--port", "0", "--unixsocket", str(socket), "--save", ""]
    environment = os.environ | {"LD_PRELOAD": str(library), "LEAP": str(leap)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as process:
        try:
            assert wait_for(lambda: redis_answer(socket) == "+PONG", 20)
            yield Records(f"redis+socket://{socket}"), leap
        finally:
            process.kill()


@pytest.mark.parametrize("years", [3, -3])
def test_a_redis_whose_clock_is_set(leaping: tuple[Records, Path], years: int) -> None:
    (records, leap), lease = leaping, 4.0

    def sweep() -> Swept:
        return records.sweep(1.0, lease, DAYS)

    records.submit(replace(make_record(), batch="night"), published=False, force=False)
    records.submit(make_record(JOBS[1]), published=False, force=False)
    for job in JOBS:
        assert records.claim(job, "holder", lease) == "claimed"
    records.end(JOBS[1], "holder", state="done")
    sweep()
    leap.write_text(str(years * 365 * 86400))
    assert records.claim(JOBS[0], "another", lease) == "held"
    assert sweep() == Swept()
    assert sorted(record.state for record in records.listing()) == ["done", "running"]
    assert records.ids("night") == [JOBS[0]]
    # the holder goes without a word
    assert wait_for(lambda: sweep().requeued == (JOBS[0],), 30)
