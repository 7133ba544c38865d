import numpy as np
import pytest
from blob_films import blob_film
from hypothesis import given
from hypothesis import strategies as st
from toy_films import StoredFilm

from bcd_model.patches import eight_variants, leaves_film, paper_crops, square_crop
from bcd_model.words import Film, Lesion, Region


def test_eight_variants_are_the_eight_symmetries_of_the_square() -> None:
    crop = np.arange(9, dtype=np.float32).reshape(3, 3)
    variants = eight_variants(crop)
    assert len({v.tobytes() for v in variants}) == 8
    assert np.array_equal(variants[0], crop)
    assert np.array_equal(variants[1], np.rot90(crop))
    assert np.array_equal(variants[4], crop[:, ::-1])


@given(st.integers(24, 70), st.integers(24, 70))
def test_a_crop_of_the_windows_own_size_is_not_resampled(row: int, column: int) -> None:
    pixels = np.random.default_rng(0).random((96, 96)).astype(np.float32)
    crop = square_crop(pixels, Region((row - 0.5, column - 0.5), 24))
    np.testing.assert_allclose(crop, pixels[row - 24 : row + 24, column - 24 : column + 24], atol=1e-6)


@pytest.mark.parametrize("radius", [6, 24, 60, 150])
def test_a_crop_keeps_its_region_in_the_middle(radius: float) -> None:
    film = blob_film((400, 400), radius * 0.1, shape=(800, 800))
    crop = square_crop(film.pixels, Region((400, 400), radius))
    weight = crop - crop.min()
    rows, columns = np.indices(crop.shape)
    assert (rows * weight).sum() / weight.sum() == pytest.approx(23.5, abs=0.2)
    assert (columns * weight).sum() / weight.sum() == pytest.approx(23.5, abs=0.2)


@pytest.mark.parametrize(
    ("center", "radius", "leaves"),
    [((50, 50), 10, False), ((9.5, 50), 10, False), ((9, 50), 10, True), ((50, 90), 10, True)],
)
def test_border_rule(center: tuple[float, float], radius: float, leaves: bool) -> None:
    assert leaves_film(Region(center, radius), (100, 100)) is leaves


def test_paper_crops_leave_out_what_the_border_cuts_and_take_one_window_of_a_normal_film() -> None:
    breast = blob_film((-500, -500), 1)
    lesions = (Lesion((300, 150), 30, "benign", "CIRC"), Lesion((5, 150), 30, "malignant", "SPIC"))
    films = [
        StoredFilm("a", "p1", breast, lesions=lesions),
        StoredFilm("b", "p2", breast),
        StoredFilm("c", "p3", Film(np.zeros((200, 200), dtype=np.float32), (0.2, 0.2))),
    ]
    crops = paper_crops(films, seed=0)
    assert [(c.film, c.label, c.kind) for c in crops] == [("a", 1, "CIRC"), ("b", 0, "NORM")]
    again = paper_crops(films, seed=0)
    assert all(np.array_equal(a.pixels, b.pixels) for a, b in zip(crops, again, strict=True))
