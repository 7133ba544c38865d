"""Small films, a small model with random weights, and the command line as a user runs it."""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import redis
import torch

# The helpers beside this file are modules of no package (pytest runs in importlib mode).
sys.path.insert(0, str(Path(__file__).parent))

from batch_site import Site

from bcd_model.detector.model import save_model
from bcd_model.detector.network import ScanningBCDCNN, initialise
from bcd_model.words import OperatingPoint
from converters.mias.phantom import write_phantom
from converters.mias.to_dicom import convert_mias
from worker.cli import main
from worker.engine.client import embedded_engine
from worker.engine.host import socket_path, wait_for
from worker.queue.records import Records

# how kombu begins to acknowledge a message, and to hand one back
_ACKNOWLEDGEMENTS = (b"ZREM\r\n$13\r\nunacked_index", b"WATCH\r\n$7\r\nunacked")


class Proxy:
    """Stands between a worker and a Redis.

    ``deaf``, it hangs up on whoever acknowledges a message. ``stalled``, it passes nothing on; ``asked``
    is set when somebody waits for an answer then.
    """

    def __init__(self, redis: str) -> None:
        self.deaf = threading.Event()
        self.stalled = threading.Event()
        self.asked = threading.Event()
        self._over = threading.Event()
        self._redis = redis
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()
        self.url = f"redis://127.0.0.1:{self._listening.getsockname()[1]}/0"

    def close(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        with self._listening:
            while not self._over.is_set():
                if select.select([self._listening], [], [], 0.1)[0]:
                    client, _ = self._listening.accept()
                    self._threads.append(threading.Thread(target=self._pass_on, args=(client,)))
                    self._threads[-1].start()

    def _pass_on(self, client: socket.socket) -> None:
        with client, socket.socket(socket.AF_UNIX) as server, suppress(OSError):
            server.connect(self._redis)
            to = {client: server, server: client}
            while not self._over.is_set():
                for end in select.select(list(to), [], [], 0.1)[0]:
                    data = end.recv(1 << 16)
                    if not data or (self.deaf.is_set() and any(ack in data for ack in _ACKNOWLEDGEMENTS)):
                        return
                    while self.stalled.is_set() and not self._over.wait(0.1):
                        self.asked.set()
                    to[end].sendall(data)


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


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weight file with random weights: a real model, small and quick, that is never right."""
    return make_weights(tmp_path_factory.mktemp("weights") / "tiny.safetensors", seed=0)


@pytest.fixture(scope="session")
def other_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another model."""
    return make_weights(tmp_path_factory.mktemp("weights") / "other.safetensors", seed=1)


def make_weights(path: Path, seed: int) -> Path:
    torch.set_num_threads(1)
    network = ScanningBCDCNN(8)
    initialise(network, seed)
    save_model(
        path,
        network,
        name="tiny",
        version=str(seed),
        steps_mm=(1.6,),
        operating_point=OperatingPoint(0.3, 0.4, basis="random weights, for tests"),
    )
    return path


@pytest.fixture(scope="session")
def studies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two converted phantom studies of two small films each, with their truth.json."""
    return make_studies(tmp_path_factory.mktemp("studies"), patients=2, side=256)


def make_studies(folder: Path, patients: int, side: int, seed: int = 0) -> Path:
    write_phantom(folder / "films", patients=patients, seed=seed, shape=(side, side))
    convert_mias(folder / "films", folder / "dicom")
    return folder / "dicom"


@pytest.fixture(scope="session")
def patients(studies: Path) -> list[Path]:
    """The folders of the two studies."""
    return sorted(path for path in studies.iterdir() if path.is_dir())


@pytest.fixture(scope="session")
def many_studies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Enough studies to be in the middle of them for some seconds."""
    return make_studies(tmp_path_factory.mktemp("many"), patients=8, side=256)


def make_admin(folder: Path, weights: Path) -> Admin:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("BCD_")}
    settings = {
        "BCD_STATE_DIR": str(folder / "state"),
        "BCD_MODEL": str(weights),
        "BCD_TORCH_THREADS": "1",
        "BCD_WORKER_PROCESSES": "1",
        "OMP_NUM_THREADS": "1",
    }
    (folder / "work").mkdir()
    return Admin(folder / "work", clean | settings)


@pytest.fixture
def admin(tmp_path: Path, weights: Path) -> Iterator[Admin]:
    """A command line whose engine starts and ends with each command."""
    admin = make_admin(tmp_path, weights)
    yield admin
    admin.close()
    admin.eventually(lambda: not admin.processes(), 20)


@pytest.fixture
def local(
    admin: Admin, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Answer]:
    """The same command line, run in this process: quicker, for what starts nothing."""
    for name in [name for name in os.environ if name.startswith("BCD_")]:
        monkeypatch.delenv(name)
    for name, value in admin.environment.items():
        if name.startswith("BCD_"):
            monkeypatch.setenv(name, value)
    monkeypatch.chdir(admin.folder)

    def run(*arguments: object, **environment: str) -> Answer:
        with monkeypatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            capsys.readouterr()
            code = main([str(argument) for argument in arguments])
            captured = capsys.readouterr()
        return Answer(code, captured.out, captured.err)

    return run


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Redis that the tests of a module have to themselves."""
    with embedded_engine(tmp_path_factory.mktemp("redis")) as engine:
        yield engine.url


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[redis.Redis]:
    """Redis itself, for what only time or an accident does."""
    with redis.Redis(unix_socket_path=url.removeprefix("redis+socket://"), decode_responses=True) as client:
        yield client


@pytest.fixture
def records(url: str, client: redis.Redis) -> Records:
    """The job records of that Redis; none yet."""
    client.flushall()
    return Records(url)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB; needs the right to mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", disk]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a tmpfs")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


@pytest.fixture
def site(url: str, admin: Admin, local: Callable[..., Answer]) -> Iterator[Site]:
    """That Redis as a site where nobody is at work, with a command line; no jobs yet."""
    site = Site(url, admin, local)
    yield site
    site.records._redis.flushall()


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory, weights: Path) -> Iterator[Admin]:
    """A command line whose engine ``bcd-admin up`` keeps running for all tests of a module."""
    admin = make_admin(tmp_path_factory.mktemp("kept"), weights)
    up = admin.start("up", BCD_WORKER_PROCESSES="2")
    assert up.stderr is not None
    assert "is up" in up.stderr.readline()
    yield admin
    up.terminate()
    _, err = up.communicate(timeout=30)
    assert up.returncode == 0, err
    admin.close()
    admin.eventually(lambda: not admin.processes(), 20)


@pytest.fixture
def proxy(site: str) -> Iterator[Proxy]:
    """A proxy of the test module's own Redis."""
    proxy = Proxy(site.removeprefix("redis+socket://"))
    yield proxy
    proxy.close()
