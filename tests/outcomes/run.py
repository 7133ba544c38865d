"""Made-up studies through reader and writers, and what is not true of what was written.

    python -m tests.outcomes.run [--studies N] [--first N]

Prints each fault; exit code 1 if there was any.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tests.outcomes.checks import faults_of
from tests.outcomes.made_studies import made_study


def main(arguments: Sequence[str] | None = None) -> int:
    """Make, scan, write and check the studies."""
    parser = argparse.ArgumentParser(description="Made-up studies through reader and writers.")
    parser.add_argument("--studies", type=int, default=2000, metavar="N")
    parser.add_argument("--first", type=int, default=0, metavar="N", help="number of the first study")
    options = parser.parse_args(arguments)
    shared = Path("/dev/shm")
    root = shared if os.access(shared, os.W_OK) else None
    faulty = films = 0
    kinds: Counter[str] = Counter()
    patients: Counter[int] = Counter()
    for number in range(options.first, options.first + options.studies):
        study = made_study(number)
        films += len(study.films)
        kinds.update(film.kind for film in study.films)
        patients[len({film.patient for film in study.films})] += 1
        with tempfile.TemporaryDirectory(prefix="bcd-outcomes-", dir=root) as work:
            try:
                faults = faults_of(study, Path(work))
            except Exception:  # noqa: BLE001 - the exception is the finding
                faults = [f"study {number}: {traceback.format_exc()}"]
        faulty += bool(faults)
        for fault in faults:
            print(fault)
    print(f"{films} films: " + ", ".join(f"{kind} {count}" for kind, count in kinds.most_common()))
    print("patients a study: " + ", ".join(f"{n}: {count}" for n, count in sorted(patients.items())))
    print(f"{options.studies} studies; {faulty} with faults")
    return 1 if faulty else 0


if __name__ == "__main__":
    sys.exit(main())
