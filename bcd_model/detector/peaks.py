"""Local maxima of a map."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bcd_model.detector.breast import Mask
from bcd_model.words import Pixels


def local_maxima(score: Pixels, inside: Mask) -> npt.NDArray[np.intp]:
    """Return (n, 2) places (row, column) inside that no neighbour of the 8 surpasses.

    Of a plateau the first in reading order stands for all its neighbours.
    """
    h, w = score.shape
    masked = np.where(inside, score, -np.inf)
    framed = np.pad(masked, 1, constant_values=-np.inf)
    peak = inside.copy()
    for du in (-1, 0, 1):
        for dv in (-1, 0, 1):
            if (du, dv) == (0, 0):
                continue
            neighbour = framed[1 + du : 1 + du + h, 1 + dv : 1 + dv + w]
            peak &= masked > neighbour if (du, dv) < (0, 0) else masked >= neighbour
    return np.argwhere(peak)
