"""Coded concepts of the result objects (PS3.16), as literal triplets.

Literal, because some meanings in pydicom's dictionaries carry a zero-width space
("Individual Impression/\\u200bRecommendation"); the tests compare each triplet with them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from pydicom.dataset import Dataset

from bcd_model.words import Laterality


class Code(NamedTuple):
    """A code of a coding scheme, with its meaning in English (PS3.3 8.8)."""

    value: str
    scheme: str
    meaning: str

    def item(self) -> Dataset:
        """The item of a code sequence that says this code."""
        item = Dataset()
        item.CodeValue = self.value
        item.CodingSchemeDesignator = self.scheme
        item.CodeMeaning = self.meaning
        return item


def _dcm(value: str, meaning: str) -> Code:
    return Code(value, "DCM", meaning)


def _sct(value: str, meaning: str) -> Code:
    return Code(value, "SCT", meaning)


# Document: TID 4000, 1204, 4001, 4002, 4003
MAMMOGRAPHY_CAD_REPORT = _dcm("111036", "Mammography CAD Report")
LANGUAGE = _dcm("121049", "Language of Content Item and Descendants")
ENGLISH = Code("en-US", "RFC5646", "English (United States)")
IMAGE_LIBRARY = _dcm("111028", "Image Library")
FINDINGS_SUMMARY = _dcm("111017", "CAD Processing and Findings Summary")
IMPRESSION_DESCRIPTION = _dcm("111033", "Impression Description")
INDIVIDUAL_IMPRESSION = _dcm("111034", "Individual Impression/Recommendation")

# Image library entry: TID 4020
IMAGE_LATERALITY = _dcm("111027", "Image Laterality")
IMAGE_VIEW = _dcm("111031", "Image View")
ORIENTATION_ROW = _dcm("111044", "Patient Orientation Row")
ORIENTATION_COLUMN = _dcm("111043", "Patient Orientation Column")
HORIZONTAL_SPACING = _dcm("111026", "Horizontal Pixel Spacing")
VERTICAL_SPACING = _dcm("111066", "Vertical Pixel Spacing")

# Algorithm: TID 4019
ALGORITHM_NAME = _dcm("111001", "Algorithm Name")
ALGORITHM_VERSION = _dcm("111003", "Algorithm Version")
ALGORITHM_PARAMETERS = _dcm("111002", "Algorithm Parameters")

# Finding: TID 4006, 4108, 4021
SINGLE_IMAGE_FINDING = _dcm("111059", "Single Image Finding")
RENDERING_INTENT = _dcm("111056", "Rendering Intent")
TRACKING_IDENTIFIER = _dcm("112039", "Tracking Identifier")
TRACKING_UID = _dcm("112040", "Tracking Unique Identifier")
CERTAINTY_OF_FINDING = _dcm("111012", "Certainty of Finding")
PROBABILITY_OF_CANCER = _dcm("111047", "Probability of cancer")
CENTER = _dcm("111010", "Center")
OUTLINE = _dcm("111041", "Outline")
BREAST_DENSITY = _sct("129793001", "Mammography breast density")
"""The single image finding of a mass-like place (CID 6014 has no "mass")."""

PRESENTATION_REQUIRED = _dcm("111150", "Presentation Required: Rendering device is expected to present")
PRESENTATION_OPTIONAL = _dcm("111151", "Presentation Optional: Rendering device may present")

# What was done: TID 4015 to 4018
SUMMARY_OF_DETECTIONS = _dcm("111064", "Summary of Detections")
SUMMARY_OF_ANALYSES = _dcm("111065", "Summary of Analyses")
SUCCESSFUL_DETECTIONS = _dcm("111063", "Successful Detections")
FAILED_DETECTIONS = _dcm("111025", "Failed Detections")
SERIES_INSTANCE_UID = _dcm("112002", "Series Instance UID")
DETECTION_PERFORMED = _dcm("111022", "Detection Performed")

# CID 6042
SUCCEEDED = _dcm("111222", "Succeeded")
PARTIALLY_SUCCEEDED = _dcm("111223", "Partially Succeeded")
FAILED = _dcm("111224", "Failed")
NOT_ATTEMPTED = _dcm("111225", "Not Attempted")

# CID 6047
ALL_WITHOUT_FINDINGS = _dcm("111241", "All algorithms succeeded; without findings")
ALL_WITH_FINDINGS = _dcm("111242", "All algorithms succeeded; with findings")
SOME_WITHOUT_FINDINGS = _dcm("111243", "Not all algorithms succeeded; without findings")
SOME_WITH_FINDINGS = _dcm("111244", "Not all algorithms succeeded; with findings")
NONE_WITHOUT_FINDINGS = _dcm("111245", "No algorithms succeeded; without findings")

# Operating points: TID 4023 and 4006 row 3
CAD_OPERATING_POINT = _dcm("111071", "CAD Operating Point")
MAXIMUM_OPERATING_POINT = _dcm("111072", "Maximum CAD Operating Point")
RECOMMENDED_OPERATING_POINT = _dcm("111092", "Recommended CAD Operating Point")

# Units (UCUM)
PERCENT = Code("%", "UCUM", "Percent")
MILLIMETER = Code("mm", "UCUM", "millimeter")
ARBITRARY_UNIT = Code("[arb'U]", "UCUM", "arbitrary unit")
RANGE_FROM_ZERO = Code("{0:n}", "UCUM", "range: 0:n")
RANGE_FROM_ONE = Code("{1:n}", "UCUM", "range: 1:n")

# Measurement report: TID 1500, 1001, 1004, 1600, 1410, 1419
MEASUREMENT_REPORT = _dcm("126000", "Imaging Measurement Report")
OBSERVER_TYPE = _dcm("121005", "Observer Type")
DEVICE = _dcm("121007", "Device")
DEVICE_UID = _dcm("121012", "Device Observer UID")
DEVICE_NAME = _dcm("121013", "Device Observer Name")
DEVICE_MANUFACTURER = _dcm("121014", "Device Observer Manufacturer")
DEVICE_MODEL = _dcm("121015", "Device Observer Model Name")
PROCEDURE_REPORTED = _dcm("121058", "Procedure reported")
IMAGING_PROCEDURE = _sct("363679005", "Imaging procedure")
"""CID 100 has no mammography."""
IMAGE_LIBRARY_GROUP = _dcm("126200", "Image Library Group")
IMAGING_MEASUREMENTS = _dcm("126010", "Imaging Measurements")
QUALITATIVE_EVALUATIONS = Code("C0034375", "UMLS", "Qualitative Evaluations")
MEASUREMENT_GROUP = _dcm("125007", "Measurement Group")
FINDING = _dcm("121071", "Finding")
LESION = _sct("52988006", "Lesion")
IMAGE_REGION = _dcm("111030", "Image Region")
FINDING_SITE = _sct("363698007", "Finding Site")
BREAST = _sct("76752008", "Breast")
LATERALITY = _sct("272741003", "Laterality")
IMPRESSION = _dcm("121073", "Impression")

SIDES: Mapping[Laterality, Code] = {"L": _sct("7771000", "Left"), "R": _sct("24028007", "Right")}
"""CID 244."""

IMPRESSIONS: Mapping[str, Code] = {
    "benign": _sct("30807003", "Benign"),
    "malignant": _sct("21594007", "Malignant"),
}
"""By the finding's label."""

