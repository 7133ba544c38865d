"""Breast, view and spacing from whatever the header says."""

from __future__ import annotations

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import SecondaryCaptureImageStorage

from converters import film_attributes


def header(**elements: object) -> Dataset:
    """A header of 1200 x 900 pixels, of which 0.1 mm ones make 120 x 90 mm."""
    dataset = Dataset()
    dataset.Rows, dataset.Columns, dataset.BitsStored = 1200, 900, 8
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return dataset


def coded(value: str) -> Dataset:
    item = Dataset()
    item.CodeValue = value
    return item


def frame_laterality(value: str) -> Dataset:
    group, anatomy = Dataset(), Dataset()
    anatomy.FrameLaterality = value
    group.FrameAnatomySequence = [anatomy]
    return group


@pytest.mark.parametrize(
    ("elements", "expected"),
    [
        ({"ImageLaterality": "L"}, "L"),
        ({"ImageLaterality": "R", "Laterality": "L"}, "R"),
        ({"Laterality": "R"}, "R"),
        ({"SharedFunctionalGroupsSequence": [frame_laterality("R")]}, "R"),
        ({"ImageLaterality": "B", "Laterality": "L"}, None),
        ({}, None),
    ],
)
def test_laterality(elements: dict[str, object], expected: str | None) -> None:
    assert film_attributes.laterality(header(**elements)) == expected


@pytest.mark.parametrize(
    ("elements", "expected"),
    [
        ({"ViewCodeSequence": [coded("399162004")]}, "CC"),
        ({"ViewCodeSequence": [coded("R-10226")], "ViewPosition": "CC"}, "MLO"),
        ({"ViewPosition": "MLO"}, "MLO"),
        ({"ViewCodeSequence": [coded("000")], "ViewPosition": "CC"}, "CC"),
        ({"ViewPosition": "AP"}, None),
        ({}, None),
    ],
)
def test_view_code_decides_and_view_position_only_hints(
    elements: dict[str, object], expected: str | None
) -> None:
    assert film_attributes.view(header(**elements)) == expected


def test_spot_magnified_and_raw_views_are_not_of_the_kind_of_whole_ones() -> None:
    spot, tail, both = coded("399162004"), coded("399162004"), coded("399162004")
    spot.ViewModifierCodeSequence = [coded("399055006")]
    tail.ViewModifierCodeSequence = [coded("399011000")]
    both.ViewModifierCodeSequence = [coded("399011000"), coded("399055006")]
    kinds = [
        film_attributes.kind(header(**elements))
        for elements in (
            {"ViewCodeSequence": [coded("399162004")]},
            {"ViewCodeSequence": [spot]},
            {"ViewCodeSequence": [tail]},
            {"ViewCodeSequence": [both]},
            {"EstimatedRadiographicMagnificationFactor": 1.8},
            {"PresentationIntentType": "FOR PROCESSING"},
        )
    ]
    assert len(set(kinds)) == len(kinds)
    both.ViewModifierCodeSequence = both.ViewModifierCodeSequence[::-1]
    assert film_attributes.kind(header(ViewCodeSequence=[both])) == kinds[3]
    contact = header(ViewPosition="CC", EstimatedRadiographicMagnificationFactor=1.05)
    assert film_attributes.kind(contact) == kinds[0]


@pytest.mark.parametrize(
    ("elements", "expected"),
    [
        ({"ImagerPixelSpacing": [0.1, 0.07]}, (0.1, 0.07)),
        (
            {
                "ImagerPixelSpacing": [0.3, 0.3],
                "PixelSpacing": [0.25, 0.25],
                "PixelSpacingCalibrationType": "FIDUCIAL",
            },
            (0.25, 0.25),
        ),
        ({"PixelSpacing": [0.06, 0.06]}, (0.06, 0.06)),
        ({"NominalScannedPixelSpacing": [0.083, 0.083]}, (0.083, 0.083)),
        ({"ImagerPixelSpacing": 0.1}, (0.1, 0.1)),
        ({"PixelSpacing": [0, 0], "ImagerPixelSpacing": [0.1, 0.1]}, (0.1, 0.1)),
        (
            {"ImagerPixelSpacing": [0.18, 0.18], "EstimatedRadiographicMagnificationFactor": 1.8},
            (0.1, 0.1),
        ),
        (
            {"ImagerPixelSpacing": [0.09, 0.09], "EstimatedRadiographicMagnificationFactor": 1.06},
            (0.09, 0.09),
        ),
    ],
)
def test_spacing_that_is_stated(elements: dict[str, object], expected: tuple[float, float]) -> None:
    spacing, assumed, _ = film_attributes.spacing(header(**elements))
    assert spacing == pytest.approx(expected)
    assert not assumed


@pytest.mark.parametrize(
    "elements", [{}, {"PixelSpacing": [1000, 1000]}, {"ImagerPixelSpacing": [0.1, 0.1, 0.1]}]
)
def test_spacing_that_is_not_is_assumed_from_the_size_of_a_film(elements: dict[str, object]) -> None:
    spacing, assumed, remarks = film_attributes.spacing(header(**elements))
    assert spacing == pytest.approx((0.2, 0.2))  # 240 mm / 1200 rows
    assert assumed
    assert "assumed" in remarks[0]


def test_film_like_those_of_the_training_has_no_remark() -> None:
    assert film_attributes.unlike_training(header(DetectorType="FILM"), (0.2, 0.2)) == ()


def test_what_is_unlike_the_training_films_is_one_sentence() -> None:
    digital = header(DetectorType="DIRECT", BitsStored=12)
    (remark,) = film_attributes.unlike_training(digital, (0.07, 0.07))
    for word in ("digital detector", "0.07", "12 bits", "less reliable"):
        assert word in remark
    capture = header(SOPClassUID=SecondaryCaptureImageStorage)
    assert "secondary capture" in film_attributes.unlike_training(capture, (0.2, 0.2))[0]
