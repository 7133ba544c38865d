"""How much may be sent, and in which form."""

import fcntl
import json
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.wire import BEGINNING, LIMIT, PART, connect, head, problem
from worker.engine.host import wait_for

pytestmark = pytest.mark.redis


@pytest.fixture(scope="module")
def client(strict: Any) -> Any:
    return strict.client("first")


def test_more_files_than_the_limit_are_refused(client: Any) -> None:
    problem(client.submit(*((f"{i}.dcm", b"x") for i in range(10))), 413)


def test_an_upload_that_says_that_it_is_too_large_is_refused_at_once(client: Any) -> None:
    with connect(client.url) as connection:
        beginning = BEGINNING if client.url.startswith("https:") else b""
        connection.sendall(head(client, f"Content-Length: {10 << 30}") + beginning)
        answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("chunked", [True, False])
def test_an_upload_without_an_end_is_cut_off_at_the_limit(strict: Any, client: Any, chunked: bool) -> None:
    """As chunks, or more than the length says: 10 GB would be sent if they were taken."""
    shown = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {LIMIT}"
    block = bytes(256 << 10)
    frame = b"%x\r\n%b\r\n" % (len(block), block) if chunked else block
    sent = 0
    with connect(client.url) as connection:
        connection.sendall(head(client, shown))
        first = b"%x\r\n%b\r\n" % (len(PART), PART) if chunked else PART
        connection.sendall(first)
        try:
            while sent < 10 << 30:
                connection.sendall(frame)
                sent += len(block)
                incoming = strict.folder / "uploads" / ".incoming"
                assert sum(p.stat().st_size for p in incoming.rglob("part-*") if p.exists()) <= LIMIT
        except OSError:
            pass  # it has hung up
    assert LIMIT <= sent < LIMIT + (96 << 20)


def test_the_client_of_an_upload_that_is_a_little_too_large_gets_to_read_why(client: Any) -> None:
    assert "bytes" in problem(client.submit(("film.dcm", bytes(LIMIT + (1 << 20)))), 413)["detail"]


def test_a_client_that_goes_on_sending_after_it_was_refused_gets_the_whole_answer(client: Any) -> None:
    """Also through a proxy, which passes no more of a body on once it has the whole of the answer."""
    piece = bytes((LIMIT + (1 << 20)) // 40)
    with connect(client.url) as connection:
        connection.sendall(head(client, f"Content-Length: {40 * len(piece)}") + piece)
        answer = connection.recv(65536)
        for _ in range(39):
            connection.sendall(piece)
            time.sleep(0.04)  # what a slow line needs
        answer += b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert "bytes" in json.loads(answer.partition(b"\r\n\r\n")[2])["detail"]


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("application/json", b"{}", 415),
        ("multipart/form-data", b"", 415),
        ("multipart/form-data; boundary=" + "x" * 100, b"", 415),
        ("multipart/form-data; boundary=xyz", b"", 400),
        ("multipart/form-data; boundary=xyz", b"--xyz", 400),
        ("multipart/form-data; boundary=xyz", PART, 400),
        ("multipart/form-data; boundary=xyz", PART + b"data\r\n--xyz", 400),
        ("multipart/form-data; boundary=xyz", b"--xyz\r\n\r\ndata\r\n--xyz--\r\n", 400),
        ("multipart/form-data; boundary=xyz", b"--xyz\r\n" + b"A: b\r\n" * 100 + b"\r\n\r\n--xyz--\r\n", 413),
        ("multipart/form-data; boundary=xyz", b"--xyz\r\nA: " + b"b" * 100_000, 413),
        ("multipart/form-data; boundary=xyz", PART.replace(b"files", b"other") + b"\r\n--xyz--\r\n", 422),
        ("multipart/form-data; boundary=xyz", PART + b"data\r\n--xyz--\r\n", 422),
        ("multipart/form-data; boundary=xyz", b"\x00\xff" * 1000, 400),
    ],
)
def test_a_form_that_cannot_be_one_is_reported(
    client: Any, content_type: str, body: bytes, status: int
) -> None:
    problem(client.post("/jobs", data=body, headers={"Content-Type": content_type}), status)


@given(body=st.lists(st.sampled_from([PART, b"--xyz", b"--", b"\r\n", b"data", b"\x00", b"-"]), max_size=12))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_form_breaks_the_gateway(client: Any, body: list[bytes]) -> None:
    answer = client.post(
        "/jobs", data=b"".join(body), headers={"Content-Type": "multipart/form-data; boundary=xyz"}
    )
    assert 400 <= answer.status_code < 500, answer.text


