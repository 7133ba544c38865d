"""Small mammograms as data sets, with every element that a reader or a writer of this software looks at."""

from __future__ import annotations

import hashlib
import io

import numpy as np
import numpy.typing as npt
from PIL import Image
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    DigitalMammographyXRayImageStorageForPresentation,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    JPEGBaseline8Bit,
)

VIEW_CODES = {"MLO": ("399368009", "medio-lateral oblique"), "CC": ("399162004", "cranio-caudal")}

MARKER = "SECRET"
"""Stands in every name and number of a patient; in nothing that this software prints or logs."""


def breast(rows: int = 96, columns: int = 80, *, bits: int = 8, number: int = 0) -> npt.NDArray[np.integer]:
    """Half an ellipse at the left edge, bright on black, with some texture and one spot; no two alike.

    In whole numbers: the same on every machine.
    """
    row, column = np.ogrid[:rows, :columns]
    across = 100_000 * (2 * row - rows) ** 2 // (81 * rows**2) + 100_000 * column**2 // (64 * columns**2)
    texture = 5 * ((row * (3 + number % 5) + column * 7 + number * 11) % 41 - 20)
    level = np.where(across < 1000, 350 + texture + (1000 - across) // 4, 20)
    spot = (row - rows // 3 - number % 7) ** 2 + (column - columns // 4) ** 2 < (rows // 16) ** 2
    level = np.where(spot, 900 + number % 50, level)
    return np.asarray(level * ((1 << bits) - 1) // 1000, dtype=np.uint8 if bits == 8 else np.uint16)


def uid(*parts: object) -> str:
    """A UID that follows from ``parts``."""
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return f"2.25.{int.from_bytes(digest[:15], 'big')}"


def code(value: str, meaning: str, scheme: str = "SCT") -> Dataset:
    """One code sequence item."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def mammogram(
    pixels: npt.NDArray[np.integer] | None = None,
    *,
    name: str = "film",
    study: str = "study",
    laterality: str = "L",
    view: str = "MLO",
    **elements: object,
) -> FileDataset:
    """A digital mammogram, For Presentation, Explicit VR Little Endian.

    Args:
        pixels: (rows, columns) uint8 or uint16.
        name: decides the SOP Instance UID.
        study: decides study and series.
        elements: replace those of the film; None takes one away.
    """
    if pixels is None:
        pixels = breast()
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = uid("implementation")
    film = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    film.SpecificCharacterSet = "ISO_IR 100"
    film.ImageType = ["ORIGINAL", "PRIMARY"]
    film.SOPClassUID = DigitalMammographyXRayImageStorageForPresentation
    film.SOPInstanceUID = uid("film", name)
    film.StudyDate, film.StudyTime = "20240102", "030405"
    film.AccessionNumber = "A1"
    film.Modality = "MG"
    film.PresentationIntentType = "FOR PRESENTATION"
    film.Manufacturer = "Vendor"
    film.ManufacturerModelName = "Model"
    film.ReferringPhysicianName = f"{MARKER}^Doctor"
    film.StudyDescription = "Screening"
    film.PatientName = f"{MARKER}^Susanna"
    film.PatientID = f"{MARKER}-4711"
    film.IssuerOfPatientID = f"{MARKER} hospital"
    film.PatientBirthDate, film.PatientSex, film.PatientAge = "19610203", "F", "062Y"
    film.StudyInstanceUID = uid("study", study)
    film.SeriesInstanceUID = uid("series", study)
    film.StudyID = "S1"
    film.SeriesNumber, film.InstanceNumber = 1, 1
    film.PatientOrientation = ["A", "FR"] if laterality == "L" else ["P", "FL"]
    film.ImageLaterality = laterality
    film.DetectorType = "FILM"
    film.ImagerPixelSpacing = [1.9, 1.9]
    film.EstimatedRadiographicMagnificationFactor = "1.0"
    film.BurnedInAnnotation = "NO"
    film.ViewPosition = view
    film.ViewCodeSequence = [code(*VIEW_CODES[view])] if view in VIEW_CODES else []
    film.LossyImageCompression = "00"
    film.SamplesPerPixel = 1
    film.PhotometricInterpretation = "MONOCHROME2"
    film.Rows, film.Columns = pixels.shape
    film.BitsAllocated = 8 * pixels.itemsize
    film.BitsStored = 8 if pixels.itemsize == 1 else 12
    film.HighBit = film.BitsStored - 1
    film.PixelRepresentation = 0
    film.RescaleIntercept, film.RescaleSlope, film.RescaleType = 0, 1, "US"
    film.PresentationLUTShape = "IDENTITY"
    film.WindowCenter, film.WindowWidth = (128, 256) if pixels.itemsize == 1 else (2048, 4096)
    film.PixelData = pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()
    film.PixelData += bytes(len(film.PixelData) % 2)
    film["PixelData"].VR = "OB" if pixels.itemsize == 1 else "OW"
    for keyword, value in elements.items():
        if value is None:
            delattr(film, keyword)
        else:
            setattr(film, keyword, value)
    meta.MediaStorageSOPClassUID = film.get("SOPClassUID", "")
    meta.MediaStorageSOPInstanceUID = film.get("SOPInstanceUID", "1.2.3")
    return film


def recoded(film: FileDataset, syntax: UID) -> FileDataset:
    """``film`` in another transfer syntax, encapsulated or not."""
    if syntax == JPEGBaseline8Bit:
        picture = Image.fromarray(film.pixel_array)
        packed = io.BytesIO()
        picture.save(packed, "JPEG", quality=95)
        film.PixelData = encapsulate([packed.getvalue()])
        film["PixelData"].VR = "OB"
        film["PixelData"].is_undefined_length = True
        film.LossyImageCompression = "01"
    elif syntax.is_encapsulated:
        film.compress(syntax, generate_instance_uid=False)
    elif syntax == ExplicitVRBigEndian and film.BitsAllocated == 16:
        film["PixelData"].VR = "OW"
    film.file_meta.TransferSyntaxUID = syntax
    return film


def encoded(film: FileDataset) -> bytes:
    """The bytes of the file."""
    file = io.BytesIO()
    film.save_as(file, enforce_file_format=True)
    return file.getvalue()
