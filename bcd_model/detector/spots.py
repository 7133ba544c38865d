"""Clusters of small bright spots: where calcifications may be.

The scanning network sees pixels of 0.3 mm at best and takes a lesion for one bright patch; calcifications
are smaller, and many. Here the film is searched at 0.2 mm for spots brighter than their surroundings to
every side, which an edge, a vessel or a fibre is not, and for places where such spots lie together. Nothing
of it is trained.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from bcd_model.detector.breast import Mask, fit_mask, resample, to_image
from bcd_model.detector.peaks import local_maxima
from bcd_model.words import Pixels, Point

STEP_MM = 0.2
"""Pixel spacing at which spots are sought."""

_COARSEST_MM = 0.4  # a film of larger pixels shows no spots, and would take much memory at 0.2 mm

CLUSTERS = 12
"""Clusters of a film at most, the strongest ones."""

_SPOT_MM = 0.24  # standard deviation of the Gaussian that spots are sought with
_AROUND_MM = 5.0  # of the one that tells how rough the surroundings are
_EDGE_MM = 2.4  # along its border the breast falls off as around a spot
_LEAST, _MOST = 2.0, 6.0  # deviations that make a spot, and beyond which it counts no more
_CLUSTER_MM = 1.2  # standard deviation of the Gaussian that adds up the spots of a cluster
_APART_MM = 3.6
_LEAST_PIXELS = 4  # of an axis, for the recursive filters


def _kernels() -> tuple[npt.NDArray[np.float32], ...]:
    """The Gaussian of a spot's size and its first two derivatives, in pixels, out to 5 deviations."""
    sigma = _SPOT_MM / STEP_MM
    x = np.arange(-np.ceil(5 * sigma), np.ceil(5 * sigma) + 1)
    gaussian = np.exp(-(x**2) / (2 * sigma**2))
    gaussian /= gaussian.sum()
    second = (x**2 / sigma**4 - 1 / sigma**2) * gaussian
    # Of a constant film no derivative may be left over, however small: it would favour bright tissue.
    second -= second.mean()
    return tuple(each.astype(np.float32) for each in (gaussian, -x / sigma**2 * gaussian, second))


_KERNELS = _kernels()


@dataclass(frozen=True, slots=True)
class Cluster:
    """A place where bright spots lie together.

    Attributes:
        place_mm: (row, column) in mm from the film's corner.
        strength: of its spots, each from 0.5 to 4.5, those in the middle fully and those 1.2 mm away by 0.6.
    """

    place_mm: Point
    strength: float


def find_clusters(source: sitk.Image, breast: sitk.Image) -> tuple[Cluster, ...]:
    """Return the strongest clusters of spots of a film, the strongest first, 3.6 mm apart at least.

    Args:
        source: the film, bright is dense, its pixels' spacing in mm.
        breast: not 0 where the breast is, on the same grid.
    """
    if max(source.GetSpacing()) > _COARSEST_MM:
        return ()
    image = resample(source, (STEP_MM, STEP_MM))
    inside = fit_mask(breast, image)
    if min(inside.shape) < _LEAST_PIXELS or not inside.any():
        return ()
    strength = spot_strength(sitk.GetArrayFromImage(image).astype(np.float32), inside)
    spots = local_maxima(strength, strength >= _LEAST)
    weights = np.zeros_like(strength)
    weights[tuple(spots.T)] = np.minimum(strength[tuple(spots.T)], _MOST) - _LEAST + 0.5
    together = _smooth(weights, _CLUSTER_MM) * np.float32(2 * np.pi * (_CLUSTER_MM / STEP_MM) ** 2)
    places = local_maxima(together, together >= 0.5)
    order = np.argsort(-together[tuple(places.T)], kind="stable")
    found: list[Cluster] = []
    for row, column in places[order].tolist():
        place = ((row + 0.5) * STEP_MM, (column + 0.5) * STEP_MM)
        if all(np.hypot(place[0] - c.place_mm[0], place[1] - c.place_mm[1]) > _APART_MM for c in found):
            found.append(Cluster(place, float(together[row, column])))
        if len(found) == CLUSTERS:
            break
    return tuple(found)


def spot_strength(fine: Pixels, inside: Mask) -> Pixels:
    """Return (rows, columns) how much of a bright spot each pixel is, in deviations of its surroundings.

    The film is smoothed by 0.24 mm; what counts is the lesser of its two principal curvatures, which is
    positive only where it falls off to every side. 0 outside the breast and within 2.4 mm of its border
    or the film's.

    Args:
        fine: (rows, columns), the film in pixels of 0.2 mm.
        inside: where the breast is.
    """
    rows, columns, mixed = (_derivative(fine, *orders) for orders in ((2, 0), (0, 2), (1, 1)))
    lesser = -((rows + columns) / 2 + np.hypot((rows - columns) / 2, mixed, dtype=np.float32))
    deep = _deep(inside)
    lesser[~deep] = 0
    within = np.maximum(_smooth(deep.astype(np.float32), _AROUND_MM), np.float32(1e-3))
    square = _smooth(np.square(lesser), _AROUND_MM) / within
    deviation = np.sqrt(np.maximum(square, 0))
    return np.where(deviation > 1e-6, lesser / np.maximum(deviation, 1e-6), 0).astype(np.float32)


def _deep(inside: Mask) -> Mask:
    """Where the breast is, without its rim, nor that of the film, where digitisers leave lines."""
    framed = np.pad(inside, 1).astype(np.uint8)
    depth = sitk.SignedMaurerDistanceMap(
        to_image(framed, (STEP_MM, STEP_MM)),
        insideIsPositive=True,
        squaredDistance=False,
        useImageSpacing=True,
    )
    return np.asarray(sitk.GetArrayFromImage(depth)[1:-1, 1:-1] > _EDGE_MM, dtype=np.bool_)


def _derivative(pixels: Pixels, rows: int, columns: int) -> Pixels:
    """The derivative of these orders, in pixels, of the film smoothed to the size of a spot."""
    for axis, order in enumerate((rows, columns)):
        kernel = _KERNELS[order][::-1]
        reach = len(kernel) // 2
        framed = np.pad(pixels, [(reach, reach) if each == axis else (0, 0) for each in (0, 1)], mode="edge")
        count = pixels.shape[axis]
        found = np.zeros(pixels.shape, dtype=np.float32)
        for at, weight in enumerate(kernel):
            found += weight * (framed[at : at + count] if axis == 0 else framed[:, at : at + count])
        pixels = found
    return pixels


def _smooth(pixels: Pixels, sigma_mm: float) -> Pixels:
    image = to_image(pixels, (STEP_MM, STEP_MM))
    return np.asarray(sitk.GetArrayFromImage(sitk.SmoothingRecursiveGaussian(image, sigma_mm)))
