"""Logits of every window of a level: in one pass, or window by window to check it."""

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


def patch_loop(network: nn.Module, level: Level, batch: int = 256) -> Logits:
    """Return what ``scan_level`` must return, from each window by itself: the plain, slow way."""
    logits = np.zeros((len(CLASSES), *level.inside.shape), dtype=np.float32)
    places = np.argwhere(level.inside)
    windows = np.lib.stride_tricks.sliding_window_view(level.pixels, (WINDOW, WINDOW))[::STRIDE, ::STRIDE]
    with torch.inference_mode():
        for start in range(0, len(places), batch):
            u, v = places[start : start + batch].T
            out = network(torch.from_numpy(np.ascontiguousarray(windows[u, v]))[:, None])
            logits[:, u, v] = out[:, :, 0, 0].numpy().T
    return logits
