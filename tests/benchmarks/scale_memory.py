"""Part of the benchmark of scale: what jobs take in Redis."""

from __future__ import annotations

import hashlib
from pathlib import Path

from converters.films.studies import FilmSource, StudyInput
from tests.benchmarks.scale_rows import LEASE, Sizes, print_table
from tests.benchmarks.scale_site import Site, Studies
from worker.engine.host import wait_for
from worker.study.outcome import Tally


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
    print_table(title, ("", "MEMORY", "APPEND-ONLY FILE"), rows)
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
