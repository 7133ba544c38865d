"""The embedded engine's host: one process that owns the private Redis and the worker.

``python -m worker.engine.host STATE_DIR REDIS_SERVER``, started by `worker.engine.client`, never by hand.
It lives as long as any command uses the engine. Use is shown by locks that the kernel releases even
when a command is killed, so nothing has to be counted:

``users.lock``   shared by every command that uses the engine; the host ends when none holds it
``work.lock``    shared by every command that needs the worker; the host starts it when one does
``host.lock``    held by the host itself
``ready.lock``   held by the host once its Redis answers

Redis and the worker die with the host, even when it is killed (Linux: parent-death signal).
Only the standard library is imported here, so that the engine is up in a fraction of a second.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import hashlib
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

_POLL = 0.1  # seconds
_REDIS_STARTS = 120.0  # seconds; a long append-only file takes a while to read
_STOPS = 5.0  # seconds before a process that was asked to end is killed
_RESTARTS = 3
_STEADY = 60.0  # seconds after which a worker that ends was not broken from the start
_LOG_LIMIT = 8 << 20  # bytes after which a log is begun anew; the last one is kept
_SOCKET_LIMIT = 100  # bytes; sockaddr_un holds 104 (macOS) to 108 (Linux)
_PR_SET_PDEATHSIG = 1


def socket_path(state: Path) -> Path:
    """Where the private Redis listens: in ``state``, or in a short private folder if its path is too long."""
    path = state / "redis.sock"
    if len(os.fsencode(path)) <= _SOCKET_LIMIT:
        return path
    name = hashlib.sha256(os.fsencode(state)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"bcd-{os.getuid()}-{name}" / "redis.sock"


def remove_socket(state: Path) -> None:
    """Remove the socket of a Redis that has ended, and its folder, if it has one of its own."""
    path = socket_path(state)
    with contextlib.suppress(OSError):  # there is none
        path.unlink()
    if path.parent != state:
        with contextlib.suppress(OSError):  # nor that
            path.parent.rmdir()


def socket_url(state: Path) -> str:
    """Address of the private Redis, in the form of ``BCD_BROKER_URL``."""
    # only what ends or folds a path in a URL: urllib's quoting does not bring back names that are not UTF-8
    path = re.sub(r"[\x00-\x20%?#]", lambda found: f"%{ord(found[0]):02X}", str(socket_path(state)))
    return f"redis+socket://{path}"


def make_private(folder: Path) -> None:
    """Make ``folder`` for this user alone; what others use already (``/tmp``, say) is not taken from them.

    Raises:
        PermissionError: it belongs to another user, or others may use it and there is something in it.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    if found.st_uid != os.getuid() or not stat.S_ISDIR(found.st_mode):
        raise PermissionError(errno.EPERM, "it belongs to another user", str(folder))
    if found.st_mode & 0o077:
        if any(folder.iterdir()):
            raise PermissionError(errno.EPERM, "it is open to others and not empty", str(folder))
        folder.chmod(0o700)


@contextlib.contextmanager
def opened_lock(state: Path, name: str) -> Iterator[IO[str]]:
    """The lock file ``name``, open but not locked; closing it, or dying, gives the lock back."""
    with (state / f"{name}.lock").open("a+") as stream:
        yield stream


