"""What most faults hit: a study that is scanned just now, with others that wait behind it."""

from __future__ import annotations

from dataclasses import dataclass

from tests.faults.bench import Bench
from tests.faults.sites import Look, Worker
from tests.faults.small_films import Study


@dataclass(frozen=True)
class MidFilm:
    """A site at work.

    Attributes:
        slow: the study that is scanned.
        behind: the small studies that wait.
        workers: all that were started.
        before: the record of the slow study's job when it was seen in mid film.
    """

    slow: Study
    behind: list[Study]
    workers: list[Worker]
    before: Look


def mid_film(bench: Bench, *, workers: int = 1, processes: int = 1, behind: int | None = None) -> MidFilm:
    """Start workers, submit a slow study and small ones behind it, and wait for mid film of the slow one.

    Args:
        processes: of each worker.
        behind: how many small studies; without, as many as the row's numbers say.
    """
    slow = bench.make_slow()
    small = bench.make(bench.numbers.small if behind is None else behind)
    started = [bench.site.start_worker(processes=processes) for _ in range(workers)]
    bench.submit([slow, *small])
    return MidFilm(slow, small, started, bench.wait_until_scanning(slow))
