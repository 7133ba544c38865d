"""Job records that somebody damaged by hand: each counts as lost, and is made anew if submitted."""

from dataclasses import replace
from typing import Any

import pytest
import redis

from bcd_model.errors import BcdError, QueueError
from tests.support.batch_site import Site
from tests.support.made_records import CREATED, make_study, record_of, write_as_version_0_1
from tests.support.reasons import because
from worker.cli.shared.session import open_queue
from worker.cli.shared.submission import wait_for_jobs
from worker.pool.app import make_messages
from worker.pool.upkeep import resume, sweep
from worker.queue.job import Record
from worker.queue.records import Records, Swept
from worker.queue.submission import Submitted
from worker.settings import Settings
from worker.study.outcome import Tally

pytestmark = pytest.mark.redis

DAMAGE = [
    ("created", "yesterday"),
    ("settings", "{}"),
    ("settings", '{"threshold": 0.3, "uid_root": "2.25"}'),
    ("settings", '{"prevalence": 1.0, "threshold": 0.3, "uid_root": "2.25"}'),
    ("settings", '{"prevalence": 0.4, "threshold": 0.3}'),
    ("settings", "[]"),
    ("state", "bananas"),
    ("state", None),
    ("priority", "fast"),
    ("study_instance_uid", None),
    ("reason", None),
    ("ended", "inf"),
    ("begun", "nan"),
    ("due", "1e300"),
    ("tally", '{"highest": NaN}'),
    ("tally", '{"highest": 2}'),
    ("outs", "[]"),
    ("outs", '"x"'),
    ("outs", "{"),
    ("outs", '["here"]'),
    ("settings", '{"prevalence": 0.4, "threshold": "0.3", "uid_root": "2.25"}'),
    ("films", "-3"),
    ("film", "-1"),
    ("lost", "x"),
    ("lost", "1.5"),
    ("attempts", "x"),
    ("attempts", "1e1"),
    ("tries", None),
    ("begun", "0x1"),
    ("updated", "0001-01-01T00:00:00"),
    ("created", "0001-01-01T00:00:00"),
    ("tally", '{"scanned": %s}' % ("9" * 4000)),
    ("settings", "[" * 100_000),
]

NO_REASONS = [
    '{"code": "torn"}',
    '{"a":' * 100_000,
]


def spoil(client: redis.Redis, job: str, field: str, value: str | None) -> None:
    key = f"bcd:job:{job}"
    if value is None:
        assert client.hdel(key, field) == 1
    else:
        client.hset(key, field, value)


@pytest.fixture
def pair(records: Records) -> tuple[Record, Record]:
    """Two jobs that wait."""
    first, second = (record_of(make_study(uid, 2), "/out", CREATED) for uid in ("1.1", "1.2"))
    for record in (first, second):
        assert records.submit(record, published=False, force=False) == ("queued", True)
    return first, second


def sweep_late(client: redis.Redis, records: Records) -> Swept:
    """Sweep when every lease, delay, patience for a message and time to keep a record is over."""
    records.sweep(0, 100, 90)  # the first grants a lease to all that run
    for place in ("waiting:interactive", "waiting:batch", "later", "running", "ended"):
        jobs = client.zrange(f"bcd:{place}", 0, -1)
        if jobs:
            client.zadd(f"bcd:{place}", dict.fromkeys(jobs, 1))
    return records.sweep(0, 100, 90)


