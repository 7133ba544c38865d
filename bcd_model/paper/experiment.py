"""The reproduction: every run that is not done yet, then the report of all that are.

All that can be refused is refused before the first network is trained.
"""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch

from bcd_model.errors import UsageError
from bcd_model.paper.inputs import CropSet, check_films, check_pictures, prepare, select
from bcd_model.paper.protocols import Split, splits
from bcd_model.paper.runs import (
    SCHEMA,
    Options,
    Outcome,
    Prediction,
    Run,
    digest_of,
    loss_curve,
    read_outcome,
    write_outcome,
)
from bcd_model.paper.systems import SYSTEMS, Preparation, Subset
from bcd_model.paper.training import Precision, Setting, predict, train
from bcd_model.patches import VARIANTS, PaperCrop
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


_Material = dict[tuple[str, Subset], CropSet]


def reproduce(
    films: Sequence[AnnotatedFilm],
    runs: Sequence[Run],
    options: Options,
    out: Path,
    say: Say = lambda _text: None,
    watch: Watch = lambda _step: None,
) -> tuple[str, list[Outcome]]:
    """Do the runs that ``out`` does not hold yet; return the films' digest and all that ``out`` holds.

    Raises:
        TruthError: the films cannot be split honestly, or a subset lacks a class.
        FilmError: a film cannot be read.
        UsageError: ``out`` was made from other films or with other settings; an unknown device.
    """
    _check_device(options.device)
    check_films(films)
    known = check_pictures(films)
    _settle(out, options, known)
    waiting = [run for run in runs if not _path(out, run).exists()]
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
    left = sum(run.cost(options) for run in waiting)
    for number, run in enumerate(waiting, done + 1):
        left -= run.cost(options)
        started = time.monotonic()
        outcome = _do(run, material[run.system, run.subset], parts[run], options, known, out, watch, left)
        write_outcome(_path(out, run), digest_of(run, options, known), outcome)
        _checkpoint(out, run).unlink(missing_ok=True)
        line = f"{run.name}: {outcome.steps} steps in {time.monotonic() - started:.1f} s"
        with (out / "reproduce.log").open("a") as log:
            log.write(line + "\n")
        say(f"network {number} of {len(runs)}, {line}")
    return known, outcomes(out, options, known)


def _check_device(name: str) -> None:
    """Refuse a device that PyTorch does not have here."""
    try:
        torch.zeros(1, device=torch.device(name)).item()
    except (RuntimeError, AssertionError) as error:
        raise UsageError(
            f"{name!r} is no device PyTorch can use here", "choose cpu, or leave it out"
        ) from error


def outcomes(out: Path, options: Options, films: str) -> list[Outcome]:
    """Return every run that is done in ``out``, by name.

    Raises:
        UsageError: one is damaged, or of other films or settings.
    """
    return [read_outcome(path, options, films) for path in sorted(out.glob("runs/*/run.json"))]


def _path(out: Path, run: Run) -> Path:
    return out / "runs" / run.name / "run.json"


def _checkpoint(out: Path, run: Run) -> Path:
    return _path(out, run).with_name("checkpoint.safetensors")


def _settle(out: Path, options: Options, films: str) -> None:
    """Write what all runs of ``out`` share, or refuse a folder in which it is something else."""
    path = out / "settings.json"
    wanted = {"schema": SCHEMA, **asdict(options), "films": films}
    if path.exists():
        try:
            known = dict(json.loads(path.read_text()))
        except (ValueError, TypeError) as error:
            raise UsageError(f"{path} is damaged", "name another folder with --out") from error
        other = [key for key in wanted if known.get(key) != wanted[key]]
        if other:
            told = ", ".join(
                "other films" if key == "films" else f"{key} {known.get(key)}, not {wanted[key]}"
                for key in other
            )
            raise UsageError(f"{out} holds runs of other settings ({told})", "name another folder with --out")
        return
    out.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".partial")
    temporary.write_text(json.dumps(wanted, indent=2) + "\n")
    temporary.replace(path)


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


def _do(
    run: Run,
    crops: CropSet,
    split: Split,
    options: Options,
    films: str,
    out: Path,
    watch: Watch,
    after: float,
) -> Outcome:
    """Train and test one network; ``after`` is the work that waits behind it."""
    system = SYSTEMS[run.system]
    samples, labels = crops.samples(), np.repeat(crops.labels, VARIANTS)
    setting = Setting(
        system,
        len(crops.classes),
        system.recipes[run.subset].learning_rate,
        run.steps(options),
        run.network_seed,
        cast(Precision, options.precision),
        options.device,
        digest_of(run, options, films),
    )

    def tell(done: int, loss: float) -> None:
        ahead = after + (setting.steps - done) * system.cost
        watch(Step(run, done, setting.steps, loss, ahead))

    network, losses = train(
        setting,
        samples[split.training],
        labels[split.training],
        _checkpoint(out, run),
        tell,
    )
    probabilities = predict(network, samples[split.test], options.device)
    predictions = []
    for sample, row in zip(split.test.tolist(), probabilities, strict=True):
        index, variant = divmod(sample, VARIANTS)
        crop = crops.crops[index]
        # Digits that count, so that small probabilities keep their order.
        told = tuple(float(f"{value:.9g}") for value in row)
        truth = int(crops.labels[index])
        predictions.append(
            Prediction(crops.names[index], crop.film, crop.patient, crop.kind, variant, truth, told)
        )
    return Outcome(
        run,
        setting.steps,
        {label: int((crops.labels == i).sum()) for i, label in enumerate(crops.classes)},
        len(split.training),
        _environment(options.device),
        loss_curve(losses),
        tuple(predictions),
    )


def _environment(device: str) -> dict[str, str | int]:
    return {
        "torch": torch.__version__,
        "device": device,
        "threads": torch.get_num_threads(),
        "machine": platform.machine(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
    }
