"""The heat map as highdicom, which shares no code with the writer, reads it."""

from __future__ import annotations

import dataclasses
from io import BytesIO

import highdicom
import numpy as np
import pydicom
import pytest

from bcd_model.words import HeatMap
from converters.product import RESEARCH
from converters.results.pictures.heat_map import build_heat_map, on_film
from tests.support import result_builder as build


def with_heat(heat, **options):
    film = build.scanned(1, **options)
    return dataclasses.replace(film, scan=dataclasses.replace(film.scan, heat_map=heat))


def read(film):
    """The object after a trip through a file."""
    buffer = BytesIO()
    build_heat_map(build.study(film), film, build.reference_of(film), 1).save_as(
        buffer, enforce_file_format=True
    )
    return highdicom.seg.segread(BytesIO(buffer.getvalue()))


def probabilities(film):
    """(rows, columns), of the pixels of the film that the object names."""
    (frame,) = read(film).get_pixels_by_source_instance([film.sop_instance_uid], rescale_fractional=True)
    return frame[..., 0]


HEAT = HeatMap(np.random.default_rng(3).random((11, 8), dtype=np.float32), (-0.5, 3.25), (11.3, 12.75))


@pytest.mark.parametrize("laterality", ["L", "R"])
def test_each_pixel_has_the_value_of_the_nearest_place(laterality):
    shown = probabilities(with_heat(HEAT, laterality=laterality))
    assert shown.shape == (120, 90)
    rows = HEAT.origin[0] + HEAT.step[0] * np.arange(HEAT.values.shape[0])
    columns = HEAT.origin[1] + HEAT.step[1] * np.arange(HEAT.values.shape[1])
    for row, column in [(0, 0), (0, 89), (119, 0), (119, 89), (5, 50), (17, 3), (64, 9), (100, 41)]:
        nearest = HEAT.values[np.abs(rows - row).argmin(), np.abs(columns - column).argmin()]
        assert shown[row, column] == pytest.approx(nearest, abs=0.5 / 255 + 1e-6)


def test_every_value_of_the_scan_can_be_read_back():
    shown = probabilities(with_heat(HEAT))
    for (i, j), value in np.ndenumerate(HEAT.values):
        row, column = (round(HEAT.origin[a] + HEAT.step[a] * k) for a, k in enumerate((i, j)))
        if row < 120 and column < 90:
            assert shown[max(row, 0), max(column, 0)] == pytest.approx(value, abs=0.5 / 255 + 1e-6)


def test_certain_and_impossible_are_exact():
    values = np.array([[0.0, 1.0]], np.float32)
    assert set(np.unique(on_film(HeatMap(values, (0.0, 0.0), (1.0, 1.0)), (4, 4)))) == {0, 255}


def test_it_is_a_probability_of_the_breast_it_belongs_to():
    film = with_heat(HEAT, laterality="R")
    seg = read(film)
    assert seg.segmentation_type == highdicom.seg.SegmentationTypeValues.FRACTIONAL
    assert seg.segmentation_fractional_type == highdicom.seg.SegmentationFractionalTypeValues.PROBABILITY
    (source,) = seg.get_source_image_uids()
    assert source == (build.STUDY, film.header.SeriesInstanceUID, film.sop_instance_uid)
    segment = seg.get_segment_description(1)
    assert RESEARCH in segment.SegmentDescription
    assert "probabilities hold where 40 % of films are abnormal" in segment.SegmentDescription
    assert len(segment.SegmentDescription) <= 1024
    assert segment.SegmentationAlgorithmIdentificationSequence[0].AlgorithmName == "bcdcnn-test"
    (region,) = segment.AnatomicRegionSequence
    assert region.AnatomicRegionModifierSequence[0].CodeMeaning == "Right"
    assert list(seg.PatientOrientation) == build.ORIENTATION["R"]


def test_film_that_does_not_say_its_side_gets_none():
    seg = read(with_heat(HEAT, laterality=None, view=None))
    assert "AnatomicRegionModifierSequence" not in seg.SegmentSequence[0].AnatomicRegionSequence[0]
    assert not seg.PatientOrientation


def test_loss_of_the_film_stays_known():
    film = with_heat(HEAT)
    assert read(film).LossyImageCompression == "00"
    film.header.LossyImageCompression = "01"
    film.header.LossyImageCompressionRatio = 10
    film.header.LossyImageCompressionMethod = "ISO_10918_1"
    heat = read(film)
    assert (heat.LossyImageCompression, heat.LossyImageCompressionRatio) == ("01", 10)
    assert heat.LossyImageCompressionMethod == "ISO_10918_1"


def test_no_frame_of_reference_is_made_up():
    """A projection has none; then the pixels of the film are the place (PS3.3 A.51.5.1)."""
    seg = read(with_heat(HEAT, spacing=(0.1, 0.2)))
    assert "FrameOfReferenceUID" not in seg
    groups = [seg.SharedFunctionalGroupsSequence[0], seg.PerFrameFunctionalGroupsSequence[0]]
    assert not {"PixelMeasuresSequence", "PlanePositionSequence"} & {e.keyword for g in groups for e in g}


def test_repeated_values_are_packed():
    film = with_heat(HEAT, shape=(1024, 1024))
    buffer = BytesIO()
    build_heat_map(build.study(film), film, build.reference_of(film), 1).save_as(
        buffer, enforce_file_format=True
    )
    assert len(buffer.getvalue()) < 40_000
    assert pydicom.dcmread(BytesIO(buffer.getvalue())).file_meta.TransferSyntaxUID.name == "RLE Lossless"
