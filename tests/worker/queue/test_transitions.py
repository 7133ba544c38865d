"""What may become of a job in a real Redis, case by case; and many at once who want the same job."""

import random
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import redis

from bcd_model.reasons import Reason
from tests.support.reasons import because
from tests.support.two_jobs import DAYS, DELAY, INTERVAL, JOBS, LEASE, PLACES, PLACES_OF, make_record
from worker.queue.records import Records, Swept
from worker.study.outcome import STATES

pytestmark = pytest.mark.redis

FULL = because("the disk is full", "unwritable")


def at_once(count: int, action: Callable[[int], object]) -> list[Any]:
    """What ``action`` returns for each of ``count`` numbers, called by as many threads at the same time."""
    start = threading.Barrier(count)
    answers: list[Any] = [None] * count

    def run(number: int) -> None:
        start.wait()
        answers[number] = action(number)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def test_submitted_twenty_times_at_once_it_is_one_job(url: str, records: Records) -> None:
    own = [Records(url) for _ in range(20)]
    answers = at_once(20, lambda n: own[n].submit(make_record(), published=False, force=n % 2 == 0))
    assert sorted(answers) == [("queued", True)] + [("under way", False)] * 19
    assert records.figures().waiting == {"interactive": 1, "batch": 0}


def test_claimed_twenty_times_at_once_it_has_one_holder(url: str, records: Records) -> None:
    own = [Records(url) for _ in range(20)]
    job = JOBS[0]
    for _ in range(5):
        records.submit(make_record(), published=False, force=False)
        answers = at_once(20, lambda n: own[n].claim(job, f"holder{n}", LEASE))
        assert sorted(answers) == ["claimed"] + ["held"] * 19
        holder = f"holder{answers.index('claimed')}"
        record = records.get(job)
        assert record is not None
        assert (record.holder, record.attempts) == (holder, 1)
        ends = at_once(20, lambda n: own[n].end(job, f"holder{n}", state="failed"))
        assert sorted(ends, key=str) == [None] * 19 + [True]


def test_an_expired_lease_is_taken_by_one_of_twenty(url: str, records: Records, client: redis.Redis) -> None:
    own = [Records(url) for _ in range(20)]
    job = JOBS[0]
    records.submit(make_record(), published=False, force=False)
    records.claim(job, "gone", LEASE)
    client.zadd("bcd:running", {job: 1.0})
    answers = at_once(20, lambda n: own[n].claim(job, f"holder{n}", LEASE))
    assert sorted(answers) == ["claimed"] + ["held"] * 19
    record = records.get(job)
    assert record is not None
    assert (record.attempts, record.lost) == (2, 1)


def test_a_crowd_that_does_everything_at_once_leaves_no_job_in_two_places(
    url: str, records: Records, client: redis.Redis
) -> None:
    def live(number: int) -> None:
        own, luck, holder = Records(url), random.Random(number), f"message/{number}/"
        for _ in range(150):
            job = luck.choice(JOBS)
            action: Callable[[], object] = luck.choice(
                [
                    lambda job=job: own.submit(make_record(job), published=False, force=False),
                    lambda job=job: own.claim(job, holder, LEASE),
                    lambda job=job: own.claim(job, holder, 0.0),
                    lambda job=job: own.renew(job, holder, LEASE, 2),
                    lambda job=job: own.end(job, holder, state="done"),
                    lambda job=job: own.later(job, holder, 0.0, because("full"), 100.0),
                    lambda job=job: own.release(job, "", lost=luck.random() < 0.5),
                    lambda job=job: own.cancel(job, "not wanted"),
                    lambda job=job: own.retry(job),
                    lambda: own.sweep(0.0, LEASE, DAYS),
                ]
            )
            action()

    at_once(6, live)
    places = [(job, place) for place in PLACES for job in client.zrange(place, 0, -1)]
    listed = {record.job_id: record.state for record in records.listing()}
    assert sorted(job for job, _ in places) == sorted(listed) == sorted(JOBS)
    assert all(place in PLACES_OF[listed[job]] for job, place in places)
    states = list(listed.values())
    assert records.figures().states == {state: states.count(state) for state in STATES}


