"""Whether a film's gray scale is the wrong way round, from its pixels: brighter around than in the breast."""

from __future__ import annotations

import numpy as np

from bcd_model.words import Pixels

INVERTED = "looks inverted as its header shows it: the background is brighter than the breast"

_GRID = 256  # pixels of the long side that are looked at
_RANGE = (0.005, 0.995)
_BORDERS = (0.04, 0.1)  # of the short side: around the film, labels and tape included, and deeper
_EXTREME = 0.2
_BACKGROUND = 0.1
# Of 254 MIAS films and 7 other real ones the brightest border is at 0.04; of their inverses, which are at
# the negative values, 98 % are above the limit. The smallest background of them is 0.10 of the film, of
# 99 % at least 0.20.
_BRIGHT_BORDER = 0.1
_LEAST_BACKGROUND = 0.15


def looks_inverted(pixels: Pixels) -> bool:
    """Whether ``pixels``, (rows, columns) in [0, 1], are brighter where the background is than elsewhere.

    The border of a film is mostly background. It is bright if more of it is in the uppermost fifth of the
    film's own range than in the lowest; and what makes it bright must be uniform and large.
    """
    step = max(1, max(pixels.shape) // _GRID)
    coarse = pixels[::step, ::step]
    low, high = np.quantile(coarse, _RANGE)
    if high <= low:
        return False
    scaled = np.clip((coarse - low) / (high - low), 0.0, 1.0)
    brightness = 0.0
    for share in _BORDERS:
        width = max(1, int(share * min(scaled.shape)))
        border = np.ones(scaled.shape, dtype=np.bool_)
        border[width:-width, width:-width] = False
        around = scaled[border]
        brightness += float(np.mean(around >= 1 - _EXTREME) - np.mean(around <= _EXTREME)) / len(_BORDERS)
    return brightness > _BRIGHT_BORDER and float(np.mean(scaled >= 1 - _BACKGROUND)) >= _LEAST_BACKGROUND
