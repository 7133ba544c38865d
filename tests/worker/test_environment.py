"""Variables that are set for another program's Celery do not lead ours astray."""

import importlib
import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from worker.environment import ignore_variables, let_idle_threads_sleep
from worker.pool.app import make_app
from worker.settings import load_settings

HARMLESS = {
    "ITERM_PROFILE",
    "NUMBER_OF_PROCESSORS",
    "TERM",
    "celery_dummy_proxy",
    # of Django, whose fix-up is switched off, and of billiard where a process is spawned, which ours are not
    "DJANGO_PROJECT_DIR",
    "DJANGO_SETTINGS_MODULE",
}
READS = re.compile(r"""(?:environ(?:\.get)?|getenv|_int_env|_float_env)\s*[\[(]\s*['"](\w+)""")
OTHER_TRANSPORTS = {"SLMQ.py", "gcpubsub.py"}


@pytest.fixture
def trap() -> Iterator[socket.socket]:
    """A broker that must not be asked."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        yield listening


def hostile(trap: socket.socket, folder: Path) -> dict[str, str]:
    """Everything that Celery would rather obey; a module that is imported for it leaves a file."""
    url = f"redis://127.0.0.1:{trap.getsockname()[1]}/0"
    (folder / "hostile.py").write_text(
        f"import pathlib\npathlib.Path({str(folder / 'was imported')!r}).touch()\nbroker_url = {url!r}\n"
        "task_always_eager = True\n"
    )
    return {
        "PYTHONPATH": os.pathsep.join([str(folder), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]),
        **dict.fromkeys(("CELERY_BROKER_URL", "CELERY_BROKER_READ_URL", "CELERY_BROKER_WRITE_URL"), url),
        "CELERY_RESULT_BACKEND": url,
        "CELERY_CONFIG_MODULE": "hostile",
        "CELERY_LOADER": "hostile",
        "CELERY_CUSTOM_WORKER_POOL": "hostile:Pool",
        "CELERY_TRACE_APP": "1",
        "CELERY_BENCH": "1",
        "CELERY_WORKER_REVOKES_MAX": "none",
        "DJANGO_SETTINGS_MODULE": "hostile",
        "C_STRICT_APP": "1",
        "FORKED_BY_MULTIPROCESSING": "1",
        "KOMBU_LOG_DEBUG": "1",
        "PICKLE_PROTOCOL": "none",
        "REMAP_SIGTERM": "SIGQUIT",
    }


def assert_untouched(trap: socket.socket, folder: Path) -> None:
    with pytest.raises(BlockingIOError):
        trap.accept()
    assert not (folder / "was imported").exists()


@pytest.mark.redis
def test_the_embedded_engine_works_beside_another_programs_celery(
    admin: Any, studies: Path, trap: socket.socket, tmp_path: Path
) -> None:
    environment = hostile(trap, tmp_path)
    answer = admin("submit", studies, "--json", **environment)
    assert answer.code == 0, answer.err
    assert {job["state"] for job in answer.json["jobs"]} == {"done"}
    assert_untouched(trap, tmp_path)


@pytest.mark.redis
def test_the_doctor_names_the_variables_that_are_ignored(
    admin: Any, trap: socket.socket, tmp_path: Path
) -> None:
    environment = hostile(trap, tmp_path)
    answer = admin("doctor", "--json", **environment)
    assert answer.code == 0, answer.out
    found = " ".join(check["found"] for check in answer.json["checks"] if check["state"] == "warn")
    for name in set(environment) - {"PYTHONPATH", "DJANGO_SETTINGS_MODULE"}:
        assert f"{name} is set and ignored" in found
    assert_untouched(trap, tmp_path)


def test_an_application_says_itself_what_it_is(
    trap: socket.socket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in hostile(trap, tmp_path).items():
        monkeypatch.setenv(name, value)
    app = make_app(load_settings(broker_url="redis://localhost:6379/7"))
    urls = {app.conf.broker_url, app.conf.broker_read_url, app.conf.broker_write_url}
    assert urls == {"redis://localhost:6379/7"}
    assert app.conf.result_backend is None
    assert app.conf.task_ignore_result
    assert not app.conf.task_always_eager
    assert_untouched(trap, tmp_path)


def test_every_variable_that_celery_reads_is_known() -> None:
    read: set[str] = set()
    for package in ("celery", "kombu", "billiard"):
        installed = Path(str(importlib.import_module(package).__file__)).parent
        for path in installed.rglob("*.py"):
            if path.name not in OTHER_TRANSPORTS and not {"bin", "contrib"} & set(path.parts):
                read |= set(READS.findall(path.read_text(errors="replace")))
    assert {"CELERY_BROKER_URL", "REMAP_SIGTERM", "PICKLE_PROTOCOL"} <= read
    environment = dict.fromkeys(read, "1")
    ignore_variables(environment)
    assert set(environment) <= HARMLESS


def test_idle_threads_give_their_cores_away() -> None:
    environment: dict[str, str] = {}
    let_idle_threads_sleep(environment)
    assert environment["GOMP_SPINCOUNT"].isdecimal()


@pytest.mark.parametrize("name", ["OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"])
def test_what_is_set_for_how_threads_wait_is_left(name: str) -> None:
    environment = {name: "1"}
    let_idle_threads_sleep(environment)
    assert environment == {name: "1"}
