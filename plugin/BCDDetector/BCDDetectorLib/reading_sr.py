"""A reading as a TID 1500 measurement report (PS3.16) in a Comprehensive 3D SR; the observer is a person.

Each finding that the reader has judged is a Measurement Group (TID 1410) under the tracking UID that it has
in the detector's reports. Findings without a verdict are not part of a reader's report. The verdict is said
in codes of this project's own scheme (99BCD): DICOM has none for "accepted" and "rejected".
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from datetime import datetime

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items

from . import nodes
from .coordinates import to_scoord
from .dicom_write import new_uid
from .errors import InputError
from .reading import Mark, Reading
from .sr_items import Code, code, container, coordinates, image, item, percent, text, with_children
from .words import DISCLAIMER, Film, Point

SCHEME = "99BCD"
VERDICT: Code = ("verdict", SCHEME, "Reader's verdict on the finding")
VERDICTS: Mapping[str, Code] = {
    "accepted": ("accepted", SCHEME, "Accepted"),
    "moved": ("moved", SCHEME, "Accepted at another place"),
    "rejected": ("rejected", SCHEME, "Rejected"),
    "added": ("added", SCHEME, "Missed by the detector, added by the reader"),
}
CLASSES: Mapping[str, Code] = {
    "benign": ("30807003", "SCT", "Benign"),
    "malignant": ("21594007", "SCT", "Malignant"),
}
SIDES: Mapping[str, Code] = {"L": ("7771000", "SCT", "Left"), "R": ("24028007", "SCT", "Right")}

SOP_CLASS = "1.2.840.10008.5.1.4.1.1.88.34"
"""Comprehensive 3D SR Storage: the class that the detector's own measurement report has."""

_TYPE_2 = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID",
    "ReferringPhysicianName", "AccessionNumber",
)  # fmt: skip
_TYPE_3 = ("SpecificCharacterSet", "IssuerOfPatientID", "PatientIdentityRemoved", "StudyDescription")


def dcm(value: str, meaning: str) -> Code:
    """A code of DICOM's own."""
    return value, "DCM", meaning


def check_reader(name: str) -> None:
    """Raise InputError if ``name`` cannot stand as the observer (PN, PS3.5 6.2)."""
    if not name:
        raise InputError("enter the reader's name first; it stands in the exported report")
    if len(name) > 64 or "\\" in name or "=" in name or not name.isprintable():
        raise InputError("the reader's name must have at most 64 characters, without \\ and =")


def person_name(name: str) -> str:
    """The name as PN has it (PS3.5 6.2.1): "Anna Muster" becomes "Muster^Anna"."""
    given, _, family = name.strip().rpartition(" ")
    return f"{family}^{given.strip()}" if given and "^" not in name else name.strip()


def build(reading: Reading, headers: Mapping[str, Dataset], when: datetime) -> Dataset:
    """The report of one reading.

    Args:
        headers: of the study's loaded films, by SOP Instance UID.

    Raises:
        InputError: no film, one that was read is not loaded, or no name of the reader.
    """
    check_reader(reading.reader)
    films = [film for film in reading.study.films if film.sop_instance_uid in headers]
    if not films:
        raise InputError("none of the study's films is loaded; load the study first")
    missing = [film.name for film in reading.study.films if film not in films and _has_word(reading, film)]
    if missing:
        raise InputError(f"{', '.join(missing)}: read, but not loaded any more; load the study again first")
    new = _identity(headers[films[0].sop_instance_uid or ""], reading, when)
    new.CurrentRequestedProcedureEvidenceSequence = Items([_evidence(reading, headers)])
    content = _content(reading, films, headers)
    content.__delattr__("RelationshipType")
    new.update(content)
    return new


def _has_word(reading: Reading, film: Film) -> bool:
    """Whether the reader has said anything of the film."""
    judged = any(mark.verdict != nodes.UNREAD for mark in reading.of(film))
    return judged or film.sop_instance_uid in reading.films_read


def _identity(header: Dataset, reading: Reading, when: datetime) -> Dataset:
    """Patient and study of the film; series and instance of this report alone."""
    new = Dataset()
    for keyword in _TYPE_3:
        if keyword in header:
            new[keyword] = copy.deepcopy(header[keyword])
    for keyword in _TYPE_2:
        setattr(new, keyword, header.get(keyword))
    if any(ord(character) > 127 for character in reading.reader):
        new.SpecificCharacterSet = "ISO_IR 192"  # whatever the films have; pydicom encodes on writing
    new.StudyInstanceUID = reading.study.study_instance_uid
    new.SOPClassUID = SOP_CLASS
    new.SOPInstanceUID, new.SeriesInstanceUID = new_uid(), new_uid()
    new.Modality = "SR"
    new.SeriesNumber, new.InstanceNumber = 9100, 1
    new.SeriesDescription = "BCD reading - research use only"
    new.Manufacturer, new.ManufacturerModelName = "BCD", "BCD Detector for 3D Slicer"
    new.DeviceSerialNumber, new.SoftwareVersions = "none", "1"
    date, time = when.strftime("%Y%m%d"), when.strftime("%H%M%S")
    for event in ("Series", "Content", "InstanceCreation"):
        setattr(new, f"{event}Date", date)
        setattr(new, f"{event}Time", time)
    new.ReferencedPerformedProcedureStepSequence = Items([])
    new.PerformedProcedureCodeSequence = Items([])
    new.CompletionFlag, new.VerificationFlag = "COMPLETE", "UNVERIFIED"
    scheme = Dataset()
    scheme.CodingSchemeDesignator = SCHEME
    scheme.CodingSchemeName = "BCD reading"
    scheme.CodingSchemeResponsibleOrganization = "BCD"
    new.CodingSchemeIdentificationSequence = Items([scheme])
    return new