# Heat map: PS3.3 A.51, C.8.20
ABNORMAL_STRUCTURE = _sct("49755003", "Morphologically Abnormal Structure")
SEGMENTATION = _dcm("113076", "Segmentation")
ARTIFICIAL_INTELLIGENCE = _dcm("123110", "Artificial Intelligence")

# Images and equipment
SOURCE_IMAGE = _dcm("121322", "Source image for image processing operation")
PROCESSING_EQUIPMENT = _dcm("109102", "Processing Equipment")

BREASTS: Mapping[Laterality, Code] = {
    "L": _sct("80248007", "Left breast"),
    "R": _sct("73056007", "Right breast"),
}
"""CID 6022."""

VIEWS: Mapping[str, Code] = {
    "CC": _sct("399162004", "cranio-caudal"),
    "MLO": _sct("399368009", "medio-lateral oblique"),
    "ML": _sct("399260004", "medial-lateral"),
    "LM": _sct("399352003", "latero-medial"),
    "LMO": _sct("399099002", "latero-medial oblique"),
    "XCCL": _sct("399192008", "cranio-caudal exaggerated laterally"),
    "XCCM": _sct("399101009", "cranio-caudal exaggerated medially"),
    "FB": _sct("399196006", "caudo-cranial"),
    "SIO": _sct("399188001", "superolateral to inferomedial oblique"),
    "ISO": _sct("441555000", "inferomedial to superolateral oblique"),
}
"""CID 4014, by the names that View Position and ACR labels use."""
