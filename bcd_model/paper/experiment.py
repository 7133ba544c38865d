"""The reproduction: every run that is not done yet, then the report of all that are.

All that can be refused is refused before the first network is trained.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from bcd_model.checkpoint import Origin, read_checkpoint
from bcd_model.duplicates import check_given_once
from bcd_model.errors import UsageError
from bcd_model.paper.crops import PaperCrop
from bcd_model.paper.folder import agree, checkpoint_path, outcomes, run_path, write_settings
from bcd_model.paper.inputs import CropSet, films_digest, prepare, scale, select
from bcd_model.paper.outcome import Outcome, Prediction, loss_curve, write_outcome
from bcd_model.paper.protocols import Split, splits
from bcd_model.paper.runs import Options, Run, digest_of
from bcd_model.paper.systems import SYSTEMS, Preparation, Subset
from bcd_model.paper.training import DivergedError, Setting, environment, predict, train
from bcd_model.training.windows import VARIANTS
from bcd_model.words import AnnotatedFilm

Say = Callable[[str], None]
Watch = Callable[["Step"], None]


@dataclass(frozen=True, slots=True)
class Step:
    """One training step that was done.

    Attributes:
        done, of: steps of the run.
        left: work still ahead in all runs, in steps of S1.
    """

    run: Run
    done: int
    of: int
    loss: float
    left: float


@dataclass(frozen=True, slots=True)
class Reproduction:
    """All that a folder holds.

    Attributes:
        films: SHA-256 of the films and their truth.
        options: what all runs of the folder share.
        diverged: those asked for of which nothing came, whatever their start weights.
    """

    films: str
    options: Options
    outcomes: tuple[Outcome, ...]
    diverged: tuple[Run, ...]


_RESTARTS = 2  # of a network that diverges
_Material = dict[tuple[str, Subset], CropSet]


def reproduce(
    films: Sequence[AnnotatedFilm],
    runs: Sequence[Run],
    options: Options,
    out: Path,
    say: Say = lambda _text: None,
    watch: Watch = lambda _step: None,
) -> Reproduction:
    """Do the runs that ``out`` does not hold yet; return all that it holds then.

    PyTorch's number of threads, which decides the last digits, becomes the folder's, for the whole process.

    Raises:
        TruthError: the films cannot be split by patient, or a subset lacks a class.
        FilmError: a film cannot be read.
        UsageError: ``out`` was made from other films or with other settings; an unknown device.
    """
    _check_device(options.device)
    check_given_once(films)
    known = films_digest(films)
    options = agree(out, options, known, torch.get_num_threads())
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    waiting = [run for run in runs if not run_path(out, run).exists()]
    done = len(runs) - len(waiting)
    if done:
        say(f"{done} of {len(runs)} networks are done already")
    material = _material(films, waiting, say)
    parts: dict[Run, Split] = {}
    for run in waiting:
        found = splits(material[run.system, run.subset], SYSTEMS[run.system], run.protocol, run.seed)
        parts[run] = found[run.fold]
    # What stands in the folder is looked at before hours are spent beside it.
    outcomes(out, options, known)
    here = environment(options.device)
    for run in waiting:
        checkpoints = _checkpoints(out, run)
        if checkpoints:  # it goes on from the last; those before led nowhere
            restarts = max(checkpoints)
            digest = _digest(digest_of(run, options, known), restarts)
            read_checkpoint(checkpoints[restarts], Origin(digest, here))
    for run in set(runs) - set(waiting):  # a kill may come between run.json and their removal
        _remove_checkpoints(out, run)
    write_settings(out, options, known)
    diverged = []
    left = sum(run.cost(options) for run in waiting)
    for number, run in enumerate(waiting, done + 1):
        left -= run.cost(options)
        started = time.monotonic()
        try:
            outcome = train_and_test(
                run, material[run.system, run.subset], parts[run], options, known, out, say, watch, left
            )
        except DivergedError:
            diverged.append(run)
            say(f"network {number} of {len(runs)}, {run.name}: diverged {_RESTARTS + 1} times; left")
            continue
        write_outcome(run_path(out, run), digest_of(run, options, known), outcome)
        _remove_checkpoints(out, run)
        line = f"{run.name}: {outcome.steps} steps in {time.monotonic() - started:.1f} s"
        with (out / "reproduce.log").open("a") as log:
            log.write(line + "\n")
        say(f"network {number} of {len(runs)}, {line}")
    return Reproduction(known, options, tuple(outcomes(out, options, known)), tuple(diverged))


def _check_device(name: str) -> None:
    """Refuse a device that PyTorch does not have here."""
    try:
        # PyTorch raises another kind for each way in which a device is not there: unknown, not built in,
        # without a driver, without its module.
        torch.zeros(1, device=torch.device(name)).item()
    except (RuntimeError, AssertionError, NotImplementedError, ImportError) as error:
        raise UsageError(
            f"PyTorch cannot use the device {name!r} here", "choose cpu, or leave it out"
        ) from error


def _checkpoints(out: Path, run: Run) -> dict[int, Path]:
    """What is there of the training of ``run`` and of those before it, which diverged, by restarts."""
    paths = {restarts: checkpoint_path(out, run, restarts) for restarts in range(_RESTARTS + 1)}
    return {restarts: path for restarts, path in paths.items() if path.exists()}


def _remove_checkpoints(out: Path, run: Run) -> None:
    for checkpoint in _checkpoints(out, run).values():
        checkpoint.unlink()


def _digest(of_run: str, restarts: int) -> str:
    return f"{of_run}-{restarts}" if restarts else of_run


def _material(films: Sequence[AnnotatedFilm], runs: Sequence[Run], say: Say) -> _Material:
    crops: dict[tuple[Preparation, int], list[PaperCrop]] = {}
    found: _Material = {}
    for run in runs:
        system = SYSTEMS[run.system]
        key = system.preparation, system.size
        if key not in crops:
            crops[key] = prepare(films, *key)
            say(f"{system.preparation}, {system.size}x{system.size}: {len(crops[key])}")
        if (run.system, run.subset) not in found:
            found[run.system, run.subset] = select(crops[key], run.subset)
    return found


def train_and_test(
    run: Run,
    crops: CropSet,
    split: Split,
    options: Options,
    films: str,
    out: Path,
    say: Say = lambda _text: None,
    watch: Watch = lambda _step: None,
    after: float = 0.0,
) -> Outcome:
    """Train one network and let it answer.

    Args:
        films: what a checkpoint in ``out`` must be of beside ``run`` and ``options``.
        after: the work that waits behind it, in steps of S1.

    One that diverges is begun again with other start weights, batches and dropout.

    Raises:
        DivergedError: so it does three times over.
    """
    system = SYSTEMS[run.system]
    samples = scale(crops.samples(), split.training, system.scaling)
    labels = np.repeat(crops.labels, VARIANTS)
    recipe = system.recipes[run.subset]
    setting = Setting(
        system,
        len(crops.classes),
        recipe.learning_rate,
        run.steps(options),
        run.network_seed,
        options.precision,
        options.device,
        digest_of(run, options, films),
        recipe.falling,
    )

    def step_done(done: int, loss: float) -> None:
        ahead = after + (setting.steps - done) * system.cost
        watch(Step(run, done, setting.steps, loss, ahead))

    # One that diverged keeps its checkpoint: what led nowhere is not done again in full.
    for restarts in range(max(_checkpoints(out, run), default=0), _RESTARTS + 1):
        begun = replace(setting, seed=setting.seed + restarts, digest=_digest(setting.digest, restarts))
        checkpoint = checkpoint_path(out, run, restarts)
        try:
            network, losses = train(
                begun, samples[split.training], labels[split.training], checkpoint, step_done
            )
            answers = predict(network, samples[split.test], options.device)
            break
        except DivergedError:
            if restarts == _RESTARTS:
                raise
            say(f"{run.name}: it diverged; it is begun again with other start weights")
    predictions = []
    for sample, row in zip(split.test.tolist(), answers, strict=True):
        index, variant = divmod(sample, VARIANTS)
        crop = crops.crops[index]
        # 9 digits distinguish any two float32.
        logits = tuple(float(f"{value:.9g}") for value in row)
        truth = int(crops.labels[index])
        predictions.append(Prediction(crop.name, crop.film, crop.patient, crop.kind, variant, truth, logits))
    return Outcome(
        run,
        setting.steps,
        {label: int((crops.labels == i).sum()) for i, label in enumerate(crops.classes)},
        len(split.training),
        environment(options.device),
        loss_curve(losses),
        tuple(predictions),
        restarts,
    )
