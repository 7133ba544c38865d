"""Geometry of the scan, with a fixed detector in place of the weights, and what a scan says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bcd_model.detector.model import Model
from bcd_model.detector.pyramid import CONTEXT, STRIDE, build_pyramid
from bcd_model.detector.scan import Scanner
from bcd_model.errors import FilmError
from bcd_model.words import WINDOW, Film, Region
from tests.support.blob_films import BLOB_STEPS, blob_film

SPACINGS = [(0.2, 0.2), (0.1, 0.1), (0.2, 0.1), (0.15, 0.25)]


def _shape(spacing: tuple[float, float]) -> tuple[int, int]:
    return round(128 / spacing[0]), round(96 / spacing[1])


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("step", BLOB_STEPS)
def test_a_blob_comes_back_within_half_a_stride(
    blob_model: Model, side: str, spacing: tuple[float, float], step: float
) -> None:
    shape = _shape(spacing)
    columns = 0.35 if side == "left" else 0.65
    center = (shape[0] * 0.47 + 0.3, shape[1] * columns + 0.6)
    radius = WINDOW * step / (2 * CONTEXT)
    film = blob_film(center, radius, shape=shape, spacing=spacing, side=side)
    found = Scanner(blob_model, threads=1).scan(film).findings[0]
    half_stride = STRIDE * step / 2
    assert abs(found.center[0] - center[0]) * spacing[0] <= half_stride
    assert abs(found.center[1] - center[1]) * spacing[1] <= half_stride
    assert found.radius * spacing[0] == pytest.approx(radius)


@settings(max_examples=15, deadline=None)
@given(row=st.floats(220, 420), column=st.floats(60, 250))
def test_a_blob_comes_back_wherever_it_is(blob_model: Model, row: float, column: float) -> None:
    step = 0.45
    film = blob_film((row, column), WINDOW * step / (2 * CONTEXT))
    found = Scanner(blob_model, threads=1).scan(film).findings[0]
    assert abs(found.center[0] - row) * 0.2 <= STRIDE * step / 2
    assert abs(found.center[1] - column) * 0.2 <= STRIDE * step / 2


def test_the_heat_map_peaks_at_the_blob(blob_model: Model) -> None:
    heat = Scanner(blob_model).scan(blob_film((300, 150), 5.4)).heat_map
    u, v = np.unravel_index(heat.values.argmax(), heat.values.shape)
    assert abs(heat.origin[0] + u * heat.step[0] - 300) <= 5.4 / 0.2
    assert abs(heat.origin[1] + v * heat.step[1] - 150) <= 5.4 / 0.2


def test_outline_is_a_circle_in_mm(blob_model: Model) -> None:
    film = blob_film((320, 350), 8.1, spacing=(0.2, 0.1), shape=(640, 960))
    found = Scanner(blob_model).scan(film).findings[0]
    reach = np.hypot(*((np.array(found.outline) - found.center) * (0.2, 0.1)).T)
    np.testing.assert_allclose(reach, 8.1, atol=1e-6)
    assert found.radius == pytest.approx(8.1 / 0.2)


def test_outline_is_cut_by_the_films_border(blob_model: Model) -> None:
    film = blob_film((320, 30), 8.1)
    outline = np.array(Scanner(blob_model).scan(film).findings[0].outline)
    assert outline[:, 1].min() == 0
    assert outline.min() >= 0
    assert (outline <= np.array(film.shape) - 1).all()


def test_probabilities_add_up_and_findings_come_most_suspicious_first(blob_model: Model) -> None:
    scan = Scanner(blob_model).scan(blob_film((300, 150), 5.4))
    values = [f.probability.abnormal for f in scan.findings]
    assert values == sorted(values, reverse=True)
    for p in [scan.probability, *(f.probability for f in scan.findings)]:
        assert p.normal + p.benign + p.malignant == pytest.approx(1)
    assert scan.label == scan.findings[0].label


def test_an_even_breast_is_normal(blob_model: Model) -> None:
    film = blob_film((-500, -500), 1)
    scan = Scanner(blob_model).scan(film)
    assert scan.label == "normal"
    assert not [f for f in scan.findings if blob_model.operating_point.presents(f)]


@pytest.mark.parametrize("shape", [(64, 64), (8, 8), (1, 1), (3, 200)])
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_film_without_a_breast_is_not_scanned(
    blob_model: Model, shape: tuple[int, int], value: float
) -> None:
    film = Film(np.full(shape, value, dtype=np.float32), (0.2, 0.2))
    with pytest.raises(FilmError, match="no breast was found in it: nothing was scanned"):
        Scanner(blob_model).scan(film)


def test_same_film_same_scan(blob_model: Model) -> None:
    film = blob_film((300, 150), 5.4)
    first, again = Scanner(blob_model).scan(film), Scanner(blob_model).scan(film)
    assert first.findings == again.findings
    assert np.array_equal(first.heat_map.values, again.heat_map.values)


def test_classify_looks_where_it_is_told(blob_model: Model) -> None:
    film, scanner = blob_film((300, 150), 5.4), Scanner(blob_model)
    on = scanner.classify(film, Region((300, 150), 27))
    off = scanner.classify(film, Region((300, 300), 27))
    assert on.abnormal > 0.5 > off.abnormal


def test_air_is_no_region_of_a_breast(blob_model: Model) -> None:
    scanner = Scanner(blob_model)
    film = blob_film((300, 150), 5.4)
    for place in ((10, 470), (630, 470), (639.6, 479.6), (320, 425)):
        with pytest.raises(FilmError, match=r"blob\.dcm: there is no breast at the region"):
            scanner.classify(film, Region(place, 20))
    scanner.classify(film, Region((320, 390), 20))  # at the skin, half of it air
    empty = Film(np.zeros((640, 480), dtype=np.float32), (0.2, 0.2))
    with pytest.raises(FilmError, match="no breast"):
        scanner.classify(empty, Region((320, 100), 20))


def test_window_places_and_source_places_are_inverse() -> None:
    pyramid = build_pyramid(blob_film((300, 150), 5, spacing=(0.2, 0.1)))
    for level in pyramid.levels:
        assert pyramid.to_window(level, pyramid.to_source(level, (7.25, 3.5))) == pytest.approx((7.25, 3.5))
