"""Which patient a header names."""

from __future__ import annotations

from dataclasses import dataclass

from pydicom.dataset import Dataset

from converters.dicom.file import values

UNDECODED = "\ufffd"

DELIMITERS = "^= \0"  # of a person name: empty components at its end mean nothing (PS3.5 6.2.1)


@dataclass(frozen=True, slots=True)
class Identity:
    """What a header says of the patient (PS3.3 C.7.1.1); "" where it says nothing.

    Two headers name the same patient if all five agree. What one states and the other does not is a
    difference.
    """

    patient_id: str
    issuer: str
    name: str
    birth_date: str
    sex: str

    @property
    def stated(self) -> bool:
        """Whether there is a Patient ID, without which it is not known whether two are the same."""
        return bool(self.patient_id)

    def has_id_of(self, other: Identity) -> bool:
        """Whether both state one Patient ID, and no different issuers."""
        return self.stated and self.patient_id == other.patient_id and not _differ(self.issuer, other.issuer)

    def denies(self, other: Identity) -> bool:
        """Whether one states what the other states otherwise: they need not be of one patient."""
        return any(map(_differ, self._parts, other._parts))

    @property
    def _parts(self) -> tuple[str, ...]:
        return (self.patient_id, self.issuer, self.name, self.birth_date, self.sex)


def _differ(one: str, other: str) -> bool:
    return bool(one and other) and one.casefold() != other.casefold()


def identity(header: Dataset) -> Identity:
    """The patient that ``header`` names."""
    return Identity(
        text_of(header, "PatientID"),
        text_of(header, "IssuerOfPatientID"),
        text_of(header, "PatientName").rstrip(DELIMITERS),
        text_of(header, "PatientBirthDate"),
        text_of(header, "PatientSex").upper(),
    )


def identity_in(header: Dataset) -> Identity | None:
    """The patient that ``header`` names; None if it may have been cut off within the elements of the patient.

    Then there is nothing behind them (group 0010).
    """
    return identity(header) if tells_patient(header) else None


def tells_patient(header: Dataset) -> bool:
    """Whether ``header`` goes on behind the elements of the patient: what it says of her is all there is."""
    tags = header.keys()  # its own iterator makes elements of them
    return max((tag.group for tag in tags), default=0) > _PATIENT_GROUP


_PATIENT_GROUP = 0x0010


def text_of(header: Dataset, keyword: str) -> str:
    """All values of a text element, without padding; "" if it is absent or empty.

    A text that cannot be decoded is compared by its bytes: two of them that are shown alike are two.
    """
    text = "\\".join(str(value) for value in values(header, keyword)).strip(" \0")
    raw = getattr(header.get_item(keyword), "raw", b"") if keyword in header else b""
    return f"{raw!r}" if UNDECODED in text and raw else text
