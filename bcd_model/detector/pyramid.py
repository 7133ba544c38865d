"""A film at the scales of the scan: what the network sees, in training and in use.

The window is 48x48 pixels at every level; the levels' pixels grow by a factor of 1.5, so that at
one of them the window is about twice as wide as the lesion.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import SimpleITK as sitk

from bcd_model.detector.breast import Mask, breast_mask, fit_mask, normalise, resample, to_image
from bcd_model.detector.spots import Cluster, find_clusters
from bcd_model.errors import FilmError
from bcd_model.words import WINDOW, Film, Pixels, Point, Region

STEPS_MM = (0.3, 0.45, 0.675, 1.0125, 1.51875)
"""Pixel spacing of each level in mm: windows of 14.4 to 72.9 mm, lesions of 3.6 to 18 mm radius."""

CONTEXT = 2.0
"""Width of the window over the width of the lesion it is meant for."""

STRIDE = 4
"""Level pixels from one window to the next."""

MOST_MM = 510.0
"""Longest side of a film in mm: of one more extended the levels would take more memory than a scan has."""

MOST_PIXELS = 1 << 24
"""Of a film that is scanned pixel by pixel; the largest detectors have 14 million."""

MARGIN = WINDOW // 2
"""Border of zeros around the pixels of a level."""


@dataclass(frozen=True, slots=True, eq=False)
class Level:
    """A film at one scale.

    Attributes:
        pixels: (h, w) float32, normalised contrast, with a border of half a window of zeros.
        step: mm between pixels.
        inside: (u, v) bool; whether the centre of window (u, v) lies in the breast. The window's
            top-left corner is at ``pixels[4u, 4v]`` and its centre 4u, 4v pixels from the film's
            top-left corner.
    """

    pixels: Pixels
    step: float
    inside: Mask

    @property
    def radius(self) -> float:
        """Radius in mm of the lesions this level is meant for."""
        return WINDOW * self.step / (2 * CONTEXT)


@dataclass(frozen=True, eq=False)
class Pyramid:
    """All levels of one film, the clusters of bright spots in it, and the way back to its source pixels."""

    levels: tuple[Level, ...]
    spacing: tuple[float, float]
    clusters: tuple[Cluster, ...] = ()

    def to_source(self, level: Level, window: tuple[float, float]) -> Point:
        """Return the source (row, column) of the centre of window (u, v) of ``level``."""
        u, v = window
        return (
            u * STRIDE * level.step / self.spacing[0] - 0.5,
            v * STRIDE * level.step / self.spacing[1] - 0.5,
        )

    def to_window(self, level: Level, point: Point) -> tuple[float, float]:
        """Return the (fractional) window of ``level`` whose centre is at a source (row, column)."""
        return (
            (point[0] + 0.5) * self.spacing[0] / (STRIDE * level.step),
            (point[1] + 0.5) * self.spacing[1] / (STRIDE * level.step),
        )

    @cached_property
    def windows(self) -> int:
        """How many windows the scan looks at."""
        return sum(int(level.inside.sum()) for level in self.levels)


def build_pyramid(film: Film, steps: tuple[float, ...] = STEPS_MM) -> Pyramid:
    """Return the levels of ``film``; a film without a breast in it has no window inside.

    Raises:
        FilmError: by its spacing the film is larger than any.
    """
    _check_size(film)
    pixels, spacing = _averaged(film)
    mask = breast_mask(pixels, spacing)
    source = to_image(normalise(pixels, mask), spacing)
    breast = to_image(mask.astype(np.uint8), spacing)
    levels = tuple(_level(source, breast, step) for step in steps)
    return Pyramid(levels, film.spacing, find_clusters(source, breast))


def _averaged(film: Film) -> tuple[Pixels, tuple[float, float]]:
    """The film, or means of blocks of its pixels if it has more than any detector, and their spacing.

    What a scan needs of memory and time is bounded so, however many pixels a film of a few hundred mm has.
    The blocks begin at the film's corner; the last of a row and of a column repeat its last pixels.
    """
    factor = math.ceil(math.sqrt(film.pixels.size / MOST_PIXELS))
    if factor <= 1:
        return film.pixels, film.spacing
    padding = [(0, -n % factor) for n in film.shape]
    rows, columns = ((n + after) // factor for n, (_, after) in zip(film.shape, padding, strict=True))
    means = np.empty((rows, columns), dtype=np.float32)
    for row in range(rows):
        strip = film.pixels[row * factor : (row + 1) * factor]
        strip = np.pad(strip, [(0, factor - len(strip)), padding[1]], mode="edge")
        means[row] = strip.reshape(factor, columns, factor).mean(axis=(0, 2))
    return means, (film.spacing[0] * factor, film.spacing[1] * factor)


def region_window(film: Film, region: Region, steps: tuple[float, ...] = STEPS_MM) -> Pixels:
    """Return the (48, 48) window the scan would look at ``region`` through.

    It is twice as wide as the region, as far as the scan's own scales reach.

    Raises:
        FilmError: the region's centre is not in the breast. The scan looks at no such window, and the
            network, which was trained on none, calls empty air benign. Or the film is larger than any.
    """
    _check_size(film)
    mask = breast_mask(film.pixels, film.spacing)
    row, column = (min(round(place), n - 1) for place, n in zip(region.center, film.shape, strict=True))
    if not mask[row, column]:
        raise FilmError("there is no breast at the region", "draw it on the breast", film.file)
    wanted = 2 * CONTEXT * region.radius * film.spacing[0] / WINDOW
    step = min(max(wanted, min(steps)), max(steps))
    source = resample(to_image(normalise(film.pixels, mask), film.spacing), (step, step))
    pixels = np.pad(sitk.GetArrayFromImage(source), WINDOW)
    corner = [
        round((place + 0.5) * spacing / step) + WINDOW - MARGIN
        for place, spacing in zip(region.center, film.spacing, strict=True)
    ]
    top, left = (min(max(c, 0), n - WINDOW) for c, n in zip(corner, pixels.shape, strict=True))
    return np.ascontiguousarray(pixels[top : top + WINDOW, left : left + WINDOW])


def _check_size(film: Film) -> None:
    """The number of pixels of a level follows from the spacing alone, whatever that is.

    Raises:
        FilmError: the spacing is none, or makes the film larger than any.
    """
    sides = [n * step for n, step in zip(film.shape, film.spacing, strict=True)]
    if not (min(film.spacing) > 0 and max(sides) <= MOST_MM):  # not a number, too
        size = " x ".join(f"{side:.4g}" for side in sides)
        message = f"its pixel spacing makes it {size} mm large"
        raise FilmError(message, f"at most {MOST_MM:g} mm", film.file)


def _level(source: sitk.Image, breast: sitk.Image, step: float) -> Level:
    coarse = sitk.GetArrayFromImage(resample(source, (step, step)))
    pixels = np.pad(coarse, MARGIN)
    windows = [(n - WINDOW) // STRIDE + 1 for n in pixels.shape]
    grid = sitk.Image(windows[1], windows[0], sitk.sitkUInt8)
    grid.SetSpacing((STRIDE * step, STRIDE * step))  # window (0, 0) is centred on the film's corner
    return Level(pixels, step, fit_mask(breast, grid))
