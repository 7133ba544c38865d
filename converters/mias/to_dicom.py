"""MIAS films to DICOM: one study a patient, Digital Mammography X-Ray Image, For Presentation.

What the objects say is what is known of the films, and no more: patients are the collection's own
numbers, what it does not tell (age, equipment) is empty, and nothing comes from the clock.
The same films always become the same bytes under the same UIDs; another pixel gives another study.
The truth goes into ``truth.json`` beside the objects (``converters.truth.file``), never into them.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    UID,
    DigitalMammographyXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
)

from bcd_model.errors import FilmError, InputError
from bcd_model.words import Laterality
from converters import codes
from converters.atomic import write_atomically
from converters.mias.collection import SPACING, MiasFilm, left_out, read_collection
from converters.mias.orientation import chest_wall, patient_orientation, usual_wall
from converters.mias.pgm import Graymap, read_graymap
from converters.truth.file import TRUTH_FILE, FilmTruth, write_truth
from converters.uids import UUID_ROOT, check_root, make_uid

# Part of every UID: to be raised when the objects get another content, as a UID names its bytes.
_REVISION = "mias-dicom-1"
_IMPLEMENTATION_CLASS_UID = UID(make_uid("bcd-cad implementation class"))
_IMPLEMENTATION_VERSION_NAME = "BCD"
# No date of a film is known. A DICOMDIR and most archives want one, so all bear the day on the
# collection's own Info.txt, and the header says that dates are not the real ones.
_STUDY_DATE = "19950119"
_DESCRIPTION = {
    "mias": "mini-MIAS films, research use only",
    "phantom": "Procedural phantom, research use only",
}
_DEIDENTIFICATION = {
    "mias": "Published without identities, by MIAS film number",
    "phantom": "Procedural phantom, there is no patient",
}


@dataclass(frozen=True, slots=True)
class Conversion:
    """What :func:`convert_mias` wrote.

    Attributes:
        studies: number of studies, one for each patient with a film that could be read.
        films: number of DICOM files.
        skipped: one line for every PGM file that was not converted.
        warnings: what else was odd about the collection, one line each.
    """

    studies: int
    films: int
    skipped: tuple[str, ...]
    warnings: tuple[str, ...] = ()


def convert_mias(src: Path, out: Path, *, uid_root: str = UUID_ROOT) -> Conversion:
    """Convert the films of ``src`` (PGM and ``Info.txt``) to ``out``/<patient>/<film>.dcm.

    Files of an earlier conversion are replaced; nothing else in ``out`` is touched. Each file appears
    whole or not at all; ``out``/truth.json comes last. A PGM that cannot be read is skipped.

    Args:
        src: folder of the collection; not searched for folders below it.
        out: folder to write to; made if need be.
        uid_root: below which all UIDs are made.

    Raises:
        InputError: ``src`` holds no film, or none that can be converted.
        TruthError: ``Info.txt`` is missing or has an unknown row.
        SettingsError: ``uid_root`` is not a UID root.
        OutputError: a file cannot be written.
    """
    check_root(uid_root)
    collection = read_collection(src)
    skipped = list(collection.unusable)
    truth: dict[str, FilmTruth] = {}
    studies = 0
    for _, of_patient in groupby(collection.films, key=lambda film: film.patient):
        readable: list[tuple[MiasFilm, Graymap]] = []
        for film in of_patient:
            try:
                readable.append((film, read_graymap(film.path)))
            except FilmError as error:
                skipped.append(left_out(film.path, error.reason))
        for film, header in _study(readable, uid_root):
            file = f"{film.patient}/{film.name}.dcm"
            write_atomically(out / file, _encode(header))
            truth[header.SOPInstanceUID] = replace(film, file=file)
        studies += bool(readable)
    if not truth:
        raise InputError(
            f"none of its films can be converted ({skipped[0]})", "put readable PGM films of MIAS there", src
        )
    write_truth(out / TRUTH_FILE, truth)
    return Conversion(studies, len(truth), tuple(skipped), collection.warnings)


def _study(films: Sequence[tuple[MiasFilm, Graymap]], uid_root: str) -> list[tuple[MiasFilm, Dataset]]:
    """The films of one patient as one study of one series."""
    digests = [f"{film.name}:{_digest(image)}" for film, image in films]
    study_uid = make_uid(_REVISION, "study", *digests, root=uid_root)
    series_uid = make_uid(_REVISION, "series", *digests, root=uid_root)
    headers = []
    for (film, image), digest in zip(films, digests, strict=True):
        # The study is part of it: a film whose pair changes is another object in another study.
        sop_uid = make_uid(_REVISION, "film", study_uid, digest, root=uid_root)
        headers.append((film, _object(film, image, study_uid, series_uid, sop_uid)))
    return headers


def _digest(image: Graymap) -> str:
    """SHA-256 of the pixels with their size and scale."""
    rows, columns = image.pixels.shape
    digest = hashlib.sha256(f"{rows} {columns} {image.maxval} ".encode())
    digest.update(np.ascontiguousarray(image.pixels.astype("<u2")).data)
    return digest.hexdigest()


def _object(film: MiasFilm, image: Graymap, study_uid: str, series_uid: str, sop_uid: str) -> Dataset:
    """One Digital Mammography X-Ray Image, For Presentation (PS3.3 A.27)."""
    header = Dataset()
    _add_patient_and_study(header, film, study_uid, series_uid)

    # SOP Common C.12.1, General Image C.7.6.1
    header.SOPClassUID = DigitalMammographyXRayImageStorageForPresentation
    header.SOPInstanceUID = sop_uid
    header.InstanceNumber = 1 if film.laterality == "L" else 2
    header.LossyImageCompression = "00"
    # The films show lead letters for side and view, but nothing that names patient or date.
    header.BurnedInAnnotation = "NO"

    _add_pixels(header, image)
    _add_geometry(header, film.laterality, image)
    return header


def _add_patient_and_study(header: Dataset, film: MiasFilm, study_uid: str, series_uid: str) -> None:
    """Patient C.7.1.1, General Study C.7.2.1, Series C.7.3.1 and C.8.11.1, Equipment C.7.5.1."""
    collection, number = film.patient.split("-")
    header.PatientName = f"{collection.upper()}^{number}"
    header.PatientID = film.patient
    header.PatientBirthDate = ""
    header.PatientSex = ""
    header.PatientIdentityRemoved = "YES"
    header.DeidentificationMethod = _DEIDENTIFICATION[collection]
    header.LongitudinalTemporalInformationModified = "MODIFIED"
    header.StudyInstanceUID = study_uid
    header.StudyDate = _STUDY_DATE
    header.StudyTime = "000000"
    header.StudyDescription = _DESCRIPTION[collection]
    header.ReferringPhysicianName = ""
    header.StudyID = number
    header.AccessionNumber = ""
    header.Modality = "MG"
    header.PresentationIntentType = "FOR PRESENTATION"
    header.SeriesInstanceUID = series_uid
    header.SeriesNumber = 1
    header.Manufacturer = ""


def _add_pixels(header: Dataset, image: Graymap) -> None:
    """Image Pixel C.7.6.3, DX Image C.8.11.3, VOI LUT C.11.2: the PGM's samples as they are."""
    bits = max(8, image.maxval.bit_length())
    pixels = image.pixels.astype(np.uint8 if bits == 8 else "<u2")
    header.ImageType = ["ORIGINAL", "PRIMARY", ""]
    header.SamplesPerPixel = 1
    header.PhotometricInterpretation = "MONOCHROME2"
    header.Rows, header.Columns = pixels.shape
    header.BitsAllocated = 8 * pixels.itemsize
    header.BitsStored = bits
    header.HighBit = bits - 1
    header.PixelRepresentation = 0
    header.PixelData = pixels.tobytes()
    if len(header.PixelData) % 2:
        header.PixelData += b"\0"
    header["PixelData"].VR = "OB" if header.BitsAllocated == 8 else "OW"
    # Film density falls with the logarithm of the exposure; a bright pixel had less of it.
    header.PixelIntensityRelationship = "LOG"
    header.PixelIntensityRelationshipSign = -1
    header.RescaleIntercept = 0
    header.RescaleSlope = 1
    header.RescaleType = "US"
    header.PresentationLUTShape = "IDENTITY"
    # The linear window (C.11.2.1.2.1) that maps 0 to black and maxval to white, exactly.
    header.WindowCenter = (image.maxval + 1) / 2
    header.WindowWidth = image.maxval + 1
    header.WindowCenterWidthExplanation = "Full range of the film"


