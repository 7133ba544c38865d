"""What the parts of the benchmark of scale share: how much they measure, and the tables that they print."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median, quantiles

LEASE = 20.0  # seconds


@dataclass(frozen=True)
class Sizes:
    """How much is measured.

    Attributes:
        depths: jobs that wait behind those that are measured, for each row.
        jobs: jobs measured in a row.
        studies: studies submitted by one command, and records listed by another.
        behind: batch jobs in front of an interactive one, which is submitted ``times`` times.
        results: results that stand in the results folder already, in one row.
        records: jobs whose memory is measured.
        scanned: studies of two films that one process scans.
        rounds: how often that is done.
    """

    depths: tuple[int, ...]
    jobs: int
    studies: int
    behind: int
    times: int
    results: int
    records: int
    scanned: int
    rounds: int


def median_and_95(values: Sequence[float]) -> tuple[str, str]:
    """The median, and what 95 % of the values stay below."""
    return f"{median(values):.1f}", f"{quantiles(values, n=20)[-1]:.1f}"


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows in columns of even width."""
    texts = [tuple(map(str, row)) for row in (header, *rows)]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    print(f"\n{title}", flush=True)
    for row in texts:
        print("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())