def test_a_job_that_ends_its_worker_three_times_is_quarantined_and_may_be_retried(records: Records) -> None:
    job = JOBS[0]
    records.submit(make_record(), published=False, force=False)
    states = []
    for attempt in range(1, 4):
        assert records.claim(job, f"message/node/{attempt}", LEASE) == "claimed"
        states.append(records.release(job, "message/node/", lost=True))
    assert states == ["queued", "queued", "failed"]
    record = records.get(job)
    assert record is not None
    assert record.reason == Reason(
        "quarantined",
        "it ended its worker, or took too long, 3 times",
        "quarantined: see the worker's log",
    )
    assert (record.attempts, record.lost, record.exit_code) == (3, 3, 1)
    assert records.claim(job, "message/node/4", LEASE) == "failed"
    assert records.retry(job)
    assert records.claim(job, "message/node/5", LEASE) == "claimed"


def test_a_job_handed_back_untried_is_never_quarantined(records: Records) -> None:
    job = JOBS[0]
    records.submit(make_record(), published=False, force=False)
    for attempt in range(10):
        assert records.claim(job, f"message/node/{attempt}", LEASE) == "claimed"
        assert records.release(job, "", lost=False) == "queued"
    record = records.get(job)
    assert record is not None
    assert (record.state, record.attempts, record.lost) == ("queued", 0, 0)


def test_what_waits_in_a_batch_is_begun_at_once_when_somebody_waits_for_it(records: Records) -> None:
    job, batched = JOBS[0], replace(make_record(), priority="batch", batch="night")
    records.submit(batched, published=False, force=False)
    assert records.submit(make_record(), published=False, force=False) == ("under way", True)
    assert records.figures().waiting == {"interactive": 1, "batch": 0}
    record = records.get(job)
    assert record is not None
    assert (record.priority, record.batch) == ("interactive", "night")


def test_what_waits_for_its_storage_is_begun_when_its_time_has_come(
    records: Records, client: redis.Redis
) -> None:
    job = JOBS[0]
    records.submit(make_record(), published=False, force=False)
    records.claim(job, "one", LEASE)
    assert records.later(job, "one", DELAY, FULL, 10 * DELAY) is True
    assert records.claim(job, "two", LEASE) == "later"
    record = records.get(job)
    assert record is not None
    assert (record.state, record.tries, record.reason) == ("queued", 1, FULL)
    assert record.due > record.begun
    client.zadd("bcd:later", {job: 1.0})
    client.set("bcd:swept", client.time()[0] - 10)
    assert records.sweep(1.0, LEASE, DAYS) == Swept(send=((job, "interactive", True),))
    assert records.claim(job, "two", LEASE) == "claimed"
    record = records.get(job)
    assert record is not None
    assert (record.state, record.due, record.reason) == ("running", 0, None)


def test_nobody_need_wait_for_its_time_if_its_storage_is_well_again(records: Records) -> None:
    job = JOBS[0]
    records.submit(make_record(), published=False, force=False)
    records.claim(job, "one", LEASE)
    records.later(job, "one", DELAY, FULL, 10 * DELAY)
    assert records.retry(job)
    assert records.claim(job, "two", LEASE) == "claimed"


def test_a_sign_of_life_keeps_the_lease(records: Records, client: redis.Redis) -> None:
    job = JOBS[0]
    records.submit(make_record(), published=False, force=False)
    records.claim(job, "one", LEASE)
    client.zadd("bcd:running", {job: 1.0})
    assert records.renew(job, "one", LEASE)
    assert records.claim(job, "two", LEASE) == "held"


def test_a_lost_message_is_sent_again_once_and_not_while_others_wait(
    records: Records, client: redis.Redis
) -> None:
    job = JOBS[0]
    records.submit(replace(make_record(), priority="batch"), published=False, force=False)
    client.zadd("bcd:waiting:batch", {job: 1.0})
    found = []
    for waiting in (True, False, False):
        client.delete("bcd.batch")
        if waiting:
            client.lpush("bcd.batch", "the message of another job")
        client.set("bcd:swept", client.time()[0] - 10)
        found.append(records.sweep(1.0, LEASE, DAYS).send)
    assert found == [(), ((job, "batch", False),), ()]


