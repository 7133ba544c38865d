"""Between places on a film and Slicer's world (RAS, mm)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean
from typing import Any

import vtk

from .words import Point

Ras = tuple[float, float, float]


def to_ras(volume: Any, point: Point, slice_index: int = 0) -> Ras:
    """Where (row, column) of the volume's slice is in the world."""
    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    x, y, z, _ = matrix.MultiplyPoint((point[1], point[0], slice_index, 1.0))
    return x, y, z


def from_ras(volume: Any, ras: Sequence[float]) -> tuple[Point, float]:
    """(row, column) of a place in the world, and the slice (fractional) that it lies in."""
    matrix = vtk.vtkMatrix4x4()
    volume.GetRASToIJKMatrix(matrix)
    column, row, slice_index, _ = matrix.MultiplyPoint((*ras, 1.0))
    return (row, column), slice_index


def outline(volume: Any, markup: Any) -> tuple[Point, ...]:
    """The control points of a markup as (row, column) of the volume."""
    points = []
    position = [0.0, 0.0, 0.0]
    for index in range(markup.GetNumberOfControlPoints()):
        markup.GetNthControlPointPosition(index, position)
        points.append(from_ras(volume, position)[0])
    return tuple(points)


def extent(corners: Sequence[Point]) -> tuple[Point, float]:
    """Middle of an outline and half its height, the radius' measure in ``result.json``."""
    rows, columns = zip(*corners)
    return (fmean(rows), fmean(columns)), (max(rows) - min(rows)) / 2


def circle_of_line(volume: Any, line: Any) -> tuple[Point, float]:
    """Centre and radius (pixels along the rows' axis) of a circle that was drawn from centre to edge.

    The circle is one in mm: on pixels that are not square its outline is an ellipse in pixels.
    """
    (center, edge) = outline(volume, line)[:2]
    spacing = volume.GetSpacing()
    height, width = (edge[0] - center[0]) * spacing[1], (edge[1] - center[1]) * spacing[0]
    return center, math.hypot(height, width) / spacing[1]


def round_outline(volume: Any, center: Point, radius: float, corners: int = 32) -> tuple[Point, ...]:
    """The polygon of a circle in mm around ``center``; ``radius`` in pixels along the rows' axis."""
    spacing = volume.GetSpacing()
    stretch = spacing[1] / spacing[0]
    angles = (2 * math.pi * step / corners for step in range(corners))
    return tuple(
        (center[0] + radius * math.sin(angle), center[1] + radius * stretch * math.cos(angle))
        for angle in angles
    )
