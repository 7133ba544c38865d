"""A film's levels are as large as its spacing makes it, and that is bounded."""

from __future__ import annotations

import numpy as np
import pytest

from bcd_model.errors import FilmError
from bcd_model.pyramid import build_pyramid, region_window
from bcd_model.words import Film, Region


@pytest.mark.parametrize(
    "spacing",
    [(2.1, 2.1), (1e9, 1e9), (0.1, 1e6), (float("inf"), 0.2), (float("nan"), 0.2), (0.0, 0.2), (-0.2, 0.2)],
)
def test_kind_13_no_spacing_makes_levels_of_any_size(spacing: tuple[float, float]) -> None:
    pixels = np.zeros((300, 300), dtype=np.float32)
    pixels[50:250, :150] = 0.5
    film = Film(pixels, spacing, file="film.dcm")
    with pytest.raises(FilmError, match=r"film\.dcm: its pixel spacing makes it .* mm large"):
        build_pyramid(film)
    with pytest.raises(FilmError, match="large"):
        region_window(film, Region((100.0, 60.0), 10.0))


def test_a_film_of_the_largest_size_is_scanned() -> None:
    pixels = np.zeros((250, 250), dtype=np.float32)
    pixels[50:200, :150] = 0.5
    levels = build_pyramid(Film(pixels, (2.0, 2.0))).levels
    assert max(level.pixels.size for level in levels) < 3_000_000
