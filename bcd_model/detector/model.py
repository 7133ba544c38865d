"""A trained detector: network, scales, calibration and operating point in one safetensors file."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from bcd_model.detector.backbone import Backbone
from bcd_model.detector.calibration import UNCALIBRATED, Calibration
from bcd_model.detector.known_answer import check_answer
from bcd_model.detector.network import ScanningBCDCNN
from bcd_model.detector.second_stage import SecondStage
from bcd_model.errors import ModelError
from bcd_model.weights import METADATA_KEY, SECOND_STAGE_KEY, WeightsInfo, read_weights
from bcd_model.words import ModelIdentity, OperatingPoint

FLOOR = 0.02
"""Calibrated P(abnormal) below which a place is not worth a finding, at the model's own prevalence."""

_SECOND_STAGE = f"{SECOND_STAGE_KEY}."
"""Before the names of its tensors in a weight file."""

_HEADS = (f"{_SECOND_STAGE}weight", f"{_SECOND_STAGE}bias")


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """Everything a scan needs.

    Attributes:
        network: images (B, 1, H, W) -> logits (B, 3, h, w) of 48x48 windows 4 pixels apart.
        steps_mm: pixel spacings of the scan's levels.
        operating_point: its ``prevalence`` is where all calibrated probabilities hold.
        calibration: of a mark's score to P(abnormal).
        film_calibration: of a film's highest score to P(abnormal).
        heat_calibration: of the network's own score to P(abnormal), for the heat map.
        second_stage: what gives the marks their final scores; None: the network's own are final.
        floor: calibrated P(abnormal) below which a place is not worth a finding.
    """

    network: nn.Module
    identity: ModelIdentity
    operating_point: OperatingPoint
    steps_mm: tuple[float, ...]
    calibration: Calibration = UNCALIBRATED
    film_calibration: Calibration = UNCALIBRATED
    heat_calibration: Calibration = UNCALIBRATED
    second_stage: SecondStage | None = None
    floor: float = FLOOR


def load_model(path: Path | None = None) -> Model:
    """Return the model in weight file ``path``, by default the shipped one.

    Raises:
        ModelError: the file is missing, damaged or not a BCD weight file, or its network does not answer as
            it should (see ``bcd_model.detector.known_answer``).
    """
    info, content = read_weights(path)
    model = _loaded(info, content)
    check_answer(model, info)
    return model


def _loaded(info: WeightsInfo, content: bytes) -> Model:
    """The model in the file of ``info``, from the very bytes whose digest is its identity."""
    try:
        network = ScanningBCDCNN(int(info.metadata["units"]))
        tensors = {name: tensor.float() for name, tensor in load(content).items()}
        _check_numbers(tensors)
        second = {name: tensors.pop(name) for name in list(tensors) if name.startswith(_SECOND_STAGE)}
        network.load_state_dict(tensors)
        # Channels last: the same figures but for their last bits, and a processor is done sooner.
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch names no such one
        return Model(
            network.eval(),
            info.identity,
            info.operating_point,
            tuple(info.metadata["steps_mm"]),
            Calibration(**info.metadata["calibration"]),
            Calibration(**info.metadata["film_calibration"]),
            Calibration(**info.metadata["heat_calibration"]),
            _second_stage(second),
        )
    except SafetensorError as error:
        remedy = "copy it again, or leave BCD_MODEL unset for the shipped weights"
        raise ModelError("is damaged or cut short", remedy, info.path) from error
    except (LookupError, TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise ModelError(
            "holds no weights of this version's network", "train it again with 'bcd-admin train'", info.path
        ) from error


def _check_numbers(tensors: dict[str, Tensor]) -> None:
    """Raise ValueError for weights that are not numbers: every film would pass for normal.

    A head that could not be fitted is nan as a whole; those of the network's marks near and wide are always
    there.
    """
    for name, tensor in tensors.items():
        if name not in _HEADS and not bool(torch.isfinite(tensor).all()):
            raise ValueError(f"{name} holds what is not a number")
    if not tensors.keys() >= set(_HEADS):
        return
    weight, bias = (tensors[name] for name in _HEADS)
    heads = torch.cat([weight, bias[..., None]], dim=-1)  # (2, 3, features + 1)
    fitted = torch.isfinite(heads).all(dim=-1)
    missing = torch.isnan(heads).all(dim=-1)
    if not bool((fitted | missing).all() and fitted[0, :2].all()):
        raise ValueError("a head of the second stage holds what is not a number")


def _second_stage(tensors: dict[str, Tensor]) -> SecondStage | None:
    if not tensors:
        return None
    second_stage = SecondStage(Backbone())
    second_stage.load_state_dict({name.removeprefix(_SECOND_STAGE): tensors[name] for name in tensors})
    return second_stage.eval()


def save_model(
    path: Path,
    network: ScanningBCDCNN,
    *,
    name: str,
    version: str,
    steps_mm: tuple[float, ...],
    operating_point: OperatingPoint,
    calibration: Calibration = UNCALIBRATED,
    film_calibration: Calibration = UNCALIBRATED,
    heat_calibration: Calibration | None = None,
    second_stage: SecondStage | None = None,
    card: dict[str, Any] | None = None,
) -> None:
    """Write a weight file; the same arguments give the same bytes.

    Args:
        operating_point: its ``prevalence`` is that of the films on which the calibrations were fitted.
        heat_calibration: of the network's own score; by default ``calibration``.
    """
    point = asdict(operating_point)
    metadata = {
        "name": name,
        "version": version,
        "network": type(network).__name__,
        "units": network.units,
        "steps_mm": list(steps_mm),
        "prevalence": point.pop("prevalence"),
        "calibration": asdict(calibration),
        "film_calibration": asdict(film_calibration),
        "heat_calibration": asdict(heat_calibration or calibration),
        "operating_point": point,
        "card": card or {},
    }
    # float16 halves the file; the network still computes in float32.
    tensors: dict[str, Tensor] = {
        key: value.detach().half().contiguous() for key, value in network.state_dict().items()
    }
    if second_stage is not None:
        for key, value in second_stage.state_dict().items():
            # The heads are small, and sums of 1,488 products: they stay float32.
            kept = torch.float16 if key.startswith("backbone.") else torch.float32
            tensors[_SECOND_STAGE + key] = value.detach().to(kept).contiguous()
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not save_file: it makes the file readable for its owner alone.
    path.write_bytes(save(tensors, metadata={METADATA_KEY: json.dumps(metadata, sort_keys=True)}))
