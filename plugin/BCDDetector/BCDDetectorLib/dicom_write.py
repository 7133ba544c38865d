"""Writes a DICOM file with pydicom 2.4 (Slicer 5.8 and 5.10) and 3.0 (Slicer 5.12) alike."""

from __future__ import annotations

import uuid
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from .errors import InputError

_PYDICOM_3 = int(pydicom.__version__.split(".")[0]) >= 3


def new_uid() -> str:
    """A UID that follows from nothing, so it is drawn (PS3.5 B.2)."""
    return f"2.25.{uuid.uuid4().int}"


def write(document: Dataset, path: Path) -> None:
    """Write ``document`` as a DICOM file (PS3.10 7.1), Explicit VR Little Endian.

    Raises:
        InputError: the file cannot be written.
    """
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = document.SOPClassUID
    meta.MediaStorageSOPInstanceUID = document.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file = FileDataset("", document, preamble=b"\0" * 128, file_meta=meta)
    try:
        if _PYDICOM_3:
            file.save_as(path, enforce_file_format=True)
        else:
            file.is_little_endian, file.is_implicit_VR = True, False
            file.save_as(path, write_like_original=False)
    except OSError as error:
        raise InputError(
            f"the file cannot be written ({error.strerror or 'no reason given'})", str(path)
        ) from error
