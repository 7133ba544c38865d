from dataclasses import replace

import numpy as np
import pytest

from bcd_model.duplicates import check_given_once
from bcd_model.errors import TruthError
from bcd_model.paper.crops import eight_variants
from bcd_model.paper.inputs import films_digest, prepare, scale, select
from bcd_model.words import Film
from tests.support.made_films import flat_film
from tests.support.toy_films import StoredFilm


def test_subsets_take_their_kinds_and_two_classes(films: list[StoredFilm]) -> None:
    crops = prepare(films, "crops", 48)
    everything, mass, calcification = (select(crops, s) for s in ("all", "mass", "calcification"))
    assert everything.classes == ("normal", "benign", "malignant")
    assert mass.classes == calcification.classes == ("benign", "malignant")
    assert {crop.kind for crop in mass.crops} == {"CIRC"}
    assert {crop.kind for crop in calcification.crops} == {"CALC"}
    for crops_of in (everything, mass, calcification):
        for label, crop in zip(crops_of.labels, crops_of.crops, strict=True):
            assert crops_of.classes[label] == ("normal", "benign", "malignant")[crop.label]
    assert len(everything.labels) == len(films)


def test_masses_are_circumscribed_spiculated_and_ill_defined(films: list[StoredFilm]) -> None:
    lesion = [film for film in films if film.label != "normal"]
    kinds = ("CIRC", "SPIC", "MISC", "CALC", "ARCH", "ASYM") * 2
    told = [
        replace(film, lesions=(replace(film.lesions[0], kind=kind),))
        for film, kind in zip(lesion, kinds, strict=True)
    ]
    crops = prepare(told, "crops", 48)
    benign_and_malignant = [replace(crop, label=1 + i // 6) for i, crop in enumerate(crops)]
    mass = select(benign_and_malignant, "mass")
    assert sorted(crop.kind for crop in mass.crops) == ["CIRC", "CIRC", "MISC", "MISC", "SPIC", "SPIC"]
    assert {crop.kind for crop in select(benign_and_malignant, "calcification").crops} == {"CALC"}


def test_samples_are_the_eight_variants_of_each_crop_in_turn(films: list[StoredFilm]) -> None:
    crops = select(prepare(films, "crops", 48), "all")
    samples = crops.samples()
    assert samples.shape == (8 * len(films), 48, 48)
    np.testing.assert_array_equal(samples[16:24], eight_variants(crops.crops[2].pixels))


def test_normal_crops_of_one_scale_have_the_radii_of_the_lesions(films: list[StoredFilm]) -> None:
    radii = {lesion.radius for film in films for lesion in film.lesions}
    for preparation, expected in (("crops", {24.0}), ("crops of one scale", radii)):
        crops = prepare(films, preparation, 48)
        assert {crop.region.radius for crop in crops if crop.label == 0} == expected
    lesions = [crop for crop in crops if crop.label]
    paper = [crop for crop in prepare(films, "crops", 48) if crop.label]
    assert all(np.array_equal(a.pixels, b.pixels) for a, b in zip(lesions, paper, strict=True))


def test_a_whole_film_is_scaled_down_without_changing_its_shape() -> None:
    pixels = np.zeros((200, 100), dtype=np.float32)
    pixels[:, 50:] = 1
    film = StoredFilm("a", "p", Film(pixels, (0.2, 0.2)))
    (crop,) = prepare([film], "films", 50)
    assert crop.pixels.shape == (50, 50)
    # 200 pixels are 50: the film is the middle half, its bright part the third quarter.
    assert abs(crop.pixels[:, :11]).max() < 1e-6
    assert crop.pixels[5:-5, 27:35].min() > 0.98
    assert crop.pixels.mean() == pytest.approx(0.25, abs=0.02)


def test_a_film_has_the_worst_label_and_counts_without_a_place(films: list[StoredFilm]) -> None:
    hidden = replace(films[1], unlocated=True)
    crops = prepare([films[2], hidden], "films", 48)
    assert [(crop.label, crop.kind) for crop in crops] == [(2, "CALC"), (0, "NORM")]


def test_a_subset_with_one_class_is_refused_by_name(films: list[StoredFilm]) -> None:
    only = [film for film in films if film.label != "malignant"]
    with pytest.raises(TruthError, match="subset calcification has no malignant crop among its 3"):
        select(prepare(only, "crops", 48), "calcification")
    with pytest.raises(TruthError, match="subset mass has no benign crop among its 0"):
        select(prepare(only[:2], "crops", 48), "mass")


def test_one_picture_of_two_patients_is_refused_by_name() -> None:
    films = [flat_film("mdb001", "mias-001", 0.1), flat_film("mdb003", "mias-002", 0.1)]
    with pytest.raises(TruthError, match="films mdb001 and mdb003 are the same picture, under two patients"):
        films_digest(films)


def test_films_given_twice_or_not_at_all_are_refused() -> None:
    with pytest.raises(TruthError, match="no film with truth"):
        check_given_once([])
    with pytest.raises(TruthError, match="mdb001 is given twice"):
        check_given_once([flat_film("mdb001", "a", 0.1), flat_film("mdb001", "a", 0.2)])


def test_the_digest_of_the_films_follows_their_pixels_and_their_truth(films: list[StoredFilm]) -> None:
    known = films_digest(films)
    assert films_digest(films[::-1]) == known
    assert films_digest([replace(films[0], lesions=()), *films[1:]]) != known
    assert films_digest([flat_film("mdb001", "p0", 0.5), *films[1:]]) != known


def test_the_samples_trained_on_have_mean_0_and_deviation_1(films: list[StoredFilm]) -> None:
    samples = select(prepare(films, "crops", 48), "all").samples()
    training = np.arange(0, len(samples), 3)
    scaled = scale(samples, training, "standardised")
    assert scaled.dtype == np.float32
    assert scaled[training].mean(dtype=np.float64) == pytest.approx(0, abs=1e-6)
    assert scaled[training].std(dtype=np.float64) == pytest.approx(1, abs=1e-6)
    # One line for all pixels: what is brighter stays so, and by as much more.
    slope, level = np.polyfit(samples.ravel().astype(float), scaled.ravel().astype(float), 1)
    np.testing.assert_allclose(scaled, samples * slope + level, atol=1e-5)
    np.testing.assert_array_equal(scale(samples, training, "0 to 1"), samples)


def test_samples_tested_on_have_no_say_in_the_scaling(films: list[StoredFilm]) -> None:
    samples = select(prepare(films, "crops", 48), "all").samples()
    training = np.arange(len(samples) // 2)
    others = samples.copy()
    others[len(samples) // 2 :] *= 0.1
    before, after = (scale(each, training, "standardised") for each in (samples, others))
    np.testing.assert_array_equal(before[training], after[training])


def test_blank_samples_are_scaled_to_blank_ones() -> None:
    blank = np.zeros((4, 48, 48), dtype=np.float32)
    np.testing.assert_array_equal(scale(blank, np.arange(4), "standardised"), blank)
