"""Job records in a real Redis: what is written comes back, and what Redis may do to it meanwhile."""

import os
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bcd_model.errors import QueueError, UsageError
from bcd_model.reasons import Reason
from converters.films.studies import FilmSource, StudyInput
from converters.product import SOFTWARE_VERSION
from converters.results.study_result import JobIdentity
from tests.support.made_records import CREATED, MODEL, SHAPE, record_of, write_as_version_0_1
from tests.support.made_records import make_study as made_study
from tests.support.reasons import because
from worker.engine.client import find_redis_server
from worker.engine.host import die_with_parent, redis_answer, wait_for
from worker.queue.job import Record
from worker.queue.records import Records
from worker.study.outcome import State, Tally
from worker.study.scan import job_id

pytestmark = pytest.mark.redis

LEASE = 1000.0


def make_study(uid: str, films: int = 2) -> StudyInput:
    sources = (FilmSource(Path(f"/films/ü {n}.dcm"), f"{uid}.{n}", f"{n:064x}") for n in range(films))
    return StudyInput(uid, (*sources, FilmSource(Path("/x"), None, "0" * 64, because("torn"))), ("odd",))


def make_record(uid: str = "1.1", out: str = "/out", created: datetime = CREATED) -> Record:
    return record_of(make_study(uid), out, created)


def submit(records: Records, record: Record, *, published: bool = False, force: bool = False) -> str:
    answer, _ = records.submit(record, published=published, force=force)
    return answer


def run(records: Records, record: Record) -> None:
    assert submit(records, record) == "queued"
    assert records.claim(record.job_id, "holder", LEASE) == "claimed"


def finish(records: Records, record: Record, state: State = "done") -> None:
    run(records, record)
    assert records.end(record.job_id, "holder", state=state)


def current(records: Records, record: Record) -> Record:
    found = records.get(record.job_id)
    assert found is not None
    return found


# What is written comes back


def test_a_record_comes_back_as_it_was(records: Records) -> None:
    record = replace(make_record(), priority="batch", batch="night", replace=True, homes=(Path("/out"),))
    submit(records, record)
    found = current(records, record)
    assert found.updated >= record.updated
    assert found == replace(record, updated=found.updated, homes=record.homes)
    assert records.listing([record.job_id]) == [replace(found, study=None)]


def test_how_it_ended_comes_back(records: Records) -> None:
    record, tally = make_record(), Tally(scanned=2, failed=1, flagged=1, highest=0.987654)
    run(records, record)
    records.renew(record.job_id, "holder", LEASE, 3)
    reason = Reason("cut-short", "ü \udcff", "send it again", "film 3 (L CC)", "/in/ü \udcff.dcm")
    assert records.end(
        record.job_id, "holder", state="done with failures", reason=reason, exit_code=1, tally=tally
    )
    found = current(records, record)
    assert (found.state, found.reason, found.exit_code) == ("done with failures", reason, 1)
    assert (found.tally, found.film, found.attempts) == (tally, 3, 1)
    assert 0 < found.begun <= found.ended


def test_the_id_follows_from_content_model_and_settings() -> None:
    study = make_study("1.2")
    moved = replace(study, films=tuple(replace(f, path=Path("/elsewhere")) for f in reversed(study.films)))
    one = job_id(study, MODEL, SHAPE)
    assert job_id(moved, MODEL, SHAPE) == one
    others = {
        job_id(replace(study, films=study.films[:1]), MODEL, SHAPE),
        job_id(study, replace(MODEL, digest="other"), SHAPE),
        job_id(study, MODEL, replace(SHAPE, threshold=0.4)),
        job_id(study, MODEL, replace(SHAPE, prevalence=0.01)),
        job_id(replace(study, study_instance_uid="1.2.1"), MODEL, SHAPE),
        job_id(study, MODEL, SHAPE, "another version"),
    }
    assert len(others | {one}) == 7


def test_another_version_of_the_software_gives_other_uids() -> None:
    study = make_study("1.2")
    ours, theirs = (
        JobIdentity(job_id(study, MODEL, SHAPE, version), CREATED) for version in ("0.1.0", "0.2.0")
    )
    assert ours.uid("finding", "1.2.1", "0") != theirs.uid("finding", "1.2.1", "0")


