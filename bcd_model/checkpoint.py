"""Checkpoints of a training: weights, state of the optimiser, and what else it goes on with.

A checkpoint says what it is of and where it was made, and holds a SHA-256 of all of it: a training goes
on to the same bytes as without the interruption, or not at all.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from bcd_model.atomic import replacing
from bcd_model.errors import UsageError

_REMEDY = "remove it: the network is then trained from the start"


@dataclass(frozen=True, slots=True)
class Origin:
    """What a checkpoint is of and where it was made.

    Attributes:
        digest: of films and settings.
        environment: what the last digits depend on beside them.
    """

    digest: str
    environment: Mapping[str, str | int] = field(default_factory=dict)


def save_checkpoint(
    path: Path,
    origin: Origin,
    step: int,
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    **more: Tensor,
) -> None:
    """Write a checkpoint in one step.

    Args:
        step: how many are done.
        more: what else the training goes on with.
    """
    tensors = {f"network.{key}": value for key, value in network.state_dict().items()}
    for index, state in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{index}.{key}": value for key, value in state.items()}
    tensors |= {f"more.{key}": value for key, value in more.items()}
    stored = {key: value.cpu().contiguous() for key, value in tensors.items() if value is not None}
    facts = {
        "digest": origin.digest,
        "environment": json.dumps(origin.environment, sort_keys=True),
        "step": str(step),
    }
    with replacing(path) as staged:
        save_file(stored, staged, metadata={**facts, "sha256": _sha256(facts, stored)})


def load_checkpoint(
    path: Path, origin: Origin, network: nn.Module, optimiser: torch.optim.Optimizer
) -> tuple[int, dict[str, Tensor]]:
    """Put a checkpoint into ``network`` and ``optimiser``; return the steps done, and what else it has.

    Raises:
        UsageError: it is damaged, of another run, or made where the last digits are others.
    """
    step, tensors = read_checkpoint(path, origin)
    network.load_state_dict(_below(tensors, "network."))
    parameters = [each for group in optimiser.param_groups for each in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in _below(tensors, "optimiser.").items():
        index, name = key.split(".", 1)
        state.setdefault(int(index), {})[name] = _laid_out_as(parameters[int(index)], value)
    groups = optimiser.state_dict()["param_groups"]
    if state:
        optimiser.load_state_dict({"state": state, "param_groups": groups})
    return step, _below(tensors, "more.")


def _laid_out_as(parameter: Tensor, value: Tensor) -> Tensor:
    """``value`` in the layout of a weight, so that the same instructions run on it."""
    if value.ndim == 4 and parameter.is_contiguous(memory_format=torch.channels_last):
        return value.contiguous(memory_format=torch.channels_last)
    return value


def read_checkpoint(path: Path, origin: Origin) -> tuple[int, dict[str, Tensor]]:
    """Return the steps that are done and what they led to.

    Raises:
        UsageError: it is damaged, of another run, or made where the last digits are others.
    """
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
    written = facts.pop("sha256", "")
    if written != _sha256(facts, tensors):
        what = "is damaged" if written else "is of an earlier version"
        raise UsageError(f"the checkpoint {what}", _REMEDY, path)
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
