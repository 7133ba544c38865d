"""The half pixel, settled in one place.

==========  ===================  ======================================  ==========================
who         order                origin                                  source
==========  ===================  ======================================  ==========================
this code   (row, column)        centre of the top-left pixel            numpy
DICOM       (column, row)        top-left **corner** of that pixel       PS3.3 C.18.6.1.1
Slicer IJK  (column, row, slice) centre of the first voxel               vtkMRMLVolumeNode
==========  ===================  ======================================  ==========================

So a SCOORD loses half a pixel on its way to us; a place in IJK is ours with its order turned round, which
``geometry`` does.
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
