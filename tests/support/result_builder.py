"""Made-up studies and what a job might say of them: the input of the writers' tests."""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    Comprehensive3DSRStorage,
    DigitalMammographyXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    MammographyCADSRStorage,
)

from bcd_model.words import (
    Film,
    FilmScan,
    Finding,
    HeatMap,
    Laterality,
    ModelIdentity,
    OperatingPoint,
    Point,
    Probability,
    by_suspicion,
)
from converters.codes import VIEWS
from converters.films.acceptance import Rule
from converters.films.identity import identity
from converters.films.pixels.grayscale import Transformations, to_unit_range
from converters.results import film_facts
from converters.results.study_result import (
    EarlierDocument,
    ExcludedFilm,
    FailedFilm,
    FilmResult,
    JobIdentity,
    Predecessor,
    Reference,
    ScannedFilm,
    StudyResult,
)
from converters.uids import make_uid
from tests.support.mammograms import code
from tests.support.reasons import because

STUDY = make_uid("tests", "study")
CREATED = datetime(2024, 2, 29, 13, 14, 15, tzinfo=timezone(timedelta(hours=2)))
ORIENTATION = {"L": ["P", "FR"], "R": ["A", "FL"]}


def header(
    number: int = 1,
    *,
    laterality: Laterality | None = "L",
    view: str | None = "MLO",
    shape: tuple[int, int] = (120, 90),
    spacing: tuple[float, float] | None = (0.2, 0.2),
) -> Dataset:
    """The header of a Digital Mammography X-Ray Image, For Presentation, as a vendor might write it."""
    h = Dataset()
    h.SpecificCharacterSet = "ISO_IR 100"
    h.SOPClassUID = DigitalMammographyXRayImageStorageForPresentation
    h.SOPInstanceUID = make_uid("tests", "film", str(number))
    h.StudyDate, h.StudyTime = "20240102", "030405"
    h.AccessionNumber = "A1"
    h.Modality = "MG"
    h.Manufacturer = "Vendor"
    h.ReferringPhysicianName = "Doctor^Öl"
    h.PatientName = "Tester^Björk"
    h.PatientID = "P1"
    h.PatientBirthDate, h.PatientSex = "19700101", "F"
    h.StudyInstanceUID = STUDY
    h.SeriesInstanceUID = make_uid("tests", "series", laterality or "")
    h.StudyID = "S1"
    h.InstanceNumber = number
    h.PatientOrientation = ORIENTATION[laterality] if laterality else None
    if laterality:
        h.ImageLaterality = laterality
    if view in VIEWS:
        h.ViewCodeSequence = [VIEWS[view].item()]
    h.ImageType = ["ORIGINAL", "PRIMARY"]
    h.PhotometricInterpretation = "MONOCHROME2"
    h.SamplesPerPixel = 1
    h.Rows, h.Columns = shape
    h.BitsAllocated, h.BitsStored, h.HighBit, h.PixelRepresentation = 16, 12, 11, 0
    if spacing:
        h.ImagerPixelSpacing = list(spacing)
    h.WindowCenter, h.WindowWidth = 2048, 4096
    h.RescaleIntercept, h.RescaleSlope, h.RescaleType = 0, 1, "US"
    h.PresentationLUTShape = "IDENTITY"
    return h


def circle(center: Point, radius: float, corners: int = 24) -> tuple[Point, ...]:
    """A polygon around ``center``."""
    steps = (2 * math.pi * k / corners for k in range(corners))
    return tuple((center[0] + radius * math.sin(a), center[1] + radius * math.cos(a)) for a in steps)


def finding(
    center: Point, radius: float = 12.0, *, malignant: float = 0.6, benign: float = 0.2, corners: int = 24
) -> Finding:
    probability = Probability(1.0 - malignant - benign, benign, malignant)
    return Finding(center, radius, circle(center, radius, corners), probability.abnormal_label, probability)


