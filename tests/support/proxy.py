"""A proxy between a worker and its Redis, which can hang up or pass nothing on."""

from __future__ import annotations

import select
import socket
import threading
from contextlib import suppress

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
