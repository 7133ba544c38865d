"""Training of one network on one split: seeded, resumable, the same bytes from the same seed.

Every batch follows from seed and step, so a run that was killed goes on from its last checkpoint
as if nothing had happened.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional

from bcd_model.checkpoint import Origin, load_checkpoint, save_checkpoint
from bcd_model.detector.network import initialise
from bcd_model.paper.inputs import Labels
from bcd_model.paper.networks import build
from bcd_model.paper.systems import System
from bcd_model.words import Precision

Samples = npt.NDArray[np.float32]
Watch = Callable[[int, float], None]
"""Called after each step with how many are done and the loss of the last."""

CHECKPOINT_EVERY = 200
_TEST_BATCH = 256
_OF_BFLOAT16 = ("avx512_bf16", "amx_bf16")
_LIMIT = "ONEDNN_MAX_CPU_ISA"


@dataclass(frozen=True, slots=True)
class Setting:
    """How one network is trained; with its samples it decides every weight.

    Attributes:
        classes: number of classes.
        seed: decides weights, batches and dropout.
        precision: of the forward and backward pass; weights and loss are float32 in either.
        digest: of films and settings; a checkpoint of another one is refused.
        falling: part of the steps, the last ones, over which the rate falls to 0 in a straight line.
    """

    system: System
    classes: int
    learning_rate: float
    steps: int
    seed: int
    precision: Precision = "float32"
    device: str = "cpu"
    digest: str = ""
    falling: float = 0.0

    def rate(self, step: int) -> float:
        """Return the learning rate of ``step``, 0 for the first."""
        falling = self.steps * self.falling
        left = self.steps - step
        return self.learning_rate if left >= falling else self.learning_rate * left / falling


class DivergedError(Exception):
    """The loss or the answers are not numbers any more: nothing can come of the training."""


class BatchOrder:
    """Which samples are in the batch of a step: all in a random order, then all in another, and so on.

    As the tutorial's shuffled input queue: a batch may reach from one round into the next.
    """

    def __init__(self, samples: int, batch: int, seed: int) -> None:
        self._samples, self._batch, self._seed = samples, batch, seed
        self._rounds: dict[int, npt.NDArray[np.int64]] = {}

    def batch(self, step: int) -> npt.NDArray[np.int64]:
        """Return (batch,) indices of the samples of ``step``."""
        places = np.arange(step * self._batch, (step + 1) * self._batch)
        rounds = places // self._samples
        orders = {number: self._round(number) for number in np.unique(rounds).tolist()}
        self._rounds = orders
        found = [orders[r][p % self._samples] for r, p in zip(rounds.tolist(), places.tolist(), strict=True)]
        return np.array(found, dtype=np.int64)

    def _round(self, number: int) -> npt.NDArray[np.int64]:
        if number in self._rounds:
            return self._rounds[number]
        return np.random.default_rng([self._seed, number]).permutation(self._samples)


def environment(device: str) -> dict[str, str | int]:
    """Return version, device, threads and kind of machine, on which a training's last digits depend.

    Where they agree, so do all digits.
    """
    return {
        "torch": torch.__version__,
        "device": device,
        "threads": torch.get_num_threads(),
        "machine": platform.machine(),
        "instructions": _instructions(),
    }


def _instructions() -> str:
    """The processor's, as far as PyTorch sums in another order with them, and a limit set on them."""
    known = torch.cpu.get_capabilities()
    found = [torch.backends.cpu.get_cpu_capability()]
    found += [name.upper() for name in _OF_BFLOAT16 if known.get(name)]
    if os.environ.get(_LIMIT):
        found.append(f"{_LIMIT}={os.environ[_LIMIT]}")
    return ", ".join(found)


def train(
    setting: Setting,
    samples: Samples,
    labels: Labels,
    checkpoint: Path | None = None,
    watch: Watch = lambda _step, _loss: None,
) -> tuple[nn.Module, npt.NDArray[np.float32]]:
    """Train a network; return it with the training loss of each step.

    Args:
        samples: (n, size, size).
        labels: (n,).
        checkpoint: written every 200 steps; taken up again if it is of the same setting.

    Raises:
        UsageError: ``checkpoint`` is damaged, or of another run or environment.
        DivergedError: the loss is not a number any more.
    """
    device = torch.device(setting.device)
    network = build(setting.system, setting.classes)
    initialise(network, setting.seed)
    network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch names no such one
    optimiser = _optimiser(setting, network)
    losses = np.zeros(setting.steps, dtype=np.float32)
    origin = Origin(setting.digest, environment(setting.device))
    first = 0
    if checkpoint is not None and checkpoint.exists():
        first, more = load_checkpoint(checkpoint, origin, network, optimiser)
        losses[:first] = more["losses"].numpy()
    images = torch.from_numpy(samples)[:, None].to(device)
    truth = torch.from_numpy(labels).to(device)
    order = BatchOrder(len(labels), setting.system.batch, setting.seed)
    network.train()
    for step in range(first, setting.steps):
        chosen = torch.from_numpy(order.batch(step)).to(device)
        # Dropout draws from torch's own generator; seeding it by step makes a resumed run equal.
        torch.manual_seed(setting.seed * 1_000_003 + step)
        batch = images[chosen].contiguous(memory_format=torch.channels_last)
        with torch.autocast(device.type, torch.bfloat16, enabled=setting.precision == "bfloat16"):
            logits = network(batch)  # (B, classes)
        loss = functional.cross_entropy(logits.float(), truth[chosen])
        for group in optimiser.param_groups:
            group["lr"] = setting.rate(step)
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()
        losses[step] = loss.item()
        if not np.isfinite(losses[step]):
            raise DivergedError
        done = step + 1
        if checkpoint is not None and done % CHECKPOINT_EVERY == 0 and done < setting.steps:
            known = torch.from_numpy(losses[:done].copy())
            save_checkpoint(checkpoint, origin, done, network, optimiser, losses=known)
        watch(done, float(losses[step]))
    return network.eval(), losses


def predict(network: nn.Module, samples: Samples, device: str = "cpu") -> npt.NDArray[np.float32]:
    """Return (n, classes) logits of samples (n, size, size), computed in float32.

    Raises:
        DivergedError: they are not numbers.
    """
    network.eval()
    found = []
    with torch.inference_mode():
        for start in range(0, len(samples), _TEST_BATCH):
            batch = torch.from_numpy(samples[start : start + _TEST_BATCH])[:, None].to(device)
            logits = network(batch.contiguous(memory_format=torch.channels_last))
            found.append(logits.float().cpu().numpy())
    answers = np.concatenate(found)
    if not np.isfinite(answers).all():  # the last step may be the one that goes too far
        raise DivergedError
    return answers


def _optimiser(setting: Setting, network: nn.Module) -> torch.optim.Optimizer:
    if setting.system.optimiser == "adam":
        return torch.optim.Adam(network.parameters(), lr=setting.learning_rate)
    return torch.optim.SGD(network.parameters(), lr=setting.learning_rate)