def told_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The jobs of which the log says that their records are damaged."""
    told = [entry for entry in caplog.records if entry.message == "record damaged"]
    return [entry.__dict__["fields"]["job"] for entry in told]


@pytest.mark.parametrize(("field", "value"), DAMAGE)
def test_it_counts_as_none_and_the_log_tells_of_it(
    client: redis.Redis,
    records: Records,
    pair: tuple[Record, Record],
    field: str,
    value: str | None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    damaged, good = pair
    spoil(client, damaged.job_id, field, value)
    assert records.get(damaged.job_id) is None
    assert told_of(caplog) == [damaged.job_id]
    assert [record.job_id for record in records.listing()] == [good.job_id]
    assert told_of(caplog) == [damaged.job_id] * 2
    assert records.get("none") is None
    assert len(told_of(caplog)) == 2


def test_another_programs_key_stops_no_sweep(
    client: redis.Redis, records: Records, pair: tuple[Record, Record]
) -> None:
    damaged, good = pair
    client.delete(f"bcd:job:{damaged.job_id}")
    client.set(f"bcd:job:{damaged.job_id}", "not a record")
    assert records.claim(good.job_id, "holder", 1) == "claimed"
    assert good.job_id in sweep_late(client, records).requeued


def submit(records: Records, record: Record) -> tuple[str, bool]:
    return records.submit(record, published=False, force=False)


@pytest.mark.parametrize(("field", "value"), [*DAMAGE, ("study", "[" * 100_000)])
@pytest.mark.parametrize("state", ["queued", "running"])
@pytest.mark.parametrize("swept", [True, False])
def test_submitted_again_it_is_made_anew_and_the_books_are_right(
    client: redis.Redis,
    records: Records,
    pair: tuple[Record, Record],
    field: str,
    value: str | None,
    state: str,
    swept: bool,
) -> None:
    damaged, good = pair
    if state == "running":
        assert records.claim(damaged.job_id, "holder", 100) == "claimed"
    spoil(client, damaged.job_id, field, value)
    if swept:
        sweep_late(client, records)
    assert submit(records, good) == ("under way", False)
    # What a job begins again with is written then, whatever was there.
    mended = swept and state == "running" and field in ("film", "due", "updated")
    assert submit(records, damaged) == (("under way", False) if mended else ("queued", True))
    record = records.get(damaged.job_id)
    assert record is not None
    assert mended or record == replace(damaged, updated=record.updated)  # nothing of the old one is left
    assert records.of_study("1.1") == [damaged.job_id]
    assert sorted(records.ids()) == sorted(record.job_id for record in pair)
    assert {state: n for state, n in records.states().items() if n} == {"queued": 2}
    assert records.claim(damaged.job_id, "holder", 100) == "claimed"


@pytest.mark.parametrize(
    "stored", ["[]", '"x"', "3", '{"films": [{"path": "/a", "sha256": "b", "reason": "x"}], "warnings": []}']
)
def test_what_is_no_study_is_damage(
    client: redis.Redis, records: Records, pair: tuple[Record, Record], stored: str
) -> None:
    spoil(client, pair[0].job_id, "study", stored)
    assert records.get(pair[0].job_id) is None


@pytest.mark.parametrize("stored", NO_REASONS)
def test_what_is_no_reason_is_damage(
    client: redis.Redis, records: Records, pair: tuple[Record, Record], stored: str
) -> None:
    damaged, good = pair
    spoil(client, damaged.job_id, "reason", stored)
    assert records.get(damaged.job_id) is None
    assert records.get(good.job_id) is not None


def test_the_sentence_of_an_earlier_version_may_name_files_and_is_shown_to_who_named_them(
    client: redis.Redis, records: Records, pair: tuple[Record, Record]
) -> None:
    job = pair[0].job_id
    write_as_version_0_1(client, job)
    spoil(client, job, "reason", "1 of 2 films failed; Anna.dcm: torn")
    record = records.get(job)
    assert record is not None
    assert record.why() == "failed under an earlier version of this software"
    assert record.why(with_place=True) == f"1 of 2 films failed; Anna.dcm: torn: {record.why()}"


@pytest.mark.parametrize("field", ["priority", "reason", "lost"])
def test_swept_out_and_mended_by_hand_it_can_be_submitted(
    client: redis.Redis, records: Records, pair: tuple[Record, Record], field: str
) -> None:
    damaged, _ = pair
    key = f"bcd:job:{damaged.job_id}"
    before = client.hget(key, field)
    spoil(client, damaged.job_id, field, None)
    sweep_late(client, records)
    client.hset(key, field, before)
    assert submit(records, damaged) == ("queued", True)
    assert records.states()["queued"] == 2
    assert records.claim(damaged.job_id, "holder", 100) == "claimed"


@pytest.mark.parametrize(("field", "value"), [("priority", "fast"), ("state", "bananas")])
def test_swept_out_it_is_forgotten_in_time(
    client: redis.Redis, records: Records, pair: tuple[Record, Record], field: str, value: str
) -> None:
    damaged, good = pair
    spoil(client, damaged.job_id, field, value)
    for _ in range(2):
        sweep_late(client, records)
    assert records.ids() == [good.job_id]
    assert records.states()["queued"] == sum(records.states().values()) == 1


@pytest.mark.parametrize("place", ["waiting", "later", "running"])
@pytest.mark.parametrize("swept", [True, False])
def test_a_key_deleted_by_hand_leaves_the_books_right(
    client: redis.Redis, records: Records, pair: tuple[Record, Record], place: str, swept: bool
) -> None:
    deleted, _ = pair
    if place != "waiting":
        assert records.claim(deleted.job_id, "holder", 0.001) == "claimed"
    if place == "later":
        assert records.later(deleted.job_id, "holder", 0.001, because("full"), 100)
    client.delete(f"bcd:job:{deleted.job_id}")
    if swept:
        sweep_late(client, records)
        assert len(records.ids()) == 1
    assert records.submit(deleted, published=False, force=False) == ("queued", True)
    assert records.states()["queued"] == len(records.listing()) == 2
    assert sum(records.states().values()) == 2


@pytest.mark.parametrize(("field", "value"), DAMAGE)
@pytest.mark.parametrize("state", ["queued", "later", "running", "ended"])
def test_it_stops_neither_the_sweep_nor_a_worker(
    client: redis.Redis,
    records: Records,
    pair: tuple[Record, Record],
    field: str,
    value: str | None,
    state: str,
) -> None:
    damaged, good = pair
    for record in pair:
        if state != "queued":
            assert records.claim(record.job_id, "/node/1", 0.001) == "claimed"
        if state == "ended":
            assert records.end(record.job_id, "/node/1", state="done")
        if state == "later":
            assert records.later(record.job_id, "/node/1", 0.001, because("full"), 100)
    spoil(client, damaged.job_id, field, value)
    swept = sweep_late(client, records)
    if state == "ended":
        assert records.ids() == []  # older than the 90 days for which records are kept
        return
    assert good.job_id in {job for job, *_ in swept.send}
    for record in pair:
        records.claim(record.job_id, "/node/2", 100)
    held = records.held_by("node")
    assert good.job_id in held
    for job, holder in held.items():
        records.release(job, holder, lost=False)
    assert records.state_of([good.job_id]) == {good.job_id: "queued"}


def test_times_as_newer_redis_write_them_are_no_damage(
    client: redis.Redis, records: Records, pair: tuple[Record, Record]
) -> None:
    first, _ = pair
    assert records.claim(first.job_id, "/node/1", 100) == "claimed"
    for field in ("begun", "due", "ended"):
        spoil(client, first.job_id, field, "1.7957970194664497e+9")
    assert [record.begun for record in records.listing([first.job_id])] == [1795797019.4664497]
    assert records.release(first.job_id, "/node/1", lost=True) == "queued"
    assert records.claim(first.job_id, "/node/2", 100) == "claimed"


def test_a_sweep_forgets_what_it_cannot_work_with_and_its_holder_is_refused(
    client: redis.Redis, records: Records, pair: tuple[Record, Record]
) -> None:
    damaged, _ = pair
    assert records.claim(damaged.job_id, "holder", 100) == "claimed"
    spoil(client, damaged.job_id, "state", "bananas")
    assert sweep_late(client, records).damaged == (damaged.job_id,)
    assert not records.renew(damaged.job_id, "holder", 100)
    assert records.end(damaged.job_id, "holder", state="done") is None
    assert records.get(damaged.job_id) is None
    assert {state: n for state, n in records.states().items() if n} == {"queued": 1}


@pytest.mark.parametrize(("field", "value"), [("state", "bananas")])
def test_a_worker_logs_once_what_its_sweep_forgot(
    url: str,
    client: redis.Redis,
    records: Records,
    pair: tuple[Record, Record],
    field: str,
    value: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    damaged, _ = pair
    spoil(client, damaged.job_id, field, value)
    settings = Settings(broker_url=url)
    for priority in ("interactive", "batch"):
        client.zadd(f"bcd:waiting:{priority}", {damaged.job_id: 1}, xx=True)
    for _ in range(2):
        client.delete("bcd:swept")
        sweep(records, make_messages(settings), settings)
    assert told_of(caplog) == [damaged.job_id]


@pytest.mark.parametrize(("field", "value"), [("created", "yesterday")])
def test_restored_or_refused_it_is_made_anew(
    client: redis.Redis, records: Records, pair: tuple[Record, Record], field: str, value: str
) -> None:
    restored, refused = pair
    for record in pair:
        spoil(client, record.job_id, field, value)
    records.restore(replace(restored, state="done"))
    records.refuse(refused, because("full"), 5)
    assert [(record.job_id, record.state) for record in records.listing()] == [
        (refused.job_id, "failed"),
        (restored.job_id, "done"),
    ]
    assert {state: n for state, n in records.states().items() if n} == {"done": 1, "failed": 1}


def test_a_worker_that_is_alone_takes_up_the_jobs_beside_it(
    url: str, client: redis.Redis, records: Records, pair: tuple[Record, Record]
) -> None:
    damaged, good = pair
    spoil(client, damaged.job_id, "settings", "{}")
    assert resume(make_messages(Settings(broker_url=url)), records) == 1
    waiting = [name for name in client.scan_iter() if client.type(name) == "list"]
    messages = "".join(message for name in waiting for message in client.lrange(name, 0, -1))
    assert good.job_id in messages
    assert damaged.job_id not in messages


@pytest.mark.parametrize("beside", [True, False])
def test_who_waits_for_it_waits_for_the_others_and_hears_that_it_is_lost(
    url: str, client: redis.Redis, records: Records, pair: tuple[Record, Record], beside: bool
) -> None:
    damaged, good = pair
    spoil(client, damaged.job_id, "created", "yesterday")
    looks: list[str] = []

    def check() -> None:
        looks.append(records.state_of([good.job_id])[good.job_id])
        records.cancel(good.job_id, "by hand")

    submitted = [
        Submitted(record.job_id, record.study_instance_uid, "under way") for record in pair[: 1 + beside]
    ]
    lost = f"^the queue has lost job {damaged.job_id}; submit the same"
    with open_queue(Settings(broker_url=url)) as queue, pytest.raises(QueueError, match=lost):
        wait_for_jobs(replace(queue, check=check), submitted)
    assert looks == ["queued"] * beside


class Night:
    """A batch of a job that is done, one that is damaged while it runs, and one that is gone."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.good, self.damaged, self.gone = (site.add("night") for _ in range(3))
        site.end(self.good, tally=Tally(2))
        site.begin(self.damaged)
        self.spoil("settings", "{}")
        with self.client() as client:
            client.delete(f"bcd:job:{self.gone}")

    def client(self) -> redis.Redis:
        return redis.Redis(unix_socket_path=self.site.url.removeprefix("redis+socket://"))

    def spoil(self, field: str, value: str | None) -> None:
        with self.client() as client:
            spoil(client, self.damaged, field, value)

    def __call__(self, *arguments: str) -> Any:
        answer = self.site(*arguments)
        assert answer.code == BcdError.exit_code
        return answer

    @property
    def lost(self) -> list[str]:
        return sorted((self.damaged, self.gone))


