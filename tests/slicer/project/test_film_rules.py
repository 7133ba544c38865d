"""The module shows a film under the name and at the size that the detector takes it for."""

from __future__ import annotations

from pathlib import Path

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset

import BCDDetectorLib
from BCDDetectorLib import mammogram as shown
from converters.dicom.file import quiet, read_header
from converters.films import header as film_header
from tests.support.mammograms import breast, code, mammogram

FILES = ("side_rules.py", "spacing_rules.py")
MAGNIFIED = {"ImagerPixelSpacing": [0.4, 0.4], "EstimatedRadiographicMagnificationFactor": 1.8}


@pytest.mark.parametrize("name", FILES)
def test_the_rules_are_the_same_file(name):
    """It may import nothing of the house. After a change: copy the file of `converters/films/header` over."""
    ours = Path(film_header.__file__).with_name(name)
    assert Path(BCDDetectorLib.__file__).with_name(name).read_bytes() == ours.read_bytes()


def taken(header: Dataset):
    """Name and spacing (None if it was assumed) by the detector."""
    pair, assumed, _ = film_header.spacing(header)
    name = " ".join(filter(None, (film_header.laterality(header), film_header.view(header))))
    return name or "mammogram", None if assumed else pair


@pytest.mark.parametrize(
    ("elements", "name", "spacing"),
    [
        (MAGNIFIED, "L MLO", (0.4 / 1.8, 0.4 / 1.8)),
        (
            {
                "ImagerPixelSpacing": [0.4, 0.4],
                "PixelSpacing": [0.4, 0.4],
                "DistanceSourceToDetector": 650,
                "DistanceSourceToPatient": 361,
            },
            "L MLO",
            (0.4 * 361 / 650, 0.4 * 361 / 650),
        ),
        ({"ImagerPixelSpacing": [400, 400]}, "L MLO", (0.4, 0.4)),
        ({"ImagerPixelSpacing": "0.4"}, "L MLO", (0.4, 0.4)),
        ({"ImagerPixelSpacing": None}, "L MLO", None),
        ({"ImageLaterality": None, "ViewCodeSequence": None, "ViewPosition": "RMLO"}, "R MLO", (0.4, 0.4)),
        (
            {"ViewCodeSequence": None, "AcquisitionDeviceProcessingDescription": "CC"},
            "L CC",
            (0.4, 0.4),
        ),
        ({"ImageLaterality": None, "PatientOrientation": ["A", "FL"]}, "R MLO", (0.4, 0.4)),
    ],
)
def test_a_file_is_shown_as_it_is_taken(tmp_path, elements, name, spacing):
    film = mammogram(breast(512, 512))
    film.ImagerPixelSpacing = [0.4, 0.4]
    film.PatientOrientation = None
    del film.ViewPosition, film.EstimatedRadiographicMagnificationFactor
    for keyword, value in elements.items():
        if value is None and keyword.endswith("Sequence"):
            delattr(film, keyword)
        else:
            setattr(film, keyword, value)
    with quiet():
        film.save_as(tmp_path / "film.dcm", enforce_file_format=True)
        header = pydicom.dcmread(tmp_path / "film.dcm", stop_before_pixels=True)
        assert taken(read_header(tmp_path / "film.dcm")) == taken(header) == (name, pytest.approx(spacing))
        assert (shown.name(header), shown.spacing(header)) == (name, pytest.approx(spacing))


def test_numbers_that_are_not_written_as_they_should_be_are_read_as_the_detector_reads_them(tmp_path):
    film = mammogram(
        breast(512, 512), ImagerPixelSpacing=[0.375, 0.375], EstimatedRadiographicMagnificationFactor=None
    )
    film.WindowCenter, film.WindowWidth = [77.25, 2047.5], [66.25, 4000]
    film.save_as(tmp_path / "film.dcm", enforce_file_format=True)
    content = (tmp_path / "film.dcm").read_bytes()
    for right, wrong in ((b"0.375", b"0,375"), (b"2047.5", b"2047,5"), (b"66.25", b"wide ")):
        content = content.replace(right, wrong)
    (tmp_path / "film.dcm").write_bytes(content)
    header = pydicom.dcmread(tmp_path / "film.dcm", stop_before_pixels=True)
    assert taken(read_header(tmp_path / "film.dcm"))[1] == shown.spacing(header) == (0.375, 0.375)
    assert shown.window(header) == (2047 - 3999 / 2, 2047 + 3999 / 2)


texts = st.sampled_from(
    ["", "L", "R", "RMLO", "LEFT CC", "L ML", "AT", "5 ML", "BILATERAL", "medio-lateral oblique"]
)
numbers = st.sampled_from([0, 0.085, 0.1, 0.18, 0.4, 1.07, 1.8, 85, 361, 400, 650])
TEXTS = (
    "ImageLaterality",
    "Laterality",
    "BodyPartExamined",
    "ViewPosition",
    "AcquisitionDeviceProcessingDescription",
    "AcquisitionProtocolDescription",
    "SeriesDescription",
    "ProtocolName",
    "PixelSpacingCalibrationType",
)
NUMBERS = ("EstimatedRadiographicMagnificationFactor", "DistanceSourceToDetector", "DistanceSourceToPatient")
SPACINGS = ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing", "PixelAspectRatio")


@given(
    st.dictionaries(st.sampled_from(TEXTS), texts),
    st.dictionaries(st.sampled_from(NUMBERS), numbers),
    st.dictionaries(st.sampled_from(SPACINGS), st.lists(numbers, max_size=3)),
    st.lists(st.tuples(st.sampled_from(["399162004", "R-10226", "X"]), texts), max_size=2),
    st.sampled_from([[], ["P", "FR"], ["A", "FL"], ["P", "L"]]),
)
def test_every_header_is_shown_as_it_is_taken(words, values, spacings, views, orientation):
    header = Dataset()
    header.Rows, header.Columns = 1200, 900
    for keyword, value in words.items():
        header.add_new(keyword, "LO", value)
    for keyword, value in {**values, **spacings}.items():
        header.add_new(keyword, "FD", value)
    header.ViewCodeSequence = [code(*view) for view in views]
    header.PatientOrientation = orientation
    assert (shown.name(header), shown.spacing(header)) == taken(header)
