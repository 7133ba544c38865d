"""Prove that the queue loses nothing and doubles nothing: real faults, real Redis, real workers; Linux.

    python -m tests.faults.run [--seed N] [--quick] [--only ROW...] [--kills N] [--studies N] [--memory]

A row is one fault on a site of its own (`sites`). The columns:

jobs
    studies that were submitted.
lost
    of these, how many ended without a published result, or not as "done", where the row does not expect
    that and for that reason.
doubled
    second jobs of a study, second results that are not byte for byte the first (looked for many times a
    second while it runs: `watcher`), results that vanished, left-over staging folders, and results with other
    bytes than an undisturbed run gives (`undisturbed`). That a job is begun twice is no doubling.
recover
    seconds from the fault until the job that was hit is at work again or has ended. From the end of the
    fault where nothing can be done before: Redis is back, the disk has room, the study is submitted again.
    "random kills": the longest time between two results.
all done
    seconds from the same moment until every job has ended.
took
    seconds for the row with all that it starts.

Exit code 1 if anything was lost or doubled, or went otherwise than the row expects; the logs of that row
are shown and its folder is kept.
"""

from __future__ import annotations

import argparse
import dataclasses
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from tests.faults.bench import FULL, QUICK
from tests.faults.outcome import Outcome
from tests.faults.registry import run_row
from tests.faults.rows import ROWS
from tests.faults.undisturbed import compare_with_undisturbed


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the rows that are asked for and print the table."""
    options = _parser().parse_args(arguments)
    given = {"kills": options.kills, "studies": options.studies, "lease": options.lease}
    numbers = dataclasses.replace(
        QUICK if options.quick else FULL,
        **{name: value for name, value in given.items() if value is not None},
    )
    names = _asked_for(options)
    signal.signal(signal.SIGTERM, _interrupt)
    folder = Path(tempfile.mkdtemp(prefix="bcd-faults-"))
    outcomes: list[Outcome] = []
    interrupted = False
    try:
        for place, name in enumerate(names):
            _progress(f"{name}: {ROWS[name].about}")
            outcomes.append(run_row(ROWS[name], folder / f"{place:02}", numbers, options.seed))
            _progress(f"    {_verdict(outcomes[-1])}, {outcomes[-1].took:.0f} s")
        _progress("comparison with an undisturbed run")
        compare_with_undisturbed(outcomes, folder / "undisturbed", numbers)
    except KeyboardInterrupt:
        interrupted = True
        _progress(
            "interrupted; everything has been ended, and no result was compared with an undisturbed run"
        )
    good = all(outcome.good for outcome in outcomes)
    if options.keep or not (good or interrupted):
        _progress(f"kept: {folder}")
    else:
        shutil.rmtree(folder, ignore_errors=True)
    print(_table(outcomes))
    print(
        f"seed {options.seed}; BCD_LEASE_SECONDS={numbers.lease}, and BCD_VISIBILITY_TIMEOUT="
        f"{numbers.visibility} where the worker is stopped; workers of one process and one thread"
    )
    for outcome in outcomes:
        _explain(outcome)
    return 130 if interrupted else int(not good)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seed", type=int, default=0, help="of the studies and of the random kills")
    parser.add_argument("--quick", action="store_true", help="smaller numbers, random weights")
    parser.add_argument("--only", nargs="+", metavar="ROW", default=[], help="rows by (part of) their names")
    parser.add_argument("--kills", type=int, help="run the row 'random kills' with so many of them")
    parser.add_argument("--studies", type=int, help="of the rows 'random kills' and 'memory'")
    parser.add_argument("--memory", action="store_true", help="run the row 'memory'")
    parser.add_argument("--lease", type=int, help="BCD_LEASE_SECONDS of the sites")
    parser.add_argument("--keep", action="store_true", help="keep the folder with logs, films and results")
    parser.add_argument("--list", action="store_true", help="list the rows and end")
    return parser


def _asked_for(options: argparse.Namespace) -> list[str]:
    if options.list:
        for name, row in ROWS.items():
            print(f"{name:32} {row.about}")
        raise SystemExit(0)
    names: list[str] = []
    for part in options.only:
        found = [part] if part in ROWS else [name for name in ROWS if part.lower() in name.lower()]
        if not found:
            raise SystemExit(f"no row {part!r}; --list shows them")
        names += found
    names += ["random kills"] * (options.kills is not None) + ["memory"] * options.memory
    return list(dict.fromkeys(names or [name for name, row in ROWS.items() if not row.asked_only]))


def _table(outcomes: Sequence[Outcome]) -> str:
    lines = [("FAULT", "JOBS", "LOST", "DOUBLED", "RECOVER", "ALL DONE", "TOOK", "VERDICT")]
    for outcome in outcomes:
        counts = (outcome.jobs, len(outcome.lost), len(outcome.doubled))
        times = (outcome.recovery, outcome.all_done, outcome.took)
        shown = ["" if time is None else f"{time:.1f}" for time in times]
        lines.append((outcome.row, *map(str, counts), *shown, _verdict(outcome)))
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    rows = []
    for line in lines:
        cells = [line[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(line[1:-1], widths[1:-1], strict=True)]
        rows.append("  ".join([*cells, line[-1]]).rstrip())
    return "\n".join(rows)


def _verdict(outcome: Outcome) -> str:
    if outcome.skipped:
        return f"skipped: {outcome.skipped}"
    return "good" if outcome.good else "NOT GOOD"


def _explain(outcome: Outcome) -> None:
    for note in outcome.notes:
        print(f"{outcome.row}: {note}")
    for kind, lines in (
        ("lost", outcome.lost),
        ("doubled", outcome.doubled),
        ("not as expected", outcome.problems),
    ):
        for line in lines[:20]:
            print(f"{outcome.row}: {kind}: {line}")
        if len(lines) > 20:
            print(f"{outcome.row}: {kind}: {len(lines) - 20} more")
    for line in outcome.evidence:
        print(f"    {line}")


def _progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
