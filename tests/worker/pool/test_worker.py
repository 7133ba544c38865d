"""``bcd-admin worker`` on a queue that BCD_BROKER_URL names, as at a site with its own Redis."""

import json
import os
import signal
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import redis
from kombu import Connection

from worker.engine.client import embedded_engine
from worker.queue.records import Records

pytestmark = pytest.mark.redis

MARKED = "Marked^Nameless"
JOB = "0123456789abcdef"  # the id of a job that nobody has submitted
NOTHING_MORE = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    """A Redis with no worker."""
    with embedded_engine(tmp_path / "site") as engine:
        yield engine.url


@pytest.fixture
def client(site: str) -> Iterator[redis.Redis]:
    with redis.Redis(unix_socket_path=site.removeprefix("redis+socket://"), decode_responses=True) as client:
        yield client


@dataclass
class Log:
    """What a worker logs, one event a line."""

    worker: subprocess.Popen[str]

    def until(self, event: str) -> dict[str, Any]:
        """The next such event; fails if the worker ends before."""
        assert self.worker.stderr is not None
        for line in self.worker.stderr:
            said = json.loads(line)
            if said["event"] == event:
                return said
        raise AssertionError(f"the worker ended without {event!r}")


def start_worker(
    admin: Any, site: str, *arguments: object, lease: int = 4
) -> tuple[subprocess.Popen[str], Log]:
    worker = admin.start("worker", *arguments, BCD_BROKER_URL=site, BCD_LEASE_SECONDS=str(lease))
    log = Log(worker)
    log.until("ready")
    return worker, log


def submitted(local: Any, site: str, *arguments: object) -> list[str]:
    answer = local("submit", *arguments, "--out", "out", "--json", BCD_BROKER_URL=site)
    assert answer.code == 0, answer.err
    return [job["job_id"] for job in answer.json["jobs"]]


def state(local: Any, site: str, job: str) -> dict[str, Any]:
    return local("status", job, "--json", BCD_BROKER_URL=site).json


def done(admin: Any, site: str, *jobs: str) -> None:
    records = Records(site)
    admin.eventually(lambda: all(record.state == "done" for record in records.listing(jobs)))


def test_jobs_wait_for_a_worker(site: str, admin: Any, local: Any, patients: list[Path]) -> None:
    (job,) = submitted(local, site, patients[0])
    assert state(local, site, job)["state"] == "queued"
    worker, _ = start_worker(admin, site)
    waited = admin("submit", *patients, "--out", "out", "--wait", "--json", BCD_BROKER_URL=site)
    assert waited.code == 0, waited.err
    assert [job["state"] for job in waited.json["jobs"]] == ["done", "done"]
    worker.send_signal(signal.SIGTERM)
    _, log = worker.communicate(timeout=30)
    assert worker.returncode == 0, log
    assert any(json.loads(line)["event"] == "job ended" for line in log.splitlines())


def test_waiting_without_a_worker_is_told_and_ctrl_c_leaves_the_job_queued(
    site: str, admin: Any, patients: list[Path]
) -> None:
    submit = admin.start("submit", patients[0], "--out", "o", "--wait", BCD_BROKER_URL=site)
    assert submit.stderr is not None
    lines = [submit.stderr.readline() for _ in range(2)]
    assert "1 queued" in lines[0]
    assert "no worker is at work" in lines[1]
    submit.send_signal(signal.SIGINT)
    _, err = submit.communicate(timeout=30)
    assert submit.returncode == 130
    assert "the jobs go on" in err
    states = [job["state"] for job in admin("jobs", "--json", BCD_BROKER_URL=site).json["jobs"]]
    assert states == ["queued"]


