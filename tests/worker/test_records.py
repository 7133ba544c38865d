"""Job records in a real Redis: the embedded engine's, without a worker."""

import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bcd_model.errors import QueueError, UsageError
from bcd_model.words import ModelIdentity
from converters.studies import FilmSource, StudyInput
from worker.engine import embedded_engine
from worker.job import UNDER_WAY, Record, job_id
from worker.records import Records

pytestmark = pytest.mark.redis

CREATED = datetime(2024, 5, 6, 7, 8, 9, tzinfo=timezone(timedelta(hours=2)))
MODEL = ModelIdentity("m", "1", "digest")
SHAPE = {"threshold": 0.5, "uid_root": "2.25"}
RUNNING = frozenset({"running"})


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with embedded_engine(tmp_path_factory.mktemp("records")) as engine:
        yield engine.url


@pytest.fixture
def records(url: str) -> Records:
    return Records(url)


def make_study(uid: str, films: int = 2) -> StudyInput:
    sources = (FilmSource(Path(f"/films/ü {n}.dcm"), f"{uid}.{n}", f"{n:064x}") for n in range(films))
    return StudyInput(uid, (*sources, FilmSource(Path("/x"), None, "0" * 64, "torn")), ("odd",))


def make_record(uid: str, out: str = "/out", created: datetime = CREATED) -> Record:
    study = make_study(uid)
    return Record(
        job_id=job_id(study, MODEL, SHAPE),
        study_instance_uid=uid,
        input_digest=study.digest,
        model=MODEL,
        settings=SHAPE,
        created=created,
        updated=created,
        films=len(study.films),
        outs=(Path(out),),
        study=study,
    )


def run(records: Records, record: Record) -> None:
    assert records.submit(record, published=False, force=False) == "queued"
    assert records.advance(record.job_id, allowed=UNDER_WAY, state="running")


def finish(records: Records, record: Record, state: str = "done") -> None:
    run(records, record)
    assert records.finish(record, state=state)


def test_a_record_comes_back_as_it_was(records: Records) -> None:
    record = make_record("1.1")
    records.submit(record, published=False, force=False)
    assert records.get(record.job_id) == record
    assert records.listing([record.job_id]) == [replace(record, study=None)]


def test_the_id_follows_from_content_model_and_settings() -> None:
    study = make_study("1.2")
    moved = replace(study, films=tuple(replace(f, path=Path("/elsewhere")) for f in reversed(study.films)))
    one = job_id(study, MODEL, SHAPE)
    assert job_id(moved, MODEL, dict(reversed(SHAPE.items()))) == one
    others = {
        job_id(replace(study, films=study.films[:1]), MODEL, SHAPE),
        job_id(study, replace(MODEL, digest="other"), SHAPE),
        job_id(study, MODEL, SHAPE | {"threshold": 0.4}),
        job_id(replace(study, study_instance_uid="1.2.1"), MODEL, SHAPE),
    }
    assert len(others | {one}) == 5


