"""Hard negatives: where a network in training is most wrong about normal tissue."""

from __future__ import annotations

import numpy as np

from bcd_model.detector.marks import abnormal_score
from bcd_model.detector.network import ScanningBCDCNN
from bcd_model.detector.peaks import local_maxima
from bcd_model.detector.pyramid import STRIDE
from bcd_model.detector.sliding_window import scan_level
from bcd_model.training.windows import Place, WindowSampler

_PER_LEVEL = 8
_LEAST_SCORE = -1.0


def hard_negatives(
    network: ScanningBCDCNN, sampler: WindowSampler, *, films: int, seed: int, step: int
) -> list[Place]:
    """Return the windows of normal tissue that the network holds most suspicious.

    At most 8 local maxima a level of each film searched, away from every lesion.

    Args:
        films: how many are searched; which ones follows from ``seed`` and ``step``.
    """
    network.eval()
    rng = np.random.default_rng([seed, step, 1])
    count = min(films, len(sampler.films))
    hard: list[Place] = []
    for film in sorted(rng.choice(len(sampler.films), size=count, replace=False)):
        for index, level in enumerate(sampler.films[film].pyramid.levels):
            free = np.zeros_like(level.inside)
            free[tuple(sampler.clear[film][index].T)] = True
            score = abnormal_score(scan_level(network, level))
            peaks = local_maxima(score, free & (score > _LEAST_SCORE))
            order = np.argsort(-score[tuple(peaks.T)], kind="stable")[:_PER_LEVEL]
            hard += [(int(film), index, int(u) * STRIDE, int(v) * STRIDE) for u, v in peaks[order]]
    return hard