def send_what_is_none_of_ours(site: str, client: redis.Redis) -> int:
    """Put one message of each foreign kind on both queues; how many of them carry the marked name."""
    raw = [
        MARKED,
        json.dumps({"a": MARKED}),
        json.dumps(MARKED),
        json.dumps([MARKED]),
        json.dumps({"body": MARKED, "properties": {"delivery_tag": "x", "delivery_info": {}}}),
    ]
    scan = {"task": "bcd.scan_study", "id": str(uuid.uuid4())}
    region = {"task": "bcd.classify_region", "id": str(uuid.uuid4())}
    messages: list[tuple[object, dict[str, object]]] = [
        ([[[MARKED]], {}, NOTHING_MORE], {"task": "celery.map", "id": "1"}),
        ([[f"echo {MARKED}"], {}, NOTHING_MORE], {"task": "os.system", "id": "2"}),
        (MARKED, scan),
        ({"task": "bcd.scan_study", "args": [MARKED], "kwargs": {}, "id": "3"}, {}),
        ([[MARKED], {}, NOTHING_MORE], scan),
        ([[], {"job": MARKED}, NOTHING_MORE], scan),
        ([[JOB, MARKED], {}, NOTHING_MORE], scan),
        ([[JOB], {}, {**NOTHING_MORE, "callbacks": [{"task": "os.system", "args": [MARKED]}]}], scan),
        ([[JOB], {}, NOTHING_MORE], {**scan, "eta": "2999-01-01T00:00:00+00:00"}),
        ([[JOB], {}, NOTHING_MORE], {**scan, "timelimit": MARKED}),
        ([[JOB], {}, NOTHING_MORE], {"task": "bcd.scan_study", "origin": MARKED}),
        ([[2 * JOB], {}, NOTHING_MORE], scan),
        ([[JOB], {}, NOTHING_MORE], region),
        ([[2 * JOB], {}, NOTHING_MORE], region),
        ([[MARKED], {}, NOTHING_MORE], region),
        ([[None], {}, NOTHING_MORE], scan),
        ([[{"job": MARKED}], {}, NOTHING_MORE], region),
        ([[2 * JOB], {"film": MARKED}, NOTHING_MORE], region),
        ([[2 * JOB], {}, {**NOTHING_MORE, "chain": [{"task": "os.system", "args": [MARKED]}]}], region),
    ]
    for queue in ("bcd.interactive", "bcd.batch"):
        client.lpush(queue, *raw)
        with Connection(site) as connection:
            producer = connection.Producer()
            for body, headers in messages:
                producer.publish(body, routing_key=queue, headers=headers, serializer="json")
            pickled = {"body": [[MARKED], {}, {}], "routing_key": queue, "headers": scan}
            producer.publish(**pickled, serializer="pickle")
    return 2 * (len(raw) + len(messages) + 1)


def test_messages_that_are_not_ours_are_refused_counted_and_never_shown(
    site: str, admin: Any, local: Any, client: redis.Redis, patients: list[Path]
) -> None:
    worker, _ = start_worker(admin, site)
    sent = send_what_is_none_of_ours(site, client)
    (job,) = submitted(local, site, patients[0])
    done(admin, site, job)
    records = Records(site)
    admin.eventually(lambda: sum(records.figures().refused.values()) >= sent)
    admin.eventually(lambda: client.hlen("unacked") == 0)
    assert sum(records.figures().refused.values()) == sent, "each is refused once"
    doctor = admin("doctor", BCD_BROKER_URL=site)
    assert "messages refused" in doctor.out
    worker.send_signal(signal.SIGTERM)
    out, log = worker.communicate(timeout=30)
    assert worker.returncode == 0
    assert "arked" not in out + log + doctor.out + str(client.hgetall("bcd:refused"))
    assert '"message refused"' in log


@pytest.mark.parametrize("limits", [[None, 0.001], [0.001, 0.001]])
def test_a_message_does_not_say_how_long_its_study_may_take(
    site: str, admin: Any, local: Any, client: redis.Redis, patients: list[Path], limits: list[float | None]
) -> None:
    (job,) = submitted(local, site, patients[0], "--batch", "night")
    message = json.loads(str(client.rpop("bcd.batch")))
    message["headers"]["timelimit"] = limits
    client.lpush("bcd.batch", *[json.dumps(message)] * 3)
    start_worker(admin, site)
    admin.eventually(lambda: state(local, site, job)["state"] not in ("queued", "running"))
    seen = state(local, site, job)
    assert (seen["state"], seen["attempts_lost"]) == ("done", 0)


def test_a_worker_serves_its_priority_alone_and_tells_its_health(
    site: str, admin: Any, local: Any, patients: list[Path]
) -> None:
    sick = admin("worker", "--health", BCD_BROKER_URL=site)
    assert sick.code == 4
    assert "is at work" in sick.error
    start_worker(admin, site, "--priority", "batch")
    assert admin("worker", "--health", BCD_BROKER_URL=site).code == 0
    (one,) = submitted(local, site, patients[0])
    (many,) = submitted(local, site, patients[1], "--batch", "night")
    done(admin, site, many)
    assert state(local, site, one)["state"] == "queued"
    doctor = admin("doctor", BCD_BROKER_URL=site)
    assert "none serves the interactive queue" in doctor.out


