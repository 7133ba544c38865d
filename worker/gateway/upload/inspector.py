"""Looking into what clients have sent, in a process of its own: with an end, and at no other request's cost.

A header that takes long to read would hold Python's lock and delay every other request, and one that takes
much memory would leave the gateway large for good. So each upload is looked through by a process that has
so many seconds and so much memory; the system shares the cores fairly between these processes and the
gateway, and one that takes long stands back.

The processes are forked from a server (``python -m`` this module), which has imported what
they need and does nothing else: a start takes milliseconds, and no thread of the gateway is forked. It ends
with the gateway, even when that is killed, for its end of the socket closes then.
"""

from __future__ import annotations

import logging
import os
import pickle
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar, cast

from bcd_model.errors import BcdError
from worker.engine.host import module_command
from worker.gateway.problems import ProblemError, try_again
from worker.logs import event

T = TypeVar("T")

_MEMORY = 640 << 20  # bytes of one process; with a film of the largest size read into it as a whole
_LONG = 1.0  # seconds of work after which a process lets others go first
_GRACE = 10.0  # seconds for a process to start and to answer, beside those that it has for its work
_ANSWER = 64 << 20  # bytes of an answer that is taken
_BEGUN = b"b"


class Inspector:
    """Runs functions apart.

    Args:
        seconds: that one call may take.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self._server: _Server | None = None

    def run(self, call: Callable[[], T]) -> T:
        """What ``call`` returns or raises; it, its result and its errors can be pickled.

        Raises:
            ProblemError: 413: it took too long; 422: it ended without an answer, most likely for want of
                memory, or with an unforeseen error; 503: no process was to be had.
        """
        since = time.monotonic()
        begun, answer = self._answer(pickle.dumps((self._seconds, call)))
        if not begun:
            raise try_again(503, "the gateway cannot look through it now; try again in a moment")
        if answer is None and time.monotonic() - since >= self._seconds:
            detail = f"looking through it took more than {self._seconds:g} s; send fewer files at once"
            raise ProblemError(413, detail)
        good, value = answer or (False, "no answer")
        if good:
            return cast(T, value)
        if isinstance(value, Exception):
            raise value
        event("inspection broke", logging.WARNING, error=value)
        raise ProblemError(422, "it could not be looked through; send its files one by one to find which")

    def start(self) -> None:
        """Start the server now, so that the first call need not wait for it."""
        with self._lock:
            self._server = self._server or _Server()

    def close(self) -> None:
        """End the server; it is started again when it is needed."""
        with self._lock:
            self._server = None

    def _answer(self, request: bytes) -> tuple[bool, Any]:
        """Whether a process has begun, and its outcome (see `_outcome`); None if it ended without one."""
        ours, theirs = socket.socketpair()
        with ours:
            with theirs:
                self._hand_over(theirs)
            ours.settimeout(self._seconds + _GRACE)
            content = bytearray()
            try:
                ours.sendall(request)
                ours.shutdown(socket.SHUT_WR)
                while len(content) <= _ANSWER and (block := ours.recv(1 << 16)):
                    content += block
            except OSError:  # it was ended, or takes too long
                return bool(content), None
        try:
            return bool(content), pickle.loads(content[len(_BEGUN) :])
        except (EOFError, pickle.UnpicklingError):
            return bool(content), None

    def _hand_over(self, connection: socket.socket) -> None:
        """Have the server fork a process for ``connection``; a server that has ended is started anew."""
        with self._lock:
            server = self._server or _Server()
            try:
                server.send(connection)
            except OSError:
                server = _Server()
                server.send(connection)
            self._server = server


class _Server:
    """The server, and this process's end of the socket to it; both end when this object goes."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            number = theirs.fileno()
            process = subprocess.Popen(
                module_command(__name__, str(number)),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,  # a traceback could quote a header
                pass_fds=(number,),
                env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},  # a process with threads is not forked well
            )
        self._socket = ours
        weakref.finalize(self, _end, ours, process)

    def send(self, connection: socket.socket) -> None:
        """Have a process forked for ``connection``."""
        socket.send_fds(self._socket, [b"x"], [connection.fileno()])


def _end(connection: socket.socket, process: subprocess.Popen[bytes]) -> None:
    connection.close()
    try:
        process.wait(_GRACE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _serve(control: socket.socket) -> None:
    """Fork a process for each connection that comes, until the other end closes."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # no process waits for them
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the gateway's
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # likewise, where the whole group is to end
    import worker.gateway.upload.contents  # noqa: F401 - once, for every process that is forked

    while True:
        message, descriptors, _, _ = socket.recv_fds(control, 1, 1)
        if not message:
            return
        for descriptor in descriptors:
            with suppress(OSError):  # no process to be had: the gateway reads nothing
                if os.fork() == 0:
                    control.close()
                    _work(socket.socket(fileno=descriptor))
            os.close(descriptor)


def _work(connection: socket.socket) -> None:
    """Do what is asked for, answer, and end this process."""
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        for what in (resource.RLIMIT_DATA, resource.RLIMIT_CORE):
            hard = resource.getrlimit(what)[1]
            most = _MEMORY if what == resource.RLIMIT_DATA else 0
            resource.setrlimit(what, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))
        with connection.makefile("rb") as stream:
            seconds, call = pickle.load(stream)
        connection.sendall(_BEGUN)
        signal.signal(signal.SIGPROF, lambda *_: os.nice(10))
        signal.setitimer(signal.ITIMER_PROF, _LONG)
        signal.setitimer(signal.ITIMER_REAL, seconds)  # not caught: it ends whatever is going on
        connection.sendall(pickle.dumps(_outcome(call)))
    finally:
        os._exit(0)


def _outcome(call: Callable[[], Any]) -> tuple[bool, object]:
    """True and what ``call`` returns; or False and its error, of an unforeseen one the type alone."""
    try:
        return True, call()
    except (ProblemError, BcdError, OSError) as error:
        return False, error
    except Exception as error:  # noqa: BLE001 - its text may quote a header
        return False, type(error).__name__


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
