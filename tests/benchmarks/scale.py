"""What the queue costs, and what a machine can do: a real Redis (append-only file), real workers, real files.

    python tests/benchmarks/scale.py                a quick look, about three minutes
    python tests/benchmarks/scale.py --full         every figure of docs/how-to/scale.md
    python tests/benchmarks/scale.py --only PART    one part alone

Studies are DICOM files of their own: one phantom film under other UIDs, 128 x 128 pixels where the scan is
not what is measured. What is not measured: a network between the machines (Redis, workers and files are on
one), other file systems than that of the temporary folder (TMPDIR), more workers than are started here.

Times of jobs come from the worker's own log, in milliseconds. The part "memory" ends its jobs through the
records alone and scans nothing; its films exist as paths only.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import re
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median, quantiles
from unittest import mock

from scale_site import Log, Site, Studies

from converters.studies import FilmSource, StudyInput, find_studies
from worker.engine_host import wait_for
from worker.execution import run_job
from worker.job import Tally
from worker.settings import available_cores

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


FULL = Sizes((10, 1_000, 10_000), 50, 10_000, 1_000, 10, 100_000, 10_000, 8, 3)
QUICK = Sizes((10, 500), 20, 500, 100, 3, 10_000, 1_000, 2, 1)


# --- the parts --------------------------------------------------------------------------------------------


def cost(studies: Studies, sizes: Sizes, folder: Path) -> None:
    """What a job costs beside its scan and its publishing, and what a submission costs."""
    rows = []
    plain = [(depth, 0, "everysec") for depth in sizes.depths]
    others = [(sizes.depths[0], 0, "always"), (sizes.depths[0], sizes.results, "everysec")]
    for depth, results, appendfsync in (*plain, *others):
        with Site(folder, appendfsync=appendfsync) as site:
            for number in range(results):
                (site.results / f"2.25.9{number}").mkdir(parents=True)
            submitter = site.submitter()
            submissions = []
            for study in studies.found[-sizes.jobs - depth :]:
                start = time.perf_counter()
                submitter.submit(study)
                submissions.append(1000 * (time.perf_counter() - start))
            with site.worker(1) as log:
                log.wait("job ended", sizes.jobs + 1)
                jobs = _beside_the_scan(log)[: sizes.jobs]
        between, within, published = zip(*jobs, strict=True)
        rows.append(
            (
                f"{depth:,}",
                f"{results:,}",
                appendfsync,
                *_median_and_95([a + b for a, b, _ in jobs]),
                f"{median(between):.1f}",
                f"{median(within):.1f}",
                f"{median(published):.1f}",
                *_median_and_95(submissions[-sizes.jobs :]),
            )
        )
    header = ("BEHIND", "RESULTS", "APPENDFSYNC", "JOB", "95 %", "BETWEEN", "WITHIN", "PUBLISHING")
    _table("Cost of the queue, ms", (*header, "SUBMISSION", "95 %"), rows)
    print(
        f"{sizes.jobs} jobs a row, one worker process; behind = jobs that wait behind them; results = those\n"
        "that stand in the results folder before; job = its time without scan and publishing: between jobs\n"
        "(message, claim) and within (record, lease, looking at the results folder); submission = record\n"
        "and message, without finding and hashing the files"
    )


def _beside_the_scan(log: Log) -> list[tuple[float, float, float]]:
    """Milliseconds between the job before and this one, within it beside the work, and of publishing."""
    begun, scanned, published = (
        {found["job"]: found.get("seconds", found["at"]) for found in log.events(name)}
        for name in ("job begun", "film scanned", "result published")
    )
    ended = [(found["job"], found["at"]) for found in log.events("job ended")]
    seconds = [
        (begun[job] - before, at - begun[job] - scanned[job] - published[job], published[job])
        for (_, before), (job, at) in pairwise(ended)
    ]
    return [(1000 * a, 1000 * b, 1000 * c) for a, b, c in seconds]


def operations(studies: Studies, sizes: Sizes, folder: Path) -> None:
    """What Redis does for a job, and for workers that have nothing to do."""
    with Site(folder) as site:
        submitter = site.submitter()
        found, pause = studies.found[: sizes.jobs], 3 * LEASE / 4
        alone = _load(site)
        time.sleep(pause)
        before = _load(site)
        for study in found:
            submitter.submit(study)
        submitted = _load(site)
        clients = site.info("clients")["connected_clients"]
        with site.worker(1) as log:
            log.wait("job ended", sizes.jobs)
            worked = _load(site)
            time.sleep(pause)
            idle = _load(site)
            connections = site.info("clients")["connected_clients"] - clients
    rows = []
    for what, start, end, count in (
        ("second without a worker", alone, before, pause),
        ("submission", before, submitted, sizes.jobs),
        ("job of one film", submitted, worked, sizes.jobs),
        ("second of an idle worker", worked, idle, pause),
    ):
        change = {name: (end[name] - start.get(name, 0.0)) / count for name in end}
        calls = {name[8:]: calls for name, calls in change.items() if name.startswith("cmdstat_")}
        shown = ", ".join(f"{name} {number:.1f}" for name, number in sorted(calls.items()) if number >= 0.05)
        figures = (f"{change[name]:.2f}" for name in ("cpu", "in", "out", "aof"))
        rows.append((what, f"{sum(calls.values()):.1f}", *figures, shown))
    _table("Redis, for each", ("", "COMMANDS", "CPU ms", "kB IN", "kB OUT", "AOF kB", "OF THESE"), rows)
    print("commands = those that scripts call included; evalsha is one change of a record")
    print(f"a worker of one process that has worked and is idle holds {connections} connections")


def _load(site: Site) -> dict[str, float]:
    commands = {name: float(value["calls"]) for name, value in site.info("commandstats").items()}
    for own in ("cmdstat_info", "cmdstat_client|setinfo"):
        commands.pop(own, None)
    cpu, stats = site.info("cpu"), site.info("stats")
    return commands | {
        "cpu": 1000 * (cpu["used_cpu_user"] + cpu["used_cpu_sys"]),
        "in": stats["total_net_input_bytes"] / 1000,
        "out": stats["total_net_output_bytes"] / 1000,
        "aof": site.info("persistence")["aof_current_size"] / 1000,
    }


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
    _table(f"Submission of {sizes.studies:,} studies of one small film", ("", "SECONDS", "PEAK MB"), rows)
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
    _table(title, ("COMMAND", "MEDIAN s", "MOST s", "PEAK MB", "LINES"), rows)


def interactive(studies: Studies, sizes: Sizes, folder: Path) -> None:
    """An interactive job behind a batch: it begins with the next free process."""
    rows = []
    for processes in (1, 2):
        with Site(folder) as site:
            batch, single = site.submitter(), site.submitter("interactive", "")
            for study in studies.found[: sizes.behind]:
                batch.submit(study)
            waiting, before, seconds = sizes.behind, [], []
            with site.worker(processes) as log:
                for number, study in enumerate(studies.found[-sizes.times :], start=1):
                    log.wait("job ended", 7 * number)
                    waiting = site.redis.zcard("bcd:waiting:batch")
                    since = time.time()
                    job = single.submit(study).job_id
                    sent = time.time()
                    at = _begun(log, job)
                    before.append(sum(sent < begun["at"] < at for begun in log.events("job begun")))
                    seconds.append(at - since)
                batch_job = median(ended["seconds"] for ended in log.events("job ended"))
        times = (f"{value:.3f}" for value in (median(seconds), max(seconds), batch_job))
        rows.append((processes, f"{waiting:,}", max(before), *times))
    header = ("PROCESSES", "BATCH JOBS WAIT", "BEGUN BEFORE IT, MOST", "MEDIAN s", "MOST s", "s A BATCH JOB")
    _table(f"An interactive job behind a batch, {sizes.times} times each, until it begins", header, rows)


def _begun(log: Log, job: str) -> float:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for begun in log.events("job begun"):
            if begun["job"] == job:
                return begun["at"]
        time.sleep(0.02)
    raise SystemExit("an interactive job did not begin")


def memory(_: Studies, sizes: Sizes, folder: Path) -> None:
    """What a job of four films takes in Redis, while it waits and when it is done."""
    count, rows = sizes.records, []
    for compact in (False, True):
        with Site(folder) as site:
            site.redis.config_set("auto-aof-rewrite-percentage", 0)
            if compact:
                site.redis.config_set("hash-max-ziplist-value", 4096)
            submitter = site.submitter()
            empty = _space(site)
            ids = [submitter.submit(_of_four_films(number)).job_id for number in range(count)]
            queued = _space(site)
            site.records.forget_messages()
            recorded = _space(site)
            for job in ids:
                site.records.claim(job, "benchmark", LEASE)
                for film in range(1, 5):
                    site.records.renew(job, "benchmark", LEASE, film)
                site.records.end(job, "benchmark", state="done", tally=Tally(4, 0, 1, 0.5), outs=1)
            done = _space(site)
            grown = site.restart_redis()
            site.redis.bgrewriteaof()
            wait_for(lambda: not site.info("persistence")["aof_rewrite_in_progress"], 120)
            rewritten = _space(site)
            starts = (grown, site.restart_redis())
            if site.redis.zcard("bcd:ended") != count:
                raise SystemExit("Redis has lost jobs")
        if compact:
            rows += [
                ("queued, hash-max-ziplist-value 4096", _each(empty[0], queued[0], count), ""),
                ("ended, likewise", _each(empty[0], done[0], count), ""),
            ]
        else:
            rows += [
                ("queued", _each(empty[0], queued[0], count), _each(empty[1], queued[1], count)),
                ("  of this the message", _each(recorded[0], queued[0], count), ""),
                ("ended", _each(empty[0], done[0], count), _each(empty[1], done[1], count)),
                ("  after BGREWRITEAOF", "", _each(empty[1], rewritten[1], count)),
            ]
    path = _of_four_films(0).films[0].path
    title = f"Redis, bytes a job of 4 films; {count:,} jobs; paths of {len(str(path))} characters"
    _table(title, ("", "MEMORY", "APPEND-ONLY FILE"), rows)
    print(
        "killed and started again, Redis answers after {:.2f} s, after BGREWRITEAOF {:.2f} s".format(*starts)
    )


def _space(site: Site) -> tuple[int, int]:
    return site.info("memory")["used_memory"], site.info("persistence")["aof_current_size"]


def _each(before: int, after: int, count: int) -> str:
    return f"{(after - before) / count:,.0f}"


def _of_four_films(number: int) -> StudyInput:
    """A study that exists as UIDs, paths and digests of the usual lengths only."""
    root = "1.2.826.0.1.3680043.10.1234"
    uid = f"{root}.1.20240131083000.{number:07d}"
    films = []
    for view in range(4):
        film = f"{root}.3.{view}.20240131083000.{number:07d}"
        path = Path("/srv/films/2024/01/31", uid, f"{root}.2.{view}", f"{film}.dcm")
        films.append(FilmSource(path, film, hashlib.sha256(film.encode()).hexdigest()))
    return StudyInput(uid, tuple(films))


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
    _table(title, (*header, "s TO PUBLISH", "PEAK MB", "RESULT MB", "FILES"), rows)
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


PARTS = {part.__name__: part for part in (cost, operations, submit, jobs, interactive, memory, films)}


# --- output -----------------------------------------------------------------------------------------------


def _median_and_95(values: Sequence[float]) -> tuple[str, str]:
    return f"{median(values):.1f}", f"{quantiles(values, n=20)[-1]:.1f}"


def _table(title: str, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    texts = [tuple(map(str, row)) for row in (header, *rows)]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    print(f"\n{title}", flush=True)
    for row in texts:
        print("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


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
