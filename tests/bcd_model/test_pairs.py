from bcd_model.pairs import other_breasts
from bcd_model.words import Projection


def test_the_other_breast_is_of_the_same_patient_and_view() -> None:
    films = [
        Projection("a", "MLO", "L"),
        Projection("a", "CC", "R"),
        Projection("a", "MLO", "R"),
        Projection("b", "MLO", "R"),
        Projection("a", "CC", "L"),
    ]
    assert other_breasts(films) == [2, 4, 0, None, 1]


def test_no_guess_where_it_is_not_known() -> None:
    twice = [Projection("a", "MLO", "L"), Projection("a", "MLO", "R"), Projection("a", "MLO", "R")]
    assert other_breasts(twice) == [None, 0, 0]
    assert other_breasts([Projection("a", None, "L"), Projection("a", None, "R")]) == [None, None]
    assert other_breasts([Projection("a", "MLO", None), Projection("a", "MLO", None)]) == [None, None]


def test_films_of_another_kind_are_not_compared() -> None:
    films = [
        Projection("a", "MLO", "L"),
        Projection("a", "MLO", "R"),
        Projection("a", "MLO", "L", ("spot",)),
        Projection("a", "CC", "L", ("spot",)),
        Projection("a", "CC", "R", ("spot",)),
    ]
    assert other_breasts(films) == [1, 0, None, 4, 3]


def test_of_repeats_the_last_is_the_other_breast() -> None:
    films = [
        Projection("a", "MLO", "L", rank=1),
        Projection("a", "MLO", "L", rank=0),
        Projection("a", "MLO", "R"),
    ]
    assert other_breasts(films) == [2, 2, 0]
