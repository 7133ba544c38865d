import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bcd_model.detector.breast import breast_mask
from bcd_model.paper.crops import (
    Rectangle,
    crops_of_one_scale,
    eight_variants,
    film_rectangle,
    leaves_film,
    paper_crops,
    square_crop,
)
from bcd_model.words import Film, Lesion, Region
from tests.support.blob_films import blob_film
from tests.support.toy_films import StoredFilm


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
    [
        ((50, 50), 10, False),
        *(((9.5, 50), 10, False), ((9.25, 50), 10, True), ((50, 9.5), 10, False), ((50, 9.25), 10, True)),
        *(((89.5, 50), 10, False), ((89.75, 50), 10, True), ((50, 89.5), 10, False), ((50, 89.75), 10, True)),
    ],
)
def test_border_rule(center: tuple[float, float], radius: float, leaves: bool) -> None:
    assert leaves_film(Region(center, radius), Rectangle(0, 0, 100, 100)) is leaves
    row, column = center
    assert leaves_film(Region((row + 7, column + 30), radius), Rectangle(7, 30, 107, 130)) is leaves


@given(st.integers(0, 20), st.integers(0, 20), st.integers(1, 20), st.integers(1, 20), st.integers(0, 20))
def test_the_films_rectangle_is_what_padding_adds_nothing_to(
    top: int, left: int, rows: int, columns: int, after: int
) -> None:
    film = np.full((rows, columns), 0.1, dtype=np.float32)
    padded = np.pad(film, ((top, after), (left, 20 - after)))
    assert film_rectangle(padded) == Rectangle(top, left, top + rows, left + columns)


def test_a_speck_in_the_padding_is_no_film() -> None:
    picture = np.zeros((100, 100), dtype=np.float32)
    picture[10:90, 20:80] = 0.5
    picture[3, 95] = picture[4, 5] = 1
    assert film_rectangle(picture) == Rectangle(10, 20, 90, 80)


def test_a_blank_picture_is_its_own_film() -> None:
    assert film_rectangle(np.zeros((3, 5), dtype=np.float32)) == Rectangle(0, 0, 3, 5)


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


def _padded(film: Film, margin: int) -> Film:
    # A film of nothing but breast would have no blank part to find.
    return Film(np.pad(np.maximum(film.pixels, 0.01), margin), film.spacing)


def test_the_border_of_a_padded_film_is_not_that_of_the_picture() -> None:
    breast = _padded(blob_film((-500, -500), 1), 60)
    cut, whole = Lesion((300, 80), 30, "benign", "ASYM"), Lesion((300, 95), 30, "benign", "CIRC")
    crops = paper_crops([StoredFilm("a", "p1", breast, lesions=(cut, whole))], seed=0)
    assert [crop.kind for crop in crops] == ["CIRC"]


@pytest.mark.parametrize("seed", range(5))
def test_normal_crops_hold_no_padding(seed: int) -> None:
    film = _padded(blob_film((-500, -500), 1), 60)
    for cut in (paper_crops, crops_of_one_scale):
        lesion = StoredFilm("a", "p1", film, lesions=(Lesion((300, 150), 40, "benign", "CIRC"),))
        crops = cut([lesion, *(StoredFilm(str(n), f"p{n}", film) for n in range(3))], seed)
        assert [crop.label for crop in crops] == [1, 0, 0, 0]
        for crop in crops:
            assert not leaves_film(crop.region, Rectangle(60, 60, *(n - 60 for n in film.shape)))


def test_normal_crops_of_one_scale_hold_as_much_breast_as_the_lesions() -> None:
    film = blob_film((-500, -500), 1)
    mask = breast_mask(film.pixels, film.spacing)
    lesion = StoredFilm("a", "p1", film, lesions=(Lesion((300, 150), 60, "benign", "CIRC"),))
    assert mask[240:360, 90:210].all()
    crops = crops_of_one_scale([lesion, *(StoredFilm(str(n), f"p{n}", film) for n in range(30))], seed=0)
    normal = [crop for crop in crops if not crop.label]
    assert len(normal) == 30
    for crop in normal:
        row, column = (round(x + 0.5) for x in crop.region.center)
        assert mask[row - 60 : row + 60, column - 60 : column + 60].all()


def test_normal_crops_reach_the_last_row_and_column_of_the_film() -> None:
    pixels = np.full((48, 48), 0.5, dtype=np.float32)
    film = Film(np.pad(pixels, ((30, 200), (40, 300))), (1.0, 1.0))
    (crop,) = paper_crops([StoredFilm("a", "p1", film)], seed=0)
    assert np.array_equal(crop.pixels, pixels)


def test_normal_crops_of_one_scale_hold_no_more_breast_than_the_lesions_ask_for() -> None:
    """A lesion on the skin line: half of its square is breast, and that of a normal crop may be as little."""
    film = blob_film((-500, -500), 1)
    mask = breast_mask(film.pixels, film.spacing)

    def share(row: int, column: int) -> float:
        return float(mask[row - 40 : row + 40, column - 40 : column + 40].mean())

    column = min(range(60, mask.shape[1] - 60), key=lambda at: abs(share(300, at) - 0.5))
    assert share(300, column) == pytest.approx(0.5, abs=0.02)
    lesion = StoredFilm("a", "p1", film, lesions=(Lesion((299.5, column - 0.5), 40, "benign", "CIRC"),))
    crops = crops_of_one_scale([lesion, *(StoredFilm(str(n), f"p{n}", film) for n in range(80))], seed=0)
    shares = [share(*(round(x + 0.5) for x in crop.region.center)) for crop in crops[1:]]
    assert len(shares) == 80
    assert share(300, column) <= min(shares) < share(300, column) + 0.05


def test_a_square_that_no_place_of_the_film_can_hold_is_passed_over() -> None:
    film = _padded(blob_film((-500, -500), 1), 200)
    lesion = StoredFilm("a", "p1", film, lesions=(Lesion((500, 350), 100, "benign", "CIRC"),))
    narrow = Film(film.pixels.copy(), film.spacing)
    narrow.pixels[:, :210] = narrow.pixels[:, 300:] = 0  # 90 columns are left
    crops = crops_of_one_scale([lesion, StoredFilm("b", "p2", narrow)], seed=0)
    assert [crop.film for crop in crops] == ["a"]
