"""Rows: processes that are killed, stopped or told to end in mid film."""

from __future__ import annotations

import signal
import time

from tests.faults.bench import Bench, Numbers
from tests.faults.mid_film import MidFilm, mid_film
from tests.faults.registry import row
from tests.faults.sites import Worker, wait_for
from tests.faults.small_films import Study

_AWAY = 2.0  # seconds for which Redis is away


@row("pool child killed")
def pool_child_killed(bench: Bench) -> None:
    """kill -9 of the pool child in mid film."""
    hit = mid_film(bench)
    (worker,) = hit.workers
    bench.fault()
    bench.expect(worker.kill_child(), "there was no pool child to kill")
    bench.wait_until_recovered(hit.slow, hit.before)
    begun_again = _begun(bench, hit.slow)
    bench.wait_until_ended()
    bench.expect(worker.alive, "the worker has ended with its pool child")
    behind = [_begun(bench, study) for study in hit.behind]
    bench.expect(begun_again < max(behind), "the study that was hit went behind all that waited")


@row("worker killed, another one there")
def worker_killed(bench: Bench) -> None:
    """kill -9 of the whole worker in mid film; a second worker takes over."""
    hit = mid_film(bench, workers=2)
    victim = _worker_of(bench, bench.job(hit.slow))
    bench.fault()
    victim.kill()
    bench.wait_until_recovered(hit.slow, hit.before)


@row("worker killed, restarted")
def worker_restarted(bench: Bench) -> None:
    """kill -9 of the only worker in mid film; one is started half a second later."""
    hit = mid_film(bench)
    (worker,) = hit.workers
    bench.fault()
    worker.kill()
    time.sleep(0.5)
    bench.site.start_worker()
    bench.wait_until_recovered(hit.slow, hit.before)


@row("Redis killed")
def redis_killed(bench: Bench) -> None:
    """kill -9 of Redis in mid film, then a restart on the same append-only file; time from the restart."""
    _kill_redis(bench, mid_film(bench))


@row("Redis killed, a process idle")
def redis_killed_while_waiting(bench: Bench) -> None:
    """kill -9 of Redis while one process of a worker scans and another waits for work; then a restart."""
    hit = mid_film(bench, processes=2, behind=0)
    _kill_redis(bench, hit)
    bench.submit(bench.make(2))
    bench.wait_until_ended()
    bench.expect(hit.workers[0].alive, "the worker has ended with Redis")


def _kill_redis(bench: Bench, hit: MidFilm) -> None:
    """kill -9 of Redis and its restart; every job ends, and the worker lives."""
    bench.site.kill_redis()
    time.sleep(_AWAY)
    bench.site.start_redis()
    bench.fault()
    bench.wait_until_recovered(hit.slow, hit.before)
    bench.wait_until_ended()
    bench.expect(hit.workers[0].alive, "the worker has ended with Redis")


@row("Redis full")
def redis_full(bench: Bench) -> None:
    """Redis has no memory left in mid film, then has again: what runs ends, the rest is done afterwards."""
    hit = mid_film(bench)
    workers = list(hit.workers)
    bench.site.redis.config_set("maxmemory", 1)

    def ended() -> bool:
        look = bench.site.look(bench.job(hit.slow))
        return look is not None and look.final

    wait_for(ended, bench.numbers.patience, "the study that runs ends while Redis is full")
    workers.append(bench.site.start_worker())
    wait_for(lambda: workers[1].says("OutOfMemory") or not workers[1].alive, 60, "a new worker sees it")
    time.sleep(_AWAY)
    bench.site.redis.config_set("maxmemory", 0)
    bench.fault()
    bench.wait_until_recovered(hit.behind[0], None)
    bench.wait_until_ended()
    for worker in workers:
        bench.expect(worker.alive, "a worker has ended with a full Redis")


@row("Redis's disk full")
def redis_disk_full(bench: Bench) -> None:
    """Redis cannot write to its disk and refuses every change, in mid film; time from when it can again."""
    hit = mid_film(bench, processes=2)
    (worker,) = hit.workers
    place = bench.site.redis.config_get("dir")["dir"]
    for name, value in (("dir", "/proc"), ("save", "1 1")):
        bench.site.redis.config_set(name, value)
    bench.site.redis.bgsave()

    def refused() -> bool:
        return bench.site.redis.info("persistence")["rdb_last_bgsave_status"] == "err"

    wait_for(refused, 30, "Redis notices that it cannot write")
    time.sleep(2 * _AWAY)
    for name, value in (("save", ""), ("dir", place)):
        bench.site.redis.config_set(name, value)
    bench.fault()
    bench.wait_until_recovered(hit.slow, hit.before)
    bench.wait_until_ended()
    bench.expect(worker.alive, "the worker has ended with Redis's disk")


