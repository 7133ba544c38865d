"""``reproduce``: the paper's systems, in the paper's protocol and by patient."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from bcd_model.errors import BcdError, TruthError, UsageError
from bcd_model.evaluation.report.drawing import check_pictures_can_be_drawn
from bcd_model.words import Precision
from converters.mias.collection import INFO_FILE, MiasFilm, read_collection
from worker.cli.shared.console import note, say
from worker.cli.shared.figures import duration
from worker.cli.shared.folder import held
from worker.cli.shared.progress import Lines

if TYPE_CHECKING:
    from bcd_model.paper.experiment import Step, Watch


def reproduce(
    mias: Path = typer.Option(..., "--mias", metavar="DIR", help="Folder with PGM films and Info.txt."),
    out: Path = typer.Option(
        ..., "--out", "-o", metavar="DIR", help="Folder for checkpoints and the report."
    ),
    system: str = typer.Option(
        "S1,S2,S3,S4,S5,S1r,S1u,S1f,S1fr",
        "--system",
        metavar="S1,...",
        help="S1 to S5; S1r: S1 with crops of one scale; S1u: S1 with pixels from 0 to 1; "
        "S1f, S1fr: S1 and S1r at a higher rate that falls to 0, 2,000 steps.",
    ),
    subset: str = typer.Option(
        "all,mass,calcification", "--subset", metavar="all,...", help="Kinds of lesion."
    ),
    protocol: str = typer.Option(
        "paper,patient", "--protocol", metavar="paper|patient", help="One of the two, or both."
    ),
    seeds: int = typer.Option(
        3, "--seeds", metavar="N", min=1, help="Repetitions, with seeds 0, 1, ...; --quick: 1."
    ),
    steps: int | None = typer.Option(
        None, "--steps", metavar="N", min=1, help="Of every training; else each system's own."
    ),
    precision: Precision = typer.Option(
        "float32", "--precision", metavar="float32|bfloat16", help="Of the training."
    ),
    device: str = typer.Option("cpu", "--device", metavar="NAME", help="As PyTorch names it: cpu, cuda, ..."),
    threads: int | None = typer.Option(
        None,
        "--threads",
        metavar="N",
        min=1,
        help="Of PyTorch; the last digits depend on them.",
        show_default="the folder's",
    ),
    quick: bool = typer.Option(
        False, "--quick", help="The whole table in minutes; its figures mean nothing."
    ),
) -> None:
    """Train and test the paper's five systems; write its tables beside ours.

    A run that was ended goes on where it stood when it is started again with the same --out. Further
    systems, subsets and seeds may be added to a folder; the report is about all that is done in it.
    """
    check_pictures_can_be_drawn()
    from bcd_model.paper.experiment import reproduce as do  # brings torch
    from bcd_model.paper.report.files import write_report  # brings Matplotlib
    from bcd_model.paper.runs import Options, choose  # brings SimpleITK

    options = Options(steps, precision, device, quick, threads)
    systems, subsets = _names("--system", system), _names("--subset", subset)
    runs = choose(systems, subsets, _names("--protocol", protocol), 1 if quick else seeds)
    films = _films(mias)
    with held(out):
        with _progress(sum(run.cost(options) for run in runs)) as watch:
            done = do(films, runs, options, out, note, watch)
        facts = {
            "digest": done.films,
            "films": len(films),
            "patients": len({film.patient for film in films}),
        }
        if done.outcomes:
            note("networks done; writing the report")
            say(str(write_report(out, done.outcomes, done.options, facts, done.diverged)))
    if done.diverged:
        raise BcdError(
            f"diverged whatever the start weights: {', '.join(run.name for run in done.diverged)}",
            "leave out what cannot be trained with --system, --subset, --protocol or --seeds",
        )


def _names(option: str, text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise UsageError(f"{option} {text!r} names nothing", "leave it out, to take all")
    return names


def _films(folder: Path) -> tuple[MiasFilm, ...]:
    """The films of ``folder``; whatever is odd about them is refused."""
    collection = read_collection(folder)
    odd = (*collection.warnings, *collection.unusable)
    if odd:
        more = len(odd) - 1
        raise TruthError(
            odd[0] + (f" (and {more} more of such)" if more else ""),
            f"make {INFO_FILE} and the films agree: nothing is reproduced from a part of them",
        )
    return collection.films


class _Clock:
    """How long the rest takes, from what this process has done so far."""

    def __init__(self) -> None:
        self._first: tuple[float, float] | None = None

    def left(self, work: float) -> str:
        """Say how long the ``work`` still ahead takes."""
        now = time.monotonic()
        if self._first is None:
            self._first = now, work
        began, whole = self._first
        if whole <= work:
            return "time left not known yet"
        return f"about {duration(work * (now - began) / (whole - work))} left"


def _line(step: Step, left: str) -> str:
    return f"{left}; {step.run.name}, step {step.done:,} of {step.of:,}, loss {step.loss:.3f}"


@contextmanager
def _progress(total: float) -> Iterator[Watch]:
    """Show the step, the loss and the time left: a bar on a terminal, elsewhere a line a minute.

    Args:
        total: the work of all runs, done or not.
    """
    clock = _Clock()
    if not sys.stderr.isatty():
        lines = Lines()
        yield lambda step: lines.offer(_line(step, clock.left(step.left)))
        return
    from rich.console import Console  # rich: only where there is a terminal
    from rich.progress import BarColumn, Progress, TextColumn
    from rich.table import Column

    columns = (
        BarColumn(12),
        TextColumn("{task.percentage:>3.0f}%", table_column=Column(min_width=4)),
        TextColumn("{task.description}", table_column=Column(no_wrap=True, overflow="ellipsis")),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("reading the films", total=total)

        def watch(step: Step) -> None:
            progress.update(task, completed=total - step.left, description=_line(step, clock.left(step.left)))

        yield watch
