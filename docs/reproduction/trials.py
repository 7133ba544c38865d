"""Reasons why our figures of S1 may differ from the printed ones, each tried on S1f.

::

    python docs/reproduction/trials.py --mias mias [--only NAME ...] [--protocol patient] [--seeds N ...]

prints one row a trial, as in ``docs/explanation/paper.md``: trained, split and scaled as by ``bcd-admin
reproduce --system S1f --precision bfloat16 --threads 1``, with other crops. Where their number is another,
so is the split.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt
import torch

from bcd_model.errors import BcdError
from bcd_model.paper.crops import PaperCrop, film_rectangle, leaves_film, square_crop
from bcd_model.paper.experiment import train_and_test
from bcd_model.paper.inputs import DRAW, prepare, select
from bcd_model.paper.protocols import splits
from bcd_model.paper.report.summary import Group
from bcd_model.paper.runs import Options, Run
from bcd_model.paper.systems import PROTOCOLS, SYSTEMS, Protocol
from bcd_model.paper.training import DivergedError
from bcd_model.words import WINDOW, AnnotatedFilm, Film, Precision, Region
from converters.mias.collection import read_collection

Films = Sequence[AnnotatedFilm]
Pixels = npt.NDArray[np.float32]

SYSTEM = SYSTEMS["S1f"]


def as_it_is(films: Films) -> list[PaperCrop]:
    """S1f itself: the figures kept in ``runs``."""
    return prepare(films, SYSTEM.preparation, SYSTEM.size)


def mirrored(films: Films) -> list[PaperCrop]:
    """A control: each lesion's square is cut as far from the picture's lower edge as it lies from the upper.

    There it would lie if ``Info.txt`` counted rows from above; what the film's border cuts there is left
    out, too. Few of these squares hold a lesion.
    """
    by_name = {film.name: film.read() for film in films}

    def move(crop: PaperCrop) -> PaperCrop | None:
        film = by_name[crop.film]
        row, column = crop.region.center
        region = Region((film.shape[0] - 1 - row, column), crop.region.radius)
        if leaves_film(region, film_rectangle(film.pixels)):
            return None
        return replace(crop, pixels=square_crop(film.pixels, region), region=region)

    moved = [move(crop) if crop.label else crop for crop in as_it_is(films)]
    return [crop for crop in moved if crop is not None]


def windows_anywhere(films: Films) -> list[PaperCrop]:
    """Normal windows lie anywhere on the film, not with their centre in the breast."""
    by_name = {film.name: film.read() for film in films}
    rng = np.random.default_rng(DRAW)

    def move(crop: PaperCrop) -> PaperCrop:
        film = by_name[crop.film]
        inside = film_rectangle(film.pixels)
        half = WINDOW // 2
        row = rng.integers(inside.top + half, inside.bottom - half + 1)
        column = rng.integers(inside.left + half, inside.right - half + 1)
        region = Region((float(row) - 0.5, float(column) - 0.5), WINDOW / 2)
        return replace(crop, pixels=square_crop(film.pixels, region), region=region)

    return [crop if crop.label else move(crop) for crop in as_it_is(films)]


def not_smoothed(films: Films) -> list[PaperCrop]:
    """Crops that shrink are not smoothed first, as where only 4 pixels are interpolated."""
    by_name = {film.name: film.read() for film in films}

    def cut(film: Film, region: Region) -> Pixels:
        step = 2 * region.radius / WINDOW
        places = (np.arange(WINDOW) + 0.5) * step - region.radius - 0.5
        rows, columns = (
            np.clip(c + 0.5 + places, 0, n - 1) for c, n in zip(region.center, film.shape, strict=True)
        )
        top, left = (
            np.minimum(np.floor(at).astype(int), n - 2)
            for at, n in zip((rows, columns), film.shape, strict=True)
        )
        down, across = (rows - top)[:, None], columns - left
        at = film.pixels
        upper = at[np.ix_(top, left)] * (1 - across) + at[np.ix_(top, left + 1)] * across
        lower = at[np.ix_(top + 1, left)] * (1 - across) + at[np.ix_(top + 1, left + 1)] * across
        return np.asarray(upper * (1 - down) + lower * down, dtype=np.float32)

    crops = as_it_is(films)
    return [
        replace(crop, pixels=cut(by_name[crop.film], crop.region)) if crop.label else crop for crop in crops
    ]


def half_the_patients(films: Films) -> list[PaperCrop]:
    """Every second patient alone: does the number of films matter?"""
    patients = sorted({film.patient for film in films})[::2]
    return [crop for crop in as_it_is(films) if crop.patient in patients]


TRIALS: dict[str, Callable[[Films], list[PaperCrop]]] = {
    function.__name__.replace("_", "-"): function
    for function in (as_it_is, mirrored, windows_anywhere, not_smoothed, half_the_patients)
}


def measure(
    crops: Sequence[PaperCrop],
    protocol: Protocol,
    seeds: Sequence[int],
    steps: int,
    precision: Precision = "bfloat16",
) -> Group:
    """Train and test as ``bcd-admin reproduce`` does.

    Raises:
        DivergedError: nothing comes of a network.
    """
    chosen = select(crops, "all")
    options = Options(steps, precision, threads=1)
    outcomes = []
    for seed in seeds:
        for split in splits(chosen, SYSTEM, protocol, seed):
            run = Run(SYSTEM.name, "all", protocol, seed, split.fold)
            with TemporaryDirectory() as folder:
                outcomes.append(train_and_test(run, chosen, split, options, "a trial", Path(folder)))
    return Group(outcomes)


def row(name: str, crops: Sequence[PaperCrop], group: Group) -> str:
    """Return what a trial came to."""
    each = ", ".join(f"{answers.figures()['accuracy']:.3f}" for answers in group.answers)
    cells = (
        name,
        str(len(crops)),
        f"{group.figures['accuracy'].value:.3f}",
        each,
        f"{group.figures['auc_abnormal'].value:.3f}",
        f"{group.majority:.3f}",
        f"{group.loss()['last_tenth']:.3f}",
    )
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--mias", type=Path, required=True)
    parser.add_argument("--only", nargs="+", choices=TRIALS, default=list(TRIALS))
    parser.add_argument("--protocol", choices=PROTOCOLS, default="paper")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=SYSTEM.recipes["all"].steps)
    given = parser.parse_args()
    torch.set_num_threads(1)
    try:
        _print_table(given)
    except BcdError as error:
        parser.error(str(error))


def _print_table(given: argparse.Namespace) -> None:
    collection = read_collection(given.mias)
    for text in collection.warnings:
        print(text, file=sys.stderr)
    films = collection.films
    if sorted(film.name for film in films) != Path(__file__).with_name("films.txt").read_text().split():
        print("these are not the films of films.txt: nothing compares with the page", file=sys.stderr)
    print(
        "| trial | crops | accuracy | each seed | AUC abnormal | always the same answer | loss at the end |"
    )
    print("|---|---|---|---|---|---|---|")
    for name in given.only:
        crops = TRIALS[name](films)
        try:
            print(row(name, crops, measure(crops, given.protocol, given.seeds, given.steps)), flush=True)
        except DivergedError:
            print(f"| {name} | {len(crops)} | diverged | | | | |", flush=True)


if __name__ == "__main__":
    main()
