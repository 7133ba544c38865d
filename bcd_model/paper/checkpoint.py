"""Checkpoints of a training: weights, state of the optimiser, losses so far.

A checkpoint says what it is of and where it was made, and holds a SHA-256 of all of it: a training goes
on to the same bytes as without the interruption, or not at all.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from bcd_model.atomic import replacing
from bcd_model.errors import UsageError

Losses = npt.NDArray[np.float32]
_REMEDY = "remove it: the network is then trained from the start"


@dataclass(frozen=True, slots=True)
class Origin:
    """What a checkpoint is of and where it was made.

    Attributes:
        digest: of films and settings.
        environment: what the last digits depend on beside them.
    """

    digest: str
    environment: Mapping[str, str | int]


def save_checkpoint(
    path: Path,
    origin: Origin,
    step: int,
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    losses: Losses,
) -> None:
    """Write a checkpoint in one step.

    Args:
        losses: (step,), of the steps that are done.
    """
    tensors = {f"network.{key}": value for key, value in network.state_dict().items()}
    for index, state in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{index}.{key}": value for key, value in state.items()}
    tensors["losses"] = torch.from_numpy(losses.copy())
    stored = {key: value.cpu().contiguous() for key, value in tensors.items() if value is not None}
    facts = {
        "digest": origin.digest,
        "environment": json.dumps(origin.environment, sort_keys=True),
        "step": str(step),
    }
    with replacing(path) as staged:
        save_file(stored, staged, metadata={**facts, "sha256": _sha256(facts, stored)})


def check_checkpoint(path: Path, origin: Origin) -> None:
    """Refuse a checkpoint from which no training can go on here.

    Raises:
        UsageError: it is damaged, of another run, or made where the last digits are others.
    """
    _read(path, origin)


def load_checkpoint(
    path: Path, origin: Origin, network: nn.Module, optimiser: torch.optim.Optimizer
) -> tuple[int, Losses]:
    """Put a checkpoint into ``network`` and ``optimiser``; return the steps that are done and their losses.

    Raises:
        UsageError: it is damaged, of another run, or made where the last digits are others.
    """
    step, tensors = _read(path, origin)
    network.load_state_dict(_below(tensors, "network."))
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in _below(tensors, "optimiser.").items():
        index, name = key.split(".", 1)
        # In the layout of the weights, so that the same instructions run on it.
        like = value.contiguous(memory_format=torch.channels_last) if value.ndim == 4 else value
        state.setdefault(int(index), {})[name] = like
    groups = optimiser.state_dict()["param_groups"]
    if state:
        optimiser.load_state_dict({"state": state, "param_groups": groups})
    return step, tensors["losses"].numpy()


def _read(path: Path, origin: Origin) -> tuple[int, dict[str, Tensor]]:
    """The steps that are done and what they led to; refused if not of ``origin``, or not as written."""
    try:
        with safe_open(path, framework="pt") as file:
            facts = dict(file.metadata() or {})
        if facts.get("digest") != origin.digest:
            raise UsageError(
                "the checkpoint belongs to other films or settings", "remove it or name another folder", path
            )
        tensors = load_file(path)
    except OSError as error:
        why = error.strerror or error
        raise UsageError(f"the checkpoint cannot be read ({why})", "see who may read it", path) from error
    except SafetensorError as error:
        raise UsageError("the checkpoint is damaged", _REMEDY, path) from error
    if facts.pop("sha256", "") != _sha256(facts, tensors):
        raise UsageError("the checkpoint is damaged", _REMEDY, path)
    known = json.loads(facts["environment"])
    other = [
        f"{key} {known.get(key)}, not {now}"
        for key, now in origin.environment.items()
        if known.get(key) != now
    ]
    if other:
        raise UsageError(f"the checkpoint was made elsewhere ({'; '.join(other)})", _REMEDY, path)
    return int(facts["step"]), tensors


def _sha256(facts: Mapping[str, str], tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for key in sorted(tensors):
        tensor = tensors[key]
        digest.update(f"{key} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()


def _below(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
