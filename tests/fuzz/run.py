"""Damaged films through grouping, reading and writing, each in a limited child; Linux.

    python -m tests.fuzz.run [--mutants N] [--first N] [--seed S] [--jobs J] [--only N] [--keep FOLDER]

A mutant is a small valid film (`seeds`) with one to four things wrong with it (`mutators`); its number and
the seed decide its bytes. `target` says what counts as a fault; more than 5 s of processor time or 1 GB of
memory is one, too. Each row of the table is a kind of damage, and a mutant counts in the row of each
of its kinds:

run
    mutants with this kind of damage.
scanned, failed, excluded
    what became of the film, where it lies beside a good one.
refused
    it is in no study, and listed as passed over with its reason.
faults
    mutants with a fault.

Exit code 1 if there was any fault. ``--only`` shows one mutant; ``--keep`` writes the faulty ones there.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from tests.fuzz.children import Report, each
from tests.fuzz.mutators import mutant
from tests.fuzz.target import examine, names, prepare

_OUTCOMES = ("scanned", "failed", "excluded", "refused")
_THOROUGH = 8
"""Of so many mutants one is put through alone, too, and written: that takes ten times as long."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the campaign and print what came of it."""
    options = _parser().parse_args(arguments)
    prepare()
    numbers = range(options.first, options.first + options.mutants)
    if options.only is not None:
        numbers = range(options.only, options.only + 1)
    since = time.monotonic()
    table: defaultdict[str, Counter[str]] = defaultdict(Counter)
    faulty: list[tuple[Report, list[str]]] = []
    reports: list[Report] = []

    def work(number: int) -> dict[str, object]:
        thorough = number % _THOROUGH == 0 or options.only is not None
        return asdict(examine(mutant(number, options.seed), thorough=thorough, twice=thorough))

    for report in each(numbers, work, jobs=options.jobs):
        faults = _faults(report)
        outcome = str(report.result["outcome"]) if report.result else "ended"
        for kind in mutant(report.number, options.seed).kinds:
            table[kind].update(["run", outcome, *(["faults"] if faults else [])])
        table["all"].update(["run", outcome, *(["faults"] if faults else [])])
        reports.append(report)
        if faults:
            faulty.append((report, faults))
            if options.keep:
                options.keep.mkdir(parents=True, exist_ok=True)
                made = mutant(report.number, options.seed)
                (options.keep / f"{options.seed}-{report.number}.dcm").write_bytes(made.data)
        if len(reports) % 500 == 0:
            took = time.monotonic() - since
            print(f"{len(reports)} mutants, {len(faulty)} with faults, {took:.0f} s", file=sys.stderr)
    _show_faults(faulty, options.seed, everything=options.only is not None)
    if options.only is None:
        _show_table(table)
        _show_extremes(reports)
    took = time.monotonic() - since
    print(f"{len(reports)} mutants of seed {options.seed} in {took:.0f} s; {len(faulty)} with faults")
    return 1 if faulty else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Damaged films through grouping, reading and writing.")
    parser.add_argument("--mutants", type=int, default=10000, metavar="N")
    parser.add_argument("--first", type=int, default=0, metavar="N", help="number of the first mutant")
    parser.add_argument("--seed", type=int, default=1, metavar="S")
    parser.add_argument("--jobs", type=int, default=1, metavar="J", help="children at the same time")
    parser.add_argument(
        "--only", type=int, metavar="N", help="this mutant alone, with all that is known of it"
    )
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="write the faulty mutants there")
    return parser


def _faults(report: Report) -> list[str]:
    found = [report.ended] if report.ended else []
    if report.result:
        faults = report.result["faults"]
        found += names(faults) if isinstance(faults, list) else []
    return found


def _show_faults(faulty: list[tuple[Report, list[str]]], seed: int, *, everything: bool) -> None:
    """Each fault once, with how often it came and the command that shows its first mutant."""
    of: defaultdict[str, list[int]] = defaultdict(list)
    for report, faults in faulty:
        for fault in dict.fromkeys(faults):
            of[fault if everything else _signature(fault)].append(report.number)
    for fault, numbers in sorted(of.items(), key=lambda item: (-len(item[1]), item[0])):
        print(f"{len(numbers)} x {fault}")
        first = min(numbers)
        made = mutant(first, seed)
        damage = f"{made.seed}; {'; '.join(made.steps)}"[:300]
        print(f"    python -m tests.fuzz.run --seed {seed} --only {first}    # {damage}")
    if faulty:
        print()


def _signature(fault: str) -> str:
    """A fault without what differs from mutant to mutant."""
    for opening in (": '", ': "', "b'", 'b"', " ("):
        fault = fault.partition(opening)[0]
    return "".join("#" if c.isdigit() and "at " not in fault else c for c in fault)


def _show_table(table: dict[str, Counter[str]]) -> None:
    columns = ("run", *_OUTCOMES, *(["ended"] if table["all"]["ended"] else []), "faults")
    width = max(map(len, table))
    print(f"{'':{width}}" + "".join(f"{name:>10}" for name in columns))
    for kind in [*sorted(set(table) - {"all"}), "all"]:
        print(f"{kind:{width}}" + "".join(f"{table[kind][name]:>10}" for name in columns))
    print()


def _show_extremes(reports: list[Report]) -> None:
    slow = sorted(reports, key=lambda report: -report.cpu)[:3]
    large = sorted(reports, key=lambda report: -report.memory)[:3]
    print("slowest: " + ", ".join(f"mutant {r.number} {r.cpu:.2f} s" for r in slow))
    print("largest: " + ", ".join(f"mutant {r.number} {r.memory / (1 << 20):.0f} MB" for r in large))


if __name__ == "__main__":
    sys.exit(main())