@row("power failure")
def power_failure(bench: Bench) -> None:
    """kill -9 of Redis and the worker at once in mid film, then both again; time from the restart."""
    hit = mid_film(bench)
    (worker,) = hit.workers
    bench.site.kill_redis()
    worker.signal_all(signal.SIGKILL)
    worker.process.wait()
    bench.site.start_redis()
    bench.fault()
    bench.site.start_worker()
    bench.wait_until_recovered(hit.slow, hit.before)


@row("SIGTERM")
def sigterm(bench: Bench) -> None:
    """SIGTERM in mid film: the worker finishes the study and ends with 0; a second one does the rest."""
    hit = mid_film(bench)
    (worker,) = hit.workers
    bench.fault()
    code = worker.terminate()
    ended = bench.site.look(bench.job(hit.slow))
    bench.expect(code == 0, f"the worker ended with {code} after SIGTERM")
    bench.expect(ended is not None and ended.state == "done", f"the study it was at is {ended}")
    rest = [bench.site.look(bench.job(study)) for study in hit.behind]
    begun = [look for look in rest if look is None or look.state != "queued"]
    bench.expect(not begun, f"other studies were begun after SIGTERM: {begun}")
    bench.wait_until_recovered(hit.slow, hit.before)
    bench.site.start_worker()


def _visibility(numbers: Numbers) -> dict[str, str]:
    return {"BCD_VISIBILITY_TIMEOUT": str(numbers.visibility)}


@row("worker stopped", settings=_visibility)
def worker_stopped(bench: Bench) -> None:
    """SIGSTOP of a whole worker in mid film for longer than the visibility timeout, then SIGCONT."""
    hit = mid_film(bench, workers=2)
    stopped = _worker_of(bench, bench.job(hit.slow))
    stopped.signal_all(signal.SIGSTOP)
    bench.fault()
    since = time.monotonic()
    try:
        bench.wait_until_recovered(hit.slow, hit.before)
        bench.wait_until_ended()
        time.sleep(max(0.0, bench.numbers.visibility + 2 - (time.monotonic() - since)))
    finally:
        stopped.signal_all(signal.SIGCONT)
    # The continued worker drops what it was at, and is good for more: all alone, from now on.
    for other in hit.workers:
        if other is not stopped:
            bench.expect(other.terminate() == 0, "the other worker did not end with 0")
    more = bench.make(2)
    bench.submit(more)
    bench.wait_until_ended()
    bench.expect(stopped.alive, "the continued worker has ended")


@row("study that kills its worker")
def poison(bench: Bench) -> None:
    """kill -9 of the pool child whenever one job runs: quarantined after 3 times, the others are done."""
    slow = bench.make_slow()
    studies = [slow, *bench.make(bench.numbers.small)]
    worker = bench.site.start_worker()
    bench.submit(studies)
    bench.quarantined(slow, "quarantined")
    killed: set[int] = set()

    def ended() -> bool:
        look = bench.site.look(bench.job(slow))
        if look is not None and look.state == "running" and look.film >= 1 and look.attempts not in killed:
            killed.add(look.attempts)
            worker.kill_child()
        return look is not None and look.final

    wait_for(ended, bench.numbers.patience, "the study that kills its worker has ended")
    look = bench.site.look(bench.job(slow))
    bench.expect(len(killed) == 3, f"its worker was killed {len(killed)} times")
    bench.expect(look is not None and look.attempts == 3, f"its record says {look}")
    named = bench.site.admin("jobs", "--state", "failed", "--json")
    names = [job["study_instance_uid"] for job in named.json["jobs"]] if named.code == 0 else named.err
    bench.expect(names == [slow.uid], f"jobs --state failed names {names}")
    bench.wait_until_ended()
    bench.expect(worker.alive, "the worker has ended with its pool child")


def _begun(bench: Bench, study: Study) -> float:
    """When the study's last attempt began."""
    return float(str(bench.site.redis.hget(f"bcd:job:{bench.job(study)}", "begun")))


def _worker_of(bench: Bench, job: str) -> Worker:
    found: list[Worker] = []

    def said() -> bool:
        found[:] = [worker for worker in (bench.site.worker_of(job),) if worker is not None]
        return bool(found)

    wait_for(said, 10, f"a worker's log names job {job}")
    return found[0]
