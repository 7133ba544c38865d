"""A real gateway on loopback, with a real Redis and, where a test needs one, a real worker."""

import json
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import redis
import requests

from tests.support.caddy import BEHIND_CADDY, in_front_of
from tests.support.command_line import make_admin
from tests.support.wire import LIMIT
from worker.engine.client import embedded_engine
from worker.engine.host import wait_for
from worker.gateway.storage.folders import private_root
from worker.gateway.tokens import Tokens
from worker.settings import load_settings


@dataclass
class Client:
    """What a program with one token does."""

    url: str
    token: str = ""
    session: requests.Session = field(default_factory=requests.Session)

    def __call__(self, method: str, path: str, **named: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        headers |= named.pop("headers", {})
        return self.session.request(method, f"{self.url}{path}", headers=headers, timeout=60, **named)

    def get(self, path: str, **named: Any) -> requests.Response:
        return self("GET", path, **named)

    def post(self, path: str, **named: Any) -> requests.Response:
        return self("POST", path, **named)

    def submit(self, *files: Path | tuple[str, bytes], **fields: str) -> requests.Response:
        """Submit files, or (name, content)."""
        named = [(f.name, f.read_bytes()) if isinstance(f, Path) else f for f in files]
        return self.post("/jobs", files=[("files", file) for file in named], data=fields)

    def ended(self, job: str, seconds: float = 60) -> dict:
        """The job when it has ended; fails if it does not."""
        found: dict = {}

        def over() -> bool:
            found.update(self.get(f"/jobs/{job}").json())
            return found.get("state") not in ("queued", "running")

        assert wait_for(over, seconds), found
        return found


@dataclass
class Site:
    """A Redis, and what is started beside it."""

    admin: Any
    broker: str
    gateway: subprocess.Popen | None = None
    url: str = ""
    clients: list[Client] = field(default_factory=list)
    logged: list[str] = field(default_factory=list)
    reader: threading.Thread | None = None

    @property
    def folder(self) -> Path:
        return self.admin.state / "gateway"

    def serve(self, **environment: str) -> str:
        """Start the gateway; its address."""
        self.gateway = self.admin.start(
            "serve", "--port", "0", BCD_BROKER_URL=self.broker, BCD_LOG_FORMAT="json", **environment
        )
        stream = self.gateway.stderr
        assert stream is not None
        for line in stream:
            if line.startswith("the gateway is at "):
                self.url = line.split()[-1]
                break
        else:
            raise AssertionError("the gateway did not start")
        self.logged = []
        # read all the time, or the gateway would wait for room in the pipe
        self.reader = threading.Thread(target=lambda: [self.logged.append(line) for line in stream])
        self.reader.start()
        return self.url

    def stop(self, number: int = signal.SIGTERM) -> list[dict]:
        """End the gateway; what it logged since it was started."""
        assert self.gateway is not None and self.reader is not None
        self.gateway.send_signal(number)
        self.gateway.wait(timeout=30)
        self.reader.join()
        if number == signal.SIGTERM:
            assert self.gateway.returncode == 0, self.logged
        return [json.loads(line) for line in self.logged]

    def close(self) -> None:
        """End everything."""
        for client in self.clients:
            client.session.close()
        if self.gateway is not None and self.gateway.poll() is None:
            self.stop(signal.SIGKILL)
        self.admin.close()

    def work(self, **environment: str) -> subprocess.Popen:
        """Start a worker, and wait until it is at work."""
        worker = self.admin.start("worker", BCD_BROKER_URL=self.broker, BCD_LEASE_SECONDS="4", **environment)
        assert worker.stderr is not None
        for line in worker.stderr:
            if json.loads(line)["event"] == "ready":
                return worker
        raise AssertionError("the worker did not start")

    def client(self, name: str) -> Client:
        """A client with a token of its own."""
        folder = self.admin.environment.get("BCD_GATEWAY_DIR")
        settings = load_settings(state_dir=self.admin.state, gateway_dir=folder)
        client = Client(self.url, Tokens(private_root(settings)).create(name))
        self.clients.append(client)
        return client

    def processes(self) -> dict[int, str]:
        return self.admin.processes()


@pytest.fixture(scope="module")
def site_of_module(tmp_path_factory: pytest.TempPathFactory, weights: Path) -> Iterator[Site]:
    yield from _site(tmp_path_factory.mktemp("site"), weights)


@pytest.fixture
def own_site(tmp_path: Path, weights: Path) -> Iterator[Site]:
    """A site for one test, which may break it."""
    yield from _site(tmp_path, weights)


def _site(folder: Path, weights: Path) -> Iterator[Site]:
    with embedded_engine(folder / "redis") as engine:
        made = Site(make_admin(folder, weights), engine.url)
        try:
            yield made
        finally:
            made.close()
    made.admin.eventually(lambda: not made.processes(), 20)


@pytest.fixture(scope="module")
def served(site_of_module: Site) -> Site:
    """A gateway without a worker, for all tests of a module."""
    site_of_module.serve()
    return site_of_module


@pytest.fixture(scope="module")
def working(served: Site) -> Site:
    """A gateway with a worker."""
    served.work()
    return served


@pytest.fixture
def films(patients: list[Path]) -> list[Path]:
    """The films of one study."""
    return sorted(patients[0].glob("*.dcm"))


@pytest.fixture(scope="module", params=["on loopback", BEHIND_CADDY])
def strict(
    request: pytest.FixtureRequest, site_of_module: Site, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """A gateway with small limits, as it is and as other machines reach it."""
    site = site_of_module
    site.serve(
        BCD_GATEWAY_UPLOAD_BYTES=str(LIMIT),
        BCD_GATEWAY_UPLOAD_FILES="8",
        BCD_GATEWAY_FILM_BYTES=str(LIMIT // 4),
        BCD_GATEWAY_UNPACKED_BYTES=str(8 * LIMIT),
        BCD_GATEWAY_ZIP_RATIO="50",
        BCD_GATEWAY_UPLOADS="8",
        BCD_GATEWAY_REQUESTS="100000",
        BCD_GATEWAY_IDLE_SECONDS="2",
    )
    if request.param == "on loopback":
        yield site
    else:
        with in_front_of(site.url, tmp_path_factory.mktemp("caddy")) as site.url:
            yield site
    site.stop()
    shutil.rmtree(site.folder)
    with redis.Redis(unix_socket_path=site.broker.removeprefix("redis+socket://")) as store:
        store.flushall()


@pytest.fixture(autouse=True)
def nothing_left_behind(request: pytest.FixtureRequest) -> Iterator[None]:
    site = request.getfixturevalue("strict") if "strict" in request.fixturenames else None
    yield
    if site is not None:
        incoming = site.folder / "uploads" / ".incoming"
        assert wait_for(lambda: not list(incoming.iterdir()), 20), list(incoming.rglob("*"))
