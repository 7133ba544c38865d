"""The burned-in picture: where its lines are, what it says of itself, how it is encoded."""

from __future__ import annotations

import os
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom.uid import JPEGLSLossless

from converters.dicom.file import quiet
from converters.results import wording
from converters.results.pictures import overlay
from converters.results.pictures.labels import outline_mask
from converters.results.pictures.overlay import COLORS, build_overlay, draw
from tests.support import result_builder as build

coordinate = st.floats(-3, 23, allow_nan=False).map(lambda v: round(v, 3))


def saved(film, **options):
    """The picture after a trip through a file."""
    buffer = BytesIO()
    build_overlay(build.study(film, **options), film, build.reference_of(film), 1).save_as(
        buffer, enforce_file_format=True
    )
    return pydicom.dcmread(BytesIO(buffer.getvalue()))


@settings(deadline=None)
@given(st.lists(st.tuples(coordinate, coordinate), min_size=3, max_size=6), st.sampled_from([1, 3]))
def test_mask_is_the_polygon_widened(polygon, width):
    """Against the distance to a densely sampled outline."""
    mask = outline_mask(tuple(polygon), (20, 20), width)
    corners = np.array(polygon)
    edges = zip(corners, np.roll(corners, -1, axis=0), strict=True)
    samples = np.concatenate([np.linspace(start, end, 200) for start, end in edges])
    centers = np.stack(np.mgrid[0:20, 0:20], axis=-1).reshape(-1, 2)
    distance = np.linalg.norm(centers[:, None] - samples[None], axis=2).min(axis=1).reshape(20, 20)
    assert mask[distance < width / 2 - 0.03].all()
    assert not mask[distance > width / 2 + 0.03].any()


def test_colors_mark_outlines_and_nothing_else():
    film = build.scanned(
        1, [build.finding((30, 40), 10), build.finding((90, 40), 10, malignant=0.1, benign=0.7)]
    )
    picture = saved(film).pixel_array
    colored = {tuple(int(v) for v in pixel) for pixel in picture[np.ptp(picture.astype(int), axis=2) > 0]}
    assert colored == set(COLORS.values())


def test_film_is_shown_on_its_own_grid():
    film = build.scanned(1, shape=(300, 200))
    picture = saved(film).pixel_array
    expected = np.rint(film.film.pixels * 255).astype(np.uint8)
    assert picture.shape == (300, 200, 3)
    for channel in range(3):
        np.testing.assert_array_equal(picture[:250, :, channel], expected[:250])
    assert (picture[270:] != expected[270:, :, None]).any()  # the text


def test_what_it_says_of_itself():
    capture = saved(build.scanned(1, [build.finding((50, 40))], spacing=(0.1, 0.2), warnings=("odd",)))
    assert capture.file_meta.TransferSyntaxUID == JPEGLSLossless
    assert capture.BurnedInAnnotation == "YES"
    assert capture.ImageType == ["DERIVED", "SECONDARY"]
    assert capture.PatientOrientation == ["P", "FR"]
    assert capture.ImageLaterality == "L"
    assert capture.PixelSpacing == [0.1, 0.2]
    assert capture.LossyImageCompression == "00"
    assert "Research use only" in capture.DerivationDescription
    assert "Warning: odd" in capture.ImageComments
    (source,) = capture.SourceImageSequence
    assert source.ReferencedSOPInstanceUID == build.header(1).SOPInstanceUID
    assert (capture.PhotometricInterpretation, capture.BitsAllocated, capture.SamplesPerPixel) == (
        "RGB",
        8,
        3,
    )


@pytest.mark.parametrize("stated", [["P"], ["P", ""], ["P", "FOOT"], ["P", "LR"], ["PA", "F"], ["FFF", "A"]])
def test_orientation_that_is_none_is_not_copied(stated):
    head = build.header(1)
    with quiet():
        head.PatientOrientation = stated
    assert not saved(build.scanned(1, head=head)).PatientOrientation


def test_codestream_is_interleaved_by_sample():
    """Other interleavings come out in false colours in some viewers."""
    capture = saved(build.scanned(1))
    scan = capture.PixelData.index(b"\xff\xda")
    components = capture.PixelData[scan + 4]
    assert components == 3
    interleave = capture.PixelData[scan + 5 + 2 * components + 1]
    assert interleave == 2


def test_loss_of_the_source_stays_known_and_assumed_spacing_is_not_claimed():
    film = build.scanned(1, spacing=None)
    film.header.LossyImageCompression = "01"
    film.header.LossyImageCompressionRatio = 10
    film.header.LossyImageCompressionMethod = "ISO_10918_1"
    capture = saved(film)
    assert (capture.LossyImageCompression, capture.LossyImageCompressionRatio) == ("01", 10)
    assert capture.LossyImageCompressionMethod == "ISO_10918_1"
    assert "PixelSpacing" not in capture


def test_line_grows_with_the_film():
    found = build.finding((1500, 1000), 200, corners=64)
    film = build.scanned(1, [found], shape=(3000, 2000))
    picture = draw(film.film, wording.presented(film, build.study(film)), ("caption",))
    column = picture[:, 1000].astype(int)
    assert (np.ptp(column, axis=1) > 0).sum() == 2 * 3


def test_largest_films_are_drawn_at_half_their_size_in_the_same_places(monkeypatch):
    """Around each pixel lies twice the film: its centre (r, c) is at (2r + 0.5, 2c + 0.5) of the film."""
    shape = (301, 201)
    assert overlay.reduction((6000, 4800)) == 1  # 24 x 30 cm at 50 micron
    assert overlay.reduction((8192, 8192)) == 2
    monkeypatch.setattr(overlay, "LARGEST", shape[0] * shape[1] - 1)
    found = build.finding((120.3, 90.8), 41.5, corners=64)
    film = build.scanned(1, [found], shape=shape, spacing=(0.1, 0.2))
    capture = saved(film)
    picture = capture.pixel_array.astype(int)
    assert picture.shape == (151, 101, 3)
    assert capture.PixelSpacing == [0.2, 0.4]
    colored = np.argwhere(np.ptp(picture, axis=2) > 0) * 2 + 0.5
    distance = np.hypot(*(colored - (120.3, 90.8)).T)
    assert len(colored) > 2 * 41.5 * 3 / 2
    assert np.abs(distance - 41.5).max() <= 1.2
    first = film.film.pixels[:200, :200].reshape(100, 2, 100, 2).mean(axis=(1, 3)) * 255
    gray = np.ptp(picture[:100, :100], axis=2) == 0
    bare = gray & (np.abs(picture[:100, :100, 0] - first) <= 1)
    assert bare[:20].all()  # above outline and text


@pytest.mark.films
def test_real_films_cost_half_a_megabyte():
    folder = os.environ.get("BCD_MIAS_DIR")
    if not folder:
        pytest.skip("BCD_MIAS_DIR is not set")
    sizes = []
    for path in sorted(Path(folder).glob("*.pgm"))[::64]:
        pixels = np.asarray(Image.open(path), dtype=np.float32) / 255
        film = build.scanned(1, [build.finding((500, 500), 40)], shape=pixels.shape, pixels=pixels)
        capture = saved(film)
        sizes.append(len(capture.PixelData))
        far = np.s_[100:400, 100:400, 0]
        np.testing.assert_array_equal(capture.pixel_array[far], np.asarray(Image.open(path))[far[:2]])
    assert np.mean(sizes) < 0.8e6
