"""Logits of every window of a level, in one pass."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from bcd_model.detector.pyramid import STRIDE, Level
from bcd_model.words import CLASSES, WINDOW

Logits = npt.NDArray[np.float32]


def scan_level(network: nn.Module, level: Level) -> Logits:
    """Return (3, u, v) logits of the level's windows; those outside the breast are 0.

    Only the rectangle around the breast is looked at.
    """
    logits = np.zeros((len(CLASSES), *level.inside.shape), dtype=np.float32)
    rows, columns = (np.flatnonzero(level.inside.any(axis=axis)) for axis in (1, 0))
    if rows.size == 0:
        return logits
    top, bottom, left, right = int(rows[0]), int(rows[-1]), int(columns[0]), int(columns[-1])
    part = level.pixels[
        STRIDE * top : STRIDE * bottom + WINDOW,
        STRIDE * left : STRIDE * right + WINDOW,
    ]
    with torch.inference_mode():
        dense = network(torch.from_numpy(np.ascontiguousarray(part))[None, None])[0].numpy()
    logits[:, top : bottom + 1, left : right + 1] = dense
    logits[:, ~level.inside] = 0
    return logits
