"""The real gateway with its real worker, as ``bcd-admin up`` keeps them running; a program of its own.

The environment beside slicer-core has no bcd-cad, so the command is looked for: ``BCD_ADMIN``, else the
project's ``.venv``.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
ADMIN = Path(os.environ.get("BCD_ADMIN", ROOT / ".venv" / "bin" / "bcd-admin"))
_SECONDS = 120


def why_not() -> str:
    """Why it cannot be started here, "" if it can."""
    if not ADMIN.exists():
        return f"{ADMIN} is missing (BCD_ADMIN names another)"
    done = subprocess.run([ADMIN, "up", "--help"], capture_output=True, text=True, timeout=60, check=False)
    return "" if "--gateway" in done.stdout else "this bcd-admin has no gateway"


def admin(*arguments: object, state: Path, **more: str) -> str:
    """Run ``bcd-admin``; returns what it printed."""
    done = subprocess.run(
        [ADMIN, *map(str, arguments)],
        env={**os.environ, "BCD_STATE_DIR": str(state), **more},
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"bcd-admin {arguments[0]} ended with {done.returncode}: {done.stderr}")
    return done.stdout


class RealGateway:
    """``bcd-admin up``, with a token.

    Args:
        port: 0 for any free one.
        settings: environment variables.
    """

    def __init__(self, state: Path, port: int = 0, **settings: str) -> None:
        self.state, self.address = state, ""
        self._environment = {
            **os.environ,
            "BCD_STATE_DIR": str(state),
            "BCD_GATEWAY_PORT": str(port),
            **settings,
        }
        self._log = state / "up.log"
        self.token = admin("token", "create", "slicer", state=state).strip()
        self.start()

    def start(self) -> None:
        """Start it, for the first time or again; see :meth:`wait`."""
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [ADMIN, "up"],
                env=self._environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait(self, pause) -> None:
        """Wait until it answers; ``pause`` waits a moment."""
        for _ in range(_SECONDS * 10):
            for line in self._log.read_text().splitlines():
                if line.startswith("the gateway is at "):
                    self.address = line.split()[4].rstrip(";")
                    return
            if self._process.poll() is not None:
                raise RuntimeError(self._log.read_text())
            pause()
        raise RuntimeError("the gateway did not start")

    def kill(self) -> None:
        """End it as a machine that dies would; what it has started dies with it."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """End it by SIGTERM: where a script runs the tests in the background, Ctrl-C is ignored."""
        self._process.terminate()
        try:
            self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