def try_lock(stream: IO[str], operation: int) -> bool:
    """Take a lock without waiting; whether it was free."""
    try:
        fcntl.flock(stream, operation | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def in_use(stream: IO[str]) -> bool:
    """Whether another process holds this lock."""
    if try_lock(stream, fcntl.LOCK_EX):
        fcntl.flock(stream, fcntl.LOCK_UN)
        return False
    return True


def wait_for(condition: Callable[[], bool], seconds: float) -> bool:
    """Wait until ``condition`` holds; False if it does not within ``seconds``."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def redis_answer(path: Path, command: bytes = b"PING\r\n") -> str:
    """What the Redis at ``path`` answers: to PING "+PONG" or "-LOADING ..."; "" if nothing answers."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(2)
            connection.connect(os.fspath(path))
            connection.sendall(command)
            return connection.recv(200).decode(errors="replace").strip()
    except OSError:
        return ""


def last_line(log: Path) -> str:
    """The last line of ``log`` that is not empty; "" if there is none."""
    try:
        lines = log.read_text(errors="replace").split("\n")
    except OSError:
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def die_with_parent(number: int = signal.SIGKILL) -> None:
    """Ask the kernel to send this process ``number`` when its parent ends; Linux only, else nothing."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)


def _child_setup(number: int) -> Callable[[], None]:
    parent = os.getpid()
    library = ctypes.CDLL(None) if sys.platform.startswith("linux") else None

    def setup() -> None:  # between fork and exec: nothing but system calls
        os.setpgid(0, 0)  # a group of its own, so that it can be ended with its children
        if library is not None:
            library.prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)
            if os.getppid() != parent:  # it ended before the call
                os._exit(1)

    return setup


def module_command(module: str, *arguments: str) -> list[str]:
    """The command that runs one of our modules with this Python, whatever the current folder holds."""
    safe_path = ["-P"] if sys.version_info >= (3, 11) else []
    return [sys.executable, *safe_path, "-m", module, *arguments]


class _Host:
    def __init__(self, state: Path, redis_server: str) -> None:
        self._state = state
        self._redis_server = redis_server
        self._socket = socket_path(state)
        self._redis: subprocess.Popen[bytes] | None = None
        self._worker: subprocess.Popen[bytes] | None = None
        self._worker_starts = 0
        self._worker_since = 0.0
        self._ended = False

    def run(self) -> int:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._end)
        with (
            opened_lock(self._state, "host") as host,
            opened_lock(self._state, "ready") as ready,
            opened_lock(self._state, "users") as users,
            opened_lock(self._state, "work") as work,
        ):
            if not wait_for(lambda: try_lock(host, fcntl.LOCK_EX), _STOPS):
                return 0  # another host was first
            if os.fork():  # the child keeps the lock; the command that started us need not wait for it
                os._exit(0)
            try:
                self._start_redis()
                wait_for(lambda: try_lock(ready, fcntl.LOCK_EX), _STOPS)
                while not self._ended and not try_lock(users, fcntl.LOCK_EX):
                    self._check(work)
                    time.sleep(_POLL)
            except _HostError as error:
                print(error, file=sys.stderr, flush=True)
                return 1
            finally:
                self._stop()
                remove_socket(self._state)
        return 0

    def _end(self, *_: object) -> None:
        self._ended = True

    def _start_redis(self) -> None:
        make_private(self._socket.parent)
        folder = self._state / "redis"
        make_private(folder)
        self._end_orphan()
        self._socket.unlink(missing_ok=True)
        command = [self._redis_server, "--port", "0", "--daemonize", "no"]
        command += ["--unixsocket", str(self._socket), "--unixsocketperm", "700"]
        command += ["--dir", str(folder), "--appendonly", "yes", "--appendfsync", "everysec", "--save", ""]
        log = _begun_anew(self._state / "redis.log")
        command += ["--maxmemory-policy", "noeviction", "--logfile", str(log)]
        self._redis = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, preexec_fn=_child_setup(signal.SIGTERM)
        )
        redis = self._redis
        answers = wait_for(
            lambda: redis.poll() is not None or redis_answer(self._socket) == "+PONG", _REDIS_STARTS
        )
        if redis.poll() is not None:
            raise _HostError(f"Redis ended with status {redis.returncode}: {last_line(log) or 'no log'}")
        if not answers:
            raise _HostError(f"Redis did not answer within {_REDIS_STARTS:.0f} s")

    def _end_orphan(self) -> None:
        """End the Redis of a host that was killed, where the kernel did not; it would share our file."""
        if not redis_answer(self._socket):
            return
        redis_answer(self._socket, b"SHUTDOWN\r\n")
        if not wait_for(lambda: not redis_answer(self._socket), _STOPS):
            raise _HostError(f"another Redis answers at {self._socket}")

    def _check(self, work: IO[str]) -> None:
        if self._redis is None or self._redis.poll() is not None:
            raise _HostError(f"Redis ended: {last_line(self._state / 'redis.log') or 'no log'}")
        if self._worker is not None and self._worker.poll() is None:
            return
        if time.monotonic() - self._worker_since > _STEADY:
            self._worker_starts = 0
        if self._worker_starts > _RESTARTS:
            raise _HostError(
                f"the worker ended {self._worker_starts} times; see {self._state / 'worker.log'}"
            )
        if self._worker is not None or in_use(work):
            self._start_worker()

    def _start_worker(self) -> None:
        self._worker_starts += 1
        self._worker_since = time.monotonic()
        environment = os.environ | {"BCD_BROKER_URL": socket_url(self._state)}
        with _begun_anew(self._state / "worker.log").open("ab") as log:
            self._worker = subprocess.Popen(
                module_command("worker", "worker", "--resume"),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                preexec_fn=_child_setup(signal.SIGKILL),
            )

    def _stop(self) -> None:
        if self._worker is not None:
            # No command waits for the film it is at, its message and record are kept, and nothing is half
            # published: the same as a power failure, which it has to survive anyway.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._worker.pid, signal.SIGKILL)
            self._worker.wait()
        if self._redis is not None:
            self._redis.terminate()
            try:
                self._redis.wait(_STOPS)
            except subprocess.TimeoutExpired:
                self._redis.kill()
                self._redis.wait()


def _begun_anew(log: Path) -> Path:
    with contextlib.suppress(OSError):
        if log.stat().st_size > _LOG_LIMIT:
            log.replace(log.with_name(log.name + ".1"))
    return log


class _HostError(Exception):
    """Why the host gives up; the last line of ``host.log``."""


if __name__ == "__main__":
    sys.exit(_Host(Path(sys.argv[1]), sys.argv[2]).run())
