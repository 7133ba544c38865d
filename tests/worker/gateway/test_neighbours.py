"""What one token sends costs another nothing, and the gateway no more than it has."""

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.support.hostile import UPLOADS, film
from tests.support.wire import MARKED, PART, connect, head, memory, memory_of_all
from worker.engine.host import wait_for
from worker.gateway.problems import ProblemError
from worker.gateway.upload.inspector import Inspector

pytestmark = pytest.mark.redis

MOST_SECONDS = 2.0
MOST_MEMORY = 1_000_000_000
LOOK_SECONDS = 6
NUMBERS = count(1_000_000)


@pytest.fixture(scope="module")
def busy(site_of_module: Any) -> Any:
    site_of_module.serve(
        BCD_GATEWAY_LOOK_SECONDS=str(LOOK_SECONDS),
        BCD_GATEWAY_JOBS="100000",
        BCD_GATEWAY_REQUESTS="100000",
    )
    return site_of_module


@pytest.fixture(scope="module")
def one(busy: Any) -> Any:
    return busy.client("one")


@pytest.fixture(scope="module")
def other(busy: Any) -> Any:
    found = busy.client("other")
    found.submit(("film.dcm", film(next(NUMBERS))))
    return found


@pytest.mark.parametrize("what", UPLOADS)
def test_another_tokens_film_is_answered_beside_the_worst_uploads(
    busy: Any, one: Any, other: Any, what: str
) -> None:
    files = UPLOADS[what]()
    over = threading.Event()
    before = memory(busy.gateway.pid)
    seconds, highest = [], [0]

    def watch() -> None:
        while not over.wait(0.02):
            highest.append(memory_of_all(busy.gateway.pid))

    with ThreadPoolExecutor(2) as pool:
        watching = pool.submit(watch)
        try:
            sent = pool.submit(one.submit, *files)
            while not sent.done() or not seconds:
                since = time.monotonic()
                assert other.submit(("film.dcm", film(next(NUMBERS)))).status_code == 202
                seconds.append(time.monotonic() - since)
                time.sleep(0.1)
        finally:
            over.set()
        watching.result()
    answer = sent.result()
    assert answer.status_code in (202, 413, 422), answer.text
    assert max(seconds) < MOST_SECONDS
    assert max(highest) < MOST_MEMORY
    assert memory(busy.gateway.pid) - before < 50 << 20, "it is not left large"


def test_many_uploads_of_one_token_leave_another_its_turn(one: Any, other: Any) -> None:
    files = UPLOADS["a zip of few bytes that become many"]()
    with ThreadPoolExecutor(5) as pool:
        sent = [pool.submit(one.submit, *files) for _ in range(5)]
        while not all(answer.done() for answer in sent):
            since = time.monotonic()
            assert other.submit(("film.dcm", film(next(NUMBERS)))).status_code == 202
            assert time.monotonic() - since < MOST_SECONDS
            time.sleep(0.3)
    assert {answer.result().status_code for answer in sent} <= {413, 422}


def test_a_body_in_chunks_of_one_byte_is_cut_off_and_delays_no_other(one: Any, other: Any) -> None:
    """Each costs a turn of the one thread that receives all bodies."""
    small, over = b"1\r\nx\r\n" * 10_000, threading.Event()

    def send() -> int:
        connections = 0
        while not over.is_set():
            connections += 1
            with connect(one.url) as connection, suppress(OSError):
                connection.sendall(head(one, "Transfer-Encoding: chunked"))
                connection.sendall(b"%x\r\n%b\r\n" % (len(PART), PART))
                while not over.is_set():
                    connection.sendall(small)
        return connections

    large = film(next(NUMBERS), pixels=bytes(64 * 64) + os.urandom(1 << 20))
    with ThreadPoolExecutor(2) as pool:
        sending = [pool.submit(send)]
        try:
            for number in range(3):
                since = time.monotonic()
                assert other.submit(("film.dcm", large + bytes([number]))).status_code == 202
                assert time.monotonic() - since < MOST_SECONDS
        finally:
            over.set()
    assert all(sent.result() > 1 for sent in sending)


def test_a_body_in_many_reasonable_chunks_is_taken(one: Any) -> None:
    body = PART + film(next(NUMBERS), pixels=bytes(64 * 64) + os.urandom(6 << 20)) + b"\r\n--xyz--\r\n"
    pieces = (body[at : at + 1000] for at in range(0, len(body), 1000))
    answer = one.post("/jobs", data=pieces, headers={"Content-Type": "multipart/form-data; boundary=xyz"})
    assert answer.status_code == 202, answer.text


@pytest.fixture
def inspector() -> Any:
    made = Inspector(2.0)
    yield made
    made.close()


@pytest.mark.parametrize(
    ("call", "status", "said"),
    [
        (partial(time.sleep, 60), 413, "more than 2 s"),
        (partial(bytes, 8 << 30), 422, "could not be looked through"),
        (partial(int, MARKED), 422, "could not be looked through"),
    ],
)
def test_what_takes_too_long_or_too_much_is_ended_and_reported(
    inspector: Inspector, call: Any, status: int, said: str
) -> None:
    since = time.monotonic()
    with pytest.raises(ProblemError, match=said) as caught:
        inspector.run(call)
    assert caught.value.status == status
    assert "arked" not in str(caught.value)
    assert time.monotonic() - since < 10


def test_the_server_is_started_anew_if_it_was_killed(inspector: Inspector) -> None:
    for _ in range(2):
        pid = inspector.run(os.getppid)
        assert pid != os.getpid()
        os.kill(pid, signal.SIGKILL)
        assert wait_for(lambda pid=pid: not alive(pid), 10)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_nothing_is_left_of_a_gateway_that_is_killed(own_site: Any) -> None:
    own_site.serve(BCD_GATEWAY_LOOK_SECONDS="10")
    client = own_site.client("reader")
    files = UPLOADS["a zip of films with many items"]()
    with ThreadPoolExecutor(1) as pool:
        sent = pool.submit(client.submit, *files)
        assert wait_for(lambda: len(own_site.processes()) >= 3, 20), "it is not looked through"
        own_site.stop(signal.SIGKILL)
        with pytest.raises(requests.ConnectionError):
            sent.result()
    assert wait_for(lambda: not own_site.processes(), 20), own_site.processes()
