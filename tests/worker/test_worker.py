"""``bcd-admin worker`` on a queue that BCD_BROKER_URL names, as at a site with its own Redis."""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from celery.exceptions import SoftTimeLimitExceeded

from bcd_model.weights import read_info
from converters.studies import find_studies
from worker.app import make_app, send
from worker.engine import embedded_engine
from worker.records import Records
from worker.settings import Settings, load_settings
from worker.submission import make_record
from worker.tasks import run_job

pytestmark = pytest.mark.redis


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Redis with no worker."""
    with embedded_engine(tmp_path_factory.mktemp("site")) as engine:
        yield engine.url


def ready(worker: Any) -> None:
    """Wait until the worker says that it is; fails if it ends before."""
    for line in worker.stderr:
        if "ready." in line:
            return
    raise AssertionError("the worker ended before it was ready")


def test_jobs_wait_for_a_worker_and_survive_a_forged_message(
    site: str, admin: Any, patients: list[Path]
) -> None:
    queued = admin("submit", patients[0], "--out", "out", "--json", BCD_BROKER_URL=site)
    assert queued.code == 0, queued.err
    (job,) = queued.json["jobs"]
    assert job["submission"] == "queued"
    assert admin("status", job["job_id"], "--json", BCD_BROKER_URL=site).json["state"] == "queued"
    send(make_app(Settings(broker_url=site)), "no job of ours")

    worker = admin.start("worker", BCD_BROKER_URL=site)
    ready(worker)
    waited = admin("submit", *patients, "--out", "out", "--wait", "--json", BCD_BROKER_URL=site)
    assert waited.code == 0, waited.err
    assert [job["state"] for job in waited.json["jobs"]] == ["done", "done"]
    worker.send_signal(signal.SIGTERM)
    _, log = worker.communicate(timeout=30)
    assert worker.returncode == 0, log
    assert "refused: there is no record of it" in log
    assert f"job {job['job_id']} ended: done" in log


def test_waiting_without_a_worker_is_told_and_ctrl_c_leaves_the_job_queued(
    site: str, admin: Any, patients: list[Path]
) -> None:
    submit = admin.start(
        "submit", patients[0], "--out", "o", "--wait", "--force", BCD_BROKER_URL=site, BCD_THRESHOLD="0.5"
    )
    assert submit.stderr is not None
    lines = [submit.stderr.readline() for _ in range(2)]
    assert "1 queued" in lines[0]
    assert "no worker answers" in lines[1]
    submit.send_signal(signal.SIGINT)
    _, err = submit.communicate(timeout=30)
    assert submit.returncode == 130
    assert "the jobs go on" in err
    states = {job["state"] for job in admin("jobs", "--json", BCD_BROKER_URL=site).json["jobs"]}
    assert "queued" in states
    assert "cancelled" not in states


def test_a_study_that_takes_too_long_says_so(
    site: str, patients: list[Path], weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def scan_study(*_: object, **__: object) -> None:  # Celery raises it wherever the task is
        raise SoftTimeLimitExceeded

    monkeypatch.setattr("worker.tasks.scan_study", scan_study)
    settings = load_settings(broker_url=site, model=weights, threshold=0.123, results_dir=tmp_path)
    records = Records(site)
    (study,) = find_studies([patients[0]]).studies
    record = make_record(study, tmp_path, read_info(weights), settings)
    records.submit(record, published=False, force=False)
    run_job(record.job_id, settings)
    ended = records.get(record.job_id)
    assert ended is not None
    assert ended.state == "failed"
    assert "BCD_VISIBILITY_TIMEOUT" in ended.reason


def test_the_doctor_warns_when_no_worker_answers(site: str, admin: Any) -> None:
    answer = admin("doctor", BCD_BROKER_URL=site)
    assert answer.code == 0, answer.out
    assert "warn  workers: none answers" in answer.out


def test_a_wrong_password_is_told_and_not_shown(site: str, admin: Any, tmp_path: Path) -> None:
    import redis

    with embedded_engine(tmp_path / "locked") as engine:
        client = redis.Redis(unix_socket_path=engine.url.removeprefix("redis+socket://"))
        client.config_set("requirepass", "right")
        client.close()
        path = engine.url.removeprefix("redis+socket://")
        for url in (engine.url, f"redis+socket://:wr0ng@{path}"):
            answer = admin("jobs", BCD_BROKER_URL=url)
            assert answer.code == 4
            assert "password" in answer.error
            assert "wr0ng" not in answer.err