def test_a_message_that_was_lost_among_many_is_noticed_when_later_ones_are_begun(
    records: Records, client: redis.Redis
) -> None:
    lost, later = JOBS[:2]
    for job in (lost, later):
        records.submit(replace(make_record(job), priority="batch"), published=False, force=False)
    client.lpush("bcd.batch", "there are always more")
    now = client.time()[0]
    client.zadd("bcd:waiting:batch", {lost: now - 1000.0, later: now - 900.0})

    def sent() -> tuple[tuple[str, str, bool], ...]:
        client.set("bcd:swept", client.time()[0] - 10)
        return records.sweep(1.0, LEASE, DAYS).send

    assert sent() == ()
    assert records.claim(later, "one", LEASE) == "claimed"
    assert sent() == ((lost, "batch", False),)
    assert sent() == ()


@pytest.mark.parametrize("lost", [True, False])
def test_a_job_that_is_begun_again_says_nothing_of_the_messages_before_it(
    records: Records, client: redis.Redis, lost: bool
) -> None:
    waiting, again = JOBS[:2]
    for job in (waiting, again):
        records.submit(replace(make_record(job), priority="batch"), published=False, force=False)
    client.lpush("bcd.batch", "its message")
    now = client.time()[0]
    client.zadd("bcd:waiting:batch", {waiting: now - 1000.0, again: now - 1001.0})
    assert records.claim(again, "one", LEASE) == "claimed"
    assert records.release(again, "one", lost=lost) == "queued"
    assert records.claim(again, "two", LEASE) == "claimed"
    client.set("bcd:swept", now - 10)
    assert records.sweep(1.0, LEASE, DAYS).send == ()


def test_a_trouble_that_lasts_ends_the_patience(records: Records) -> None:
    job = JOBS[0]
    records.submit(make_record(), published=False, force=False)
    records.claim(job, "one", LEASE)
    assert records.later(job, "one", 0.0, FULL, 0.2) is True
    give_up = time.monotonic() + 20
    while records.claim(job, "two", LEASE) == "claimed" and time.monotonic() < give_up:
        given = records.later(job, "two", 0.0, FULL, 0.2)
        if given is False:
            break
    assert given is False
    assert records.end(job, "two", state="failed", reason=FULL)


@pytest.mark.parametrize("field", ["priority", "begun"])
def test_a_damaged_record_does_not_stop_the_sweep_for_others(
    records: Records, client: redis.Redis, field: str
) -> None:
    damaged, sound = JOBS
    for job in JOBS:
        records.submit(make_record(job), published=False, force=False)
        records.claim(job, "gone", LEASE)
        client.zadd("bcd:running", {job: 1})
    client.hdel(f"bcd:job:{damaged}", field)
    client.set("bcd:swept", client.time()[0] - LEASE / 2)
    assert records.sweep(INTERVAL, LEASE, DAYS).requeued == (sound,)
    # nor does its message come again and again, as it would if the script failed
    assert records.claim(damaged, "another", LEASE) == "unknown"


def test_a_record_deleted_by_hand_is_forgotten_by_the_next_sweep(
    records: Records, client: redis.Redis
) -> None:
    for job in JOBS:
        records.submit(make_record(job), published=False, force=False)
        client.delete(f"bcd:job:{job}")
    client.zadd("bcd:running", {JOBS[0]: 1.0})
    client.zadd("bcd:later", {JOBS[0]: 1.0})
    client.zadd("bcd:waiting:interactive", {JOBS[1]: 1.0})
    client.set("bcd:swept", client.time()[0] - 10)
    assert records.sweep(1.0, LEASE, DAYS) == Swept()
    assert [client.zscore(place, JOBS[0]) for place in ("bcd:running", "bcd:later")] == [None, None]
    assert client.zcard("bcd:waiting:interactive") <= 1  # the young one is seen later
    assert records.claim(JOBS[1], "holder", LEASE) == "unknown"
    assert records.listing() == []