def _add_geometry(header: Dataset, laterality: Laterality, image: Graymap) -> None:
    """DX Anatomy C.8.11.2, DX Detector C.8.11.4, Mammography Image C.8.11.7, Acquisition Context C.7.6.14."""
    wall = chest_wall(image.pixels) or usual_wall(laterality)
    header.PatientOrientation = list(patient_orientation(laterality, wall))
    header.ImageLaterality = laterality
    header.AnatomicRegionSequence = [codes.BREAST.item()]
    header.OrganExposed = "BREAST"
    header.PositionerType = "MAMMOGRAPHIC"
    view = codes.VIEWS["MLO"].item()
    view.ViewModifierCodeSequence = []
    header.ViewCodeSequence = [view]
    header.DetectorType = "FILM"
    header.ImagerPixelSpacing = list(SPACING)
    header.AcquisitionContextSequence = []


def _encode(header: Dataset) -> bytes:
    """The object as a DICOM file (PS3.10), Explicit VR Little Endian."""
    header.file_meta = FileMetaDataset()  # saving adds the SOP class and instance
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.file_meta.ImplementationClassUID = _IMPLEMENTATION_CLASS_UID
    header.file_meta.ImplementationVersionName = _IMPLEMENTATION_VERSION_NAME
    buffer = io.BytesIO()
    header.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()
