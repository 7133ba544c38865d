"""Training of the scanning form: seeded, resumable, the same figures from the same seed.

Every batch follows from the seed and the step, so a run that was killed goes on from its last
checkpoint as if nothing had happened.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from bcd_model import digests
from bcd_model.checkpoint import Origin, load_checkpoint, save_checkpoint
from bcd_model.detector.network import ScanningBCDCNN, initialise
from bcd_model.detector.pyramid import STEPS_MM, build_pyramid
from bcd_model.digests import film_digest, lines_digest, truth_digest
from bcd_model.duplicates import check_given_once
from bcd_model.errors import TruthError
from bcd_model.training.hard_negatives import hard_negatives
from bcd_model.training.windows import TrainingFilm, WindowSampler
from bcd_model.weights import SECOND_STAGE_KEY
from bcd_model.words import AnnotatedFilm

Progress = Callable[[str], None]


def named(progress: Progress, network: str) -> Progress:
    """Return ``progress`` of one of several networks, which names it."""
    return lambda text: progress(f"{network}, {text}")


_WARM_UP = 100
_FINAL_RATE = 0.02


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """How a network is trained; with the films it decides every figure.

    Attributes:
        steps: batches; the learning rate falls to 2 % over them as a cosine.
        mining: steps at which hard negatives are sought.
        mined_films: films searched each time, drawn anew.
        learning_rate, weight_decay: of AdamW.
        steps_mm: pixel spacings of the scan's levels.
        second_stage: whether the marks are scored again (``bcd_model.detector.second_stage``).
        threads: of PyTorch, which decide the last digits: the same number gives the same weights on
            machines with any number of cores.
    """

    seed: int = 0
    steps: int = 1500
    batch: int = 96
    units: int = 256
    dropout: float = 0.4
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    mining: tuple[int, ...] = (500, 1000)
    mined_films: int = 80
    steps_mm: tuple[float, ...] = STEPS_MM
    second_stage: bool = True
    threads: int = 1
    checkpoint_every: int = 100

    def digest(self, films: Sequence[TrainingFilm]) -> str:
        """SHA-256 of all that decides a training run: settings, films and their truth."""
        return lines_digest([json.dumps([self.as_json(), [(film.name, film.digest) for film in films]])])

    def as_json(self) -> dict[str, Any]:
        """The settings by their names in digests and model cards."""
        names = {"second_stage": SECOND_STAGE_KEY}
        return {names.get(name, name): value for name, value in asdict(self).items()}


def prepare(
    films: Sequence[AnnotatedFilm], steps_mm: tuple[float, ...], progress: Progress = lambda _: None
) -> list[TrainingFilm]:
    """Read the films and build their levels; about 7 MB a film of 1024x1024.

    Raises:
        TruthError: no films, the same film twice, or no lesion of one class.
        FilmError: a film cannot be read.
    """
    check_given_once(films)
    for wanted in ("benign", "malignant"):
        if not any(lesion.label == wanted for film in films if not film.unlocated for lesion in film.lesions):
            raise TruthError(f"no film has a {wanted} lesion with a place", "train on films of both classes")
    prepared = []
    for index, annotated in enumerate(films, 1):
        film = annotated.read()
        prepared.append(
            TrainingFilm(
                annotated.name,
                annotated.patient,
                annotated.lesions,
                annotated.unlocated,
                build_pyramid(film, steps_mm),
                truth_digest(film, annotated.lesions),
                film_digest(film),
                film.view,
                film.laterality,
            )
        )
        if index % 50 == 0 or index == len(films):
            progress(f"film {index} of {len(films)} read")
    return prepared


def data_digest(films: Sequence[TrainingFilm]) -> str:
    """What a model card calls ``data.digest``, of these films."""
    return digests.data_digest((film.name, film.digest) for film in films)


def train_network(
    films: Sequence[TrainingFilm],
    config: TrainingConfig,
    checkpoint: Path | None = None,
    progress: Progress = lambda _: None,
) -> ScanningBCDCNN:
    """Train the scanning form on ``films``.

    Args:
        checkpoint: written every 100 steps and at the end; taken up again if it is of the same
            films and settings.

    Raises:
        UsageError: ``checkpoint`` is damaged, or belongs to another run.
    """
    network = ScanningBCDCNN(config.units, config.dropout)
    initialise(network, config.seed)
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
    )
    sampler = WindowSampler(films, config.seed)
    origin = Origin(config.digest(films))
    first = 0
    if checkpoint is not None and checkpoint.exists():
        first, more = load_checkpoint(checkpoint, origin, network, optimizer)
        sampler.hard = [(int(f), int(i), int(r), int(c)) for f, i, r, c in more["hard"].tolist()]
    loss_average = 0.0
    for step in range(first, config.steps):
        if step in config.mining:
            sampler.hard = hard_negatives(
                network, sampler, films=config.mined_films, seed=config.seed, step=step
            )
            progress(f"step {step}: {len(sampler.hard)} hard negatives")
        for group in optimizer.param_groups:
            group["lr"] = config.learning_rate * _rate(step, config.steps)
        windows, labels = sampler.batch(step, config.batch)
        # Dropout draws from torch's own generator; seeding it by step makes a resumed run equal.
        torch.manual_seed(config.seed * 1_000_003 + step)
        network.train()
        logits = network(torch.from_numpy(windows)[:, None])[:, :, 0, 0]  # (B, 3)
        loss = functional.cross_entropy(logits, torch.from_numpy(labels))
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        loss_average += (loss.item() - loss_average) * (1 if step == first else 0.05)
        done = step + 1
        if done % config.checkpoint_every == 0 or done == config.steps:
            progress(f"step {done} of {config.steps}, loss {loss_average:.3f}")
            if checkpoint is not None:
                hard = torch.tensor(sampler.hard, dtype=torch.int32).reshape(-1, 4)
                save_checkpoint(checkpoint, origin, done, network, optimizer, hard=hard)
    return network.eval()


def _rate(step: int, steps: int) -> float:
    cosine = 0.5 * (1 + np.cos(np.pi * step / steps))
    return float(min(1.0, (step + 1) / _WARM_UP) * (_FINAL_RATE + (1 - _FINAL_RATE) * cosine))
