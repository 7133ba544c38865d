"""Part of the benchmark of scale: films a minute, and what their results take."""

from __future__ import annotations

import os
import re
from pathlib import Path
from statistics import median
from unittest import mock

from converters.films.studies import StudyInput
from tests.benchmarks.scale_rows import Sizes, print_table
from tests.benchmarks.scale_site import Site, Studies
from worker.pool.execution import run_job


def films(studies: Studies, sizes: Sizes, folder: Path) -> None:
    """Films a minute and core, and what results take on disk."""
    rows, rate = [], {}
    for side, processes, threads in ((1024, 1, 1), (1024, 1, 2), (1024, 2, 1), (4096, 1, 1), (4096, 2, 1)):
        chosen = (studies.full_size if side == 1024 else studies.large)[: sizes.scanned * processes]
        rates = []
        for _ in range(sizes.rounds):
            with Site(folder) as site:
                submitter = site.submitter()
                for study in chosen:
                    submitter.submit(study)
                with site.worker(processes, threads) as log:
                    ended = log.wait("job ended", len(chosen))
                    begun, scanned = log.events("job begun"), log.events("film scanned")
                    published = log.events("result published")
                    megabytes = max(_peak(found["pid"]) for found in scanned)
                rates.append(60 * len(scanned) / (ended[-1]["at"] - begun[0]["at"]))
                files = [path for path in site.results.rglob("*") if path.is_file()]
                size = sum(path.stat().st_size for path in files)
        rate[side, processes, threads] = median(rates)
        rows.append(
            (
                f"{side} x {side}",
                f"{processes} x {threads}",
                f"{median(rates):.1f}",
                f"{median(rates) / processes / threads:.1f}",
                f"{min(rates):.1f} to {max(rates):.1f}",
                f"{median(found['seconds'] for found in scanned):.2f}",
                f"{median(found['seconds'] for found in published):.2f}",
                f"{megabytes:.0f}",
                f"{size / len(ended) / 1e6:.2f}",
                f"{len(files) / len(ended):.0f}",
            )
        )
    header = ("FILMS", "PROCESSES x THREADS", "A MINUTE", "PER CORE", "OF ALL ROUNDS", "s A FILM")
    source = "mini-MIAS films" if os.environ.get("BCD_MIAS_DIR") else "phantom films"
    title = f"Studies of 2 films ({source}; the large ones phantoms), {sizes.rounds} rounds"
    print_table(title, (*header, "s TO PUBLISH", "PEAK MB", "RESULT MB", "FILES"), rows)
    print(f"2 processes against 1: {rate[1024, 2, 1] / rate[1024, 1, 1]:.2f}")
    flushes = _flushes(folder, studies.full_size[0])
    print(f"a job of 2 films flushes {flushes} files and folders to the disk (fsync)")


def _peak(pid: int) -> float:
    """Peak resident memory of a living process, MB."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) / 1024 if found else 0.0


def _flushes(folder: Path, study: StudyInput) -> int:
    """How often fsync is called for one job, which is done in this process."""
    with Site(folder) as site, mock.patch("os.fsync", side_effect=os.fsync) as fsync:
        job = site.submitter().submit(study).job_id
        run_job(job, "benchmark", site.settings)
        return fsync.call_count
