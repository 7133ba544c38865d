"""What the queue costs, and what a machine can do: a real Redis (append-only file), real workers, real files.

    python -m tests.benchmarks.scale                a quick look, about three minutes
    python -m tests.benchmarks.scale --full         every figure of docs/how-to/scale.md
    python -m tests.benchmarks.scale --only PART    one part alone

Studies are DICOM files of their own: one phantom film under other UIDs, 128 x 128 pixels where the scan is
not what is measured. What is not measured: a network between the machines (Redis, workers and files are on
one), other file systems than that of the temporary folder (TMPDIR), more workers than are started here.

Times of jobs come from the worker's own log, in milliseconds. The part "memory" ends its jobs through the
records alone and scans nothing; its films exist as paths only.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
import time
from pathlib import Path

from tests.benchmarks.scale_commands import jobs, submit
from tests.benchmarks.scale_films import films
from tests.benchmarks.scale_memory import memory
from tests.benchmarks.scale_queue import cost, interactive, operations
from tests.benchmarks.scale_rows import Sizes
from tests.benchmarks.scale_site import Studies
from worker.settings import available_cores

FULL = Sizes((10, 1_000, 10_000), 50, 10_000, 1_000, 10, 100_000, 10_000, 8, 3)
QUICK = Sizes((10, 500), 20, 500, 100, 3, 10_000, 1_000, 2, 1)

PARTS = {part.__name__: part for part in (cost, operations, submit, jobs, interactive, memory, films)}


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--full", action="store_true", help="all sizes; takes about twenty minutes")
    parser.add_argument("--only", choices=PARTS, metavar="PART", help=", ".join(PARTS))
    options = parser.parse_args()
    sizes = FULL if options.full else QUICK
    print(f"{available_cores()} cores ({_processor()}), Python {platform.python_version()}")
    with tempfile.TemporaryDirectory(prefix="bcd-scale-") as scratch:
        folder = Path(scratch)
        studies = Studies(folder, sizes.studies, sizes.jobs, 2 * sizes.scanned)
        for name in [options.only] if options.only else PARTS:
            since, others = time.monotonic(), _used_by_others()
            PARTS[name](studies, sizes, folder)
            share = (_used_by_others() - others) / (time.monotonic() - since) / available_cores()
            print(f"meanwhile others used {100 * max(0.0, share):.0f} % of this machine's processors")


def _used_by_others() -> float:
    """Seconds of processor time that went to other processes than this one and its ended children."""
    fields = Path("/proc/stat").read_text().split(maxsplit=9)[1:9]
    user, nice, system, _, _, interrupts, soft_interrupts, stolen = map(int, fields)
    busy = (user + nice + system + interrupts + soft_interrupts + stolen) / os.sysconf("SC_CLK_TCK")
    return busy - sum(os.times()[:4])


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":")[1].strip()
    return platform.processor()


if __name__ == "__main__":
    main()
