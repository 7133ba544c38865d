"""A scanner that costs nothing, finds something on every film, and watches what it is given."""

from __future__ import annotations

import math

import numpy as np

from bcd_model.errors import FilmError
from bcd_model.words import (
    Film,
    FilmScan,
    Finding,
    HeatMap,
    ModelIdentity,
    OperatingPoint,
    Probability,
)


class StandIn:
    """A `StudyScanner` whose findings follow from the pixels alone.

    Attributes:
        seen: the SOP Instance UIDs of the films that it scanned, in this order.
        beside: for each of them that of the film beside it, or None.
        complaints: what was wrong with the films it was given; a scanner may rely on none of it being so.
    """

    identity = ModelIdentity("stand-in", "1", "0" * 64)
    operating_point = OperatingPoint(0.5, 0.4)

    def __init__(self, *, compares: bool = True, findings: int = 1) -> None:
        self.compares = compares
        self.findings = findings
        self.seen: list[str | None] = []
        self.beside: list[str | None] = []
        self.complaints: list[str] = []

    def scan(self, film: Film, other: Film | None = None) -> FilmScan:
        self.seen.append(film.sop_instance_uid)
        self.beside.append(None if other is None else other.sop_instance_uid)
        for each in (film, *([] if other is None else [other])):
            self.complaints += complaints(each)
        pixels = film.pixels
        if not float(pixels.max()) - float(pixels.min()) >= 1 / 255:
            raise FilmError("shows no breast", place=film.file)
        findings = tuple(self._finding(film, number) for number in range(self.findings))
        heat = HeatMap(np.linspace(0, 1, 12, dtype=np.float32).reshape(4, 3), (0.0, 0.0), (24.0, 26.0))
        best = findings[0].probability if findings else Probability(0.9, 0.06, 0.04)
        return FilmScan(best.abnormal_label if findings else "normal", best, findings, heat)

    def _finding(self, film: Film, number: int) -> Finding:
        """The brightest place, and one below the operating point at the opposite of it."""
        rows, columns = film.shape
        row, column = divmod(int(np.argmax(film.pixels)), columns)
        if number % 2:
            row, column = rows - 1 - row, columns - 1 - column
        radius = rows / 10
        outline = tuple(
            (row + radius * math.sin(k * math.pi / 3), column + radius * math.cos(k * math.pi / 3))
            for k in range(6)
        )
        probability = Probability(0.7, 0.2, 0.1) if number % 2 else Probability(0.1, 0.2, 0.7)
        center = (float(row), float(column))
        return Finding(center, radius, outline, probability.abnormal_label, probability)


def complaints(film: Film) -> list[str]:
    """Where ``film`` is not as `bcd_model.words.Film` promises."""
    found = []
    pixels = film.pixels
    if pixels.dtype != np.float32 or pixels.ndim != 2:
        found.append(f"pixels are {pixels.ndim}-dimensional {pixels.dtype}")
    elif not np.isfinite(pixels).all():
        found.append("pixels are not finite")
    elif pixels.min() < 0 or pixels.max() > 1:
        found.append(f"pixels reach from {pixels.min()} to {pixels.max()}")
    if len(film.spacing) != 2 or not all(math.isfinite(value) and value > 0 for value in film.spacing):
        found.append(f"spacing is {film.spacing}")
    elif pixels.ndim == 2:
        sides = [value * n for value, n in zip(film.spacing, pixels.shape, strict=True)]
        if not film.spacing_assumed and not (min(sides) >= 49 and max(sides) <= 501):
            found.append(f"a stated spacing makes the film {sides[0]:.4g} x {sides[1]:.4g} mm")
        if max(film.spacing) > 2.01 * min(film.spacing):
            found.append(f"pixels of {film.spacing[0]:.4g} x {film.spacing[1]:.4g} mm")
    return found
