"""Reasons why our figures of S1 may differ from the printed ones, each tried on S1f.

::

    python docs/reproduction/trials.py --mias mias [--only NAME ...] [--protocol patient] [--seeds N ...]

prints one row a trial, as in ``docs/explanation/paper.md``. Seeds, splits, training and scale of the pixels
are those of ``bcd-admin reproduce --system S1f --precision bfloat16 --threads 1``; only the crops differ.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from bcd_model.evaluation import auc
from bcd_model.paper.inputs import DRAW, prepare, scale, select
from bcd_model.paper.protocols import splits
from bcd_model.paper.runs import Run
from bcd_model.paper.systems import PROTOCOLS, SYSTEMS, Protocol
from bcd_model.paper.training import Setting, predict, train
from bcd_model.patches import VARIANTS, PaperCrop, film_rectangle, leaves_film, square_crop
from bcd_model.words import WINDOW, AnnotatedFilm, Film, Region
from converters.mias import read_collection

Films = Sequence[AnnotatedFilm]
Pixels = npt.NDArray[np.float32]

SYSTEM = SYSTEMS["S1f"]


def as_it_is(films: Films) -> list[PaperCrop]:
    """S1f itself: the figures kept in ``runs``."""
    return prepare(films, SYSTEM.preparation, SYSTEM.size)


def mirrored(films: Films) -> list[PaperCrop]:
    """A control: each lesion's square is cut as far from the film's lower edge as it lies from the upper.

    There it would lie if nobody had noticed that ``Info.txt`` counts rows from below. Few hold a lesion.
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
    return as_it_is([film for film in films if film.patient in patients])


TRIALS: dict[str, Callable[[Films], list[PaperCrop]]] = {
    function.__name__.replace("_", "-"): function
    for function in (as_it_is, mirrored, windows_anywhere, not_smoothed, half_the_patients)
}


@dataclass(frozen=True, slots=True)
class Measured:
    """What one trial and seed came to; over all folds, by patient.

    Attributes:
        area: under the ROC curve, abnormal against normal, by 1 - P(normal).
        majority: share of the most frequent class of the test.
        loss: mean of the last tenth of the training.
    """

    accuracy: float
    area: float
    majority: float
    loss: float


def measure(crops: Sequence[PaperCrop], protocol: Protocol, seed: int, steps: int) -> Measured:
    """Train and test as ``bcd-admin reproduce`` does."""
    chosen = select(crops, "all")
    labels = np.repeat(chosen.labels, VARIANTS)
    recipe = SYSTEM.recipes["all"]
    answers, truths, ends = [], [], []
    for split in splits(chosen, SYSTEM, protocol, seed):
        run = Run(SYSTEM.name, "all", protocol, seed, split.fold)
        samples = scale(chosen.samples(), split.training, SYSTEM.scaling)
        setting = Setting(
            SYSTEM,
            len(chosen.classes),
            recipe.learning_rate,
            steps,
            run.network_seed,
            "bfloat16",
            falling=recipe.falling,
        )
        network, losses = train(setting, samples[split.training], labels[split.training])
        answers.append(predict(network, samples[split.test]))
        truths.append(labels[split.test])
        ends.append(losses[-max(1, steps // 10) :].mean())
    logits, truth = np.concatenate(answers), np.concatenate(truths)
    right = logits.argmax(axis=1) == truth
    p_normal = torch.softmax(torch.from_numpy(logits), 1)[:, 0].numpy()
    return Measured(
        float(right.mean()),
        auc(-p_normal[truth > 0], -p_normal[truth == 0]),
        float(np.bincount(truth).max() / len(truth)),
        float(np.mean(ends)),
    )


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
    films = read_collection(given.mias).films
    print(
        "| trial | crops | accuracy | each seed | AUC abnormal | always the same answer | loss at the end |"
    )
    print("|---|---|---|---|---|---|---|")
    for name in given.only:
        crops = TRIALS[name](films)
        found = [measure(crops, given.protocol, seed, given.steps) for seed in given.seeds]
        mean = {key: np.mean([asdict(one)[key] for one in found]) for key in asdict(found[0])}
        each = ", ".join(f"{one.accuracy:.3f}" for one in found)
        print(
            f"| {name} | {len(crops)} | {mean['accuracy']:.3f} | {each} | {mean['area']:.3f} "
            f"| {mean['majority']:.3f} | {mean['loss']:.3f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