def test_a_record_that_states_no_version_is_of_the_one_release_that_wrote_none(
    records: Records, client: redis.Redis
) -> None:
    record = replace(record_of(made_study("1.1")), batch="night")
    submit(records, record)
    assert current(records, record).software_version == SOFTWARE_VERSION
    write_as_version_0_1(client, record.job_id)
    read = current(records, record)
    assert read == replace(record, software_version="0.1.0", homes=(), updated=read.updated)
    assert records.listing([record.job_id]) == [replace(read, study=None)]


def test_what_version_0_1_left_waiting_is_worked_on(records: Records, client: redis.Redis) -> None:
    record, tally = record_of(made_study("1.1")), Tally(2, 1, 1, 0.5)
    submit(records, record)
    write_as_version_0_1(client, record.job_id)
    assert records.claim(record.job_id, "holder", LEASE) == "claimed"
    assert records.later(record.job_id, "holder", 0, because("full"), 100)
    swept = records.sweep(0, LEASE, 90)
    assert [job for job, *_ in swept.send] == [record.job_id]
    assert records.claim(record.job_id, "holder", LEASE) == "claimed"
    assert records.end(record.job_id, "holder", state="done", reason=because("torn"), tally=tally)
    read = current(records, record)
    assert (read.state, read.tally, read.reason, read.attempts) == ("done", tally, because("torn"), 2)


@given(st.binary(min_size=1, max_size=40).map(lambda name: os.fsdecode(name.replace(b"\0", b"\xff"))))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_folder_name_survives(records: Records, name: str) -> None:
    record = make_record(out=f"/{name}")
    submit(records, record)
    submit(records, record)
    assert current(records, record).outs[-1] == Path(f"/{name}")


# What a submission comes to


def test_work_done_and_published_is_left_alone(records: Records) -> None:
    record = make_record()
    finish(records, record)
    assert records.submit(record, published=True, force=False) == ("done", False)


def test_force_runs_it_again_and_keeps_when_it_was_created(records: Records) -> None:
    record = make_record()
    finish(records, record, "done with failures")
    later = replace(record, created=CREATED + timedelta(days=1), replace=True)
    assert records.submit(later, published=True, force=True) == ("queued", True)
    again = current(records, record)
    assert (again.created, again.state, again.replace) == (CREATED, "queued", True)


@pytest.mark.parametrize("state", ["failed", "cancelled"])
def test_what_failed_runs_again(records: Records, state: State) -> None:
    record = make_record()
    finish(records, record, state)
    assert submit(records, record) == "queued"


def test_a_result_that_is_gone_is_made_again_there(records: Records) -> None:
    finish(records, make_record(out="/old"))
    record = make_record(out="/new")
    assert submit(records, record) == "queued"
    assert current(records, record).outs == (Path("/new"),)


def test_a_folder_asked_for_while_it_runs_is_not_forgotten(records: Records) -> None:
    record = make_record(out="/one")
    run(records, record)
    assert submit(records, make_record(out="/two")) == "under way"
    assert records.end(record.job_id, "holder", state="done", outs=1) is False
    assert current(records, record).outs == (Path("/one"), Path("/two"))
    assert records.end(record.job_id, "holder", state="done", outs=2) is True


def test_a_cancelled_job_stays_cancelled(records: Records) -> None:
    record = make_record()
    run(records, record)
    assert records.cancel(record.job_id, "not wanted")
    assert not records.renew(record.job_id, "holder", LEASE, 2)
    assert records.end(record.job_id, "holder", state="done") is None
    found = current(records, record)
    assert (found.state, found.reason) == ("cancelled", Reason("cancelled", "not wanted"))


def test_who_gives_up_does_not_cancel_what_others_wait_for(records: Records) -> None:
    record = make_record()
    submit(records, record)
    submit(records, record)
    assert not records.cancel(record.job_id, "interrupted", unless_shared=True)
    assert current(records, record).state == "queued"


def test_a_lost_record_is_restored_once(records: Records) -> None:
    record = replace(make_record(), state="done", exit_code=0)
    records.restore(record)
    records.restore(replace(record, state="failed"))
    assert current(records, record).state == "done"
    assert submit(records, record, published=True) == "done"


# Lists and sums


