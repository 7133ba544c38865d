"""Debian's Caddy in front of a gateway, with the product's own Caddyfile."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.wire import connect, free_port
from worker.engine.host import wait_for

CADDY = shutil.which("caddy")
BEHIND_CADDY = pytest.param(
    "behind Caddy",
    marks=[pytest.mark.debian, pytest.mark.skipif(CADDY is None, reason="needs Debian's caddy")],
)
CADDYFILE = Path(__file__).parents[2] / "docker" / "Caddyfile"


@contextmanager
def in_front_of(gateway: str, folder: Path, **environment: str) -> Iterator[str]:
    """Caddy in front of the gateway at the address ``gateway``; its log is in ``folder``.

    ``requests`` trusts the authority that it makes for itself.

    Yields:
        the address of the API behind TLS.
    """
    port = free_port()
    text = CADDYFILE.read_text()
    for ours, here in (("gateway:8970", urlsplit(gateway).netloc), (":8443", f":{port}"), ("15s", "2s")):
        assert ours in text
        text = text.replace(ours, here)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "Caddyfile").write_text(text)
    assert CADDY is not None
    places = {"HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    command = [CADDY, "run", "--config", str(folder / "Caddyfile")]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, env=os.environ | places | environment, stderr=log)
    url = f"https://localhost:{port}{urlsplit(gateway).path}"

    def answers() -> bool:
        try:
            connect(url).close()
        except OSError:
            return False
        return True

    try:
        assert wait_for(answers, 20), (folder / "log").read_text()
        with pytest.MonkeyPatch.context() as patch:
            authority = folder / "caddy" / "pki" / "authorities" / "local" / "root.crt"
            patch.setenv("REQUESTS_CA_BUNDLE", str(authority))
            yield url
    finally:
        process.terminate()
        process.wait()
