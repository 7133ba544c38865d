"""Parts of the benchmark of scale: the command line with many studies and many records."""

from __future__ import annotations

import time
from pathlib import Path
from statistics import median

from converters.films.studies import find_studies
from tests.benchmarks.scale_rows import Sizes, print_table
from tests.benchmarks.scale_site import Site, Studies


def submit(studies: Studies, sizes: Sizes, folder: Path) -> None:
    """``bcd-admin submit`` of a night's studies, and where its time goes."""
    films = studies.folder
    with Site(folder) as site:
        ran = site.admin("submit", films, "--batch", "night")
        again = site.admin("submit", films, "--batch", "night")
    with Site(folder) as site:
        start = time.perf_counter()
        found = find_studies([films]).studies
        middle = time.perf_counter()
        submitter = site.submitter()
        for study in found:
            submitter.submit(study)
        end = time.perf_counter()
    rows = [
        ("bcd-admin submit", f"{ran.seconds:.1f}", f"{ran.megabytes:.0f}"),
        ("  the files found, read and hashed", f"{middle - start:.1f}", ""),
        ("  records and messages", f"{end - middle:.1f}", ""),
        ("the same studies once more", f"{again.seconds:.1f}", f"{again.megabytes:.0f}"),
    ]
    print_table(
        f"Submission of {sizes.studies:,} studies of one small film", ("", "SECONDS", "PEAK MB"), rows
    )
    large = [film.path for study in studies.large for film in study.films]
    start = time.perf_counter()
    find_studies(large)
    rate = sum(path.stat().st_size for path in large) / 1e6 / (time.perf_counter() - start)
    print(f"large films that are in the page cache are found, read and hashed at {rate:.0f} MB a second")


def jobs(studies: Studies, sizes: Sizes, folder: Path) -> None:
    """``bcd-admin jobs`` with many records."""
    with Site(folder) as site:
        submitter = site.submitter()
        for study in studies.found[: sizes.studies]:
            submitter.submit(study)
        rows = []
        for arguments in (["jobs"], ["jobs", "--json"], ["status", "--batch", "night"]):
            runs = [site.admin(*arguments) for _ in range(5)]
            lines = runs[0].out.count("\n")
            seconds = [run.seconds for run in runs]
            size = f"{max(run.megabytes for run in runs):.0f}"
            rows.append((" ".join(arguments), f"{median(seconds):.2f}", f"{max(seconds):.2f}", size, lines))
    title = f"Listings with {sizes.studies:,} records, 5 runs each, start of the program included"
    print_table(title, ("COMMAND", "MEDIAN s", "MOST s", "PEAK MB", "LINES"), rows)