def test_a_study_of_a_batch_that_is_asked_for_by_itself_is_next(
    site: str, admin: Any, local: Any, many_studies: Path, patients: list[Path]
) -> None:
    batch = submitted(local, site, many_studies, "--batch", "night")
    (one,) = submitted(local, site, patients[1])
    assert one in batch[1:]
    worker, log = start_worker(admin, site)
    assert log.until("job begun")["job"] == one
    done(admin, site, one, *batch)
    assert worker.poll() is None


def test_sigterm_lets_the_study_end(site: str, admin: Any, local: Any, many_studies: Path) -> None:
    jobs = submitted(local, site, many_studies, "--batch", "night")
    worker, log = start_worker(admin, site)
    job = log.until("film scanned")["job"]
    worker.send_signal(signal.SIGTERM)
    out, err = worker.communicate(timeout=30)
    assert out == ""
    assert all(json.loads(line)["event"] for line in err.splitlines())
    assert worker.returncode == 0
    states = {record.job_id: record.state for record in Records(site).listing(jobs)}
    assert states[job] == "done"
    assert set(states.values()) == {"done", "queued"}
    start_worker(admin, site)
    done(admin, site, *jobs)


@pytest.mark.parametrize("how", ["SIGQUIT", "SIGQUIT blocked", "SIGQUIT in vain", "SIGTERM to all"])
def test_a_study_that_is_given_back_has_not_failed(
    site: str, admin: Any, local: Any, many_studies: Path, how: str
) -> None:
    jobs = submitted(local, site, many_studies, "--batch", "night")
    mask = {signal.SIGQUIT} if how == "SIGQUIT blocked" else set()  # what is started inherits it
    before = signal.pthread_sigmask(signal.SIG_BLOCK, mask)
    worker, log = start_worker(admin, site, lease=60)  # no sweep takes it for lost on a slow machine
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    process = log.until("film scanned")["pid"]
    if how == "SIGQUIT in vain":  # for a process that cannot end
        os.kill(process, signal.SIGSTOP)
    worker.send_signal(signal.SIGTERM if how == "SIGTERM to all" else signal.SIGQUIT)
    if how == "SIGTERM to all":  # as systemd does, and with it what it started
        log.until("stopping")
        os.kill(process, signal.SIGTERM)
    if how == "SIGQUIT in vain":
        assert log.until("process killed")["killed"] == process
    worker.communicate(timeout=30)
    records = Records(site)
    assert not any(record.state == "running" for record in records.listing(jobs))
    start_worker(admin, site)
    done(admin, site, *jobs)
    assert sum(record.lost for record in records.listing(jobs)) == 0


def test_a_worker_that_is_told_to_end_at_once_does_not_wait_for_redis(proxy: Any, admin: Any) -> None:
    worker, _ = start_worker(admin, proxy.url)
    proxy.stalled.set()
    assert proxy.asked.wait(30)
    worker.send_signal(signal.SIGQUIT)
    _, log = worker.communicate(timeout=30)
    assert json.loads(log.splitlines()[-1])["event"] == "worker killed"
    assert "thread died" not in log


def test_a_study_whose_process_dies_is_begun_again(
    site: str, admin: Any, local: Any, many_studies: Path
) -> None:
    jobs = submitted(local, site, many_studies, "--batch", "night")
    _, log = start_worker(admin, site)
    hit = log.until("film scanned")
    os.kill(hit["pid"], signal.SIGKILL)
    lost = log.until("attempt lost")
    assert lost["job"] == hit["job"]
    done(admin, site, *jobs)
    assert state(local, site, hit["job"])["attempts_lost"] == 1


def test_a_study_of_a_worker_that_dies_is_begun_again_by_another(
    site: str, admin: Any, local: Any, many_studies: Path
) -> None:
    jobs = submitted(local, site, many_studies, "--batch", "night")
    worker, log = start_worker(admin, site)
    hit = log.until("film scanned")
    worker.kill()
    worker.communicate()
    start_worker(admin, site)
    done(admin, site, *jobs)
    assert state(local, site, hit["job"])["attempts_lost"] == 1


