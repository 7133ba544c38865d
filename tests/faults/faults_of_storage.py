"""Rows: the results folder is full, or results are deleted."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from tests.faults.bench import Bench
from tests.faults.outcome import SkippedRowError
from tests.faults.registry import row
from tests.faults.sites import wait_for

_DISK = 16 << 20  # bytes
_LEFT = 48 << 10  # bytes: room for some files of a result, not for all


def _small_disk(folder: Path) -> Iterator[Path]:
    """A file system of its own in memory; needs root."""
    disk = folder / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={_DISK}", "bcd-faults", str(disk)]
    try:
        mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise SkippedRowError(f"nothing can be mounted: {error}") from error
    if mounted.returncode != 0:
        raise SkippedRowError(f"nothing can be mounted: {' '.join(mounted.stderr.split())}")
    try:
        yield disk / "results"
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=False)


@row("results disk full", settings=lambda _: {"BCD_RETRY_SECONDS": "600"}, place=_small_disk)
def disk_full(bench: Bench) -> None:
    """The disk of the results folder is full, then room is made; time from then on."""
    studies = bench.make(bench.numbers.small)
    bench.out.mkdir()
    ballast = bench.out.parent / "ballast"
    _fill(ballast, bench.out.parent)
    bench.site.start_worker()
    bench.submit(studies)
    jobs = [bench.job(study) for study in studies]

    def all_wait() -> bool:
        return bench.site.redis.zcard("bcd:later") == len(studies)

    wait_for(all_wait, 90, "every job waits to be tried again", poll=0.05)
    told = bench.site.admin("status", jobs[0], "--json")
    reason = str(told.json["reason"]) if told.code == 0 else told.err
    bench.expect("No space left" in reason, f"the status says {reason!r}, not that the disk is full")
    time.sleep(bench.numbers.full_seconds)
    states = {look.state if look else "unknown" for look in bench.site.looks(jobs)}
    bench.expect(states <= {"queued", "running"}, f"while the disk was full, jobs were {states}")
    bench.expect(bench.watcher.published == 0, "a result was published on a full disk")
    ballast.unlink()
    bench.fault()

    def one_done() -> bool:
        return any(look is not None and look.final for look in bench.site.looks(jobs))

    wait_for(one_done, bench.numbers.patience, "a first job is done after room was made")
    bench.outcome.recovery = time.monotonic() - bench.since


def _fill(ballast: Path, disk: Path) -> None:
    with ballast.open("wb", buffering=0) as stream, contextlib.suppress(OSError):
        while True:
            stream.write(b"\0" * 4096)
    if shutil.disk_usage(disk).free:
        raise SkippedRowError("the disk cannot be filled")
    os.truncate(ballast, ballast.stat().st_size - _LEFT)


@row("result deleted")
def result_deleted(bench: Bench) -> None:
    """A result folder is deleted between runs: submitting again does that study only, same bytes and UIDs."""
    studies = bench.make(bench.numbers.small + 1)
    bench.site.start_worker()
    bench.submit(studies)
    bench.wait_until_ended()
    bench.watcher.look()
    gone = studies[0]
    bench.watcher.allowed.add(gone.uid)
    (bench.out / gone.uid).rename(bench.folder / "deleted")  # in one step, for the watcher's sake
    bench.watcher.look()
    bench.fault()
    answers = bench.submit(studies)
    expected = {study.uid: "queued" if study is gone else "done" for study in studies}
    bench.expect(answers == expected, f"submitting again was answered {sorted(answers.values())}")
    bench.wait_until_recovered(gone, None)
    bench.wait_until_ended()
    bench.watcher.look()
    published = {uid: seen.publications for uid, seen in bench.watcher.seen.items()}
    wanted = {study.uid: 2 if study is gone else 1 for study in studies}
    bench.expect(published == wanted, f"published {sorted(published.values())} times, not one of them twice")