def _evidence(reading: Reading, headers: Mapping[str, Dataset]) -> Dataset:
    """The films, by series (PS3.3 C.17.2.1)."""
    series: dict[str, list[Dataset]] = {}
    for film, header in sorted(headers.items()):
        reference = Dataset()
        reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = header.SOPClassUID, film
        series.setdefault(str(header.SeriesInstanceUID), []).append(reference)
    evidence = Dataset()
    evidence.StudyInstanceUID = reading.study.study_instance_uid
    groups = []
    for series_uid, references in sorted(series.items()):
        group = Dataset()
        group.SeriesInstanceUID = series_uid
        group.ReferencedSOPSequence = Items(references)
        groups.append(group)
    evidence.ReferencedSeriesSequence = Items(groups)
    return evidence


def _content(reading: Reading, films: list[Film], headers: Mapping[str, Dataset]) -> Dataset:
    """TID 1500 with 1001 and 1003 (a person), 1600 and 1410."""
    library, groups, lines = [], [], [DISCLAIMER]
    for film in films:
        header = headers[film.sop_instance_uid or ""]
        sop_class = str(header.SOPClassUID)
        library.append(_library_entry(film, sop_class))
        judged = [mark for mark in reading.of(film) if mark.verdict != nodes.UNREAD]
        size = int(header.Rows), int(header.Columns)
        groups += [_group(mark, film, sop_class, size) for mark in judged]
        lines.append(_sentence(film, film.sop_instance_uid in reading.films_read, judged))
    context, modifier = "HAS OBS CONTEXT", "HAS CONCEPT MOD"
    english, imaging = (
        ("en-US", "RFC5646", "English (United States)"),
        ("363679005", "SCT", "Imaging procedure"),
    )
    observer = person_name(reading.reader)
    summary = text("CONTAINS", dcm("111033", "Impression Description"), "\r\n".join(lines))
    image_group = container("CONTAINS", dcm("126200", "Image Library Group"), library)
    children = [
        code(modifier, dcm("121049", "Language of Content Item and Descendants"), english),
        code(context, dcm("121005", "Observer Type"), dcm("121006", "Person")),
        item(context, "PNAME", dcm("121008", "Person Observer Name"), PersonName=observer),
        code(modifier, dcm("121058", "Procedure reported"), imaging),
        container("CONTAINS", dcm("111028", "Image Library"), [image_group], "1600"),
        container("CONTAINS", dcm("126010", "Imaging Measurements"), groups),
        container("CONTAINS", ("C0034375", "UMLS", "Qualitative Evaluations"), [summary]),
    ]
    return container("", dcm("126000", "Imaging Measurement Report"), children, "1500")


def _library_entry(film: Film, sop_class: str) -> Dataset:
    """TID 1601; what the result does not say is left out."""
    side = SIDES.get(film.laterality or "")
    said = [code("HAS ACQ CONTEXT", dcm("111027", "Image Laterality"), side)] if side else []
    return with_children(image("CONTAINS", sop_class, film.sop_instance_uid or ""), said)


def _group(mark: Mark, film: Film, sop_class: str, size: tuple[int, int]) -> Dataset:
    """TID 1410 of one judged finding."""
    context, modifier = "HAS OBS CONTEXT", "HAS CONCEPT MOD"
    source = image("SELECTED FROM", sop_class, mark.film)
    site = code(modifier, ("363698007", "SCT", "Finding Site"), ("76752008", "SCT", "Breast"))
    side = SIDES.get(film.laterality or "")
    if side:
        with_children(site, [code(modifier, ("272741003", "SCT", "Laterality"), side)])
    inside = _on_film(mark.outline, size)
    center, closed = to_scoord([mark.center]), to_scoord((*inside, inside[0]))
    children = [
        text(context, dcm("112039", "Tracking Identifier"), f"{film.name}, finding {mark.number}"),
        item(context, "UIDREF", dcm("112040", "Tracking Unique Identifier"), UID=mark.tracking_uid),
        code("CONTAINS", dcm("121071", "Finding"), ("52988006", "SCT", "Lesion")),
        site,
        coordinates(dcm("111030", "Image Region"), "POLYLINE", closed, source),
        coordinates(dcm("111010", "Center"), "POINT", center, copy.deepcopy(source)),
    ]
    if mark.probability is not None:
        certainty = mark.probability.abnormal
        children.append(percent("CONTAINS", dcm("111012", "Certainty of Finding"), certainty))
    children.append(code("CONTAINS", dcm("121073", "Impression"), CLASSES[mark.label]))
    children.append(code("CONTAINS", VERDICT, VERDICTS[verdict_of(mark)]))
    return container("CONTAINS", dcm("125007", "Measurement Group"), children, "1410")


def verdict_of(mark: Mark) -> str:
    """The verdict in one word: accepted, moved, rejected or added."""
    if mark.verdict == nodes.REJECTED:
        return "rejected"
    if mark.source == nodes.READER:
        return "added"
    return "moved" if mark.moved else "accepted"


def _on_film(outline: tuple[Point, ...], size: tuple[int, int]) -> tuple[Point, ...]:
    """The outline's corners, none beyond the film's border: SCOORD must lie on the image."""
    rows, columns = size
    return tuple(
        (min(max(row, -0.5), rows - 0.5), min(max(column, -0.5), columns - 0.5)) for row, column in outline
    )


def _sentence(film: Film, read: bool, judged: list[Mark]) -> str:
    kept = sum(1 for mark in judged if mark.verdict == nodes.ACCEPTED)
    state = "read completely" if read else "not declared to be read completely"
    return f"{film.name}: {state}; {kept} findings accepted or added, {len(judged) - kept} rejected."
