"""Where the labels of a film's findings stand: over no outline and over no other label.

Overlay and presentation state place their labels by `place`. A label stands as near to its own finding as
there is room; `Tie` says how far that is, so that a label further away can be tied to its outline by a line.
Where a film is so crowded that no place is free, the place that covers least is taken: parts of outlines and
labels count most, then what lies inside an outline, then the distance.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from bcd_model.words import Point

Font: TypeAlias = ImageFont.FreeTypeFont | ImageFont.ImageFont
Mask: TypeAlias = npt.NDArray[np.bool_]

MARGIN = 3
"""Pixels between a label's letters and what is around it; one of them is the letters' black rim."""

_CELLS = 256  # of the grid on which a free place is sought, along the picture's long side
_KEPT_CLEAR = 3  # cells: an outline's line with what is kept clear beside it
_COVERED = 1e6  # what one covered cell of an outline or a label costs; a cell inside an outline costs 1
_OFF_CENTRE = 0.05  # of the distance between centres: of places that are equally near, the middle one


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels from the picture's top-left corner, at which (0, 0) is: not a pixel's centre."""

    top: float
    left: float
    height: float
    width: float


@dataclass(frozen=True, slots=True)
class Tie:
    """The shortest line between a label and its outline: its ends, from the top-left corner, and length."""

    start: Point
    end: Point
    length: float


def font_of(shape: tuple[int, int]) -> Font:
    """The font of the labels on a picture of ``shape`` (rows, columns)."""
    return ImageFont.load_default(size=max(10, round(max(shape) / 64)))


def letters(text: str, font: Font) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of ``text`` with its rim, drawn at (0, 0); with `MARGIN` around them."""
    pen = ImageDraw.Draw(Image.new("L", (1, 1)))
    left, top, right, bottom = pen.multiline_textbbox((0, 0), text, font=font, stroke_width=1)
    return left - MARGIN, top - MARGIN, right + MARGIN, bottom + MARGIN


def size_of(text: str, font: Font) -> tuple[float, float]:
    """(height, width) of the place that ``text`` takes."""
    left, top, right, bottom = letters(text, font)
    return bottom - top, right - left


def place(
    sizes: Sequence[tuple[float, float]],
    outlines: Sequence[Sequence[Point]],
    shape: tuple[int, int],
    taken: Sequence[Box] = (),
) -> tuple[Box, ...]:
    """Places for labels on a picture of ``shape`` (rows, columns), one after the other.

    Args:
        sizes: (height, width) of each label in pixels.
        outlines: the closed polygon of each label's finding; pixel centres are whole numbers.
        taken: what else no label may cover.

    Returns:
        A box of that size for each label, inside the picture; a label larger than the picture gets what
        there is.
    """
    cell = max(shape) / _CELLS
    rows, columns = (max(1, int(length / cell)) for length in shape)
    on_grid = [
        [((row + 0.5) / cell - 0.5, (column + 0.5) / cell - 0.5) for row, column in o] for o in outlines
    ]
    covered = np.zeros((rows, columns), dtype=np.float64)
    inside = Image.new("1", (columns, rows))
    for outline in on_grid:
        covered[outline_mask(outline, covered.shape, _KEPT_CLEAR)] = _COVERED
        ImageDraw.Draw(inside).polygon([(column, row) for row, column in outline], fill=1)
    covered += np.asarray(inside)
    for box in taken:
        _cover(covered, box, cell)
    boxes = []
    for (height, width), outline in zip(sizes, on_grid, strict=True):
        tall, wide = min(math.ceil(height / cell), rows), min(math.ceil(width / cell), columns)
        center = np.mean(outline, axis=0) + 0.5
        cost = _sums(covered, tall, wide) + _distances(center, (tall, wide), (rows, columns))
        top, left = np.unravel_index(np.argmin(cost), cost.shape)
        at = float(top) * cell, float(left) * cell
        boxes.append(Box(*at, min(height, shape[0] - at[0]), min(width, shape[1] - at[1])))
        _cover(covered, boxes[-1], cell)
    return tuple(boxes)


def _cover(covered: npt.NDArray[np.float64], box: Box, cell: float) -> None:
    top, left = int(box.top / cell), int(box.left / cell)
    bottom, right = math.ceil((box.top + box.height) / cell), math.ceil((box.left + box.width) / cell)
    covered[top:bottom, left:right] = _COVERED


def _sums(values: npt.NDArray[np.float64], tall: int, wide: int) -> npt.NDArray[np.float64]:
    """The sum of ``values`` under a window of ``tall`` x ``wide`` at each of its places."""
    total = np.pad(values, ((1, 0), (1, 0))).cumsum(axis=0).cumsum(axis=1)
    found: npt.NDArray[np.float64] = (
        total[tall:, wide:] - total[:-tall, wide:] - total[tall:, :-wide] + total[:-tall, :-wide]
    )
    return found


def _distances(
    center: npt.NDArray[np.float64], size: tuple[int, int], grid: tuple[int, int]
) -> npt.NDArray[np.float64]:
    """From a finding's ``center`` to a label of ``size`` at each of its places on the grid."""
    near, middle = [], []
    for at, length, most in zip(center, size, grid, strict=True):
        first = np.arange(most - length + 1, dtype=np.float64)
        near.append(np.maximum(np.maximum(first - at, at - first - length), 0.0))
        middle.append(first + length / 2 - at)
    found: npt.NDArray[np.float64] = np.hypot(*np.ix_(*near)) + _OFF_CENTRE * np.hypot(*np.ix_(*middle))
    return found