def test_submitted_twenty_times_at_once_it_is_one_job(url: str) -> None:
    record = make_record("1.3")
    start = threading.Barrier(20)
    answers: list[str] = []

    def submit() -> None:
        own = Records(url)
        own.ping()
        start.wait()
        answers.append(own.submit(record, published=False, force=False))

    threads = [threading.Thread(target=submit) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == ["queued"] + ["under way"] * 19


def test_work_done_and_published_is_left_alone(records: Records) -> None:
    record = make_record("1.4")
    finish(records, record)
    assert records.submit(record, published=True, force=False) == "done"


def test_force_runs_it_again_and_keeps_when_it_was_created(records: Records) -> None:
    record = make_record("1.5")
    finish(records, record, "done with failures")
    later = replace(record, created=CREATED + timedelta(days=1), replace=True)
    assert records.submit(later, published=True, force=True) == "queued"
    again = records.get(record.job_id)
    assert again is not None
    assert (again.created, again.state, again.replace) == (CREATED, "queued", True)


@pytest.mark.parametrize("state", ["failed", "cancelled"])
def test_what_failed_runs_again(records: Records, state: str) -> None:
    record = make_record(f"1.6.{len(state)}")
    finish(records, record, state)
    assert records.submit(record, published=False, force=False) == "queued"


def test_a_result_that_is_gone_is_made_again_there(records: Records) -> None:
    record = make_record("1.7", "/old")
    finish(records, record)
    assert records.submit(make_record("1.7", "/new"), published=False, force=False) == "queued"
    again = records.get(record.job_id)
    assert again is not None
    assert again.outs == (Path("/new"),)


def test_a_folder_asked_for_while_it_runs_is_not_forgotten(records: Records) -> None:
    record = make_record("1.8", "/one")
    run(records, record)
    assert records.submit(make_record("1.8", "/two"), published=False, force=False) == "under way"
    assert not records.finish(record, state="done")
    current = records.get(record.job_id)
    assert current is not None
    assert current.outs == (Path("/one"), Path("/two"))
    assert records.finish(current, state="done")


def test_a_cancelled_job_stays_cancelled(records: Records) -> None:
    record = make_record("1.9")
    run(records, record)
    assert records.advance(record.job_id, allowed=UNDER_WAY, state="cancelled")
    assert not records.advance(record.job_id, allowed=RUNNING, film=2)
    records.finish(record, state="done")
    current = records.get(record.job_id)
    assert current is not None
    assert current.state == "cancelled"


def test_a_lost_record_is_restored_once(records: Records) -> None:
    record = replace(make_record("1.10"), state="done")
    records.restore(record)
    records.restore(replace(record, state="failed"))
    assert records.submit(record, published=True, force=False) == "done"


def test_jobs_are_found_by_the_beginning_of_their_id_or_by_their_study(records: Records) -> None:
    record = make_record("1.11")
    records.submit(record, published=False, force=False)
    assert records.find(record.job_id[:12]).job_id == record.job_id
    assert records.find("1.11").job_id == record.job_id
    with pytest.raises(UsageError, match="bcd-admin jobs"):
        records.find("nothing like it")
    with pytest.raises(UsageError, match="the id of one"):
        records.find("")


def test_the_newest_job_comes_first(records: Records) -> None:
    for day in (3, 1, 2):
        created = datetime(2030, 1, day, tzinfo=timezone.utc)
        records.submit(make_record(f"1.12.{day}", created=created), published=False, force=False)
    assert [record.created.day for record in records.listing()][:3] == [3, 2, 1]


@given(st.binary(min_size=1, max_size=40).map(lambda name: os.fsdecode(name.replace(b"\0", b"\xff"))))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_folder_name_survives(records: Records, name: str) -> None:
    record = make_record("1.13", f"/{name}")
    records.submit(record, published=False, force=False)
    records.submit(record, published=False, force=False)
    current = records.get(record.job_id)
    assert current is not None
    assert current.outs[-1] == Path(f"/{name}")


def test_a_damaged_record_is_told(url: str, records: Records) -> None:
    import redis

    record = make_record("1.14")
    records.submit(record, published=False, force=False)
    client = redis.Redis(unix_socket_path=url.removeprefix("redis+socket://"))
    client.hset(f"bcd:job:{record.job_id}", "created", "yesterday")
    try:
        with pytest.raises(QueueError, match=record.job_id):
            records.get(record.job_id)
    finally:
        client.delete(f"bcd:job:{record.job_id}")
        client.close()


def test_no_redis_is_an_error_without_the_password() -> None:
    with pytest.raises(QueueError) as caught:
        Records("redis://me:secret@127.0.0.1:1/0").ping()
    assert "secret" not in str(caught.value)
    assert "127.0.0.1:1" in str(caught.value)
    assert caught.value.exit_code == 4
