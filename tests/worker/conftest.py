"""Small films, a small model with random weights, and the command line as a user runs it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from tests.support.batch_site import Site
from tests.support.command_line import Admin, Answer, make_admin
from tests.support.proxy import Proxy
from tests.support.small_studies import make_studies, make_weights
from worker.cli import main
from worker.engine.client import embedded_engine
from worker.queue.records import Records


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weight file with random weights: a real model, small and quick, that is never right."""
    return make_weights(tmp_path_factory.mktemp("weights") / "tiny.safetensors", seed=0)


@pytest.fixture(scope="session")
def other_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another model."""
    return make_weights(tmp_path_factory.mktemp("weights") / "other.safetensors", seed=1)


@pytest.fixture(scope="session")
def studies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two converted phantom studies of two small films each, with their truth.json."""
    return make_studies(tmp_path_factory.mktemp("studies"), patients=2, side=256)


@pytest.fixture(scope="session")
def patients(studies: Path) -> list[Path]:
    """The folders of the two studies."""
    return sorted(path for path in studies.iterdir() if path.is_dir())


@pytest.fixture(scope="session")
def many_studies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Enough studies to be in the middle of them for some seconds."""
    return make_studies(tmp_path_factory.mktemp("many"), patients=8, side=256)


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
    return _in_this_process(admin, monkeypatch, capsys)


@pytest.fixture
def near(
    kept: Admin, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Answer]:
    """The command line of ``kept``, run in this process: its engine and worker are processes all the same."""
    return _in_this_process(kept, monkeypatch, capsys)


def _in_this_process(
    admin: Admin, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Answer]:
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
