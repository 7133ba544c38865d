"""What result objects take over from a film's header: the list, and what of it is valid there.

A value that is kept keeps the bytes that the film's file has. One that DICOM does not allow is not
corrected: a reader of the object could not tell a correction from the film's own word. It is left
out, and so are sequences and modules that are not complete, so that no object is invalid for them.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator
from datetime import date
from typing import NamedTuple

from pydicom.datadict import dictionary_VM, keyword_for_tag
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from converters.dicom.values import FileText

TYPE_2 = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "ReferringPhysicianName",
    "StudyID",
    "AccessionNumber",
)
"""Of the Patient and General Study modules (PS3.3 C.7.1.1, C.7.2.1): objects have them, empty if need be."""
_TRIAL_1 = ("ClinicalTrialSponsorName", "ClinicalTrialProtocolID")
_TRIAL_SUBJECT = ("ClinicalTrialSubjectID", "ClinicalTrialSubjectReadingID")  # one of the two
_TRIAL_2 = ("ClinicalTrialProtocolName", "ClinicalTrialSiteID", "ClinicalTrialSiteName")
_TRIAL = (*_TRIAL_1, *_TRIAL_SUBJECT, *_TRIAL_2)
_DEIDENTIFIED = ("DeidentificationMethod", "DeidentificationMethodCodeSequence")
TYPE_3 = (
    "IssuerOfPatientID",
    "IssuerOfPatientIDQualifiersSequence",
    "TypeOfPatientID",
    "PatientBirthTime",
    "OtherPatientIDsSequence",
    "PatientIdentityRemoved",
    *_DEIDENTIFIED,
    *_TRIAL,
    "IssuerOfAccessionNumberSequence",
    "StudyDescription",
    "ProcedureCodeSequence",
    "PatientAge",
)
"""Of these, of Clinical Trial Subject and of Patient Study (PS3.3 C.7.1.3, C.7.2.2)."""
LOSS = ("LossyImageCompressionRatio", "LossyImageCompressionMethod")
"""Of pictures made from the film's pixels (PS3.3 C.7.6.1.1.5)."""
CALIBRATION = ("PixelSpacingCalibrationType", "PixelSpacingCalibrationDescription")
"""Of pictures with the film's Pixel Spacing (PS3.3 10.7.1): both, or neither."""

_LONGEST = {"CS": 16, "DS": 16, "LO": 64, "SH": 16}  # characters (PS3.5 6.2)
_GROUP = 64  # characters of one of a person name's three groups
_COMPONENTS = 5  # of a group
_FORMS = {
    "AS": re.compile(r"\d{3}[DWMY]", re.ASCII),
    "CS": re.compile(r"[A-Z0-9 _]*"),
    "DS": re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII),
    # Without leap seconds, which PS3.5 has and dciodvfy refuses: no study is known to begin in one.
    "TM": re.compile(r"([01]\d|2[0-3])([0-5]\d([0-5]\d(\.\d{1,6})?)?)?", re.ASCII),
    "UR": re.compile(r"[!-~]*"),
}
_ENUMERATED = {
    "PatientIdentityRemoved": ("YES", "NO"),
    "PatientSex": ("M", "F", "O"),
    "PixelSpacingCalibrationType": ("GEOMETRY", "FIDUCIAL"),
}
_CONTROL = re.compile(r"[\0-\x1a\x1c-\x1f\x7f]")  # ESC begins a character set (PS3.5 6.1.2.5)
_YEARS = range(1800, 3000)  # "00010101" and "99991231" stand for no date


class Copied(NamedTuple):
    """What of a header goes into objects, and what does not though the header states it.

    Attributes:
        elements: as the header has them; `as_stored` gives what is written.
        left_out: keywords.
    """

    elements: Dataset
    left_out: tuple[str, ...]


