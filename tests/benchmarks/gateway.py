"""How quickly the gateway answers when many submit at once, and whether its memory stays where it is; Linux.

    python tests/benchmarks/gateway.py [--clients 50] [--rounds 8] [--side 1024]

Each client has a token of its own and submits a study of four films, a new one in every round, all clients at
the same moment. The answer is timed from the first byte sent to the last one received. Redis is real; there
is no worker, so that what is measured is the gateway. Exit code 1 if any answer is not 202, or if the
gateway's memory grows by more than a tenth after the second round.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

from converters.mias_dicom import convert_mias
from converters.phantom import write_phantom
from worker.engine import embedded_engine
from worker.engine_host import module_command

FILMS = 4
BOUNDARY = "bcd-benchmark"


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--side", type=int, default=1024, help="rows and columns of a film")
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

        tokens = [admin("token", "create", f"client-{number}").strip() for number in range(options.clients)]
        with (folder / "log").open("w+") as log:
            gateway = subprocess.Popen(
                module_command("worker", "serve", "--port", "0"), env=environment, stderr=log
            )
            try:
                address = address_of(folder / "log")
                return measure(gateway.pid, address, tokens, films, options.rounds)
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
    flat = max(levels[1:], default=0.0) <= 1.1 * levels[min(1, rounds - 1)]
    print(f"not answered: {wrong}; memory after the second round {'flat' if flat else 'NOT FLAT'}")
    return 0 if flat and not wrong else 1


def at_once(address: str, tokens: list[str], bodies: list[bytes]) -> list[tuple[float, int]]:
    """Seconds and status of each client's submission."""
    start = threading.Barrier(len(tokens))
    answers: list[tuple[float, int]] = []

    def submit(token: str, body: bytes) -> None:
        parts = urlsplit(address)
        connection = HTTPConnection(parts.hostname or "", parts.port, timeout=120)
        connection.connect()
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
        parts.append(
            f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\n'.encode()
            + film
            + b"\r\n"
        )
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
