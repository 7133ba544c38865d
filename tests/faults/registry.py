"""The rows of the table, by name, and how one is run."""

from __future__ import annotations

import shutil
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.faults.bench import Bench, Numbers
from tests.faults.outcome import Outcome, SkippedRowError
from tests.faults.sites import TimeoutInRowError

RowFunction = Callable[[Bench], None]


@dataclass(frozen=True)
class Row:
    """One fault: what it is called, what it does, what it needs."""

    name: str
    function: RowFunction
    settings: Callable[[Numbers], dict[str, str]]
    place: Callable[[Path], Iterator[Path]] | None
    asked_only: bool

    @property
    def about(self) -> str:
        """The first line of what the row says of itself."""
        return (self.function.__doc__ or "").splitlines()[0]


ROWS: dict[str, Row] = {}


def row(
    name: str,
    *,
    settings: Callable[[Numbers], dict[str, str]] = lambda _: {},
    place: Callable[[Path], Iterator[Path]] | None = None,
    asked_only: bool = False,
) -> Callable[[RowFunction], RowFunction]:
    """Enter a function in the table.

    Args:
        settings: environment variables of its site.
        place: a generator that yields its results folder, if that is a special one, and clears it away.
        asked_only: it runs only when it is named.
    """

    def enter(function: RowFunction) -> RowFunction:
        ROWS[name] = Row(name, function, settings, place, asked_only)
        return function

    return enter


def run_row(row: Row, folder: Path, numbers: Numbers, seed: int) -> Outcome:
    """Run one row in ``folder``, which is made; everything it started has ended when this returns."""
    folder.mkdir(parents=True)
    outcome = Outcome(row.name)
    with ExitStack() as stack:
        try:
            out = None
            if row.place is not None:
                out = stack.enter_context(contextmanager(row.place)(folder))
            settings = row.settings(numbers)
            bench = stack.enter_context(Bench(row.name, folder, numbers, seed, out=out, settings=settings))
            outcome = bench.outcome
            try:
                row.function(bench)
            except SkippedRowError:
                raise
            except TimeoutInRowError as error:
                bench.expect(False, str(error))
            except Exception as error:  # noqa: BLE001 - whatever broke, this row has failed and others go on
                bench.expect(False, "".join(traceback.format_exception(error)))
            bench.finish()
            if not outcome.good:
                bench.gather_evidence()
            orphans = bench.site.close()
            bench.expect(not orphans, f"processes that outlived their parent: {orphans}")
            if row.place is not None:  # which is cleared away now; the comparison comes later
                shutil.copytree(bench.out, folder / "published")
                outcome.roots = {folder / "published": outcome.roots.get(bench.out, [])}
        except SkippedRowError as skipped:
            outcome.skipped = str(skipped)
    return outcome
