"""What the presentation state asks a viewer to show."""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
from io import BytesIO

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.valuerep import DSfloat

from converters.dicom.values import FileNumber
from converters.films.read import read_film
from converters.mias.pgm import read_graymap
from converters.results.gsps import build_presentation
from tests.support import result_builder as build


def state(film, **options):
    """The state after a trip through a file; the film is shown as its header says by now."""
    film = dataclasses.replace(film, gray_scale=build.gray_scale_of(film.header))
    return written(film, **options)


def written(film, **options):
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


def test_film_without_window_gets_the_range_that_the_scan_saw():
    film = build.scanned(1)
    del film.header.WindowCenter
    del film.header.RescaleSlope
    shown = state(film)
    (voi,) = shown.SoftcopyVOILUTSequence
    # Of the values 0 to 4095, four lie below the 0.1 percentile and four above the 99.9.
    assert (voi.WindowCenter, voi.WindowWidth) == (2048, 4088)
    assert "RescaleSlope" not in shown


def test_film_of_8_bits_without_window_is_shown_by_the_full_range_of_them():
    film = build.scanned(1)
    film.header.BitsAllocated, film.header.BitsStored, film.header.HighBit = 8, 8, 7
    del film.header.WindowCenter
    assert "SoftcopyVOILUTSequence" not in state(film)


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


FILM = np.add.outer(np.arange(200), np.arange(150) * 9).astype(np.uint16) * 2  # 0 to 3080


def table(first, entries, bits, vr="US"):
    item = Dataset()
    item.add_new("LUTDescriptor", vr, [len(entries) % 65536, first, bits])
    item.add_new("LUTData", "OW", np.asarray(entries, "<u2").tobytes())
    item.LUTExplanation = "steep"
    return item


def film_and_state(save_film, pixels, implicit=False, **elements):
    """What is read of a film, its file, and its state as it is written."""
    path = save_film(
        "film.dcm", pixels, **{"BitsStored": 12, "WindowCenter": None, "WindowWidth": None} | elements
    )
    if implicit:
        dataset = pydicom.dcmread(path)
        dataset.file_meta.TransferSyntaxUID = pydicom.uid.ImplicitVRLittleEndian
        dataset.save_as(path, implicit_vr=True)
    read = read_film(path)
    scanned = build.scanned(1, head=read.header, pixels=read.film.pixels, shape=pixels.shape)
    return read, path, written(dataclasses.replace(scanned, gray_scale=read.gray_scale))


STEEP = np.minimum(np.arange(4096) * 2, 4095)
KINDS = {
    "LUT of an implicit VR file": (FILM, {"VOILUTSequence": [table(0, STEEP, 12)], "implicit": True}),
    "first value mapped of the wrong sign": (
        FILM + np.uint16(33000),
        {"BitsStored": 16, "VOILUTSequence": [table(33000 - 65536, STEEP, 12, "SS")]},
    ),
    "negative first value mapped, as unsigned": (
        (FILM.astype(np.int16) - 2000).view(np.uint16),
        {"BitsStored": 16, "PixelRepresentation": 1, "VOILUTSequence": [table(65536 - 2000, STEEP, 12)]},
    ),
    "40,000 entries from a negative value on": (
        (FILM.astype(np.int16) - 2000).view(np.uint16),
        {
            "BitsStored": 16,
            "PixelRepresentation": 1,
            "VOILUTSequence": [table(65536 - 2000, [*STEEP, *[4095] * 35904], 12)],
        },
    ),
    "LUT narrower than declared": (FILM, {"VOILUTSequence": [table(0, STEEP, 16)]}),
    "second LUT": (FILM, {"VOILUTSequence": [table(0, [7] * 4096, 12), table(0, STEEP, 12)]}),
    "LUT of 65,536 entries": (FILM, {"VOILUTSequence": [table(0, np.repeat(STEEP, 16), 12)]}),
    "modality LUT of the wrong sign": (
        FILM + np.uint16(33000),
        {
            "BitsStored": 16,
            "ModalityLUTSequence": [table(33000 - 65536, STEEP, 12, "SS")],
            "WindowCenter": 2048,
            "WindowWidth": 4096,
        },
    ),
    "second window": (FILM, {"WindowCenter": [9000, 1500], "WindowWidth": [100, 2500]}),
    "own range": (FILM, {"WindowCenter": 9000, "WindowWidth": 100}),
    "own range after a rescale": (
        FILM,
        {"RescaleSlope": 0.25, "RescaleIntercept": -1000, "PhotometricInterpretation": "MONOCHROME1"},
    ),
}


@pytest.mark.debian
@pytest.mark.skipif(shutil.which("dcmp2pgm") is None, reason="needs dcmtk's dcmp2pgm")
@pytest.mark.parametrize("kind", KINDS)
def test_dcmtk_shows_a_film_by_its_state_as_the_scan_saw_it(save_film, tmp_path, kind):
    pixels, elements = KINDS[kind]
    read, path, state = film_and_state(save_film, pixels, **elements)
    # The state is about another film of made-up UIDs: here it is about this one.
    (series,) = state.ReferencedSeriesSequence
    (image,) = series.ReferencedImageSequence
    image.ReferencedSOPInstanceUID = read.header.SOPInstanceUID
    state.GraphicAnnotationSequence = []
    del state.GraphicAnnotationSequence, state.GraphicLayerSequence
    stated, shown = tmp_path / "state.dcm", tmp_path / "shown.pgm"
    state.save_as(stated)
    subprocess.run(["dcmp2pgm", "-p", stated, path, shown], check=True, timeout=60, capture_output=True)
    theirs = read_graymap(shown).pixels
    assert theirs.shape == read.film.pixels.shape
    assert np.abs(theirs / 255 - read.film.pixels).max() <= 2 / 255
    assert np.ptp(read.film.pixels) > 0.5


@pytest.mark.parametrize("width", [0.8, 1])
def test_a_window_too_narrow_for_linear_is_shown_as_the_scan_saw_it(width: float):
    """LINEAR has no width below 1 and makes a step of 1 (PS3.3 C.11.2.1.2.1)."""
    film = build.scanned(1)
    film.header.RescaleSlope, film.header.WindowCenter, film.header.WindowWidth = 1 / 4096, 0.5, width
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
    assert (shown.RescaleIntercept, shown.RescaleSlope) == (-10, 2.5)