def scanned(
    number: int = 1,
    findings: Sequence[Finding] = (),
    *,
    threshold: float = 0.5,
    head: Dataset | None = None,
    warnings: tuple[str, ...] = (),
    laterality: Laterality | None = "L",
    view: str | None = "MLO",
    shape: tuple[int, int] = (120, 90),
    spacing: tuple[float, float] | None = (0.2, 0.2),
    pixels: np.ndarray | None = None,
) -> ScannedFilm:
    """A film with a scan that found ``findings``."""
    if head is None:
        head = header(number, laterality=laterality, view=view, shape=shape, spacing=spacing)
    if pixels is None:
        pixels = np.linspace(0, 1, shape[0] * shape[1], dtype=np.float32).reshape(shape)
    ordered = by_suspicion(findings)
    reported = [found for found in ordered if found.probability.abnormal >= threshold]
    film = Film(
        pixels=pixels,
        spacing=spacing or (0.1, 0.1),
        spacing_assumed=spacing is None,
        laterality=laterality,
        view=view,
        sop_instance_uid=str(head.SOPInstanceUID),
        file=f"film{number}.dcm",
        warnings=warnings,
    )
    scan = FilmScan(
        label=reported[0].label if reported else "normal",
        probability=ordered[0].probability if ordered else Probability(0.9, 0.06, 0.04),
        findings=ordered,
        heat_map=HeatMap(np.linspace(0, 1, 130, dtype=np.float32).reshape(13, 10), (-0.5, -0.5), (9.5, 9.5)),
        warnings=warnings,
    )
    return ScannedFilm(
        file=film.file,
        sop_instance_uid=film.sop_instance_uid,
        header=head,
        film=film,
        scan=scan,
        gray_scale=gray_scale_of(head),
    )


def gray_scale_of(head: Dataset) -> Transformations:
    """How a film of ``head`` is shown that has every value of its Bits Stored once."""
    values = np.arange(1 << head.BitsStored, dtype=np.uint8 if head.BitsStored == 8 else np.uint16)
    return to_unit_range(values.reshape(-1, 16), head).transformations


def reference_of(film: FilmResult) -> Reference:
    """What points to ``film``."""
    reference = film_facts.reference(film)
    if reference is None:
        raise ValueError("its header gives no UIDs")
    return reference


def failed(
    number: int = 1, *, reason: str = "burned-in annotation", head: Dataset | None = None
) -> FilmResult:
    """A film that was not scanned, but whose header can be read."""
    head = header(number, laterality="R") if head is None else head
    uid = str(head.SOPInstanceUID)
    return FailedFilm(file=f"film{number}.dcm", sop_instance_uid=uid, header=head, reason=because(reason))


def excluded(
    number: int = 2,
    *,
    rule: Rule = "tomosynthesis",
    laterality: Laterality | None = "L",
    view: str | None = "MLO",
) -> FilmResult:
    """A film that a rule leaves out of the scan."""
    head = header(number, laterality=laterality, view=view)
    uid = str(head.SOPInstanceUID)
    return ExcludedFilm(file=f"film{number}.dcm", sop_instance_uid=uid, header=head, rule=rule)


def displaced(film: FilmResult) -> FilmResult:
    """``film`` with an implant displaced."""
    head = copy.deepcopy(film.header)
    if head is None:
        raise ValueError("an unreadable film has no modifier")
    head.ViewModifierCodeSequence = [code("399209000", "Implant Displaced")]
    return dataclasses.replace(film, header=head)


def of_another(film: FilmResult) -> FilmResult:
    """``film`` as one of another patient in the same study."""
    head = copy.deepcopy(film.header)
    if head is None:
        raise ValueError("an unreadable film names nobody")
    head.PatientName, head.PatientID, head.PatientBirthDate = "Other^Olga", "P2", "19500505"
    return dataclasses.replace(film, header=head)


def replacing(result: StudyResult) -> StudyResult:
    """``result`` of a job that replaces the reports of another."""
    (film, *_) = result.films
    if film.header is None:
        raise ValueError("an unreadable film names nobody")
    documents = tuple(
        EarlierDocument(uid, make_uid("earlier", uid), make_uid("earlier series", uid), identity(film.header))
        for uid in (MammographyCADSRStorage, Comprehensive3DSRStorage)
    )
    return dataclasses.replace(result, predecessor=Predecessor(documents))


def unreadable(number: int = 1) -> FilmResult:
    """A file of which nothing can be read."""
    reason = because("truncated", "cut-short")
    return FailedFilm(file=f"film{number}.dcm", sop_instance_uid=None, reason=reason)


def study(
    *films: FilmResult, measured: bool = True, threshold: float = 0.5, warnings: tuple[str, ...] = ()
) -> StudyResult:
    """One job's result."""
    point = OperatingPoint(threshold, 0.4, 0.8123, 1.75, "made up for the tests") if measured else None
    return StudyResult(
        job=JobIdentity("0123456789abcdef", CREATED),
        study_instance_uid=STUDY,
        input_digest="ab" * 32,
        model=ModelIdentity("bcdcnn-test", "1.2", "cd" * 32),
        operating_point=point or OperatingPoint(threshold, 0.4),
        films=films,
        warnings=warnings,
    )


