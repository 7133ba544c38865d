"""The half pixel, settled in one place.

==========  ===================  ======================================  ==========================
who         order                origin                                  source
==========  ===================  ======================================  ==========================
this code   (row, column)        centre of the top-left pixel            numpy
DICOM       (column, row)        top-left **corner** of that pixel       PS3.3 C.18.6.1.1
Slicer IJK  (column, row, slice) centre of the first voxel               vtkMRMLVolumeNode
==========  ===================  ======================================  ==========================

So a SCOORD loses half a pixel on its way to IJK, and a place in IJK is ours with its order turned round.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from .words import Point

HALF = 0.5


def from_scoord(graphic_data: Sequence[float]) -> tuple[Point, ...]:
    """Graphic Data (0070,0022) to (row, column) of pixel centres.

    Raises:
        ValueError: an odd count of numbers, or what is not a number.
    """
    values = [float(value) for value in graphic_data]
    if len(values) % 2 or not all(map(math.isfinite, values)):
        raise ValueError("Graphic Data that are no coordinates")
    return tuple((row - HALF, column - HALF) for column, row in zip(values[::2], values[1::2]))


def to_scoord(points: Iterable[Point]) -> list[float]:
    """(row, column) of pixel centres to Graphic Data."""
    return [value + HALF for row, column in points for value in (column, row)]


def to_ijk(point: Point, slice_index: int = 0) -> tuple[float, float, float]:
    """(row, column) to Slicer's (i, j, k)."""
    return point[1], point[0], float(slice_index)


def from_ijk(ijk: Sequence[float]) -> Point:
    """Slicer's (i, j, k) to (row, column)."""
    return float(ijk[1]), float(ijk[0])


def centroid(points: Sequence[Point]) -> Point:
    """Centre of the corners of a polygon."""
    rows, columns = zip(*points)
    return sum(rows) / len(points), sum(columns) / len(points)


def mean_radius(center: Point, points: Sequence[Point]) -> float:
    """Mean distance of the corners from ``center``, in source pixels."""
    return sum(math.dist(center, point) for point in points) / len(points)
