"""What the labels of a presentation state or of a burned-in picture run over, by geometry alone."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from pydicom.dataset import Dataset

from converters.results.pictures.labels import Box
from converters.results.pictures.overlay import draw
from converters.results.study_result import ScannedFilm, StudyResult
from converters.results.wording import film_caption, presented

Line = np.ndarray
"""(points, 2): a polygon sampled each quarter of a pixel, (row, column) from the picture's corner."""


@dataclass(frozen=True)
class Collisions:
    """How many labels there are; how many lie on an outline, on another label, or not on the film."""

    labels: int
    on_outline: int
    on_label: int
    outside: int


def sampled(points: list[tuple[float, float]]) -> Line:
    """A closed polygon of corners from the picture's corner."""
    edges = zip(points, (*points[1:], points[0]), strict=True)
    steps = [np.linspace(a, b, 2 + math.ceil(4 * math.dist(a, b))) for a, b in edges]
    return np.concatenate(steps)


def count(boxes: list[Box], lines: list[Line], shape: tuple[int, int]) -> Collisions:
    """Of labels in ``boxes`` on a film of ``shape`` with the outlines ``lines``."""
    outside = sum(
        min(box.top, box.left) < 0 or box.top + box.height > shape[0] or box.left + box.width > shape[1]
        for box in boxes
    )
    return Collisions(
        len(boxes),
        sum(any(crosses(box, line) for line in lines) for box in boxes),
        sum(overlap(one, other) for one, other in combinations(boxes, 2)),
        outside,
    )


def crosses(box: Box, line: Line) -> bool:
    """Whether ``line``, half a pixel wide to either side, enters ``box``."""
    row, column = line.T
    rows = (box.top - 0.5 < row) & (row < box.top + box.height + 0.5)
    return bool((rows & (box.left - 0.5 < column) & (column < box.left + box.width + 0.5)).any())


def overlap(one: Box, other: Box) -> bool:
    """Whether two boxes have an area in common."""
    rows = min(one.top + one.height, other.top + other.height) - max(one.top, other.top)
    columns = min(one.left + one.width, other.left + other.width) - max(one.left, other.left)
    return rows > 0 and columns > 0


def of_state(state: Dataset) -> Collisions:
    """In a presentation state, as a viewer would read it."""
    boxes, lines = [], []
    for annotation in state.GraphicAnnotationSequence:
        for graphic in annotation.get("GraphicObjectSequence", ()):
            data = graphic.GraphicData
            lines.append(sampled([(row, column) for column, row in zip(data[::2], data[1::2], strict=True)]))
        for text in annotation.TextObjectSequence:
            if text.BoundingBoxAnnotationUnits == "PIXEL":
                left, top = text.BoundingBoxTopLeftHandCorner
                right, bottom = text.BoundingBoxBottomRightHandCorner
                boxes.append(Box(top, left, bottom - top, right - left))
    columns, rows = state.DisplayedAreaSelectionSequence[0].DisplayedAreaBottomRightHandCorner
    return count(boxes, lines, (rows, columns))


def letters_on_outlines(film: ScannedFilm, result: StudyResult) -> int:
    """White pixels that touch one of an outline in the burned-in picture of a black film: letters, or lines
    that tie a label to its outline.
    """
    black = np.zeros_like(film.film.pixels)
    shown = replace(film.film, pixels=black)
    picture = draw(shown, presented(film, result), film_caption(film, result)).astype(int)
    colored = np.ptp(picture, axis=2) > 0
    near = colored.copy()
    for axis in (0, 1):
        near |= np.roll(colored, 1, axis) | np.roll(colored, -1, axis)
    return int(((picture.min(axis=2) > 0) & near & ~colored).sum())
