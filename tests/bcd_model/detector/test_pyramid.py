"""A film's levels are as large as its spacing makes it, and that is bounded."""

from __future__ import annotations

import numpy as np
import pytest

from bcd_model.detector.pyramid import MOST_PIXELS, build_pyramid, region_window
from bcd_model.errors import FilmError
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


def test_a_film_of_more_pixels_than_a_detector_has_is_scanned_as_its_means() -> None:
    """The same places as of the film itself, at a bounded cost."""
    rng = np.random.default_rng(0)
    coarse = np.kron(rng.random((36, 28)), np.ones((24, 24))).astype(np.float32)
    fine = np.kron(coarse, np.ones((6, 6), dtype=np.float32))[:-3, :-2]
    assert fine.size > MOST_PIXELS
    small, large = Film(coarse, (0.24, 0.24)), Film(fine, (0.04, 0.04))
    one, two = (build_pyramid(film) for film in (small, large))
    for level, other in zip(one.levels, two.levels, strict=True):
        rows, columns = (min(n) for n in zip(level.inside.shape, other.inside.shape, strict=True))
        assert np.mean(level.inside[:rows, :columns] != other.inside[:rows, :columns]) < 0.01
        centre = two.to_source(other, (5.0, 7.0))
        assert centre == pytest.approx([6 * n + 2.5 for n in one.to_source(level, (5.0, 7.0))])