@pytest.fixture
def night(site: Site) -> Night:
    return Night(site)


def test_the_results_of_a_batch_name_it(night: Night) -> None:
    answer = night("results", "--batch", "night")
    assert night.good in answer.out
    for job in night.lost:
        assert answer.err.count(f"job {job}: its record is gone or cannot be read\n") == 1
    assert night("results", "--batch", "night", "--json").json["lost"] == night.lost
    rows = night("results", "--batch", "night", "--csv").out.splitlines()
    assert [row for row in rows if night.good not in row][1:] == [
        f"{',' * 16}{job},,its record is gone or cannot be read,," for job in night.lost
    ]


@pytest.mark.parametrize(("field", "value"), [("settings", "{}"), ("state", "bananas"), ("state", None)])
@pytest.mark.parametrize("watch", [(), ("--watch",)])
def test_the_summary_of_a_batch_counts_it(
    night: Night, field: str, value: str | None, watch: tuple[str, ...]
) -> None:
    night.spoil(field, value)
    told = "studies   1: 1 done; 2 lost (no readable record)\n"
    assert told in night("status", "--batch", "night", *watch).out
    answer = night("status", "--batch", "night", "--json", *watch).json
    assert (answer["studies"], answer["records_gone"]) == (1, 2)


@pytest.mark.parametrize("damage", ["spoilt", "deleted"])
def test_a_batch_never_reads_as_complete_without_it(site: Site, damage: str) -> None:
    good, other = site.add("night"), site.add("night")
    for job in (good, other):
        site.end(job, tally=Tally(2))
    assert site("status", "--batch", "night").code == 0
    with redis.Redis(unix_socket_path=site.url.removeprefix("redis+socket://")) as client:
        spoil(client, other, "created", "yesterday")
        if damage == "deleted":
            client.delete(f"bcd:job:{other}")
    for command in ("status", "results", "cancel", "retry"):
        assert site(command, "--batch", "night").code == BcdError.exit_code


