"""The module shows a film under the name and at the size that the detector takes it for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

import BCDDetectorLib
from BCDDetectorLib import mammogram as shown
from converters.dicom.file import quiet, read_header
from converters.films import header as film_header
from converters.films.pixels.grayscale import to_unit_range
from converters.films.pixels.windows import windows
from tests.support.mammograms import breast, code, mammogram

FILES = ("side_rules.py", "spacing_rules.py")
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


def read_back(film, folder, *changes: tuple[bytes, bytes]) -> tuple[Dataset, Dataset]:
    """The header of ``film`` by the detector and by pydicom, with bytes of the file changed."""
    with quiet():
        film.save_as(folder / "film.dcm", enforce_file_format=True)
        content = (folder / "film.dcm").read_bytes()
        for right, wrong in changes:
            assert right in content
            content = content.replace(right, wrong)
        (folder / "film.dcm").write_bytes(content)
        return read_header(folder / "film.dcm"), pydicom.dcmread(folder / "film.dcm", stop_before_pixels=True)


@pytest.mark.parametrize(
    "wrong", [b"0.3_5", b"3_5.0", b"1_000", b"0x0.3", b"0.3.5", b"--0.3", b"infin", b"  nan"]
)
def test_what_only_python_takes_for_a_number_is_none(tmp_path, wrong):
    film = mammogram(breast(512, 512, bits=12), ImagerPixelSpacing=None, PixelSpacing=["0.375", "0.375"])
    film.WindowCenter, film.WindowWidth = [1111, 2000], ["0.375", "1000"]
    ours, theirs = read_back(film, tmp_path, (b"0.375", wrong))
    with quiet():
        assert taken(ours)[1] is None
        assert shown.spacing(theirs) is None
        assert shown.window(theirs) == (1999.5 - 999 / 2, 1999.5 + 999 / 2)


@pytest.mark.parametrize("beyond", [20000, -500])
def test_a_window_beyond_all_values_is_passed_over(tmp_path, beyond):
    film = mammogram(breast(512, 512, bits=12), WindowCenter=[beyond, 2048], WindowWidth=[100, 4096])
    ours, theirs = read_back(film, tmp_path)
    stored = breast(512, 512, bits=12)
    assert str(to_unit_range(stored, ours).transformations.voi) == "window 2048/4096"
    assert shown.window(theirs) == (0, 4095)


@pytest.mark.parametrize("width", [0.5, 1, 2, 400])
@pytest.mark.parametrize(
    "function",
    [None, "LINEAR", "linear", "LINEAR_EXACT", "LINEAR EXACT", "linear exact", "sigmoid", "LOGARITHMIC"],
)
def test_a_window_is_used_by_the_function_that_the_detector_uses(tmp_path, function, width):
    film = mammogram(breast(512, 512, bits=12), WindowCenter=1000, WindowWidth=width)
    if function is not None:
        with quiet():
            film.add_new("VOILUTFunction", "CS", function)
    ours, theirs = read_back(film, tmp_path)
    window = windows(ours)[0].readings()[0]
    less = 1 if window.function == "LINEAR" else 0
    center, half = 1000 - less / 2, (width - less) / 2
    with quiet():
        assert shown.window(theirs) == (center - half, center + half)


def table(entries, first=0, count=None, **elements):
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [len(entries) if count is None else count, first, 16])
    item.add_new("LUTData", "OW", np.asarray(entries, "<u2").tobytes())
    for keyword, value in elements.items():
        if value is None:
            delattr(item, keyword)
        else:
            setattr(item, keyword, value)
    return item


RAMP = np.arange(1000) * 65
BY_WINDOW = (1999.5 - 999 / 2, 1999.5 + 999 / 2)


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian])
@pytest.mark.parametrize(
    ("tables", "elements", "expected"),
    [
        ([table(RAMP, 500)], {}, (500, 1499)),
        ([table(RAMP, 65036)], {"PixelRepresentation": 1}, (-500, 499)),
        ([table(RAMP, 65436)], {"RescaleIntercept": -1000}, (-100, 899)),
        ([table(RAMP, 500)], {"PhotometricInterpretation": "MONOCHROME1"}, (4095 - 1499, 4095 - 500)),
        ([table([5, 5]), table(RAMP, 500)], {}, (500, 1499)),
        ([table(RAMP, 60000)], {}, BY_WINDOW),  # none of the pixels
        ([table(RAMP, 500, count=3000)], {}, BY_WINDOW),
        ([table(RAMP, 3096, count=3000)], {}, (3096, 4095)),  # no pixel needs what is missing
        ([table(RAMP, LUTDescriptor=None)], {}, BY_WINDOW),
        ([table(RAMP, LUTData=None)], {}, BY_WINDOW),
        ([table(RAMP, LUTDescriptor=1000)], {}, BY_WINDOW),
        ([table(RAMP, LUTDescriptor=[1000, 0])], {}, BY_WINDOW),
        ([], {}, BY_WINDOW),
        ([], {"RescaleSlope": None, "RescaleIntercept": -100}, tuple(end - 100 for end in BY_WINDOW)),
        ([], {"ModalityLUTSequence": [table(RAMP)]}, None),
    ],
)
def test_a_voi_lut_is_taken_before_a_window(tmp_path, syntax, tables, elements, expected):
    film = mammogram(breast(512, 512, bits=12), WindowCenter=2000, WindowWidth=1000, **elements)
    film.VOILUTSequence = tables
    film.file_meta.TransferSyntaxUID = syntax
    _, theirs = read_back(film, tmp_path)
    assert shown.window(theirs) == expected


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2", "monochrome1"])
@pytest.mark.parametrize("shape", ["IDENTITY", "INVERSE", "inverse", None])
def test_a_film_is_inverted_once(tmp_path, photometric, shape):
    film = mammogram(breast(512, 512, bits=12))
    stored = film.pixel_array
    with quiet():
        film.PhotometricInterpretation, film.PresentationLUTShape = photometric, shape
        ours, theirs = read_back(film, tmp_path)
        turned = photometric == "MONOCHROME1"  # by ITK
        inverse = to_unit_range(stored, ours).transformations.inverse
        assert shown.is_inverted(theirs) == (inverse and not turned)


def test_a_header_that_cannot_be_used_gives_no_window(tmp_path):
    film = mammogram(breast(512, 512, bits=12), BitsStored=None, PhotometricInterpretation="MONOCHROME1")
    low, high = shown.window(film)
    assert (low, high) == (65535 - 4095, 65535)  # as ITK turns the values round
    del film.BitsAllocated
    assert shown.window(film) is None
    film = mammogram(breast(512, 512), NumberOfFrames="4711")
    with quiet():
        for wrong in (b"abc ", b"1.5 ", b"1\\1 ", b"2   "):
            assert not shown.is_mammogram(read_back(film, tmp_path, (b"4711", wrong))[1])
        for right in (b"0   ", b"1.0 ", b"    ", b" 01 "):
            assert shown.is_mammogram(read_back(film, tmp_path, (b"4711", right))[1])


WRONG = st.sampled_from(
    [b"", b"abc", b"1", b"-1", b"0", b"1\\2\\x", b"\xff\xff", b"1e308", b"-1e308", b"1e-320", b"\0\0\0"]
)
ANY = (
    *(*TEXTS, *NUMBERS, *SPACINGS, "Rows", "Columns", "BitsStored", "BitsAllocated", "PixelRepresentation"),
    *("RescaleSlope", "RescaleIntercept", "WindowCenter", "WindowWidth", "VOILUTFunction", "NumberOfFrames"),
    *("SamplesPerPixel", "SOPClassUID", "Modality", "PhotometricInterpretation", "PresentationLUTShape"),
    *("VOILUTSequence", "ModalityLUTSequence", "ViewCodeSequence", "SharedFunctionalGroupsSequence"),
)


@settings(deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(ANY), st.tuples(st.sampled_from(["", "UN", "DS", "IS", "US", "FD", "LO"]), WRONG)
    ),
    st.dictionaries(st.sampled_from(["LUTDescriptor", "LUTData"]), WRONG),
)
def test_no_header_is_too_odd(elements, entries):
    """Whatever an element holds: a name, perhaps a spacing and a window, no exception."""
    header = mammogram(breast(512, 512, bits=12))
    item = Dataset()
    for keyword, value in entries.items():
        item[keyword] = RawDataElement(Tag(keyword), "UN", len(value), value, 0, False, True)
    header.VOILUTSequence = [item]
    for keyword, (vr, value) in elements.items():
        vr = vr or dictionary_VR(keyword)
        header[keyword] = RawDataElement(Tag(keyword), vr, len(value), value, 0, False, True)
    with quiet():
        shown.is_mammogram(header)
        assert shown.name(header)
        spacing, window = shown.spacing(header), shown.window(header)
        shown.is_inverted(header)
    assert spacing is None or all(0 < each <= 1 for each in spacing)
    assert window is None or window[0] < window[1]


texts = st.sampled_from(
    ["", "L", "R", "RMLO", "LEFT CC", "L ML", "AT", "5 ML", "BILATERAL", "medio-lateral oblique"]
)
numbers = st.sampled_from([0, 0.085, 0.1, 0.18, 0.4, 1.07, 1.8, 85, 361, 400, 650])


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