def test_jobs_are_found_by_the_beginning_of_their_id_or_by_their_study(records: Records) -> None:
    record = make_record("1.11")
    submit(records, record)
    submit(records, make_record("1.12"))
    assert records.find(record.job_id[:12]).job_id == record.job_id
    assert records.find("1.11").job_id == record.job_id
    with pytest.raises(UsageError, match="bcd-admin jobs"):
        records.find("nothing like it")
    for number in range(16):  # two of 18 ids begin with the same of 16 digits
        submit(records, make_record(f"1.13.{number}"))
    first = Counter(record.job_id[0] for record in records.listing()).most_common(1)[0][0]
    with pytest.raises(UsageError, match="the whole id of one"):
        records.find(first)
    with pytest.raises(UsageError, match="empty"):
        records.find("")


def test_the_newest_job_comes_first(records: Records) -> None:
    for day in (3, 1, 2):
        created = datetime(2030, 1, day, tzinfo=timezone.utc)
        submit(records, make_record(f"1.12.{day}", created=created))
    assert [record.created.day for record in records.listing()] == [3, 2, 1]
    assert records.ids(limit=2) == records.ids()[:2]


def test_a_batch_is_what_was_submitted_with_its_name(records: Records) -> None:
    for uid, batch in (("1.1", "one"), ("1.2", "two"), ("1.3", ""), ("1.1", "two")):
        submit(records, replace(make_record(uid), batch=batch))
    assert set(records.ids("one")) == {make_record("1.1").job_id}
    assert set(records.ids("two")) == {make_record("1.1").job_id, make_record("1.2").job_id}
    assert sorted(records.batches()) == ["one", "two"]
    assert current(records, make_record("1.1")).batch == "two"
    with pytest.raises(UsageError, match="no batch 'three'"):
        records.ids("three")


def test_more_jobs_than_are_read_at_a_time_are_listed_whole(records: Records) -> None:
    uids = [f"1.{number}" for number in range(1, 1101)]
    for uid in uids:
        submit(records, make_record(uid))
    assert sorted(record.study_instance_uid for record in records.listing()) == sorted(uids)
    assert records.states()["queued"] == records.states(records.ids())["queued"] == len(uids)


def test_the_figures_tell_how_the_queue_stands(records: Records) -> None:
    finish(records, make_record("1.1"))
    run(records, make_record("1.2"))
    submit(records, replace(make_record("1.3"), priority="batch"))
    records.count_refused("not JSON")
    records.beat("a@host", {"host": "host"}, lease=20)
    figures = records.figures()
    assert (figures.waiting, figures.running) == ({"interactive": 0, "batch": 1}, 1)
    assert (figures.states["queued"], figures.states["running"], figures.states["done"]) == (1, 1, 1)
    assert 0 <= figures.oldest["batch"] < 60
    assert figures.oldest["interactive"] == 0
    assert figures.refused == {"not JSON": 1}
    assert figures.workers == 1


def test_a_worker_counts_as_gone_when_it_leaves_or_falls_silent(records: Records) -> None:
    records.beat("one@host", {"host": "host"}, lease=20)
    records.beat("two@host", {"host": "host"}, lease=20)
    records.beat("silent@host", {"host": "host"}, lease=-1)
    assert set(records.workers()) == {"one@host", "two@host"}
    records.leave("one@host")
    assert set(records.workers()) == {"two@host"}


# A Redis that goes away, fills up or refuses


@dataclass
class Server:
    """A Redis of its own, as the embedded engine runs it, that may be killed."""

    folder: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis+socket://{self.folder}/redis.sock"

    @property
    def client(self) -> redis.Redis:
        return redis.Redis(unix_socket_path=f"{self.folder}/redis.sock")

    def start(self, *options: str) -> None:
        binary = find_redis_server()
        assert binary is not None
        command = [str(binary), "--port", "0", "--unixsocket", f"{self.folder}/redis.sock"]
        command += ["--dir", str(self.folder), "--appendonly", "yes", "--save", "", *options]
        self.process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, preexec_fn=lambda: die_with_parent(signal.SIGKILL)
        )
        assert wait_for(lambda: redis_answer(self.folder / "redis.sock").startswith(("+PONG", "-NOAUTH")), 20)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path)
    server.start()
    yield server
    server.kill()


def told(records: Records) -> str:
    """The one line that every way to use these records ends with."""
    lines = set()
    for use in (lambda: submit(records, make_record()), lambda: records.count_refused("x")):
        with pytest.raises(QueueError) as caught:
            use()
        assert caught.value.exit_code == 4
        lines.add(str(caught.value))
    (line,) = lines
    assert "\n" not in line
    return line


