"""The codes of a reading."""

from __future__ import annotations

from collections.abc import Mapping

from .sr_items import Code

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


def dcm(value: str, meaning: str) -> Code:
    """A code of DICOM's own."""
    return value, "DCM", meaning
