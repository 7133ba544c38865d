"""Seconds of ``bcd-admin scan`` of a study of two films, alone and beside busy neighbours.

    python -m tests.benchmarks.busy [--tree FOLDER] [--neighbours N ...] [--rounds N] [--set NAME=VALUE ...]

``--tree`` measures another checkout in the same run, round by round, and prints how many times as long
it takes. A neighbour is a process that never sleeps.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from converters.mias.phantom import write_phantom
from converters.mias.to_dicom import convert_mias

ROOT = Path(__file__).parents[2]


@contextmanager
def neighbours(count: int) -> Iterator[None]:
    """So many processes that keep a core busy."""
    started = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()


def seconds_of_scan(tree: Path, films: Path, variables: dict[str, str]) -> float:
    """How long the whole command takes, with the code of ``tree``."""
    with tempfile.TemporaryDirectory() as scratch:
        environment = os.environ | {"PYTHONPATH": str(tree), "BCD_STATE_DIR": scratch} | variables
        command = [sys.executable, "-m", "worker", "scan", str(films), "--out", f"{scratch}/out"]
        since = time.perf_counter()
        subprocess.run(command, cwd=tree, env=environment, capture_output=True, check=True)
        return time.perf_counter() - since


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a row for each number of neighbours."""
    parser = argparse.ArgumentParser(description="A scan beside busy neighbours.")
    parser.add_argument("--tree", type=Path, metavar="FOLDER", help="another checkout")
    parser.add_argument("--neighbours", type=int, nargs="+", default=[0, 1, 2], metavar="N")
    parser.add_argument("--rounds", type=int, default=3, metavar="N")
    parser.add_argument("--set", nargs="+", default=[], metavar="NAME=VALUE", help="for this checkout")
    options = parser.parse_args(arguments)
    variables = dict(pair.split("=", 1) for pair in options.set)
    with tempfile.TemporaryDirectory() as scratch:
        write_phantom(Path(scratch, "films"), patients=1)
        films = Path(scratch, "dicom")
        convert_mias(Path(scratch, "films"), films)
        seconds_of_scan(ROOT, films, variables)  # warm up
        print(f"{len(os.sched_getaffinity(0))} cores; median of {options.rounds} rounds")
        for count in options.neighbours:
            here, there = [], []
            with neighbours(count):
                for _ in range(options.rounds):
                    here.append(seconds_of_scan(ROOT, films, variables))
                    if options.tree:
                        there.append(seconds_of_scan(options.tree.resolve(), films, {}))
            median = statistics.median(here)
            row = f"{count} neighbours: {median:6.1f} s"
            if there:
                other = statistics.median(there)
                row += f"; {options.tree}: {other:6.1f} s, {other / median:.1f} times as long"
            print(row, flush=True)


if __name__ == "__main__":
    main()
