"""Which of repeats was taken last."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.datadict import tag_for_keyword

from bcd_model.pairs import other_breasts
from bcd_model.words import Projection
from converters.films.moments import Taken, ranks, taken
from tests.support.mammograms import mammogram

LATER: list[tuple[dict[str, object], dict[str, object]]] = [
    ({"AcquisitionDate": "20240102", "AcquisitionTime": "101500"}, {"AcquisitionTime": "101501"}),
    ({"AcquisitionDate": "20240102", "AcquisitionTime": "1015"}, {"AcquisitionTime": "101500.25"}),
    ({"AcquisitionDate": "20240102", "AcquisitionTime": "235959"}, {"AcquisitionDate": "20240103"}),
    ({"AcquisitionDateTime": "20240102101500"}, {"AcquisitionDateTime": "20240102101500.5+0100"}),
    ({"ContentDate": "20240102", "ContentTime": "101500"}, {"ContentTime": "111500"}),
    ({"InstanceNumber": 2}, {"InstanceNumber": 10}),
    (
        {"AcquisitionDate": "20240102", "AcquisitionTime": "101500", "InstanceNumber": 9},
        {"AcquisitionTime": "101600", "InstanceNumber": 1},
    ),
    (
        {"AcquisitionDate": "20240102", "AcquisitionTime": "101500", "InstanceNumber": 1},
        {"InstanceNumber": 2},
    ),
    # what one alone states says nothing of their order
    (
        {"AcquisitionDate": "20240102", "AcquisitionTime": "101500", "InstanceNumber": 1},
        {"AcquisitionDate": None, "AcquisitionTime": None, "InstanceNumber": 2},
    ),
]


@pytest.mark.parametrize(("first", "changes"), LATER)
@pytest.mark.parametrize("order", [1, -1])
def test_the_last_of_repeats_is_the_other_breast(
    first: dict[str, object], changes: dict[str, object], order: int
) -> None:
    later = {key: value for key, value in (first | changes).items() if value is not None}
    repeats = [mammogram(**first), mammogram(**later)][::order]
    shown = [Projection("a", "MLO", "L")] * 2 + [Projection("a", "MLO", "R")]
    found = ranks(shown, [*map(taken, repeats), taken(mammogram())])
    films = [
        Projection(each.patient, each.view, each.laterality, rank=rank)
        for each, rank in zip(shown, found, strict=True)
    ]
    assert other_breasts(films) == [2, 2, 1 if order == 1 else 0]


MOMENT = st.one_of(st.none(), st.integers(0, 3).map(float))
MOMENTS = st.lists(st.tuples(MOMENT, MOMENT, MOMENT), min_size=1, max_size=6)


@given(MOMENTS, st.randoms())
def test_the_order_of_the_files_makes_no_difference(moments: list[Taken], random: object) -> None:
    shown = [Projection("a", "CC", "L")] * len(moments)
    before = sorted(zip(moments, ranks(shown, moments), strict=True), key=repr)
    shuffled = list(moments)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert sorted(zip(shuffled, ranks(shown, shuffled), strict=True), key=repr) == before


@given(st.text(max_size=20), st.text(max_size=20))
def test_no_date_or_time_is_too_odd(date: str, time: str) -> None:
    film = mammogram()
    for keyword, value in (
        ("AcquisitionDate", date),
        ("AcquisitionTime", time),
        ("AcquisitionDateTime", time),
    ):
        film.add_new(tag_for_keyword(keyword), "LO", value.replace("\\", ""))
    assert len(taken(film)) == 3
