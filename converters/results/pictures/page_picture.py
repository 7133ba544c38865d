"""Pictures for the report: a film small enough for a page, and its findings in that picture's pixels."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from io import BytesIO

from PIL import Image

from bcd_model.words import Film, Point
from converters.results import film_facts

LONG_SIDE = 960
"""Of the picture, in pixels; a smaller film keeps its size."""
_QUALITY = 80
_MOST_OBLONG = 20  # a stated spacing may be nonsense; the picture stays one that can be looked at


@dataclass(frozen=True, slots=True)
class Picture:
    """A film as a page shows it: square pixels, whatever the film's are.

    Attributes:
        uri: JPEG as a ``data:`` URI.
        width: in pixels.
        height: in pixels.
        scale: picture pixels for one source pixel, (along rows' axis, along columns' axis).
    """

    uri: str
    width: int
    height: int
    scale: tuple[float, float]

    def place(self, point: Point) -> tuple[float, float]:
        """(x, y) of a source ``point`` from the picture's top-left corner, as SVG counts."""
        return (point[1] + 0.5) * self.scale[1], (point[0] + 0.5) * self.scale[0]


def picture(film: Film) -> Picture:
    """The picture of ``film``."""
    rows, columns = film.shape
    finest = min(film.spacing)
    tall, wide = (
        length * min(spacing / finest, _MOST_OBLONG)
        for length, spacing in zip(film.shape, film.spacing, strict=True)
    )
    shrink = min(1.0, LONG_SIDE / max(tall, wide))
    width, height = max(1, round(wide * shrink)), max(1, round(tall * shrink))
    small = Image.fromarray(film_facts.eight_bits(film.pixels)).resize((width, height), Image.Resampling.BOX)
    buffer = BytesIO()
    small.save(buffer, "JPEG", quality=_QUALITY)
    uri = "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
    return Picture(uri, width, height, (height / rows, width / columns))


def polygon(shown: Picture, outline: tuple[Point, ...], shape: tuple[int, int]) -> str:
    """The ``points`` of an SVG polygon: ``outline`` in the picture, cut at the film's border."""
    corners = (shown.place(corner) for corner in film_facts.on_film(outline, shape))
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in corners)
