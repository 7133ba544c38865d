"""What goes wrong around the gateway: Redis away, a full disk, a dead worker, its own end, old files."""

import io
import os
import signal
import socket
import subprocess
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from worker.engine.client import find_redis_server
from worker.engine.host import redis_answer, wait_for

pytestmark = pytest.mark.redis


class Redis:
    """A Redis that can be killed and comes back with all it had."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.socket = folder / "redis.sock"
        self.url = f"redis+socket://{self.socket}"
        self.process: subprocess.Popen | None = None

    def start(self) -> None:
        command = [find_redis_server(), "--port", "0", "--unixsocket", self.socket, "--dir", self.folder]
        command += ["--appendonly", "yes", "--appendfsync", "always", "--save", ""]
        self.process = subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL)
        assert wait_for(lambda: redis_answer(self.socket) == "+PONG", 10)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    server = Redis(tmp_path / "r")
    server.start()
    yield server
    server.kill()


def incoming(site: Any) -> list[Path]:
    return list((site.folder / "uploads" / ".incoming").iterdir())


def test_redis_goes_away_and_comes_back(own_site: Any, redis: Redis, films: list[Path]) -> None:
    own_site.broker = redis.url
    own_site.serve()
    client = own_site.client("reader")
    (job,) = client.submit(*films).json()["jobs"]
    redis.kill()
    for answer in (
        client.get("/health"),
        client.get("/info"),
        client.get("/jobs"),
        client.get(f"/jobs/{job['job_id']}"),
        client.get(f"/jobs/{job['job_id']}/results"),
        client.post(f"/jobs/{job['job_id']}/cancel"),
        client.submit(*films),
        client.post("/regions", files={"file": films[0].read_bytes()}, data={"radius": "9"}),
        client.get("/regions/0123456789abcdef0123456789abcdef"),
    ):
        assert answer.status_code == 503, answer.text
        assert int(answer.headers["Retry-After"]) >= 1
        assert "redis" not in answer.text.lower()
    assert incoming(own_site) == []
    redis.start()
    assert client.get("/health").status_code == 200
    assert client.get(f"/jobs/{job['job_id']}").json()["state"] == "queued"
    assert client.submit(*films).json()["jobs"][0]["submission"] == "under way"


def test_redis_goes_away_in_the_middle_of_an_upload(own_site: Any, redis: Redis, films: list[Path]) -> None:
    own_site.broker = redis.url
    own_site.serve()
    client = own_site.client("reader")
    parts = urlsplit(client.url)
    body = (
        b'--x\r\nContent-Disposition: form-data; name="files"\r\n\r\n'
        + films[0].read_bytes()
        + b"\r\n--x--\r\n"
    )
    head = (
        f"POST /api/v1/jobs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {client.token}\r\n"
        f"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode()
    with socket.create_connection((parts.hostname, parts.port), timeout=20) as connection:
        connection.sendall(head + body[:1000])
        assert wait_for(lambda: incoming(own_site), 10)
        redis.kill()
        connection.sendall(body[1000:])
        assert connection.recv(12) == b"HTTP/1.1 503"
    assert wait_for(lambda: not incoming(own_site), 10)
    redis.start()
    assert client.submit(films[0]).status_code == 202


def test_a_client_that_hangs_up_leaves_nothing(own_site: Any, films: list[Path]) -> None:
    own_site.serve()
    client = own_site.client("reader")
    parts = urlsplit(client.url)
    head = (
        f"POST /api/v1/jobs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {client.token}\r\n"
        "Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 100000\r\n\r\n"
        '--x\r\nContent-Disposition: form-data; name="files"\r\n\r\n'
    ).encode()
    with socket.create_connection((parts.hostname, parts.port), timeout=20) as connection:
        connection.sendall(head + bytes(5000))
        assert wait_for(lambda: incoming(own_site), 10)
    assert wait_for(lambda: not incoming(own_site), 10)
    log = own_site.stop()
    assert [line["status"] for line in log if line["event"] == "request"] == [499]
    assert not any(line["event"] == "request broke" for line in log)


def test_a_full_disk_is_reported_and_nothing_is_left(
    own_site: Any, small_disk: Path, films: list[Path]
) -> None:
    own_site.admin.environment["BCD_GATEWAY_DIR"] = str(small_disk)
    own_site.serve(BCD_GATEWAY_FREE_BYTES="0")
    client = own_site.client("reader")
    for _ in range(3):
        refused = chunked(client, films[0].read_bytes(), bytes(8 << 20))
        assert (refused.status_code, refused.headers["Content-Type"]) == (507, "application/problem+json")
        assert "no room" in refused.json()["detail"]
        assert wait_for(lambda: not list((small_disk / "uploads" / ".incoming").iterdir()), 10)
    assert client.submit(*films).status_code == 202
    log = own_site.stop()
    broke = [line for line in log if line["event"] == "request broke"]
    assert broke[0]["error"] == "OSError (No space left on device)"


def test_uploads_leave_the_disk_as_much_room_as_they_are_to(
    own_site: Any, small_disk: Path, films: list[Path]
) -> None:
    own_site.admin.environment["BCD_GATEWAY_DIR"] = str(small_disk)
    own_site.serve(BCD_GATEWAY_FREE_BYTES=str(2 << 20))
    client = own_site.client("reader")
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("film.dcm", os.urandom(1 << 18) * 12)
    for answer in (
        client.submit(("large.dcm", bytes(3 << 20))),
        chunked(client, bytes(3 << 20)),
        client.submit(("large.zip", zipped.getvalue())),
    ):
        assert answer.status_code == 507, answer.text
        free = os.statvfs(small_disk)
        assert free.f_bavail * free.f_frsize >= 2 << 20
    assert client.submit(*films).status_code == 202


def chunked(client: Any, *files: bytes) -> Any:
    """Submit files in a form that states no length."""

    def body() -> Iterator[bytes]:
        for file in files:
            yield b'--x\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\n'
            for at in range(0, len(file), 1 << 16):
                yield file[at : at + (1 << 16)]
            yield b"\r\n"
        yield b"--x--\r\n"

    return client.post("/jobs", data=body(), headers={"Content-Type": "multipart/form-data; boundary=x"})


def test_a_worker_that_dies_costs_no_job(own_site: Any, many_studies: Path) -> None:
    own_site.serve()
    client = own_site.client("reader")
    worker = own_site.work()
    jobs = client.submit(*sorted(many_studies.rglob("*.dcm"))).json()["jobs"]
    ids = [job["job_id"] for job in jobs]
    assert len(ids) == 8

    def states() -> list[str]:
        return [job["state"] for job in client.get("/jobs").json()["jobs"]]

    assert wait_for(lambda: "running" in states(), 30)
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    assert set(states()) - {"done"}, "it died too late to tell"
    own_site.work()
    assert all(client.ended(job)["state"] == "done" for job in ids)
    assert all(client.get(f"/jobs/{job}/results").status_code == 200 for job in ids)


def test_a_gateway_that_is_killed_comes_back_with_its_jobs_and_tidies_up(
    own_site: Any, films: list[Path]
) -> None:
    own_site.serve()
    client = own_site.client("reader")
    (job,) = client.submit(*films).json()["jobs"]
    left = own_site.folder / "uploads" / ".incoming" / "left"
    left.mkdir()
    (left / "part-0").write_bytes(b"x")
    os.utime(left, (0, 0))
    own_site.stop(signal.SIGKILL)
    client.url = own_site.serve()
    assert client.get(f"/jobs/{job['job_id']}").json()["state"] == "queued"
    assert [listed["job_id"] for listed in client.get("/jobs").json()["jobs"]] == [job["job_id"]]
    assert wait_for(lambda: not left.exists(), 10)


def test_what_is_old_expires_but_not_what_is_waited_for(
    own_site: Any, films: list[Path], patients: list[Path]
) -> None:
    own_site.serve()
    client = own_site.client("reader")
    worker = own_site.work()
    (old,) = client.submit(*films).json()["jobs"]
    client.ended(old["job_id"])
    worker.send_signal(signal.SIGTERM)
    worker.communicate(timeout=30)
    (waiting,) = client.submit(*sorted(patients[1].glob("*.dcm"))).json()["jobs"]
    own_site.stop()
    long_ago = time.time() - 400 * 86400
    uploads, results = own_site.folder / "uploads", own_site.folder / "results"
    for folder in (uploads / old["job_id"], results / old["job_id"], uploads / waiting["job_id"]):
        assert folder.is_dir()
        os.utime(folder, (long_ago, long_ago))
    client.url = own_site.serve()
    assert wait_for(lambda: not (results / old["job_id"]).exists(), 10)
    assert not (uploads / old["job_id"]).exists()
    assert (uploads / waiting["job_id"]).is_dir()
    gone = client.get(f"/jobs/{old['job_id']}/results")
    assert (gone.status_code, "not kept" in gone.json()["detail"]) == (409, True)
    assert client.submit(*films).json()["jobs"][0]["submission"] == "queued"
    own_site.work()
    for job in (old, waiting):
        assert client.ended(job["job_id"])["state"] == "done"
        assert client.get(f"/jobs/{job['job_id']}/results").status_code == 200
