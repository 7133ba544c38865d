"""A page in headless Chromium: what stands in it once everything that would run has run."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CHROMIUM = shutil.which("chromium")

# Nothing but the page: no updates, no first-run page, no connections of the browser's own.
_OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--virtual-time-budget=2000",
)


def dom_of(address: str) -> str:
    """The document at ``address`` as HTML, after its scripts and events."""
    if CHROMIUM is None:
        raise FileNotFoundError("chromium is not installed")
    with tempfile.TemporaryDirectory() as profile:
        done = subprocess.run(
            [CHROMIUM, *_OPTIONS, f"--user-data-dir={profile}", "--dump-dom", address],
            capture_output=True,
            timeout=120,
            check=True,
        )
    return done.stdout.decode()


class Site:
    """Pages on loopback, and every path that was asked for."""

    def __init__(self, address: str, asked: list[str], pages: dict[str, bytes]) -> None:
        self.address = address
        self.asked = asked
        self.pages = pages

    def open(self, **pages: bytes) -> str:
        """Serve ``pages`` under their names and return the DOM of the first."""
        self.pages.update({f"/{name}": page for name, page in pages.items()})
        self.asked.clear()
        return dom_of(f"{self.address}/{next(iter(pages))}")


@contextmanager
def site() -> Iterator[Site]:
    """A server for the length of a test."""
    asked: list[str] = []
    pages: dict[str, bytes] = {}
    with ThreadingHTTPServer(("127.0.0.1", 0), _handler(asked, pages)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield Site(f"http://127.0.0.1:{server.server_port}", asked, pages)
        finally:
            server.shutdown()
            thread.join()


def _handler(asked: list[str], pages: Mapping[str, bytes]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            page = pages.get(self.path)
            self.send_response(404 if page is None else 200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(page or b"")

        def log_message(self, *_: object) -> None:
            return

    return Handler
