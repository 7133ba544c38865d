"""How long ``bcd-admin --help`` takes, and that it imports no torch."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

RUNS = 15


def main() -> None:
    """Print the median and the slowest of 15 runs."""
    command = [str(Path(sys.executable).with_name("bcd-admin")), "--help"]
    seconds = []
    for _ in range(RUNS):
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        seconds.append(time.perf_counter() - start)
    code = "import sys, worker.cli; sys.exit('torch' in sys.modules)"
    torch = subprocess.run([sys.executable, "-c", code], check=False).returncode
    print(
        f"bcd-admin --help: median {statistics.median(seconds):.2f} s, slowest {max(seconds):.2f} s "
        f"of {RUNS} runs; imports torch: {'yes' if torch else 'no'}"
    )


if __name__ == "__main__":
    main()