MANY = tuple(
    finding(
        (15.0 + 20 * row, 12.5 + 20 * column), 8.0, malignant=0.05 + 0.03 * (4 * row + column), benign=0.2
    )
    for row in range(5)
    for column in range(4)
)


def in_utc(result: StudyResult) -> StudyResult:
    """The same result of a job that was submitted on a machine in UTC."""
    job = dataclasses.replace(result.job, created=CREATED.astimezone(timezone.utc))
    return dataclasses.replace(result, job=job)


CASES = {
    "job made in UTC": lambda: in_utc(study(scanned(1, [finding((50.25, 40.75))]))),
    "finding": lambda: study(scanned(1, [finding((50.25, 40.75))])),
    "no finding": lambda: study(scanned(1)),
    "below the operating point": lambda: study(scanned(1, [finding((50, 40), malignant=0.1, benign=0.2)])),
    "above and below": lambda: study(
        scanned(1, [finding((50, 40)), finding((90, 60), malignant=0.1, benign=0.15)])
    ),
    "two films": lambda: study(
        scanned(1, [finding((50, 40))]),
        scanned(2, [finding((60, 30), malignant=0.2, benign=0.6)], laterality="R", view="CC"),
    ),
    "one film failed": lambda: study(scanned(1, [finding((50, 40))]), failed(2)),
    "one film failed, no finding": lambda: study(scanned(1), failed(2)),
    "one file unreadable": lambda: study(scanned(1, [finding((50, 40))]), unreadable(2)),
    "all films failed": lambda: study(failed(1), failed(2)),
    "excluded, its view shown": lambda: study(scanned(1), excluded(2)),
    "excluded, its view not shown": lambda: study(scanned(1), excluded(2, laterality="R", rule="spot view")),
    "excluded, nothing scanned": lambda: study(excluded(1), excluded(2, laterality=None, view=None)),
    "two patients": lambda: study(
        scanned(1, [finding((50, 40))]), of_another(scanned(2, laterality="R")), unreadable(3)
    ),
    "replaces another": lambda: replacing(study(scanned(1, [finding((50, 40))]))),
    "found in a film without its series": lambda: study(scanned(1), without_series(2)),
    "many findings": lambda: study(scanned(1, MANY[::2]), scanned(2, MANY[:3], laterality="R")),
    "nothing stated": lambda: study(
        scanned(
            1, [finding((50, 40))], laterality=None, view=None, spacing=None, warnings=("spacing assumed",)
        ),
        measured=False,
    ),
    "warnings": lambda: study(
        scanned(1, [finding((50, 40))], warnings=("unlike the training films: a digital detector",)),
        warnings=("a film was given twice",),
    ),
    "non-square pixels": lambda: study(scanned(1, [finding((50, 40))], spacing=(0.1, 0.2))),
    "MONOCHROME1": lambda: study(scanned(1, [finding((50, 40))], head=inverted())),
    "lossy film": lambda: study(scanned(1, [finding((50, 40))], head=lossy())),
}


def without_series(number: int) -> FilmResult:
    """A film with a finding that no report can point to."""
    head = header(number, laterality="R")
    del head.SeriesInstanceUID
    return scanned(number, [finding((50, 40))], head=head, laterality="R")


def lossy() -> Dataset:
    """A film that was compressed with loss once."""
    head = header(1)
    head.LossyImageCompression = "01"
    head.LossyImageCompressionRatio = 10
    head.LossyImageCompressionMethod = "ISO_10918_1"
    return head


def inverted() -> Dataset:
    """A film whose high values are dark."""
    h = header(1)
    h.PhotometricInterpretation, h.PresentationLUTShape = "MONOCHROME1", "INVERSE"
    return h


def write_film(film: FilmResult, path: Path) -> None:
    """The film as a DICOM file whose pixels, shown as its header says, are those that were scanned."""
    if not isinstance(film, ScannedFilm):
        raise ValueError("only a scanned film has pixels")
    shown = film.film.pixels.astype(np.float64)
    if film.header.PhotometricInterpretation == "MONOCHROME1":
        shown = 1.0 - shown
    stored = np.rint(shown * 4095).astype("<u2")
    dataset = copy.deepcopy(film.header)
    dataset.PixelData = stored.tobytes()
    dataset["PixelData"].VR = "OW"
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.save_as(path, enforce_file_format=True)
