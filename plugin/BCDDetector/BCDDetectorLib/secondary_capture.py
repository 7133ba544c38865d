"""Wraps pixels without DICOM origin (PGM, PNG, NRRD) as a Secondary Capture, so that they can be sent.

The UIDs follow from the pixels and what is said of them: the same picture is the same study, so an
earlier result of it is found again.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import SecondaryCaptureImageStorage

from .dicom_write import write
from .errors import InputError
from .sr_items import Code, coded

_SPACING_RANGE = (0.005, 2.0)
_VIEWS: Mapping[str, Code] = {
    "MLO": ("399368009", "SCT", "medio-lateral oblique"),
    "CC": ("399162004", "SCT", "cranio-caudal"),
}


@dataclass(frozen=True)
class Description:
    """What the user says of a picture that says nothing itself.

    Attributes:
        spacing: mm between pixel centres, (rows, columns).
        laterality: "L", "R" or None.
        view: "MLO", "CC" or None.
    """

    spacing: tuple[float, float]
    laterality: str | None = None
    view: str | None = None

    def text(self) -> str:
        """As it is kept with the volume; :func:`recall` reads it."""
        return json.dumps([list(self.spacing), self.laterality, self.view])


def recall(text: str | None) -> Description | None:
    """The description that was kept with a volume, None if there is none."""
    try:
        (rows, columns), side, view = json.loads(text or "null")
    except (ValueError, TypeError):
        return None
    return Description((float(rows), float(columns)), side, view)


def wrap(pixels: Any, description: Description, folder: Path) -> tuple[str, str, Path]:
    """Write ``pixels`` as a Secondary Capture into ``folder``.

    Args:
        pixels: (rows, columns), bright is dense; integers of 8 to 16 bits are kept as they are, others
            are spread over 16 bits.

    Returns:
        SOP Instance UID, Study Instance UID and the file.

    Raises:
        InputError: the pixels are not a single gray picture, or the spacing is none.
    """
    stored, bits = _stored(np.asarray(pixels))
    low, high = _SPACING_RANGE
    if not all(low <= value <= high for value in description.spacing):
        raise InputError(f"the spacing must lie between {low} and {high} mm")
    digest = hashlib.sha256(repr((stored.shape, stored.dtype.str, description)).encode() + stored.tobytes())
    instance = _uid(digest.digest(), "instance")
    study = _uid(digest.digest(), "study")
    document = _document(stored, bits, description)
    document.SOPInstanceUID = instance
    document.StudyInstanceUID = study
    document.SeriesInstanceUID = _uid(digest.digest(), "series")
    path = folder / f"{instance}.dcm"
    write(document, path)
    return instance, study, path


def _stored(pixels: Any) -> tuple[Any, int]:
    """The pixels as unsigned integers, and their bits."""
    if pixels.ndim == 3 and pixels.shape[0] == 1:
        pixels = pixels[0]
    if pixels.ndim != 2:
        raise InputError("the volume is not a single gray picture; load one film a volume")
    if not np.all(np.isfinite(pixels)):
        raise InputError("the volume has values that are not numbers")
    low, high = float(pixels.min()), float(pixels.max())
    whole = np.issubdtype(pixels.dtype, np.integer)
    if whole and low >= 0 and high <= 255:
        return np.ascontiguousarray(pixels, dtype=np.uint8), 8
    if whole and low >= 0 and high <= 65535:
        return np.ascontiguousarray(pixels, dtype="<u2"), 16
    scale = 65535.0 / (high - low) if high > low else 0.0
    return np.ascontiguousarray(np.rint((pixels.astype(np.float64) - low) * scale), dtype="<u2"), 16


def _uid(digest: bytes, part: str) -> str:
    """A UID below 2.25 (PS3.5 B.2) that follows from the content."""
    named = hashlib.sha256(digest + part.encode()).digest()
    return f"2.25.{uuid.UUID(bytes=named[:16], version=5).int}"


def _document(stored: Any, bits: int, description: Description) -> Dataset:
    """The modules of PS3.3 A.8.1; only what is known is said."""
    new = Dataset()
    new.SOPClassUID = SecondaryCaptureImageStorage
    new.Modality = "MG"
    new.ConversionType = "DF"  # digitised film: otherwise it would count as a picture made from others
    for keyword in (
        "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID",
        "ReferringPhysicianName", "AccessionNumber", "PatientOrientation", "Laterality",
    ):  # fmt: skip
        setattr(new, keyword, None)
    new.SeriesNumber, new.InstanceNumber = 1, 1
    new.ImageType = ["ORIGINAL", "PRIMARY"]
    if description.laterality:
        del new.Laterality  # Image Laterality says it (PS3.3 C.7.3.1)
        new.ImageLaterality = description.laterality
    if description.view:
        new.ViewCodeSequence = Sequence([coded(_VIEWS[description.view])])
    new.SamplesPerPixel = 1
    new.PhotometricInterpretation = "MONOCHROME2"
    new.Rows, new.Columns = stored.shape
    new.BitsAllocated, new.BitsStored, new.HighBit, new.PixelRepresentation = bits, bits, bits - 1, 0
    new.PixelSpacing = [f"{value:.6g}" for value in description.spacing]
    data = stored.tobytes()
    new.PixelData = data + b"\0" * (len(data) % 2)
    new["PixelData"].VR = "OB" if bits == 8 else "OW"
    return new
