from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from bcd_model.detector.breast import breast_mask, normalise, to_image
from bcd_model.detector.spots import CLUSTERS, Cluster, find_clusters
from bcd_model.words import Pixels
from tests.support.blob_films import half_disc

SHAPE = (640, 480)
MIDDLE = (320, 150)
CLUSTER = [(0, 0), (7, 3), (-6, 5), (3, -8), (-4, -5)]


def tissue(seed: int = 0, spacing: float = 0.2) -> Pixels:
    """A breast with smooth texture and the noise of a film, as large in mm at any spacing."""
    shape = tuple(round(n * 0.2 / spacing) for n in SHAPE)
    rng = np.random.default_rng(seed)
    texture = to_image(rng.standard_normal(shape).astype(np.float32), (spacing, spacing))
    rough = sitk.GetArrayFromImage(sitk.SmoothingRecursiveGaussian(texture, 2.0))
    grain = rng.standard_normal(shape) * 0.002 * spacing / 0.2
    inside = half_disc(shape, (spacing, spacing), "left")
    return np.where(inside, 0.4 + 0.05 * rough / rough.std() + grain, 0).astype(np.float32)


def with_spots(
    film: Pixels, places: list[tuple[float, float]], spacing: float = 0.2, bright: float = 0.08
) -> Pixels:
    """Round bright spots of 0.4 mm added at (row, column) of a film of 0.2 mm."""
    rows, columns = np.indices(film.shape)
    found = film.copy()
    for row, column in places:
        at = [(x + 0.5) * 0.2 / spacing - 0.5 for x in (row, column)]
        distance = np.hypot(rows - at[0], columns - at[1]) * spacing
        found += (bright * np.exp(-((distance / 0.2) ** 2) / 2)).astype(np.float32)
    return found


def clusters(film: Pixels, spacing: float = 0.2) -> tuple[Cluster, ...]:
    grid = (spacing, spacing)
    inside = breast_mask(film, grid)
    return find_clusters(to_image(normalise(film, inside), grid), to_image(inside.astype(np.uint8), grid))


def apart_mm(cluster: Cluster, place: tuple[float, float]) -> float:
    return float(np.hypot(*(at - (x + 0.5) * 0.2 for at, x in zip(cluster.place_mm, place, strict=True))))


def around(place: tuple[float, float]) -> list[tuple[float, float]]:
    return [(place[0] + row, place[1] + column) for row, column in CLUSTER]


@settings(deadline=None, max_examples=15)
@given(st.integers(200, 440), st.integers(60, 200), st.integers(0, 2**16))
def test_spots_that_lie_together_are_the_strongest_cluster(row: int, column: int, seed: int) -> None:
    found = clusters(with_spots(tissue(seed), around((row, column))))
    assert apart_mm(found[0], (row, column)) < 1.5
    assert found[0].strength > 1.5 * found[1].strength


def test_a_single_spot_is_less_than_many() -> None:
    one = clusters(with_spots(tissue(), [MIDDLE]))[0]
    many = clusters(with_spots(tissue(), around(MIDDLE)))[0]
    assert apart_mm(one, MIDDLE) < 0.5
    assert many.strength > 1.5 * one.strength


def test_an_edge_and_a_vessel_are_no_spots() -> None:
    film = tissue()
    film[200:440, 150] += 0.1
    film[300:, 100:] += np.where(film[300:, 100:] > 0, np.float32(0.1), 0)
    found = [
        each for each in clusters(film) if abs(each.place_mm[1] - 30.1) < 1 and 42 < each.place_mm[0] < 58
    ]
    assert found == []
    # The same film finds the spots that are put into it.
    assert apart_mm(clusters(with_spots(film, around((250, 80))))[0], (250, 80)) < 1.5


def test_the_film_on_a_finer_grid_has_the_same_cluster() -> None:
    coarse = clusters(with_spots(tissue(), around(MIDDLE)))[0]
    fine = clusters(with_spots(tissue(spacing=0.1), around(MIDDLE), 0.1), 0.1)[0]
    assert apart_mm(fine, MIDDLE) < 1.5
    assert fine.strength == pytest.approx(coarse.strength, rel=0.5)


def test_the_mirrored_film_has_its_clusters_mirrored() -> None:
    film = with_spots(tissue(), around(MIDDLE))
    found, mirrored = clusters(film), clusters(np.ascontiguousarray(film[:, ::-1]))
    width = SHAPE[1] * 0.2
    assert apart_mm(found[0], MIDDLE) < 1.5
    assert mirrored[0].place_mm == pytest.approx((found[0].place_mm[0], width - found[0].place_mm[1]))
    assert mirrored[0].strength == pytest.approx(found[0].strength, rel=1e-3)


def test_clusters_are_ordered_few_and_apart() -> None:
    found = clusters(tissue())
    assert 1 < len(found) <= CLUSTERS
    assert [each.strength for each in found] == sorted((each.strength for each in found), reverse=True)
    for index, one in enumerate(found):
        for other in found[:index]:
            assert np.hypot(*np.subtract(one.place_mm, other.place_mm)) > 3.6


@pytest.mark.parametrize("shape", [(3, 3), (1, 40), (40, 40)])
def test_a_film_without_a_breast_has_none(shape: tuple[int, int]) -> None:
    assert clusters(np.zeros(shape, dtype=np.float32)) == ()


def test_an_even_breast_has_none_within() -> None:
    film = np.where(half_disc(SHAPE, (0.2, 0.2), "left"), np.float32(0.4), np.float32(0))
    # The sharp tips of the half disc are rounded off in the mask.
    assert [each for each in clusters(film) if 15 < each.place_mm[0] < 113] == []


def test_spots_along_the_border_of_the_film_do_not_count() -> None:
    film = tissue()
    film[100:500:3, 2] += 0.3
    assert all(each.place_mm[1] > 2.4 for each in clusters(film))


def test_one_very_bright_speck_is_less_than_many_spots() -> None:
    film = with_spots(tissue(), around(MIDDLE), bright=0.03)
    assert apart_mm(clusters(with_spots(film, [(200, 100)], bright=0.5))[0], MIDDLE) < 1.5


def test_clusters_closer_than_they_may_be_are_one() -> None:
    places: list[tuple[float, float]] = [(320, 150), (320, 165)]  # 3 mm
    found = [each for each in clusters(with_spots(tissue(), places)) if apart_mm(each, (320, 157.5)) < 2]
    assert len(found) == 1


def test_a_film_of_large_pixels_shows_no_spots_and_takes_no_memory() -> None:
    assert clusters(with_spots(tissue(), around(MIDDLE)), spacing=0.5) == ()
