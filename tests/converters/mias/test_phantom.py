"""Phantoms: read back as MIAS films, the lesions where the truth says, the same for the same seed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bcd_model.errors import OutputError, UsageError
from bcd_model.words import Lesion
from converters.mias.collection import MiasCollection, read_collection
from converters.mias.orientation import chest_wall, usual_wall
from converters.mias.pgm import read_graymap
from converters.mias.phantom import write_phantom

SMALL = (256, 256)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> MiasCollection:
    """The four films of the demonstration, at full size."""
    return write_phantom(tmp_path_factory.mktemp("phantom"))


def test_the_demo_has_one_film_of_each_sort(demo: MiasCollection) -> None:
    assert not demo.warnings + demo.unusable
    assert [film.name for film in demo.films] == [f"phantom{number:03d}" for number in range(1, 5)]
    assert [film.laterality for film in demo.films] == ["L", "R", "L", "R"]
    assert [film.patient for film in demo.films] == ["phantom-001"] * 2 + ["phantom-002"] * 2
    found = [(film.label, [lesion.kind for lesion in film.lesions]) for film in demo.films]
    assert found == [("malignant", ["SPIC"]), ("normal", []), ("benign", ["CIRC"]), ("malignant", ["CALC"])]
    assert not any(film.unlocated for film in demo.films)


def test_the_films_read_as_they_were_written(demo: MiasCollection) -> None:
    assert read_collection(demo.films[0].path.parent) == demo
    assert {film.read().shape for film in demo.films} == {(1024, 1024)}


def test_the_chest_wall_is_where_mias_has_it(demo: MiasCollection) -> None:
    for film in demo.films:
        assert chest_wall(read_graymap(film.path).pixels) == usual_wall(film.laterality)


def test_grey_levels_are_like_real_films(demo: MiasCollection) -> None:
    """Bounds hold for 80 % of the real films (breast: brighter than 40)."""
    for film in demo.films:
        pixels = read_graymap(film.path).pixels.astype(np.float64)
        breast = pixels[pixels > 40]
        assert 0.2 <= breast.size / pixels.size <= 0.5
        assert 120 <= breast.mean() <= 170
        assert 30 <= breast.std() <= 55
        assert 0.4 <= np.mean(pixels == 0) <= 0.8  # blank matrix around the film


def around(pixels: np.ndarray, lesion: Lesion, inner: float, outer: float) -> np.ndarray:
    """The pixels whose distance from the lesion's centre, over its radius, is between the two."""
    row, column = np.indices(pixels.shape)
    distance = np.hypot(row - lesion.center[0], column - lesion.center[1]) / lesion.radius
    return np.asarray(pixels[(distance >= inner) & (distance < outer)])


def test_masses_are_bright_where_the_truth_says(demo: MiasCollection) -> None:
    for film in (demo.films[0], demo.films[2]):
        (lesion,) = film.lesions
        pixels = read_graymap(film.path).pixels.astype(np.float64)
        assert 20 <= lesion.radius <= 60
        assert around(pixels, lesion, 0, 0.4).mean() > around(pixels, lesion, 1.2, 1.8).mean() + 30


def test_the_cluster_has_bright_specks_where_the_truth_says(demo: MiasCollection) -> None:
    (lesion,) = demo.films[3].lesions
    pixels = read_graymap(demo.films[3].path).pixels.astype(np.float64)
    assert 20 <= lesion.radius <= 40
    inside, outside = around(pixels, lesion, 0, 1), around(pixels, lesion, 1.1, 2)
    assert inside.max() > outside.max() + 5
    assert np.mean(inside > np.median(inside) + 40) < 0.1  # specks, no mass


def test_lesions_lie_in_the_breast_whatever_the_seed(tmp_path: Path) -> None:
    for seed in range(3):
        for film in write_phantom(tmp_path / str(seed), patients=4, seed=seed, shape=SMALL).films:
            pixels = read_graymap(film.path).pixels
            for lesion in film.lesions:
                assert np.mean(around(pixels, lesion, 0, 1) > 40) > 0.99


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    for name, seed in (("one", 7), ("two", 7), ("other", 8)):
        write_phantom(tmp_path / name, patients=1, seed=seed, shape=SMALL)
    one, two, other = (
        {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}
        for name in ("one", "two", "other")
    )
    assert one == two
    assert all(one[name] != other[name] for name in one)


def test_more_patients_do_not_change_the_first_ones(tmp_path: Path) -> None:
    few = write_phantom(tmp_path / "few", patients=1, shape=SMALL)
    many = write_phantom(tmp_path / "many", patients=3, shape=SMALL)
    assert len(many.films) == 6
    for one, two in zip(few.films, many.films, strict=False):
        np.testing.assert_array_equal(read_graymap(one.path).pixels, read_graymap(two.path).pixels)
        assert one.lesions == two.lesions


@pytest.mark.parametrize("shape", [(128, 128), (200, 600), (600, 200)])
def test_any_shape(tmp_path: Path, shape: tuple[int, int]) -> None:
    films = write_phantom(tmp_path, shape=shape)
    assert not films.warnings + films.unusable
    assert {film.read().shape for film in films.films} == {shape}
    for film in films.films:
        for lesion in film.lesions:
            assert 0 <= lesion.center[0] < shape[0]
            assert 0 <= lesion.center[1] < shape[1]


def test_arguments_out_of_range(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no phantom of 0 patients"):
        write_phantom(tmp_path, patients=0)
    with pytest.raises(UsageError, match="64 x 512"):
        write_phantom(tmp_path, shape=(64, 512))
    with pytest.raises(UsageError, match="seed -1"):
        write_phantom(tmp_path, seed=-1)


def test_a_real_collection_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "Info.txt").write_text("mdb001 G NORM\n")
    with pytest.raises(UsageError, match="belongs to another collection"):
        write_phantom(tmp_path, shape=SMALL)
    assert [path.name for path in tmp_path.iterdir()] == ["Info.txt"]


def test_output_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        write_phantom(tmp_path / "file", shape=SMALL)
