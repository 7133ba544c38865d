"""What a loaded model must answer to a picture that is made here, before it may scan a film.

A weight file may be whole and still hold nothing: zeros, or what training has left after it diverged. Then
every film would be normal. And a processor, or a library, may compute something else than was measured. So
each model is asked once, when it is loaded. The shipped weights have to give the answer that is written down
here; others must at least distinguish two pictures.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from torch import Tensor, nn

from bcd_model.errors import ModelError

if TYPE_CHECKING:
    from bcd_model.detector.model import Model
    from bcd_model.detector.second_stage import SecondStage
    from bcd_model.weights import WeightsInfo

NETWORK: Final = (9.8520, -12.1463, 2.9099, -16.0756, -0.0014, 10.6515, 11.0174, -12.2394, 2.4238)
"""Logits (normal, benign, malignant) of the shipped network: first, middle, last window of the diagonal."""

SECOND_STAGE: Final = (-2.7210, -3.8860, 0.2597, 0.1796, 0.3040, -3.1972)
"""Scores of the shipped second stage's heads: three of the network's marks, three of clusters."""

TOLERANCE: Final = 0.001
"""Of a logit or score: it changes no probability by more than 0.00025. Six sets of processor instructions and
libraries gave answers within 0.00001 of those in float64."""

_SIDE = 96  # pixels
_LEAST = 1e-6  # between the answers to two pictures that a model distinguishes


def check_answer(model: Model, info: WeightsInfo) -> None:
    """Ask the model what it makes of two pictures: a bright spot in a texture, and the texture alone.

    Raises:
        ModelError: it answers with what is not a number, or alike to both; or it is the shipped one and does
            not answer as it did when its figures were measured.
    """
    logits = network_answer(model.network)
    scores = None if model.second_stage is None else second_stage_answer(model.second_stage)
    abnormal = torch.logsumexp(logits[:, 1:], 1) - logits[:, 0]  # (2, h, w)
    _check_distinguishes(abnormal.flatten(), "network", info)
    if scores is not None:
        fitted = scores[:, torch.isfinite(scores).all(0)]
        _check_distinguishes((fitted[0] - fitted[1]).abs().max() * torch.arange(2), "second stage", info)
    if info.shipped:
        middle = logits.shape[2] // 2
        found = logits[0, :, (0, middle, -1), (0, middle, -1)].T.flatten()
        _check_known(found, NETWORK, info)
        _check_known(torch.zeros(0) if scores is None else scores[0], SECOND_STAGE, info)


def _check_distinguishes(answers: Tensor, part: str, info: WeightsInfo) -> None:
    remedy = "train it again with 'bcd-admin train', or leave BCD_MODEL unset for the shipped weights"
    if not bool(torch.isfinite(answers).all()):
        raise ModelError(f"its {part} answers with what is not a number", remedy, info.path)
    if not float(answers.max() - answers.min()) > _LEAST:
        raise ModelError(f"its {part} answers alike to every picture", remedy, info.path)


def _check_known(found: Tensor, known: tuple[float, ...], info: WeightsInfo) -> None:
    wanted = torch.tensor(known, dtype=torch.float64)
    if found.shape != wanted.shape or not bool(((found - wanted).abs() < TOLERANCE).all()):
        detail = "does not answer as it did when its figures were measured"
        remedy = "install torch again; unset variables that lower its precision"
        raise ModelError(detail, remedy, info.path)


def network_answer(network: nn.Module) -> Tensor:
    """Return (2, 3, h, w) logits of the two pictures."""
    with torch.inference_mode():
        logits: Tensor = network(torch.from_numpy(_pictures()))
        return logits.double()


def second_stage_answer(second_stage: SecondStage) -> Tensor:
    """Return (2, 6) scores of the heads, of a mark of score 1 at a cluster of strength e; nan if missing."""
    with torch.inference_mode():
        features: Tensor = second_stage.backbone((torch.from_numpy(_pictures()) / 3).clamp(-1, 1)).double()
        inputs = torch.cat([torch.ones(2, 2, dtype=torch.float64), features], 1)
        heads = second_stage.weight.double().flatten(0, 1)  # (6, 2 + features)
        return inputs @ heads.T + second_stage.bias.double().flatten()


def _pictures() -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """(2, 1, side, side) in units of local contrast; by the four operations alone, so the same everywhere."""
    row, column = np.mgrid[:_SIDE, :_SIDE]
    texture = (5 * row + 3 * column) % 11 / 11 - 0.5
    spot = 3 / (1 + ((row - 48) ** 2 + (column - 44) ** 2) / 64)
    return np.stack([texture + spot, texture])[:, None].astype(np.float32)
