"""The command line as a user runs it: ``bcd-admin`` in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from worker.engine.host import socket_path, wait_for
from worker.queue.records import Records


@dataclass
class Answer:
    code: int
    out: str
    err: str

    @property
    def json(self) -> dict:
        return json.loads(self.out)

    @property
    def error(self) -> str:
        """The one line of the error; fails the test if there are more or a traceback."""
        lines = [line for line in self.err.splitlines() if line.startswith("bcd-admin: error:")]
        assert len(lines) == 1, self.err
        assert "Traceback" not in self.err
        return lines[0].removeprefix("bcd-admin: error: ")


@dataclass
class Admin:
    """``bcd-admin`` in a process of its own, with a state folder, a model and a current folder of its own."""

    folder: Path
    environment: dict[str, str]
    started: list[subprocess.Popen] = field(default_factory=list)

    @property
    def state(self) -> Path:
        return Path(self.environment["BCD_STATE_DIR"])

    def command(self, *arguments: object) -> list[str]:
        return [sys.executable, "-P", "-m", "worker", *map(str, arguments)]

    def __call__(self, *arguments: object, timeout: float = 120, **environment: str) -> Answer:
        done = subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            env=self.environment | environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    def start(self, *arguments: object, **environment: str) -> subprocess.Popen:
        process = subprocess.Popen(
            self.command(*arguments),
            cwd=self.folder,
            env=self.environment | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # A test run in the background of a script has Ctrl-C ignored, and children inherit that.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        self.started.append(process)
        return process

    def processes(self) -> dict[int, str]:
        """Every living process that runs with this state folder: pid and command line."""
        return processes_with(f"BCD_STATE_DIR={self.state}")

    @staticmethod
    def eventually(condition: Callable[[], object], seconds: float = 60) -> None:
        """Fail unless ``condition`` comes true in time."""
        assert wait_for(lambda: bool(condition()), seconds), "it did not happen in time"

    def records(self) -> Records:
        """The job records, while the embedded engine runs."""
        return Records(f"redis+socket://{socket_path(self.state)}")

    def close(self) -> None:
        for process in self.started:
            if process.poll() is None:
                process.kill()
            process.communicate()


def make_admin(folder: Path, weights: Path) -> Admin:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("BCD_")}
    settings = {
        "BCD_SETTINGS": os.devnull,
        "BCD_STATE_DIR": str(folder / "state"),
        "BCD_MODEL": str(weights),
        "BCD_TORCH_THREADS": "1",
        "BCD_WORKER_PROCESSES": "1",
        "OMP_NUM_THREADS": "1",
    }
    (folder / "work").mkdir()
    return Admin(folder / "work", clean | settings)


def processes_with(variable: str) -> dict[int, str]:
    """Living processes whose environment holds ``variable`` (Linux)."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            environment = (entry / "environ").read_bytes().split(b"\0")
            state = (entry / "stat").read_text().rsplit(")", 1)[1].split()[0]
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if variable.encode() in environment and state != "Z":
            found[int(entry.name)] = command
    return found
