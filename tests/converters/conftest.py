"""Mammograms as files: a small digitised film, to be changed as a test needs it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import (
    DigitalMammographyXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    generate_uid,
)

MakeFilm = Callable[..., FileDataset]
SaveFilm = Callable[..., Path]

PATIENT_NAME = "Secretive^Susanna"
PATIENT_ID = "PID-4711"


def _film(pixels: npt.NDArray[np.integer] | None = None, **elements: object) -> FileDataset:
    """A film as the shipped model knows them; ``elements`` replace its own, None removes one."""
    if pixels is None:
        pixels = np.add.outer(np.arange(64), np.arange(96)).astype(np.uint8)
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    film = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    film.SOPClassUID = DigitalMammographyXRayImageStorageForPresentation
    film.SOPInstanceUID = generate_uid(entropy_srcs=["film", pixels.tobytes().hex()])
    film.StudyInstanceUID = "1.2.3.4.1"
    film.SeriesInstanceUID = "1.2.3.4.1.1"
    film.PatientName = PATIENT_NAME
    film.PatientID = PATIENT_ID
    film.Modality = "MG"
    film.ImageType = ["ORIGINAL", "PRIMARY"]
    film.PresentationIntentType = "FOR PRESENTATION"
    film.DetectorType = "FILM"
    film.ImagerPixelSpacing = [1.0, 1.0]  # 64 x 96 mm
    film.ImageLaterality = "L"
    view = Dataset()
    view.CodeValue, view.CodingSchemeDesignator, view.CodeMeaning = (
        "399368009",
        "SCT",
        "medio-lateral oblique",
    )
    film.ViewCodeSequence = [view]
    film.BurnedInAnnotation = "NO"
    film.PhotometricInterpretation = "MONOCHROME2"
    film.SamplesPerPixel = 1
    film.Rows, film.Columns = pixels.shape
    film.BitsAllocated = film.BitsStored = 8 * pixels.itemsize
    film.HighBit = film.BitsStored - 1
    film.PixelRepresentation = int(pixels.dtype.kind == "i")
    film.WindowCenter, film.WindowWidth = 128, 256
    film.PixelData = pixels.tobytes()
    film["PixelData"].VR = "OW" if pixels.itemsize == 2 else "OB"
    for keyword, value in elements.items():
        if value is None:
            delattr(film, keyword)
        else:
            setattr(film, keyword, value)
    if "BitsStored" in elements and "HighBit" not in elements:
        film.HighBit = film.BitsStored - 1
    meta.MediaStorageSOPClassUID = film.get("SOPClassUID", "")
    meta.MediaStorageSOPInstanceUID = film.get("SOPInstanceUID", "1.2.3")
    return film


@pytest.fixture
def make_film() -> MakeFilm:
    return _film


@pytest.fixture
def save_film(tmp_path: Path) -> SaveFilm:
    """``save_film(name, pixels=None, **elements)`` writes a film below ``tmp_path``."""

    def save(name: str = "film.dcm", *args: npt.NDArray[np.integer], **elements: object) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        _film(*args, **elements).save_as(path, enforce_file_format=True)
        return path

    return save
