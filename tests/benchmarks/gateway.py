"""How quickly the gateway answers when many submit at once, and whether its memory stays where it is; Linux.

    python -m tests.benchmarks.gateway [--clients 50] [--rounds 8] [--side 1024] [--half-open 1000]
        [--caddy]

Each client has a token of its own and submits a study of four films, a new one in every round, all clients at
the same moment. The answer is timed from the first byte sent to the last one received. Redis is real; there
is no worker, so that what is measured is the gateway.

With ``--caddy`` all goes over TLS through Debian's Caddy and ``docker/Caddyfile``; the memory is that of
the gateway.

Then one more token begins so many uploads at once and goes on with none, while a client submits as before.
Each is to be refused, because there are too many (503), too many requests (429) or nothing comes (408).

Exit code 1 if any answer is another one, or if the gateway's memory grows by more than a tenth after the
second round.
"""

from __future__ import annotations

import argparse
import json
import resource
import selectors
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import ExitStack
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from converters.mias.phantom import write_phantom
from converters.mias.to_dicom import convert_mias
from tests.support.caddy import in_front_of
from tests.support.wire import BEGINNING, connect
from worker.engine.client import embedded_engine
from worker.engine.host import module_command

FILMS = 4
BOUNDARY = "bcd-benchmark"
PART = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\n'.encode()
REFUSALS = {408, 429, 503}
PATIENCE = 60.0  # seconds


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--side", type=int, default=1024, help="rows and columns of a film")
    parser.add_argument("--half-open", type=int, default=1000, help="uploads that stop in the middle")
    parser.add_argument("--caddy", action="store_true", help="through Debian's Caddy, with TLS")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, embedded_engine(Path(name, "redis")) as engine:
        folder = Path(name)
        films = make_films(folder / "films", options.side)
        environment = {
            "PATH": "/usr/bin:/bin",
            "BCD_STATE_DIR": str(folder / "state"),
            "BCD_BROKER_URL": engine.url,
        }

        def admin(*arguments: str) -> str:
            command = module_command("worker", *arguments)
            return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout

        *tokens, stuck = [
            admin("token", "create", f"client-{number}").strip() for number in range(options.clients + 1)
        ]
        with (folder / "log").open("w+") as log, ExitStack() as stack:
            gateway = subprocess.Popen(
                module_command("worker", "serve", "--port", "0"), env=environment, stderr=log
            )
            try:
                address = address_of(folder / "log")
                if options.caddy:
                    address = stack.enter_context(in_front_of(address, folder / "caddy"))
                code = measure(gateway.pid, address, tokens, films, options.rounds)
                if options.half_open:
                    body = body_of(films, options.rounds * options.clients)
                    code |= measure_half_open(gateway.pid, address, stuck, options.half_open, tokens[0], body)
                return code
            finally:
                gateway.terminate()
                gateway.wait()


def measure(pid: int, address: str, tokens: list[str], films: list[bytes], rounds: int) -> int:
    """Run the rounds; the exit code."""
    size = sum(map(len, films))
    print(f"{len(tokens)} clients, {FILMS} films each, {size / 1e6:.1f} MB a study")
    print("ROUND  ANSWERED  MEDIAN s  P95 s  LONGEST s  GATEWAY MB")
    print(f"{'-':>5}{'':>39}  {memory(pid):10.1f}")
    wrong, levels = 0, []
    for number in range(rounds):
        bodies = [body_of(films, number * len(tokens) + client) for client in range(len(tokens))]
        answers = at_once(address, tokens, bodies)
        times = sorted(seconds for seconds, _ in answers)
        good = sum(status == 202 for _, status in answers)
        wrong += len(tokens) - good
        levels.append(memory(pid))
        p95 = times[max(0, round(0.95 * len(times)) - 1)]
        print(
            f"{number + 1:5}  {good:8}  {statistics.median(times):8.2f}  {p95:5.2f}  {times[-1]:9.2f}"
            f"  {levels[-1]:10.1f}",
            flush=True,
        )
    flat = all(level <= 1.1 * levels[1] for level in levels[2:])
    print(f"not answered: {wrong}; memory after the second round {'flat' if flat else 'NOT FLAT'}")
    return 0 if flat and not wrong else 1