def test_no_redis_is_an_error_without_the_password() -> None:
    with pytest.raises(QueueError) as caught:
        Records("redis://me:secret@127.0.0.1:1/0").ping()
    assert "secret" not in str(caught.value)
    assert "127.0.0.1:1" in str(caught.value)
    assert caught.value.exit_code == 4


def test_a_killed_redis_is_waited_for_and_nothing_is_lost(server: Server) -> None:
    uids = [f"1.{number}" for number in range(1, 601)]
    begun = threading.Event()
    failed: list[Exception] = []

    def work() -> None:
        records = Records(server.url, patience=30)
        try:
            for number, uid in enumerate(uids):
                record = make_record(uid)
                submit(records, record)
                records.claim(record.job_id, "holder", LEASE)
                records.end(record.job_id, "holder", state="done")
                if number == 50:
                    begun.set()
        except QueueError as error:
            failed.append(error)

    worker = threading.Thread(target=work)
    worker.start()
    assert begun.wait(30)
    server.kill()
    impatient = Records(server.url)
    with pytest.raises(QueueError, match="does not answer"):
        impatient.ping()
    server.start()
    worker.join(60)
    assert not failed
    assert {record.state for record in impatient.listing()} == {"done"}
    assert impatient.states()["done"] == len(uids)


def test_a_redis_that_was_started_again_is_used_without_a_word(server: Server) -> None:
    records = Records(server.url)
    records.ping()
    server.kill()
    server.start()
    assert submit(records, make_record()) == "queued"


def test_a_redis_that_is_away_is_told_soon_and_in_one_line(server: Server) -> None:
    records = Records(server.url)
    records.ping()
    server.kill()
    since = time.monotonic()
    line = told(records)
    assert "does not answer" in line
    assert "BCD_BROKER_URL" in line
    assert time.monotonic() - since < 5


def test_patience_has_an_end(server: Server) -> None:
    server.kill()
    since = time.monotonic()
    with pytest.raises(QueueError, match="does not answer"):
        Records(server.url, patience=1.0).ping()
    assert 0.3 < time.monotonic() - since < 5


def test_a_full_redis_says_so_and_is_waited_for(server: Server) -> None:
    with server.client as client:
        client.config_set("maxmemory", 1)
        line = told(Records(server.url))
        assert "full" in line
        assert "maxmemory" in line
        relief = threading.Timer(0.5, lambda: client.config_set("maxmemory", 0))
        relief.start()
        assert submit(Records(server.url, patience=30), make_record()) == "queued"
        relief.join()


def test_a_read_only_replica_says_so_and_is_waited_for(server: Server) -> None:
    with server.client as client:
        client.replicaof("127.0.0.1", "1")
        line = told(Records(server.url))
        assert "read-only replica" in line
        assert "the primary" in line
        relief = threading.Timer(0.5, lambda: client.replicaof("NO", "ONE"))
        relief.start()
        assert submit(Records(server.url, patience=30), make_record()) == "queued"
        relief.join()


def test_a_redis_whose_disk_is_full_says_so_and_is_waited_for(tmp_path: Path) -> None:
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", tmp_path]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a tmpfs")
    server = Server(tmp_path)
    try:
        server.start()
        filler = tmp_path / "filler"
        with filler.open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(512))
        records = Records(server.url)
        with server.client as client:
            with suppress(redis.RedisError):
                for number in range(10000):
                    client.set(f"filler{number}", "x" * 100)
            line = told(records)
            assert "disk" in line
            filler.unlink()
        assert submit(Records(server.url, patience=30), make_record()) == "queued"
    finally:
        server.kill()
        subprocess.run(["umount", "-l", tmp_path], check=True)


@pytest.mark.parametrize("login", ["", ":wr0ng@", "some0ne:wr0ng@"])
def test_a_wrong_password_is_told_at_once_and_not_shown(server: Server, login: str) -> None:
    with server.client as client:
        client.config_set("requirepass", "right")
    records = Records(f"redis+socket://{login}{server.folder}/redis.sock", patience=30)
    since = time.monotonic()
    line = told(records)
    assert "password" in line
    assert "wr0ng" not in line
    assert "some0ne" not in line
    assert time.monotonic() - since < 5, "a wrong password does not mend itself"
    assert submit(Records(f"redis+socket://:right@{server.folder}/redis.sock"), make_record()) == "queued"
