"""Rows that are run only when asked for: many studies under random kills, and the memory of a long run."""

from __future__ import annotations

import random
import time
from itertools import pairwise
from pathlib import Path

from tests.faults.bench import Bench
from tests.faults.registry import row
from tests.faults.sites import TimeoutInRowError, Worker, wait_for

_STUCK = 120.0  # seconds without a result
_RESTART = 0.3  # seconds until whatever looks after a worker starts it again
_AWAY = (0.2, 2.0)  # seconds for which Redis is away
_PHASE = 0.2  # seconds, about two small studies: no longer, or all are done before the last kill
_MOST_GROWTH = 1.2  # of a process's resident memory between a tenth of the films and all of them


@row("random kills", asked_only=True)
def random_kills(bench: Bench) -> None:
    """Two workers under random kills of pool children, whole workers and Redis, spread over the whole run.

    Half of the kills hit pool children, a third whole workers, the others Redis. "Time to recover" is the
    longest time between two results.
    """
    chance = random.Random(bench.seed)
    studies = bench.make(bench.numbers.studies)
    workers = [bench.site.start_worker() for _ in range(2)]
    bench.submit(studies, "--batch", "random")
    kills = _plan(chance, bench.numbers.kills)
    done: list[str] = []
    bench.fault()
    last, moved = 0, time.monotonic()
    while not _all_ended(bench):
        if bench.watcher.published != last:
            last, moved = bench.watcher.published, time.monotonic()
        if time.monotonic() - moved > _STUCK:
            raise TimeoutInRowError(f"no result for {_STUCK:.0f} s after {last} results, kills {done}")
        for place, worker in enumerate(workers):
            if not worker.alive:
                bench.expect(False, f"{worker.log.name} ended by itself ({worker.process.returncode})")
                workers[place] = bench.site.start_worker()
        if len(done) < len(kills) and last >= (len(done) + 0.5) * len(studies) / (len(kills) + 1):
            time.sleep(chance.uniform(0, _PHASE))
            kind = kills[len(done)]
            _kill(bench, kind, workers, chance)
            done.append(kind)
        time.sleep(0.05)
    bench.outcome.all_done = time.monotonic() - bench.since
    bench.expect(len(done) == len(kills), f"{len(done)} of {len(kills)} kills happened before all was done")
    firsts = sorted(seen.first for seen in bench.watcher.seen.values())
    bench.outcome.recovery = max((after - before for before, after in pairwise(firsts)), default=None)
    counts = ", ".join(f"{done.count(kind)} {kind}" for kind in sorted(set(done)))
    attempts = [look.attempts for look in bench.site.looks(list(bench.job_of.values())) if look]
    bench.note(f"killed: {counts}; {sum(count > 1 for count in attempts)} jobs begun more than once")


def _plan(chance: random.Random, count: int) -> list[str]:
    redis = max(1, count // 6)
    worker = count // 3
    kinds = ["Redis"] * redis + ["worker"] * worker + ["pool child"] * (count - redis - worker)
    chance.shuffle(kinds)
    return kinds


def _kill(bench: Bench, kind: str, workers: list[Worker], chance: random.Random) -> None:
    place = chance.randrange(len(workers))
    if kind == "Redis":
        bench.site.kill_redis()
        time.sleep(chance.uniform(*_AWAY))
        bench.site.start_redis()
    elif kind == "worker":
        workers[place].kill()
        time.sleep(_RESTART)
        workers[place] = bench.site.start_worker()
    else:
        wait_for(workers[place].kill_child, 30, "a pool child to kill")


def _all_ended(bench: Bench) -> bool:
    if bench.watcher.published < len(bench.studies):
        return False
    looks = bench.site.looks(list(bench.job_of.values()))
    return all(look is not None and look.final for look in looks)


@row("memory", asked_only=True)
def memory(bench: Bench) -> None:
    """Many studies through one pool child without faults: its memory after each tenth of them."""
    studies = bench.make(bench.numbers.studies)
    worker = bench.site.start_worker()
    bench.submit(studies, "--batch", "memory")
    counts = [len(studies) * tenth // 10 for tenth in range(1, 11)]
    sizes = [_sizes_after(bench, worker, count) for count in counts]
    children = {child for size in sizes for child in size}
    bench.expect(len(children) == 1, "the pool child was replaced in the course of the run")
    for child in children:
        for kind, most in (("VmRSS", _MOST_GROWTH), ("Anonymous", None)):
            course = [size[child][kind] for size in sizes if child in size]
            ratio = course[-1] / course[0]
            steps = " ".join(f"{kilobytes / 1024:.0f}" for kilobytes in course)
            bench.note(
                f"{kind} in MB from film {counts[0]} to {counts[-1]}: {steps}; last to first {ratio:.3f}"
            )
            bench.expect(most is None or ratio < most, f"{kind} has grown by a factor of {ratio:.2f}")


def _sizes_after(bench: Bench, worker: Worker, count: int) -> dict[int, dict[str, int]]:
    wait_for(lambda: bench.watcher.published >= count, 1800, f"{count} results", poll=0.02)
    return {child: _size(child) for child in worker.children()}


def _size(process: int) -> dict[str, int]:
    """Resident memory of a process in kB: all of it, and what is its own and no file."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    lines += Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    found = {}
    for line in lines:
        name, _, value = line.partition(":")
        if name in ("VmRSS", "Anonymous"):
            found[name] = int(value.split()[0])
    return found
