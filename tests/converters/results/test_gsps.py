"""What the presentation state asks a viewer to show."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.valuerep import DSfloat

from converters.dicom.values import FileNumber
from converters.results.gsps import build_presentation
from tests.support import result_builder as build


def state(film, **options):
    """The state after a trip through a file."""
    buffer = BytesIO()
    build_presentation(build.study(film, **options), film, build.reference_of(film), 1).save_as(
        buffer, enforce_file_format=True
    )
    return pydicom.dcmread(BytesIO(buffer.getvalue()))


def texts(shown):
    return [
        text.UnformattedTextValue
        for annotation in shown.GraphicAnnotationSequence
        for text in annotation.get("TextObjectSequence", ())
    ]


def graphics(shown):
    return [
        graphic
        for annotation in shown.GraphicAnnotationSequence
        for graphic in annotation.get("GraphicObjectSequence", ())
    ]


def test_film_without_presented_finding_says_so():
    for findings in ([], [build.finding((50, 40), malignant=0.1, benign=0.1)]):
        shown = state(build.scanned(1, findings))
        assert texts(shown) == ["BCD: no finding at the operating point. Research use only."]
        assert graphics(shown) == []


def test_only_findings_at_the_operating_point_are_drawn():
    film = build.scanned(1, [build.finding((50, 40)), build.finding((90, 60), malignant=0.1, benign=0.15)])
    shown = state(film)
    assert len(graphics(shown)) == 1
    assert "1 malignant 60% (abnormal 80%)" in texts(shown)
    caption = (
        "BCD: malignant, 1 finding at the operating point; "
        "probabilities hold where 40 % of films are abnormal. Research use only."
    )
    assert caption in texts(shown)
    assert len(graphics(state(film, threshold=0.2))) == 2


def test_small_probabilities_are_not_shown_as_none():
    film = build.scanned(1, [build.finding((50, 40), malignant=0.00061, benign=0.00012)])
    assert "1 malignant 0.061% (abnormal 0.073%)" in texts(state(film, threshold=0.0005))


def test_each_class_has_its_layer():
    film = build.scanned(1, [build.finding((30, 40)), build.finding((90, 40), malignant=0.1, benign=0.7)])
    shown = state(film)
    assert [layer.GraphicLayer for layer in shown.GraphicLayerSequence] == [
        "BCD_TEXT",
        "BCD_BENIGN",
        "BCD_MALIGNANT",
    ]
    assert [layer.GraphicLayerOrder for layer in shown.GraphicLayerSequence] == [1, 2, 3]


def test_warnings_are_shown():
    shown = state(build.scanned(1, warnings=("unlike the training films",)))
    assert "Warning: unlike the training films" in texts(shown)[0]


@pytest.mark.parametrize("laterality", ["L", "R"])
def test_series_has_the_laterality_of_its_films(laterality):
    film = build.scanned(1, laterality=laterality)
    other = build.scanned(2, laterality="L" if laterality == "R" else "R")
    result = build.study(film, other)
    one, two = (
        build_presentation(result, film, build.reference_of(film), 1),
        build_presentation(result, other, build.reference_of(other), 2),
    )
    assert one.Laterality == laterality
    assert one.SeriesInstanceUID != two.SeriesInstanceUID
    assert one.SeriesNumber != two.SeriesNumber


def test_gray_scale_of_the_film_is_repeated():
    film = build.scanned(1)
    film.header.WindowCenter, film.header.WindowWidth = [2000, 1500], [3000, 1000]
    film.header.VOILUTFunction = "SIGMOID"
    film.header.RescaleIntercept, film.header.RescaleSlope = -10, 2
    shown = state(film)
    (voi,) = shown.SoftcopyVOILUTSequence
    assert (voi.WindowCenter, voi.WindowWidth, voi.VOILUTFunction) == (2000, 3000, "SIGMOID")
    assert (shown.RescaleIntercept, shown.RescaleSlope, shown.RescaleType) == (-10, 2, "US")
    assert shown.PresentationLUTShape == "IDENTITY"


def test_film_without_window_gets_none():
    film = build.scanned(1)
    del film.header.WindowCenter
    del film.header.RescaleSlope
    shown = state(film)
    assert "SoftcopyVOILUTSequence" not in shown
    assert "RescaleSlope" not in shown


@pytest.mark.parametrize(
    ("photometric", "shape", "expected"),
    [
        ("MONOCHROME2", "IDENTITY", "IDENTITY"),
        ("MONOCHROME1", "INVERSE", "INVERSE"),
        ("MONOCHROME1", None, "INVERSE"),
        ("MONOCHROME2", None, "IDENTITY"),
    ],
)
def test_inverted_films_are_shown_inverted(photometric, shape, expected):
    film = build.scanned(1)
    film.header.PhotometricInterpretation = photometric
    if shape is None:
        del film.header.PresentationLUTShape
    else:
        film.header.PresentationLUTShape = shape
    assert state(film).PresentationLUTShape == expected


def test_voi_lut_of_an_implicit_vr_file_survives():
    """In implicit VR the VR of LUT Data depends on elements that a presentation state lacks."""
    film = build.scanned(1)
    lut = Dataset()
    lut.LUTDescriptor = [4096, 0, 12]
    lut.LUTExplanation = "steep"
    lut.LUTData = np.arange(4096, dtype="<u2").tobytes()
    film.header.VOILUTSequence = [lut]
    buffer = BytesIO()
    film.header.save_as(buffer, implicit_vr=True, little_endian=True)
    head = pydicom.dcmread(BytesIO(buffer.getvalue()), force=True)
    shown = state(build.scanned(1, head=head))
    (voi,) = shown.SoftcopyVOILUTSequence
    assert voi.VOILUTSequence[0].LUTDescriptor == [4096, 0, 12]
    assert len(voi.VOILUTSequence[0].LUTData) in (4096, 8192)
    assert "WindowCenter" not in voi


def test_window_that_the_scan_could_not_use_is_not_shown():
    film = build.scanned(1)
    film.header.WindowWidth = -0.5
    assert "SoftcopyVOILUTSequence" not in state(film)


@pytest.mark.parametrize("width", [0.5, 1])
def test_a_window_too_narrow_for_linear_is_shown_as_the_scan_saw_it(width: float):
    """LINEAR has no width below 1 and makes a step of 1 (PS3.3 C.11.2.1.2.1)."""
    film = build.scanned(1)
    film.header.WindowWidth = width
    window = state(film).SoftcopyVOILUTSequence[0]
    assert (window.WindowWidth, window.VOILUTFunction) == (width, "LINEAR_EXACT")


def test_assumed_spacing_is_not_claimed():
    area = state(build.scanned(1, spacing=None)).DisplayedAreaSelectionSequence[0]
    assert "PresentationPixelSpacing" not in area
    assert area.PresentationPixelAspectRatio == [1, 1]
    area = state(build.scanned(1, spacing=(0.1, 0.2))).DisplayedAreaSelectionSequence[0]
    assert area.PresentationPixelSpacing == [0.1, 0.2]


def test_rescale_values_beside_ones_that_are_no_numbers_are_shown_as_they_are_read():
    film = build.scanned(1)
    values = {"RescaleIntercept": ["", DSfloat("-10")], "RescaleSlope": [DSfloat("2.50"), "abc"]}
    for keyword, value in values.items():
        film.header[keyword] = FileNumber(Tag(keyword), "DS", value, already_converted=True)
    shown = state(film)
    assert (str(shown.RescaleIntercept), str(shown.RescaleSlope)) == ("-10", "2.50")
