"""Clients that are slow, on purpose or not, and those that ask too often."""

import json
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.support.caddy import BEHIND_CADDY
from tests.support.wire import BEGINNING, PART, connect, head, memory, problem
from worker.engine.host import wait_for

pytestmark = pytest.mark.redis


@pytest.fixture(scope="module")
def client(strict: Any) -> Any:
    return strict.client("first")


def test_a_thousand_half_open_uploads_leave_room_for_others(strict: Any, films: list[Path]) -> None:
    slow, other = strict.client("slow"), strict.client("quick")
    assert strict.gateway is not None
    memory_before = memory(strict.gateway.pid)
    connections = []
    try:
        for _ in range(1000):
            connection = connect(strict.url)
            connection.sendall(head(slow, "Content-Length: 1000000") + PART + BEGINNING)
            connections.append(connection)
        since = time.monotonic()
        assert other.get("/health").status_code == 200
        assert other.get("/info").status_code == 200
        assert other.submit(*films).status_code == 202, "another token has places of its own"
        assert time.monotonic() - since < 10
        grown = memory(strict.gateway.pid) - memory_before
        assert grown < 200 << 20
        statuses = [connection.recv(12) for connection in connections]
    finally:
        for connection in connections:
            connection.close()
    assert statuses.count(b"HTTP/1.1 503") > 900
    assert set(statuses) <= {b"HTTP/1.1 503", b"HTTP/1.1 408"}
    assert slow.submit(*films).status_code == 202, "and its own places are free again"


def test_uploads_at_the_same_time_leave_the_gateway_no_larger(own_site: Any) -> None:
    own_site.serve()
    client = own_site.client("many")
    rubbish = PART + bytes(6 << 20) + b"\r\n--xyz--\r\n"
    headers = {
        "Authorization": f"Bearer {client.token}",
        "Content-Type": "multipart/form-data; boundary=xyz",
    }

    def send(number: int) -> None:
        with ThreadPoolExecutor(number) as pool:
            answers = [
                pool.submit(requests.post, f"{client.url}/jobs", rubbish, headers=headers)
                for _ in range(number)
            ]
            assert {answer.result().status_code for answer in answers} == {422}

    send(2)
    memory_before = memory(own_site.gateway.pid)
    send(40)
    assert memory(own_site.gateway.pid) - memory_before < 20 << 20


@pytest.mark.parametrize("strict", [BEHIND_CADDY], indirect=True)
def test_connections_that_say_nothing_or_half_a_header_are_closed(strict: Any, client: Any) -> None:
    silent, half, after = connect(strict.url), connect(strict.url), connect(strict.url)
    with silent, half, after:
        half.sendall(b"GET /api/v1/health HTTP/1.1\r\nHost: ")
        after.sendall(
            b"GET /api/v1/health HTTP/1.1\r\nHost: localhost\r\n\r\nGET /ap"
        )  # a second one, by halves
        assert after.recv(15) == b"HTTP/1.1 200 OK"
        stop = threading.Event()

        def drip() -> None:
            while not stop.wait(0.2):
                try:
                    half.sendall(b"x")
                except OSError:
                    return

        dripping = threading.Thread(target=drip)
        dripping.start()
        try:
            assert silent.recv(1) == b""
            while after.recv(65536):
                pass
            dripping.join(20)
            assert not dripping.is_alive(), "it goes on for ever"
        finally:
            stop.set()
            dripping.join()


def test_a_client_that_takes_nothing_of_its_answer_is_hung_up_on(
    strict: Any, client: Any, films: list[Path]
) -> None:
    (job,) = client.submit(*films).json()["jobs"]
    folder = strict.folder / "results" / job["job_id"] / job["study_instance_uid"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "result.json").write_text(json.dumps({"job_id": job["job_id"]}))
    with (folder / "large.bin").open("wb") as large:
        large.truncate(256 << 20)
    memory_before = memory(strict.gateway.pid)

    def cut_off() -> list[dict]:
        said = [json.loads(line) for line in list(strict.logged)]
        return [line for line in said if line.get("sent", 0) > 1 << 16]

    for path in ("results/large.bin", "results.zip"):
        strict.logged.clear()
        with connect(client.url) as connection:
            request = f"GET /api/v1/jobs/{job['job_id']}/{path} HTTP/1.1\r\nHost: localhost\r\n"
            connection.sendall(f"{request}Authorization: Bearer {client.token}\r\n\r\n".encode())
            assert wait_for(lambda: bool(cut_off()), 20), "it waits for ever"
        assert cut_off()[0]["sent"] < 64 << 20
    assert memory(strict.gateway.pid) - memory_before < 32 << 20
    shutil.rmtree(folder)


def test_too_many_requests_of_one_token_have_to_wait_and_others_do_not(own_site: Any) -> None:
    own_site.serve(BCD_GATEWAY_REQUESTS="40")
    eager, other = own_site.client("eager"), own_site.client("other")
    answers = [eager.get("/jobs") for _ in range(20)]
    assert [answer.status_code for answer in answers[:10]] == [200] * 10
    late = next(answer for answer in answers if answer.status_code != 200)
    problem(late, 429)
    assert 1 <= int(late.headers["Retry-After"]) <= 3
    assert other.get("/jobs").status_code == 200
    assert wait_for(lambda: eager.get("/jobs").status_code == 200, 10)
