"""A 2-D picture in a multi-frame object of one frame: what its functional groups say of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import BreastTomosynthesisImageStorage

from converters.dicom.file import read_dicom
from converters.films.read import read_film
from tests.support.mammograms import breast, mammogram

PLAIN = (
    "WindowCenter",
    "WindowWidth",
    "RescaleIntercept",
    "RescaleSlope",
    "RescaleType",
    "ImagerPixelSpacing",
)


def macro(**elements: object) -> Dataset:
    item = Dataset()
    for keyword, value in elements.items():
        setattr(item, keyword, value)
    return item


def synthetic(path: Path, *, frames: int | None = 1, per_frame: bool = False, **elements: object) -> Path:
    """A synthetic 2-D picture as a tomosynthesis object, whose window and spacing are in its groups."""
    film = mammogram(
        breast(bits=12),
        SOPClassUID=BreastTomosynthesisImageStorage,
        ImageType=["DERIVED", "PRIMARY", "TOMOSYNTHESIS", "GENERATED_2D"],
        **(dict.fromkeys(PLAIN) | elements),
    )
    group = Dataset()
    group.FrameVOILUTSequence = [macro(WindowCenter=2000, WindowWidth=3000)]
    group.PixelMeasuresSequence = [macro(PixelSpacing=[0.9, 0.8])]
    group.PixelValueTransformationSequence = [macro(RescaleIntercept=10, RescaleSlope=1, RescaleType="US")]
    shared = Dataset()
    if per_frame:
        shared.FrameVOILUTSequence = [macro(WindowCenter=1, WindowWidth=2)]
        film.PerFrameFunctionalGroupsSequence = [group]
    film.SharedFunctionalGroupsSequence = [shared if per_frame else group]
    if frames is not None:
        film.NumberOfFrames = frames
    _save(film, path)
    return path


def _save(film: FileDataset, path: Path) -> None:
    film.file_meta.MediaStorageSOPClassUID = film.SOPClassUID
    film.file_meta.MediaStorageSOPInstanceUID = film.SOPInstanceUID
    film.save_as(path, enforce_file_format=True)


@pytest.mark.parametrize("per_frame", [False, True])
def test_window_rescale_and_spacing_come_from_the_groups(tmp_path: Path, per_frame: bool) -> None:
    film = read_film(synthetic(tmp_path / "film.dcm", per_frame=per_frame)).film
    assert film.spacing == (0.9, 0.8)
    stored = breast(bits=12).astype(float)
    expected = (stored + 10 - (2000 - 0.5)) / (3000 - 1) + 0.5  # PS3.3 C.11.2.1.2.1
    np.testing.assert_allclose(film.pixels, np.clip(expected, 0, 1), atol=1e-5)


def test_what_the_image_states_itself_stays(tmp_path: Path) -> None:
    path = synthetic(tmp_path / "film.dcm", PixelSpacing=[0.7, 0.7], WindowCenter=7)
    header = read_dicom(path).header
    assert list(header.PixelSpacing) == [0.7, 0.7]
    assert (header.WindowCenter, "WindowWidth" in header) == (7, False)


def test_a_stack_of_many_frames_is_left_as_it_is_and_costs_no_more(tmp_path: Path) -> None:
    path = synthetic(tmp_path / "film.dcm", frames=80)
    film = mammogram(SOPClassUID=BreastTomosynthesisImageStorage, NumberOfFrames=80)
    film.PerFrameFunctionalGroupsSequence = [
        macro(FrameVOILUTSequence=[macro(WindowCenter=1, WindowWidth=2)]) for _ in range(80)
    ]
    _save(film, path)
    read = read_dicom(path)
    assert read.fault is None
    assert len(read.header.PerFrameFunctionalGroupsSequence) == 1
