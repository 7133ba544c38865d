"""Whether films were in the training, by digest; without that no figure is a measure."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from bcd_model.digests import film_digest
from bcd_model.errors import TruthError
from bcd_model.evaluation.cases import Case, check_films, data_digest, describe
from bcd_model.evaluation.overlap import of_weights, out_of_fold
from bcd_model.training.network import data_digest as digest_of_training
from bcd_model.training.network import prepare
from bcd_model.words import Film, Lesion
from tests.support.toy_films import toy_films

FILMS = toy_films(4)


def cases() -> list[Case]:
    return [Case(film, describe(film, film.read()), ()) for film in FILMS]


def test_the_digest_is_of_the_pixels_alone() -> None:
    pixels = np.random.default_rng(0).random((6, 4)).astype(np.float32)
    film = Film(pixels, (0.2, 0.2), file="a.pgm")
    assert film_digest(film) == film_digest(Film(np.asfortranarray(pixels), (0.1, 0.3), file="b.dcm"))
    changed = pixels.copy()
    changed[3, 2] += np.float32(1e-6)
    assert film_digest(Film(changed, (0.2, 0.2))) != film_digest(film)
    assert len(film_digest(film)) == 16


def test_listed_films_are_told_one_by_one() -> None:
    card = {"data": {"film_digests": [film_digest(FILMS[2].film), "0" * 16]}}
    overlap = of_weights(cases(), card)
    assert (overlap.verdict, overlap.measure) == ("seen", False)
    assert [index for index, seen in enumerate(overlap.trained_on) if seen] == [2]
    assert overlap.text == "includes films the network was trained on (1 of 8): not a measure"


def test_a_list_without_any_of_them_makes_a_measure() -> None:
    overlap = of_weights(cases(), {"data": {"film_digests": ["0" * 16]}})
    assert (overlap.verdict, overlap.measure) == ("unseen", True)
    assert set(overlap.trained_on) == {False}


def test_without_a_list_the_whole_training_set_is_known_by_its_digest() -> None:
    """As the model card of ``train`` has it."""
    digest = digest_of_training(prepare(FILMS, (0.8,)))
    assert data_digest(cases()) == digest
    overlap = of_weights(cases(), {"data": {"digest": digest}})
    assert overlap.measure is False
    assert all(overlap.trained_on)


@pytest.mark.parametrize("card", [{}, {"data": {"digest": "0" * 64}}, {"data": "mini-MIAS"}])
def test_what_nobody_can_tell_is_said_to_be_unknown(card: dict) -> None:
    overlap = of_weights(cases(), card)
    assert (overlap.verdict, overlap.measure) == ("not known", None)
    assert "not a measure unless you know" in overlap.text


def test_a_part_of_the_training_set_is_not_told_by_the_digest_of_the_whole() -> None:
    digest = digest_of_training(prepare(FILMS, (0.8,)))
    assert of_weights(cases()[:-1], {"data": {"digest": digest}}).measure is None


def test_out_of_fold_marks_are_a_measure() -> None:
    assert out_of_fold(cases()).measure is True


def test_films_that_cannot_be_measured_on() -> None:
    with pytest.raises(TruthError, match="no film with truth"):
        check_films([])
    with pytest.raises(TruthError, match="is given twice"):
        check_films([FILMS[0], FILMS[0]])
    with pytest.raises(TruthError, match="no film has a lesion with a place"):
        check_films([FILMS[1], replace(FILMS[0], unlocated=True)])


@dataclass(frozen=True)
class Called:
    """A film with a class of its own, whatever its lesions are."""

    label: str
    lesions: tuple[Lesion, ...] = ()
    unlocated: bool = False
    name: str = "x1"


MALIGNANT = Lesion((5, 5), 3, "malignant", "")


@pytest.mark.parametrize(
    "film",
    [
        Called("malignant"),
        Called("normal", (MALIGNANT,)),
        Called("benign", (MALIGNANT,)),
        Called("normal", (), True),
    ],
)
def test_a_class_that_the_lesions_contradict_is_refused(film: Called) -> None:
    """Else a film without a located lesion would pass for normal tissue."""
    with pytest.raises(TruthError, match=f"film x1 is called {film.label}, which its lesions contradict"):
        check_films([*FILMS, film])
    check_films([*FILMS, Called("malignant", (MALIGNANT,)), Called("benign", (), True, "x2")])