def copied(header: Dataset) -> Copied:
    """What objects take over from ``header``; what is not valid by PS3.3 and PS3.5 is left out of it."""
    kept = Dataset()
    stated: list[str] = []
    if "SpecificCharacterSet" in header:  # known terms only (`character_sets.known_terms`)
        kept.add(header["SpecificCharacterSet"])
    for keyword in (*TYPE_2, *TYPE_3, *LOSS, *CALIBRATION):
        if keyword not in header:
            continue
        element = header[keyword]
        if not _is_empty(element):
            stated.append(keyword)
        valid = _valid(element)
        if valid is not None:
            kept.add(valid)
    _complete_modules(kept)
    return Copied(kept, tuple(keyword for keyword in stated if keyword not in kept))


def as_stored(element: DataElement) -> DataElement:
    """``element`` for an object: a text keeps the film's own bytes, whatever its character set."""
    if element.VR == "SQ":
        items = []
        for item in element.value:
            items.append(Dataset())
            for inner in item:
                items[-1].add(as_stored(inner))
        return DataElement(element.tag, "SQ", Sequence(items), already_converted=True)
    if isinstance(element, FileText) and element.VR != "PN":  # a name of pydicom's keeps its bytes itself
        return DataElement(element.tag, element.VR, element.raw, already_converted=True)
    return copy.deepcopy(element)


def _complete_modules(kept: Dataset) -> None:
    """Leave out what is not allowed without something else that is not there, or is there and not valid."""
    if any(_states(kept, keyword) for keyword in _TRIAL):
        whole = all(_states(kept, keyword) for keyword in _TRIAL_1)
        if whole and any(_states(kept, keyword) for keyword in _TRIAL_SUBJECT):
            _without(kept, *(each for each in _TRIAL_SUBJECT if not _states(kept, each)))
            for keyword in _TRIAL_2:
                if keyword not in kept:
                    setattr(kept, keyword, None)
        else:
            _without(kept, *_TRIAL)
    else:
        _without(kept, *_TRIAL)
    _without(kept, *(each for each in _DEIDENTIFIED if not _states(kept, each)))
    removed = str(kept.get("PatientIdentityRemoved") or "") == "YES"
    if removed and not any(_states(kept, keyword) for keyword in _DEIDENTIFIED):
        _without(kept, "PatientIdentityRemoved")
    if not all(_states(kept, keyword) for keyword in CALIBRATION):
        _without(kept, *CALIBRATION)


def _without(kept: Dataset, *keywords: str) -> None:
    for keyword in keywords:
        if keyword in kept:
            del kept[keyword]


def _states(dataset: Dataset, keyword: str) -> bool:
    return keyword in dataset and not _is_empty(dataset[keyword])


def _is_empty(element: DataElement) -> bool:
    if element.VR == "SQ":
        return not element.value
    return not any(part.strip(" \0") for part in _parts(element))


def _parts(element: DataElement) -> Iterator[str]:
    """The values of a text, as people read them."""
    value = element.value
    if value is None:
        return
    for each in value if isinstance(value, list | tuple) or element.VM > 1 else (value,):
        yield str(each)


def _valid(element: DataElement) -> DataElement | None:
    """``element`` as an object may have it; None if it may not. An empty text is valid, a sequence is not."""
    keyword = keyword_for_tag(element.tag)
    if element.VR == "SQ":
        return _valid_sequence(element, _MACROS[keyword]) if keyword in _MACROS else None
    parts = list(_parts(element))
    if len(parts) > 1 and dictionary_VM(element.tag) == "1":
        return None
    if _is_empty(element) or all(_is_valid(keyword, element.VR, part) for part in parts):
        return element
    return None


def _is_valid(keyword: str, vr: str, text: str) -> bool:
    if _CONTROL.search(text) or (keyword in _ENUMERATED and text not in _ENUMERATED[keyword]):
        return False
    if vr == "PN":
        return _is_name(text)
    if vr == "DA":
        return _is_date(text)
    form = _FORMS.get(vr)
    return len(text) <= _LONGEST.get(vr, len(text)) and (form is None or form.fullmatch(text) is not None)


def _is_name(text: str) -> bool:
    groups = text.split("=")
    return (
        len(groups) <= 3  # alphabetic, ideographic, phonetic (PS3.5 6.2.1)
        and "\\" not in text
        and all(len(group) <= _GROUP and group.count("^") < _COMPONENTS for group in groups)
    )