def test_films_that_came_to_harm_on_the_disk_are_replaced_when_they_are_sent_again(
    own_site: Any, films: list[Path]
) -> None:
    own_site.serve()
    client = own_site.client("reader")
    (job,) = client.submit(*films).json()["jobs"]
    for film in (own_site.folder / "uploads" / job["job_id"]).iterdir():
        film.write_bytes(b"")  # as a power cut leaves what was not on the disk yet
    own_site.work()
    assert client.ended(job["job_id"])["state"] == "failed"
    (again,) = client.submit(*films, force="true").json()["jobs"]
    assert (again["job_id"], again["submission"]) == (job["job_id"], "queued")
    assert client.ended(job["job_id"])["state"] == "done"


def test_a_token_has_so_many_jobs_under_way_and_no_more(
    own_site: Any, films: list[Path], patients: list[Path], many_studies: Path
) -> None:
    own_site.serve(BCD_GATEWAY_JOBS="2")
    client, other = own_site.client("reader"), own_site.client("other")
    second = sorted(patients[1].glob("*.dcm"))
    refused = client.submit(*sorted(many_studies.rglob("*.dcm")))
    assert "jobs under way" in problem(refused, 503)["detail"]
    assert int(refused.headers["Retry-After"]) >= 1
    assert client.get("/jobs").json() == {"jobs": []}
    for study in (films, second):
        assert client.submit(*study).status_code == 202
    third = sorted(many_studies.rglob("*.dcm"))[-1:]
    problem(client.submit(*third), 503)
    assert client.submit(*films).json()["jobs"][0]["submission"] == "under way", "it is no more than before"
    assert other.submit(*third).status_code == 202, "another token has its own"
    client.post(f"/jobs/{client.get('/jobs').json()['jobs'][0]['job_id']}/cancel")
    assert client.submit(*third).status_code == 202


def test_what_is_done_counts_as_begun_if_its_result_is_gone_and_not_if_it_stands(
    own_site: Any, films: list[Path], patients: list[Path]
) -> None:
    own_site.serve(BCD_GATEWAY_JOBS="1")
    client = own_site.client("reader")
    cut = (films[0].name, films[0].read_bytes()[:-5000])
    worker = own_site.work()
    (job,) = client.submit(cut, *films[1:]).json()["jobs"]
    assert client.ended(job["job_id"])["state"] == "done with failures"
    worker.terminate()
    worker.communicate(timeout=30)
    assert client.submit(*sorted(patients[1].glob("*.dcm"))).status_code == 202
    again = client.submit(cut, *films[1:])
    assert again.status_code == 202, again.text
    assert again.json()["jobs"][0]["submission"] == "done"
    shutil.rmtree(own_site.folder / "results" / job["job_id"])  # as it expires
    problem(client.submit(cut, *films[1:]), 503)


def test_two_uploads_at_once_begin_no_more_jobs_than_there_may_be(
    own_site: Any, films: list[Path], patients: list[Path]
) -> None:
    """Neither may be counted before the other has begun; here both are held up where films are moved."""
    own_site.serve(BCD_GATEWAY_JOBS="1")
    client = own_site.client("reader")
    place = own_site.folder / "uploads" / ".lock"

    def held_up(number: int) -> bool:
        waiting = [line for line in Path("/proc/locks").read_text().splitlines() if " -> FLOCK " in line]
        return sum(f":{place.stat().st_ino} " in line for line in waiting) >= number

    with place.open("a") as lock, ThreadPoolExecutor(2) as pool:
        fcntl.flock(lock, fcntl.LOCK_EX)
        studies = (films, sorted(patients[1].glob("*.dcm")))
        answers = [pool.submit(client.submit, *study) for study in studies]
        assert wait_for(lambda: held_up(1), 20)
        wait_for(lambda: held_up(2), 2)  # which is not to happen
        fcntl.flock(lock, fcntl.LOCK_UN)
        assert sorted(answer.result().status_code for answer in answers) == [202, 503]
    assert len(client.get("/jobs").json()["jobs"]) == 1


def test_what_is_not_http_gets_a_bare_400(strict: Any) -> None:
    with connect(strict.url) as connection:
        connection.sendall(b"nonsense\r\n\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 400 ")