def tie(box: Box, outline: Sequence[Point]) -> Tie:
    """The shortest line between ``box`` and a corner of ``outline``; pixel centres are whole numbers."""

    def between(corner: Point) -> Tie:
        end = corner[0] + 0.5, corner[1] + 0.5
        start = (
            min(max(end[0], box.top), box.top + box.height),
            min(max(end[1], box.left), box.left + box.width),
        )
        return Tie(start, end, math.dist(start, end))

    return min(map(between, outline), key=lambda found: found.length)


def end_for_caption(
    height: float, outlines: Sequence[Sequence[Point]], rows: int
) -> Literal["top", "bottom"]:
    """Where ``height`` rows of text cover fewer outlines: at the bottom, unless fewer reach to the top."""
    at_top = sum(min(row for row, _ in outline) < height for outline in outlines)
    at_bottom = sum(max(row for row, _ in outline) > rows - height for outline in outlines)
    return "top" if at_top < at_bottom else "bottom"


def outline_mask(outline: Sequence[Point], shape: tuple[int, ...], width: float) -> Mask:
    """Pixels whose centres lie within ``width / 2`` of the closed polygon.

    PIL's own lines start and end at whole pixels, which is up to 0.7 pixels off.
    """
    mask = np.zeros(shape, dtype=np.bool_)
    reach = width / 2
    for (r0, c0), (r1, c1) in zip(outline, (*outline[1:], outline[0]), strict=True):
        top, left = max(0, math.floor(min(r0, r1) - reach)), max(0, math.floor(min(c0, c1) - reach))
        bottom, right = math.ceil(max(r0, r1) + reach) + 1, math.ceil(max(c0, c1) + reach) + 1
        window = mask[top:bottom, left:right]
        row, column = np.ogrid[top : top + window.shape[0], left : left + window.shape[1]]
        length = (r1 - r0) ** 2 + (c1 - c0) ** 2
        along = ((row - r0) * (r1 - r0) + (column - c0) * (c1 - c0)) / length if length else 0.0
        along = np.clip(along, 0.0, 1.0)
        distance = np.hypot(row - r0 - along * (r1 - r0), column - c0 - along * (c1 - c0))
        window |= distance <= reach
    return mask