def measure_half_open(pid: int, address: str, stuck: str, number: int, token: str, body: bytes) -> int:
    """Begin ``number`` uploads as ``stuck``, submit ``body`` as ``token`` meanwhile; the exit code."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    parts = urlsplit(address)
    head = (
        f"POST {parts.path}/jobs HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {stuck}\r\n"
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\nContent-Length: 1000000\r\n\r\n"
    ).encode()
    with ExitStack() as stack:
        since = time.perf_counter()
        selector = stack.enter_context(selectors.DefaultSelector())
        for _ in range(number):
            connection = stack.enter_context(connect(address))
            connection.sendall(head + PART + BEGINNING)
            selector.register(connection, selectors.EVENT_READ)
        begun = time.perf_counter() - since
        ((submitted, status),) = at_once(address, [token], [body])
        level = memory(pid)
        answers: Counter[int] = Counter()
        last: dict[int, float] = {}
        while selector.get_map() and time.perf_counter() - since < PATIENCE:
            for key, _ in selector.select(1.0):
                answer = status_of(key.fileobj)
                selector.unregister(key.fileobj)
                answers[answer] += 1
                last[answer] = time.perf_counter() - since
        unanswered = len(selector.get_map())
    print(f"{number} uploads begun in {begun:.2f} s that stop in the middle; gateway {level:.1f} MB")
    print(f"meanwhile another client's study: {status} in {submitted:.2f} s")
    print("ANSWER  UPLOADS  LAST AFTER s")
    for answer, count in sorted(answers.items()):
        print(f"{answer:6}  {count:7}  {last[answer]:12.2f}")
    good = not unanswered and set(answers) <= REFUSALS and status == 202
    print(f"without an answer: {unanswered}; {'all' if good else 'NOT ALL'} as it should be")
    return 0 if good else 1


def status_of(connection: Any) -> int:
    """The status of the answer that has come; 0 without one."""
    try:
        words = connection.recv(12).split()
    except OSError:
        return 0
    return int(words[1]) if len(words) == 2 else 0


def at_once(address: str, tokens: list[str], bodies: list[bytes]) -> list[tuple[float, int]]:
    """Seconds and status of each client's submission."""
    start = threading.Barrier(len(tokens))
    answers: list[tuple[float, int]] = []

    def submit(token: str, body: bytes) -> None:
        parts = urlsplit(address)
        connection = HTTPConnection(parts.hostname or "", parts.port, timeout=120)
        connection.sock = connect(address)
        connection.sock.settimeout(120)
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        start.wait()
        since = time.perf_counter()
        headers = {
            "Authorization": f"Bearer {token}",
            "Content-Type": f"multipart/form-data; boundary={BOUNDARY}",
        }
        connection.request("POST", f"{parts.path}/jobs", body, headers)
        answer = connection.getresponse()
        content = json.loads(answer.read())
        seconds = time.perf_counter() - since
        new = answer.status == 202 and content["jobs"][0]["submission"] == "queued"
        answers.append((seconds, answer.status if new else 0))
        connection.close()

    threads = [threading.Thread(target=submit, args=pair) for pair in zip(tokens, bodies, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers + [(120.0, 0)] * (len(tokens) - len(answers))


def make_films(folder: Path, side: int) -> list[bytes]:
    """The files of a study of four phantom films."""
    write_phantom(folder / "films", patients=FILMS // 2, shape=(side, side))
    convert_mias(folder / "films", folder / "dicom")
    paths = sorted((folder / "dicom").rglob("*.dcm"))[:FILMS]
    return [path.read_bytes() for path in paths]


def body_of(films: list[bytes], number: int) -> bytes:
    """A form with these films as study ``number``: other UIDs of the same length."""
    from pydicom import dcmread
    from pydicom.filebase import DicomBytesIO

    parts = []
    for film in films:
        header = dcmread(DicomBytesIO(film), stop_before_pixels=True)
        for value, seed in ((header.StudyInstanceUID, "1"), (header.SOPInstanceUID, "")):
            new = (value[:-6] if not seed else "2.25." + "1" * (len(value) - 11)) + f"{900_000 + number}"
            film = film.replace(value.encode(), new.encode())
        parts.append(PART + film + b"\r\n")
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def address_of(log: Path) -> str:
    """Where the gateway listens, once it says so."""
    for _ in range(600):
        for line in log.read_text().splitlines():
            if line.startswith("the gateway is at "):
                return line.split()[-1]
        time.sleep(0.1)
    raise SystemExit(f"the gateway did not start: {log.read_text()}")


def memory(pid: int) -> float:
    """Resident MB of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    (line,) = [row for row in status.splitlines() if row.startswith("VmRSS")]
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    sys.exit(main())
