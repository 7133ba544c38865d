"""``train``: cross-validates and trains the recipe; the work is done by ``bcd_model.training.train``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import typer

import bcd_model
from bcd_model.errors import TruthError
from converters.mias.collection import read_collection
from worker.cli.shared.console import note, say, warn
from worker.cli.shared.figures import counted
from worker.cli.shared.folder import held

_NAMED = 5


def train(
    mias: Path = typer.Option(..., "--mias", metavar="DIR", help="Folder with PGM films and Info.txt."),
    out: Path = typer.Option(..., "--out", "-o", metavar="DIR", help="Folder for weights and checkpoints."),
    folds: int = typer.Option(
        5, "--folds", metavar="N", min=2, help="Folds of the cross-validation by patient."
    ),
    steps: int | None = typer.Option(
        None, "--steps", metavar="N", min=1, help="Training steps of each network."
    ),
    units: int = typer.Option(
        256, "--units", metavar="N", min=1, help="Width of the dense layer (paper: 1024)."
    ),
    second_stage: bool = typer.Option(
        True,
        "--second-stage/--no-second-stage",
        help="Score the marks again with an ImageNet network, beside the other breast.",
    ),
    threads: int = typer.Option(
        1, "--threads", metavar="N", min=1, help="Of PyTorch; another number, other last digits."
    ),
    seed: int = typer.Option(0, "--seed", metavar="N", min=0, help="The same seed gives the same weights."),
) -> None:
    """Cross-validate the recipe by patient, train it on all films, write a weight file.

    A run that was ended goes on where it stood when it is started again with the same --out.
    """
    from bcd_model.detector.backbone import imagenet_backbone  # brings torch
    from bcd_model.training.network import TrainingConfig, prepare  # brings torch
    from bcd_model.training.train import develop  # brings torch

    config = TrainingConfig(seed=seed, units=units, second_stage=second_stage, threads=threads)
    if steps is not None:
        config = replace(config, steps=steps, mining=tuple(steps * part // 3 for part in (1, 2)))
    if second_stage:
        imagenet_backbone()  # if it is not installed, that is said before the films are read
    collection = read_collection(mias)
    for text in (*collection.warnings, *collection.unusable):
        warn(text)
    if collection.missing:
        more = ", ..." if len(collection.missing) > _NAMED else ""
        raise TruthError(
            f"{counted(len(collection.missing), 'film')} of Info.txt cannot be used or "
            f"{'is' if len(collection.missing) == 1 else 'are'} not there "
            f"({', '.join(collection.missing[:_NAMED])}{more})",
            "put them in the folder, or take their lines out of Info.txt",
            mias,
        )
    data = {
        "name": "mini-MIAS database of mammograms (Suckling et al. 1994)",
        "licence": "research purposes only; no renting, leasing or selling; cite it in publications",
    }
    command = (
        f"bcd-admin train --mias DIR --out DIR --folds {folds} --steps {config.steps} --units {units} "
        f"{'' if second_stage else '--no-second-stage '}--threads {threads} --seed {seed}"
    )
    with held(out):  # before the films are prepared, which takes a while
        path = develop(
            prepare(collection.films, config.steps_mm, note),
            config,
            out,
            folds=folds,
            version=bcd_model.__version__,
            data=data,
            command=command,
            progress=note,
        )
    say(str(path))