@pytest.mark.parametrize("what", ["a study that is done", "a study whose process has died"])
def test_a_worker_whose_acknowledgement_is_lost_takes_the_next_job(
    proxy: Any, client: redis.Redis, admin: Any, local: Any, many_studies: Path, what: str
) -> None:
    worker, log = start_worker(admin, proxy.url)
    proxy.deaf.set()
    jobs = submitted(local, proxy.url, many_studies, "--batch", "night")
    if what == "a study whose process has died":
        os.kill(log.until("film scanned")["pid"], signal.SIGKILL)
    said = ""
    while "onnection" not in said and "Couldn't" not in said:  # Celery's words for both ways to go on
        said = log.until("library message")["text"]
    proxy.deaf.clear()
    done(admin, proxy.url, *jobs)
    assert worker.poll() is None
    lost = sum(record.lost for record in Records(proxy.url).listing(jobs))
    assert lost == (what == "a study whose process has died")
    admin.eventually(lambda: client.hlen("unacked") == 0 and client.llen("bcd.batch") == 0)


def test_the_doctor_warns_when_no_worker_answers(site: str, admin: Any) -> None:
    answer = admin("doctor", BCD_BROKER_URL=site)
    assert answer.code == 0, answer.out
    assert "warn  workers: none is at work" in answer.out


def test_the_doctor_tells_what_is_wrong_with_redis(
    site: str, admin: Any, client: redis.Redis, other_weights: Path
) -> None:
    client.config_set("maxmemory-policy", "allkeys-lru")
    client.config_set("appendonly", "no")
    client.config_set("maxmemory", "1100000")
    start_worker(admin, site)
    answer = admin("doctor", BCD_BROKER_URL=site, BCD_MODEL=str(other_weights))
    assert answer.code == 0, answer.out
    for found in ("jobs may vanish", "a crash of Redis loses jobs", "of 1 MiB", "another model than here"):
        assert found in answer.out


def test_a_full_redis_is_told_and_nothing_is_half_queued(
    site: str, admin: Any, client: redis.Redis, many_studies: Path
) -> None:
    client.config_set("maxmemory", client.info("memory")["used_memory"] + 10_000)
    full = admin("submit", many_studies, "--out", "out", BCD_BROKER_URL=site)
    assert full.code == 4
    assert "is full" in full.error
    client.config_set("maxmemory", 0)
    again = admin("submit", many_studies, "--out", "out", "--json", BCD_BROKER_URL=site)
    assert again.code == 0
    jobs = [job["job_id"] for job in again.json["jobs"]]
    start_worker(admin, site)
    done(admin, site, *jobs)


def test_a_wrong_password_is_told_and_not_shown(site: str, admin: Any, client: redis.Redis) -> None:
    client.config_set("requirepass", "right")
    path = site.removeprefix("redis+socket://")
    try:
        for url in (site, f"redis+socket://:wr0ng@{path}"):
            for command in (["jobs"], ["worker"]):
                answer = admin(*command, BCD_BROKER_URL=url)
                assert answer.code == 4
                assert "password" in answer.error
                assert "wr0ng" not in answer.err
    finally:
        client.auth("right")
        client.config_set("requirepass", "")


def test_a_job_that_redis_will_not_show_is_not_asked_for_without_a_pause(
    site: str, admin: Any, local: Any, client: redis.Redis, patients: list[Path]
) -> None:
    """The password was changed while a worker runs: it still hears of jobs, on its old connection."""
    _, log = start_worker(admin, site)
    client.config_set("requirepass", "right")
    try:
        (job,) = submitted(local, site.replace("//", "//:right@"), patients[0])
        first, second = (log.until("queue lost") for _ in range(2))
    finally:
        client.config_set("requirepass", "")
    assert first["process"] == second["process"] != "MainProcess"
    pause = datetime.fromisoformat(second["time"]) - datetime.fromisoformat(first["time"])
    assert pause.total_seconds() > 0.9
    done(admin, site, job)


def test_a_queue_that_is_not_there_is_told(admin: Any, patients: list[Path]) -> None:
    for command in (["jobs"], ["submit", patients[0]], ["worker"]):
        answer = admin(*command, BCD_BROKER_URL="redis://localhost:1/0")
        assert answer.code == 4
        assert "redis://localhost:1/0 does not answer" in answer.error
