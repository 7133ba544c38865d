"""Whose object it is and who made it: the modules that all result objects share.

Patient and study come from the input; series, equipment, dates, times and UIDs from the job.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta, tzinfo
from typing import NamedTuple

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    UID,
    Comprehensive3DSRStorage,
    ExplicitVRLittleEndian,
    GrayscaleSoftcopyPresentationStateStorage,
    MammographyCADSRStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)

from bcd_model.words import DISCLAIMER
from converters.codes import PROCESSING_EQUIPMENT
from converters.dicom.copied import TYPE_2, TYPE_3, as_stored, copied
from converters.product import MANUFACTURER, PRODUCT, RESEARCH, SOFTWARE_VERSION
from converters.results import film_facts
from converters.results.patients import identity_of
from converters.results.study_result import FilmResult, Reference, ScannedFilm, StudyResult

_LONGEST = 64  # characters of LO (PS3.5 6.2)


def study_header(result: StudyResult, film: FilmResult | None = None) -> Dataset | None:
    """The header that gives an object its patient and study; None if there is none that can be read.

    An object of a film takes them from this film alone. One of the study takes them from the first film by
    SOP Instance UID that has a header: all films of ``result`` are of one patient (`results.patients`).
    """
    if film is not None:
        return film.header
    headers = {
        each.sop_instance_uid or "": each.header
        for each in result.films
        if each.header is not None and identity_of(each) is not None
    }
    return headers[min(headers)] if headers else None


def clean(text: str) -> str:
    """``text`` in ASCII, which every Specific Character Set contains; no control characters."""
    ascii_text = text.encode("ascii", "replace").decode()
    return "".join(c if c.isprintable() and c != "\\" else " " for c in ascii_text)


def moment(result: StudyResult, film: FilmResult | None = None) -> datetime:
    """When the job was made: in the time zone that the object's film states, else in the job's own."""
    header = study_header(result, film)
    zone = _stated_zone(header) if header is not None else None
    return result.job.created if zone is None else result.job.created.astimezone(zone)


def _stated_zone(header: Dataset) -> tzinfo | None:
    """Timezone Offset From UTC (0008,0201); None if it is absent or is none."""
    try:
        return datetime.strptime(str(header.get("TimezoneOffsetFromUTC", "")), "%z").tzinfo
    except ValueError:
        return None


class Kind(NamedTuple):
    """What is written of a study or of each film, and the series it goes into.

    Attributes:
        name: with the film's UID it decides the object's UIDs.
        series_number: of films that state no side; those of the left side follow, then those of the right.
        description: of the series; breast and views of a film's, and "research use only", are added.
    """

    name: str
    sop_class_uid: UID
    modality: str
    series_number: int
    description: str


CAD_SR = Kind("cad_sr", MammographyCADSRStorage, "SR", 9000, "BCD mammography CAD")
PRESENTATION = Kind("presentation", GrayscaleSoftcopyPresentationStateStorage, "PR", 9010, "BCD findings")
OVERLAY = Kind("overlay", SecondaryCaptureImageStorage, "OT", 9020, "BCD findings burned in")
MEASUREMENT_SR = Kind("measurement_sr", Comprehensive3DSRStorage, "SR", 9030, "BCD measurements")
HEAT_MAP = Kind("heatmap", SegmentationStorage, "SEG", 9040, "BCD probability of abnormality")


def new_object(
    result: StudyResult, kind: Kind, film: FilmResult | None = None, instance_number: int = 1
) -> Dataset:
    """A file's dataset with the patient, study, series, equipment and SOP common modules filled.

    Args:
        film: the film the object belongs to; films of one side make up one series.

    Raises:
        ValueError: there is no header to take the patient from.
    """
    header = study_header(result, film)
    if header is None:
        raise ValueError("an object needs a film with a header")
    when = moment(result, film)
    side = film_facts.laterality(film) if film is not None else None
    new = Dataset()
    _copy(header, new)
    new.StudyInstanceUID = result.study_instance_uid

    new.Modality = kind.modality
    new.SeriesInstanceUID = result.uid("series", kind.name, side or "")
    new.SeriesNumber = kind.series_number + {None: 0, "L": 1, "R": 2}[side]
    new.SeriesDescription = _series_description(result, film, kind.description)
    new.SeriesDate, new.SeriesTime = when.strftime("%Y%m%d"), when.strftime("%H%M%S")
    new.InstanceNumber = instance_number

    new.Manufacturer = MANUFACTURER
    new.ManufacturerModelName = PRODUCT
    new.SoftwareVersions = SOFTWARE_VERSION

    new.SOPClassUID = kind.sop_class_uid
    # What the object comes to say is added to the name when it is written (`results.write`).
    film_uid = film.sop_instance_uid if film is not None else None
    new.SOPInstanceUID = result.uid("object", kind.name, film_uid or "")
    new.InstanceCreationDate, new.InstanceCreationTime = new.SeriesDate, new.SeriesTime
    if _stated_zone(header) is not None or not (header.get("StudyDate") or header.get("StudyTime")):
        # The offset holds for the study's date and time too (PS3.3 C.12.1.1): of a time whose
        # zone the input leaves open, the result claims none; nor can it say one of odd seconds.
        offset = when.utcoffset()
        if offset is not None and not offset % timedelta(minutes=1):
            new.TimezoneOffsetFromUTC = when.strftime("%z")
    new.ContributingEquipmentSequence = [_contribution(result, when)]
    new.file_meta = FileMetaDataset()  # saving adds the rest of it (PS3.10 7.1)
    new.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return new


def content_description(what: str, film: FilmResult) -> str:
    """Content Description of an object of ``film``."""
    return f"{', '.join(filter(None, (what, film_facts.projection(film))))}. {RESEARCH}."


def _series_description(result: StudyResult, film: FilmResult | None, description: str) -> str:
    """``description`` behind the breast and the views of the series: a viewer's list may cut its end.

    Where there is no room for the views (Series Description has 64 characters), the breast alone.
    """
    shown = f"{description} - {RESEARCH.lower()}"
    if film is None:
        return shown
    side = film_facts.laterality(film)
    views = {
        film_facts.view(each) or ""
        for each in result.films
        if isinstance(each, ScannedFilm) and film_facts.laterality(each) == side
    }
    for names in ((side, *sorted(views)), (side,)):
        whole = f"{' '.join(filter(None, names))}: {shown}".removeprefix(": ")
        if len(whole) <= _LONGEST:
            return whole
    return shown


def _copy(header: Dataset, target: Dataset) -> None:
    """What is valid of a film's header; a text keeps the film's own bytes, whatever its character set."""
    elements = copied(header).elements
    for keyword in ("SpecificCharacterSet", *TYPE_3, *TYPE_2):
        if keyword in elements:
            target.add(as_stored(elements[keyword]))
        elif keyword in TYPE_2:
            setattr(target, keyword, None)


def _contribution(result: StudyResult, when: datetime) -> Dataset:
    """Contributing Equipment (PS3.3 C.12.1): the model behind the probabilities."""
    model = result.model
    item = Dataset()
    item.PurposeOfReferenceCodeSequence = [PROCESSING_EQUIPMENT.item()]
    item.Manufacturer = MANUFACTURER
    item.ManufacturerModelName = clean(model.name)[:64]
    item.SoftwareVersions = clean(model.version)[:64]
    item.DeviceSerialNumber = clean(model.digest)[:64]
    # Without an offset, in the same zone as the object's other times: dcmpschk takes "+0000" for an error.
    item.ContributionDateTime = when.strftime("%Y%m%d%H%M%S")
    item.ContributionDescription = clean(
        f"Model {model.name}, version {model.version}, SHA-256 of its weights {model.digest}. {DISCLAIMER}"
    )[:1024]
    return item


def evidence(result: StudyResult, references: Iterable[Reference]) -> Dataset:
    """One study's item of a hierarchical SOP instance reference (PS3.3 C.17.2.1)."""
    study = Dataset()
    study.StudyInstanceUID = result.study_instance_uid
    study.ReferencedSeriesSequence = series_references(references)
    return study


def series_references(references: Iterable[Reference]) -> list[Dataset]:
    """``references`` grouped by series, in order of UID."""
    by_series: dict[str, list[Reference]] = {}
    for reference in references:
        by_series.setdefault(reference.series_instance_uid, []).append(reference)
    items = []
    for series_uid in sorted(by_series):
        item = Dataset()
        item.SeriesInstanceUID = series_uid
        item.ReferencedSOPSequence = [
            reference.item() for reference in sorted(by_series[series_uid], key=lambda r: r.sop_instance_uid)
        ]
        items.append(item)
    return items