def _is_date(text: str) -> bool:
    if re.fullmatch(r"\d{8}", text, re.ASCII) is None or int(text[:4]) not in _YEARS:
        return False
    try:
        date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError:
        return False
    return True


class _Macro(NamedTuple):
    """What an item of a sequence holds.

    Attributes:
        keywords: what is copied of it.
        is_whole: whether it holds what it needs.
        most: items that there may be.
    """

    keywords: tuple[str, ...]
    is_whole: Callable[[Dataset], bool]
    most: int = 1


def _valid_sequence(element: DataElement, macro: _Macro) -> DataElement | None:
    """The sequence, of items that have no empty element; None if one of them is not valid or not whole."""
    if not isinstance(element.value, Sequence) or not 1 <= len(element.value) <= macro.most:
        return None
    items = []
    for item in element.value:
        found = Dataset()
        for keyword in macro.keywords:
            if not _states(item, keyword):
                continue
            valid = _valid(item[keyword])
            if valid is None:
                return None
            found.add(valid)
        if not macro.is_whole(found):
            return None
        items.append(found)
    return DataElement(element.tag, "SQ", Sequence(items), already_converted=True)


def _is_code(item: Dataset) -> bool:
    """Code Sequence Macro (PS3.3 8.8)."""
    values = [key for key in ("CodeValue", "LongCodeValue", "URNCodeValue") if key in item]
    return (
        len(values) == 1
        and "CodeMeaning" in item
        and (values == ["URNCodeValue"] or "CodingSchemeDesignator" in item)
    )


def _has_typed_id(item: Dataset) -> bool:
    """Universal Entity ID and its type: both, or neither."""
    return ("UniversalEntityID" in item) == ("UniversalEntityIDType" in item)


def _is_designator(item: Dataset) -> bool:
    """HL7v2 Hierarchic Designator Macro (PS3.3 10.17)."""
    return _has_typed_id(item) and ("LocalNamespaceEntityID" in item or "UniversalEntityID" in item)


def _is_qualifier(item: Dataset) -> bool:
    """Issuer of Patient ID Macro (PS3.3 10.14)."""
    return _has_typed_id(item) and len(item) > 0


def _is_other_id(item: Dataset) -> bool:
    """Other Patient IDs Sequence (PS3.3 C.7.1.1)."""
    return "PatientID" in item and "TypeOfPatientID" in item


_CODE = (
    "CodeValue",
    "CodingSchemeDesignator",
    "CodingSchemeVersion",
    "CodeMeaning",
    "LongCodeValue",
    "URNCodeValue",
)
_UNIVERSAL = ("UniversalEntityID", "UniversalEntityIDType")
_DESIGNATOR = ("LocalNamespaceEntityID", *_UNIVERSAL)
_ISSUERS = (
    "AssigningFacilitySequence",
    "AssigningJurisdictionCodeSequence",
    "AssigningAgencyOrDepartmentCodeSequence",
)
_MANY = 1 << 10  # the parser keeps fewer (`elements.MOST_ITEMS`)
_MACROS = {
    "ProcedureCodeSequence": _Macro(_CODE, _is_code, _MANY),
    "DeidentificationMethodCodeSequence": _Macro(_CODE, _is_code, _MANY),
    "AssigningJurisdictionCodeSequence": _Macro(_CODE, _is_code),
    "AssigningAgencyOrDepartmentCodeSequence": _Macro(_CODE, _is_code),
    "AssigningFacilitySequence": _Macro(_DESIGNATOR, _is_designator),
    "IssuerOfAccessionNumberSequence": _Macro(_DESIGNATOR, _is_designator),
    "IssuerOfPatientIDQualifiersSequence": _Macro(
        (*_UNIVERSAL, "IdentifierTypeCode", *_ISSUERS), _is_qualifier
    ),
    "OtherPatientIDsSequence": _Macro(
        ("PatientID", "IssuerOfPatientID", "TypeOfPatientID", "IssuerOfPatientIDQualifiersSequence"),
        _is_other_id,
        _MANY,
    ),
}