def test_the_summary_of_a_batch_with_nothing_else_in_it(site: Site) -> None:
    job = site.add("night")
    with redis.Redis(unix_socket_path=site.url.removeprefix("redis+socket://")) as client:
        spoil(client, job, "created", "yesterday")
    answer = site("status", "--batch", "night")
    assert answer.code == BcdError.exit_code
    assert answer.out.splitlines()[:2] == ["batch     night", "studies   0; 1 lost (no readable record)"]
    assert "findings" not in answer.out
    assert site("results", "--batch", "night").out == ""
    assert site("jobs", "-n", "1").out == "1 job: 1 queued; 1 lost (no readable record)\n"


def test_a_watch_ends_that_began_before_the_damage(site: Site) -> None:
    first, second = site.add("night"), site.add("night")
    site.begin(first)
    watching = [site.start(command, "--batch", "night", "--watch") for command in ("status", "jobs")]
    for process in watching:
        assert "no worker is at work" in process.stderr.readline()
    with redis.Redis(unix_socket_path=site.url.removeprefix("redis+socket://")) as client:
        spoil(client, first, "created", "yesterday")
    site.end(second)
    for process in watching:
        out, _ = process.communicate(timeout=60)
        assert f"{second}  done  " in out
        assert "1 lost (no readable record)" in out
    assert [process.returncode for process in watching] == [1, 0]


