"""The plain, slow way to scan a level: window by window."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from bcd_model.detector.pyramid import STRIDE, Level
from bcd_model.detector.sliding_window import Logits
from bcd_model.words import CLASSES, WINDOW


def patch_loop(network: nn.Module, level: Level, batch: int = 256) -> Logits:
    """Return what ``scan_level`` must return, from each window by itself."""
    logits = np.zeros((len(CLASSES), *level.inside.shape), dtype=np.float32)
    places = np.argwhere(level.inside)
    windows = np.lib.stride_tricks.sliding_window_view(level.pixels, (WINDOW, WINDOW))[::STRIDE, ::STRIDE]
    with torch.inference_mode():
        for start in range(0, len(places), batch):
            u, v = places[start : start + batch].T
            out = network(torch.from_numpy(np.ascontiguousarray(windows[u, v]))[:, None])
            logits[:, u, v] = out[:, :, 0, 0].numpy().T
    return logits
