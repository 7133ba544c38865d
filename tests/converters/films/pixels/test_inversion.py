"""A film with its gray scale the wrong way round is told by its pixels."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bcd_model.errors import FilmError
from converters.films.pixels.inversion import INVERTED, looks_inverted
from converters.films.read import read_film
from converters.mias.collection import read_collection
from converters.mias.phantom import write_phantom

SaveFilm = Callable[..., Path]


def breast(rows: int = 300, columns: int = 240) -> np.ndarray:
    """A half ellipse on black, as a film shows a breast."""
    y, x = np.mgrid[:rows, :columns]
    inside = ((y - rows / 2) / (0.45 * rows)) ** 2 + (x / (0.6 * columns)) ** 2 < 1
    return np.where(inside, 90 + 60 * np.sin(y / 9) * np.cos(x / 7), 4).astype(np.uint8)


def test_an_inverted_film_is_warned_of_and_left_as_it_is(save_film: SaveFilm) -> None:
    film = breast()
    elements = {"ImagerPixelSpacing": [0.5, 0.5]}
    assert INVERTED not in read_film(save_film("film.dcm", film, **elements)).film.warnings
    inverse = read_film(save_film("inverse.dcm", 255 - film, **elements)).film
    assert INVERTED in inverse.warnings
    np.testing.assert_allclose(inverse.pixels, (255 - film) / 255, atol=1e-6)
    told = save_film("told.dcm", 255 - film, PhotometricInterpretation="MONOCHROME1", **elements)
    assert INVERTED not in read_film(told).film.warnings


def test_tissue_up_to_the_border_is_no_background() -> None:
    """A spot view is all breast, and darker in the middle by chance."""
    y, x = np.mgrid[:200, :200]
    spot = (
        0.6 + 0.2 * np.sin(y / 17) * np.cos(x / 23) - 0.2 * np.exp(-((y - 100) ** 2 + (x - 100) ** 2) / 900)
    )
    assert not looks_inverted(spot.astype(np.float32))


def test_nothing_is_said_of_phantoms(tmp_path: Path) -> None:
    write_phantom(tmp_path, patients=3, seed=1, shape=(256, 256))
    for film in read_collection(tmp_path).films:
        pixels = film.read().pixels
        assert not looks_inverted(pixels)
        assert looks_inverted(1 - pixels)


@pytest.mark.films
@pytest.mark.skipif("BCD_MIAS_DIR" not in os.environ, reason="BCD_MIAS_DIR is not set")
def test_nothing_is_said_of_254_mias_films_and_nearly_all_their_inverses_are_found() -> None:
    flagged, found = [], 0
    for film in read_collection(Path(os.environ["BCD_MIAS_DIR"])).films:
        pixels = film.read().pixels
        if looks_inverted(pixels):
            flagged.append(film.name)
        found += looks_inverted(1 - pixels)
    assert flagged == []
    assert found >= 249


@pytest.mark.skipif("BCD_DICOM_SAMPLES" not in os.environ, reason="BCD_DICOM_SAMPLES is not set")
def test_nothing_is_said_of_other_hands_films() -> None:
    for path in sorted(Path(os.environ["BCD_DICOM_SAMPLES"]).rglob("*.dcm")):
        try:
            film = read_film(path).film
        except FilmError:
            continue
        assert INVERTED not in film.warnings