def test_jobs_counts_it(night: Night) -> None:
    answer = night.site("jobs", "--batch", "night")
    assert answer.code == 0
    assert answer.out.splitlines()[-1] == "2 jobs: 1 done, 1 running; 2 lost (no readable record)"
    night.spoil("state", "bananas")
    for limit in ("0", "1"):
        answer = night.site("jobs", "--batch", "night", "--limit", limit)
        assert answer.out.splitlines()[-1] == "1 job: 1 done; 2 lost (no readable record)"
    assert night.site("jobs", "--batch", "night", "--json").json["lost"] == night.lost


def test_what_ends_or_repeats_a_batch_says_that_it_is_lost(night: Night) -> None:
    assert night("cancel", "--batch", "night").out == (
        "0 jobs cancelled, 1 had ended already, 2 lost (no readable record)\n"
    )
    assert night("cancel", "--batch", "night", "--json").json["lost"] == night.lost
    assert night("retry", "--batch", "night", "--json").json["lost"] == night.lost


def test_one_job_is_not_taken_for_a_queue_that_is_away(night: Night) -> None:
    uid = night.site.records.listing([night.good])[0].study_instance_uid
    with night.client() as client:
        client.hset(f"bcd:job:{night.damaged}", "study_instance_uid", f"{uid}.1")
    said = f"the record of job {night.damaged} is gone or cannot be read; submit the study again"
    for named in (night.damaged, f"{uid}.1"):
        for command in ("status", "results", "retry", "cancel"):
            answer = night.site(command, named)
            assert (answer.code, answer.error) == (2, said)


def test_it_is_not_passed_over_where_two_jobs_are_of_one_study(night: Night) -> None:
    uid = night.site.records.listing([night.good])[0].study_instance_uid
    with night.client() as client:
        client.hset(f"bcd:job:{night.damaged}", "study_instance_uid", uid)
    answer = night.site("cancel", uid)
    assert answer.code == 2
    assert f"'{uid}' stands for 2 jobs" in answer.err
