"""Breast, view and spacing from whatever the header says."""

from __future__ import annotations

import pytest
from pydicom.dataset import Dataset

from bcd_model.errors import FilmError
from bcd_model.reasons import Reason
from converters.films import header as film_header


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
    assert film_header.laterality(header(**elements)) == expected


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
    assert film_header.view(header(**elements)) == expected


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
    spacing, assumed, _ = film_header.spacing(header(**elements))
    assert spacing == pytest.approx(expected)
    assert not assumed


@pytest.mark.parametrize(
    "elements", [{}, {"PixelSpacing": [10_000, 10_000]}, {"ImagerPixelSpacing": [0.1, 0.1, 0.1]}]
)
def test_spacing_that_is_not_is_assumed_from_the_size_of_a_film(elements: dict[str, object]) -> None:
    spacing, assumed, remarks = film_header.spacing(header(**elements))
    assert spacing == pytest.approx((0.2, 0.2))  # 240 mm / 1200 rows
    assert assumed
    assert "assumed" in remarks[0]


@pytest.mark.parametrize(
    "stated",
    [
        [2.0, 2.0],  # sides of 2.4 m
        [0.42, 0.42],  # 504 mm
        [0.05, 0.05],  # 45 mm
        [0.1, 0.21],  # more than twice as wide as high
        [0.21, 0.1],
        [-0.1, 0.1],
        [1e-300, 1e-300],
        [0.4, 0.4, 0.4],
        [40_000, 40_000],
    ],
)
@pytest.mark.parametrize("keyword", ["PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"])
def test_kind_13_a_spacing_that_no_mammogram_has_is_not_believed(keyword: str, stated: list[float]) -> None:
    spacing, assumed, (remark,) = film_header.spacing(header(**{keyword: stated}))
    assert spacing == pytest.approx((0.2, 0.2))
    assert assumed
    assert remark.startswith("implausible pixel spacing in the file: 0.2 mm assumed")


@pytest.mark.parametrize("stated", [[0.056, 0.056], [0.41, 0.41], [0.1, 0.2], [0.2, 0.1]])
def test_kind_13_a_spacing_just_within_the_bounds_is_believed(stated: list[float]) -> None:
    assert film_header.spacing(header(PixelSpacing=stated)) == (tuple(stated), False, ())


def test_kind_13_a_spacing_of_lower_rank_is_taken_for_an_implausible_one_with_a_warning() -> None:
    found = header(PixelSpacing=[2, 2], ImagerPixelSpacing=[0.1, 0.1])
    spacing, assumed, (remark,) = film_header.spacing(found)
    assert (spacing, assumed) == ((0.1, 0.1), False)
    assert remark == "Pixel Spacing would give an image of implausible size: not used"


def test_kind_13_a_magnified_view_is_as_large_as_its_spacing_divided() -> None:
    found = header(ImagerPixelSpacing=[0.6, 0.6], EstimatedRadiographicMagnificationFactor=1.8)
    spacing, assumed, _ = film_header.spacing(found)
    assert (spacing, assumed) == (pytest.approx((1 / 3, 1 / 3)), False)


@pytest.mark.parametrize(("rows", "columns"), [(48, 30_000), (30_000, 48), (100, 1000)])
def test_kind_13_an_image_too_oblong_for_any_spacing_fails(rows: int, columns: int) -> None:
    strip = header(Rows=rows, Columns=columns, PixelSpacing=[1.0, 0.02])
    with pytest.raises(FilmError, match=f"{rows} x {columns} pixels: too oblong for a mammogram"):
        film_header.spacing(strip)
    why = film_header.why_no_spacing(strip)
    assert why == Reason("spacing", f"{rows} x {columns} pixels: too oblong for a mammogram")


def test_pixel_aspect_ratio_shapes_the_assumed_spacing() -> None:
    found = header(Rows=600, PixelAspectRatio=[2, 1])
    spacing, assumed, (remark,) = film_header.spacing(found)
    assert spacing == pytest.approx((0.4, 0.2))  # 240 mm / 600 rows
    assert assumed
    assert "0.4 x 0.2 mm assumed" in remark
    assert film_header.spacing(header(PixelAspectRatio=[50, 1]))[0] == pytest.approx((0.2, 0.2))


@pytest.mark.parametrize(
    ("elements", "word"),
    [
        ({"ImageLaterality": "L", "Laterality": "R"}, "name different breasts"),
        ({"ImageLaterality": "L", "Laterality": "L"}, ""),
        ({"ImageLaterality": "L", "Laterality": "B"}, ""),
        ({"Laterality": "R"}, ""),
        ({"PixelAspectRatio": [1, 1]}, "Pixel Aspect Ratio and no pixel spacing"),
        ({"PixelAspectRatio": [1, 1], "PixelSpacing": [0.1, 0.1]}, ""),
        ({"PixelAspectRatio": [2, 1], "PixelSpacing": [0.1, 0.1]}, "contradict"),
        ({"PixelAspectRatio": [4, 3], "PixelSpacing": [0.2, 0.15]}, ""),
        ({"PatientOrientation": ["P", "FR"], "ImageLaterality": "L", "ViewPosition": "MLO"}, ""),
        ({"PatientOrientation": ["A", "FL"], "ImageLaterality": "R", "ViewPosition": "MLO"}, ""),
        ({"PatientOrientation": ["A", "FR"], "ImageLaterality": "L", "ViewPosition": "MLO"}, ""),
        ({"PatientOrientation": ["P", "HL"], "ImageLaterality": "L", "ViewPosition": "MLO"}, ""),
        (
            {"PatientOrientation": ["A", "FL"], "ImageLaterality": "L", "ViewPosition": "MLO"},
            "that of the other breast",
        ),
        (
            {"PatientOrientation": ["P", "FR"], "ImageLaterality": "R", "ViewPosition": "MLO"},
            "that of the other breast",
        ),
        ({"PatientOrientation": ["P", "F"], "ImageLaterality": "L", "ViewPosition": "ML"}, ""),
        ({"PatientOrientation": ["P", "L"], "ImageLaterality": "R", "ViewPosition": "CC"}, ""),
        ({"PatientOrientation": ["A", "R"], "ImageLaterality": "L", "ViewPosition": "CC"}, ""),
        ({"PatientOrientation": ["A", "FR"], "ViewPosition": "CC"}, "not that of a view from above"),
        ({"PatientOrientation": ["A", "R"], "ViewPosition": "MLO"}, "not that of a view from the side"),
        ({"PatientOrientation": ["A", "R"], "ViewPosition": "LM"}, "not that of a view from the side"),
        ({"PatientOrientation": ["", ""], "ViewPosition": "CC"}, ""),
        ({"PatientOrientation": ["LE", "RT"], "ViewPosition": "CC"}, ""),  # of a quadruped
    ],
)
def test_contradictions_are_warned_of(elements: dict[str, object], word: str) -> None:
    found = film_header.contradictions(header(**elements))
    assert len(found) == (1 if word else 0)
    assert all(word in warning for warning in found)
