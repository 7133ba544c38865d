"""Parts of the benchmark of scale: what the queue costs, and how long a job waits in it."""

from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path
from statistics import median

from tests.benchmarks.scale_rows import LEASE, Sizes, median_and_95, print_table
from tests.benchmarks.scale_site import Log, Site, Studies


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
                *median_and_95([a + b for a, b, _ in jobs]),
                f"{median(between):.1f}",
                f"{median(within):.1f}",
                f"{median(published):.1f}",
                *median_and_95(submissions[-sizes.jobs :]),
            )
        )
    header = ("BEHIND", "RESULTS", "APPENDFSYNC", "JOB", "95 %", "BETWEEN", "WITHIN", "PUBLISHING")
    print_table("Cost of the queue, ms", (*header, "SUBMISSION", "95 %"), rows)
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
    print_table("Redis, for each", ("", "COMMANDS", "CPU ms", "kB IN", "kB OUT", "AOF kB", "OF THESE"), rows)
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
    print_table(f"An interactive job behind a batch, {sizes.times} times each, until it begins", header, rows)


def _begun(log: Log, job: str) -> float:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for begun in log.events("job begun"):
            if begun["job"] == job:
                return begun["at"]
        time.sleep(0.02)
    raise SystemExit("an interactive job did not begin")
