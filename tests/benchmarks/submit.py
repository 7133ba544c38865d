"""Seconds of ``bcd-admin submit`` of many studies of one small film, beside another checkout in the same run.

    python -m tests.benchmarks.submit --tree FOLDER [--studies N] [--rounds N]

Each run has an empty Redis of its own. The two take turns, and the best of each is compared: what disturbs a
run only makes it longer.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks.scale_site import Site, Studies

ROOT = Path(__file__).parents[2]


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a line for each run, and the ratio of the best."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tree", type=Path, required=True, metavar="FOLDER", help="another checkout")
    parser.add_argument("--studies", type=int, default=10_000, metavar="N")
    parser.add_argument("--rounds", type=int, default=3, metavar="N")
    options = parser.parse_args(arguments)
    trees = {"this checkout": ROOT, "the other": options.tree.resolve()}
    best: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="bcd-submit-") as scratch:
        films = Studies(Path(scratch), options.studies, 0, 0).folder
        for _ in range(options.rounds):
            for name, tree in trees.items():
                with Site(Path(scratch)) as site:
                    ran = site.admin("submit", films, "--batch", "night", tree=tree)
                print(f"{name}: {ran.seconds:.1f} s, {ran.megabytes:.0f} MB", flush=True)
                best[name] = min(best.get(name, ran.seconds), ran.seconds)
    here, there = best.values()
    print(f"{options.studies:,} studies: {here:.1f} s and {there:.1f} s, {here / there:.2f} times as long")


if __name__ == "__main__":
    main()
