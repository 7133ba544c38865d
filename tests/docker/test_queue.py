"""The queue of compose.yaml without a container: its command, its redis.conf and its health check."""

import os
import shlex
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from worker.engine.client import find_redis_server
from worker.engine.host import wait_for

PASSWORD = "0123456789abcdef"
pytestmark = pytest.mark.redis


class Queue:
    """Redis as the compose file starts it, but for its folder and its port."""

    def __init__(self, compose, folder: Path, server: Path) -> None:
        service = compose.filled_in(REDIS_PASSWORD=PASSWORD)["services"]["redis"]
        self.port = free_port()
        self._configure(compose.path.parent / "redis.conf", folder)
        inside = next(volume.split(":")[1] for volume in service["volumes"] if "redis.conf" in volume)
        *shell, script = service["command"]
        assert inside in script
        self._command = [*shell, script.replace(inside, shlex.quote(str(folder / "redis.conf")))]
        kind, test = service["healthcheck"]["test"]
        assert kind == "CMD-SHELL"
        self._health = test.replace("redis-cli", f"redis-cli -p {self.port}")
        self._environment = {**service["environment"], "PATH": f"{server.parent}:{os.environ['PATH']}"}
        self.process: subprocess.Popen | None = None

    def _configure(self, conf: Path, folder: Path) -> None:
        data = folder / "data"
        data.mkdir()
        text = conf.read_text()
        assert "\ndir /data\n" in text
        place = f"\ndir {data}\nbind 127.0.0.1\nport {self.port}\n"
        (folder / "redis.conf").write_text(text.replace("\ndir /data\n", place))

    def start(self) -> None:
        self.process = subprocess.Popen(self._command, env=self._environment, stdout=subprocess.DEVNULL)
        assert wait_for(self.healthy, 30)

    def run(self, **environment: str) -> subprocess.CompletedProcess[str]:
        """Start it, expecting it to end by itself."""
        return subprocess.run(
            self._command,
            env=self._environment | environment,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    def healthy(self, **environment: str) -> bool:
        command = ["sh", "-c", self._health]
        environment = self._environment | environment
        return subprocess.run(command, env=environment, capture_output=True, check=False).returncode == 0

    def ask(self, *words: str) -> str:
        command = ["redis-cli", "-p", str(self.port), *words]
        run = subprocess.run(command, env=self._environment, capture_output=True, text=True, check=True)
        return run.stdout.strip()

    def end(self, number: signal.Signals) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(20)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def queue(compose, tmp_path: Path) -> Iterator[Queue]:
    server = find_redis_server()
    if server is None or shutil.which("redis-cli", path=f"{server.parent}:{os.environ['PATH']}") is None:
        pytest.skip("needs redis-server and redis-cli")
    queue = Queue(compose, tmp_path, server)
    yield queue
    if queue.process is not None and queue.process.poll() is None:
        queue.end(signal.SIGKILL)


def test_it_keeps_what_a_queue_must_keep(queue):
    queue.start()
    assert queue.ask("config", "get", "appendonly").split() == ["appendonly", "yes"]
    assert queue.ask("config", "get", "appendfsync").split() == ["appendfsync", "always"]
    assert queue.ask("config", "get", "maxmemory-policy").split() == ["maxmemory-policy", "noeviction"]
    assert queue.ask("config", "get", "maxmemory").split() == ["maxmemory", str(512 << 20)]


def test_what_was_accepted_is_there_after_it_was_killed(queue):
    queue.start()
    assert queue.ask("set", "bcd:job:1", "accepted") == "OK"
    queue.end(signal.SIGKILL)
    queue.start()
    assert queue.ask("get", "bcd:job:1") == "accepted"


def test_the_password_is_asked_for_and_stands_on_no_command_line(queue):
    queue.start()
    with socket.create_connection(("127.0.0.1", queue.port), 10) as client:
        client.sendall(b"GET x\r\n")
        assert client.recv(100).startswith(b"-NOAUTH")
    assert not queue.healthy(REDISCLI_AUTH="wrong")
    assert queue.process is not None
    assert PASSWORD.encode() not in Path(f"/proc/{queue.process.pid}/cmdline").read_bytes()


def test_a_stop_ends_it_at_once(queue):
    """The shell has become Redis, so that the signal reaches it."""
    queue.start()
    assert queue.end(signal.SIGTERM) == 0


def test_a_password_that_would_break_the_address_is_refused(queue):
    ended = queue.run(REDISCLI_AUTH="se@cret/word")
    assert ended.returncode != 0
    assert ended.stderr.splitlines() == [
        "REDIS_PASSWORD: use letters and digits, as openssl rand -hex 24 gives"
    ]
