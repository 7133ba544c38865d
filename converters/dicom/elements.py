"""The data elements that this package reads of a film: the one list, and what each may take.

Nothing else in a file is decoded, kept or copied. A module that comes to need another element adds it here.
"""

from __future__ import annotations

from pydicom.datadict import dictionary_VR, tag_for_keyword

_META = ("MediaStorageSOPClassUID", "MediaStorageSOPInstanceUID", "TransferSyntaxUID")

_IMAGE = (
    # what the image is (acceptance)
    "AnatomicRegionSequence",
    "BodyPartExamined",
    "BurnedInAnnotation",
    "ContainerIdentifier",
    "ContrastBolusAgent",
    "ContributingEquipmentSequence",
    "ConversionType",
    "DerivationDescription",
    "ImageType",
    "Manufacturer",
    "ManufacturerModelName",
    "Modality",
    "OrganExposed",
    "PaddleDescription",
    "PartialView",
    "PartialViewCodeSequence",
    "PositionerType",
    "PresentationIntentType",
    "ProtocolName",
    "QualityControlImage",
    "SOPClassUID",
    "SOPInstanceUID",
    "SeriesDescription",
    "SeriesInstanceUID",
    "SeriesNumber",
    "InstanceNumber",
    "SpecimenDescriptionSequence",
    # which breast and view, at which size (films.header, film_facts)
    "AcquisitionDeviceProcessingDescription",
    "AcquisitionProtocolDescription",
    "BreastImplantPresent",
    "DetectorType",
    "DistanceSourceToDetector",
    "DistanceSourceToPatient",
    "EstimatedRadiographicMagnificationFactor",
    "ImageLaterality",
    "ImagerPixelSpacing",
    "Laterality",
    "LossyImageCompression",
    "LossyImageCompressionMethod",
    "LossyImageCompressionRatio",
    "NominalScannedPixelSpacing",
    "PatientOrientation",
    "PixelAspectRatio",
    "PixelSpacing",
    "PixelSpacingCalibrationDescription",
    "PixelSpacingCalibrationType",
    "PerFrameFunctionalGroupsSequence",
    "SharedFunctionalGroupsSequence",
    "ViewCodeSequence",
    "ViewModifierCodeSequence",
    "ViewPosition",
    # its pixels and their grey scale (dicom_in, grayscale, gsps)
    "BitsAllocated",
    "BitsStored",
    "Columns",
    "HighBit",
    "ModalityLUTSequence",
    "NumberOfFrames",
    "PhotometricInterpretation",
    "PixelPaddingRangeLimit",
    "PixelPaddingValue",
    "PixelRepresentation",
    "PresentationLUTShape",
    "RescaleIntercept",
    "RescaleSlope",
    "RescaleType",
    "Rows",
    "SamplesPerPixel",
    "VOILUTFunction",
    "VOILUTSequence",
    "WindowCenter",
    "WindowWidth",
)

_PATIENT_AND_STUDY = (
    # of whom, in which study (provenance, report): PS3.3 C.7.1.1, C.7.1.3, C.7.2.1, C.7.2.2, C.12.1
    "AccessionNumber",
    "AcquisitionDate",
    "AcquisitionDateTime",
    "AcquisitionTime",
    "ClinicalTrialProtocolID",
    "ClinicalTrialProtocolName",
    "ClinicalTrialSiteID",
    "ClinicalTrialSiteName",
    "ClinicalTrialSponsorName",
    "ClinicalTrialSubjectID",
    "ClinicalTrialSubjectReadingID",
    "ContentDate",
    "ContentTime",
    "DeidentificationMethod",
    "DeidentificationMethodCodeSequence",
    "IssuerOfAccessionNumberSequence",
    "IssuerOfPatientID",
    "IssuerOfPatientIDQualifiersSequence",
    "OtherPatientIDsSequence",
    "PatientAge",
    "PatientBirthDate",
    "PatientBirthTime",
    "PatientID",
    "PatientIdentityRemoved",
    "PatientName",
    "PatientSex",
    "ProcedureCodeSequence",
    "ReferringPhysicianName",
    "SpecificCharacterSet",
    "StudyDate",
    "StudyDescription",
    "StudyID",
    "StudyInstanceUID",
    "StudyTime",
    "TimezoneOffsetFromUTC",
    "TypeOfPatientID",
    # which report a report of ours has replaced (predecessor): PS3.3 C.17.2
    "PredecessorDocumentsSequence",
)

_IN_ITEMS = (
    # Code Sequence Macro (PS3.3 8.8)
    "CodeMeaning",
    "CodeValue",
    "CodingSchemeDesignator",
    "CodingSchemeVersion",
    "LongCodeValue",
    "URNCodeValue",
    "ViewModifierCodeSequence",
    # issuers and other identifiers (PS3.3 10.14, 10.17, C.7.1.1)
    "AssigningAgencyOrDepartmentCodeSequence",
    "AssigningFacilitySequence",
    "AssigningJurisdictionCodeSequence",
    "IdentifierTypeCode",
    "IssuerOfPatientID",
    "IssuerOfPatientIDQualifiersSequence",
    "LocalNamespaceEntityID",
    "PatientID",
    "TypeOfPatientID",
    "UniversalEntityID",
    "UniversalEntityIDType",
    # who made it, where in a frame it is, tables of grey values
    "AnatomicRegionModifierSequence",
    "FrameAnatomySequence",
    "FrameLaterality",
    "FrameVOILUTSequence",
    "PixelMeasuresSequence",
    "PixelSpacing",
    "PixelValueTransformationSequence",
    "RescaleIntercept",
    "RescaleSlope",
    "RescaleType",
    "VOILUTFunction",
    "VOILUTSequence",
    "WindowCenter",
    "WindowWidth",
    "LUTData",
    "LUTDescriptor",
    "LUTExplanation",
    "Manufacturer",
    "ModalityLUTType",
    # references to other objects (PS3.3 C.17.2.1)
    "ReferencedSeriesSequence",
    "ReferencedSOPSequence",
    "ReferencedSOPClassUID",
    "ReferencedSOPInstanceUID",
    "SeriesInstanceUID",
)

TEXT_BYTES = 1 << 14
"""What the value of an element other than a table may take; LO holds 64 characters, LT 10,240."""
TABLE_BYTES = (1 << 17) + 64
"""What LUT Data may take: 65,536 entries of 16 bits, and a little padding."""
MOST_ITEMS = 64
"""Of one sequence."""
MOST_KEPT = 1000
"""Elements and items that are kept of one file."""
KEPT_BYTES = 1 << 20
"""What the kept values of one file may take together."""
MOST_DEPTH = 6
"""Sequences within sequences; the deepest that is read has three."""
MOST_ELEMENTS = 1 << 16
"""Elements, items and delimiters that one header may have, those that are passed over included."""


def _tags(keywords: tuple[str, ...]) -> dict[int, tuple[str, str]]:
    known: dict[int, tuple[str, str]] = {}
    for keyword in keywords:
        tag = tag_for_keyword(keyword)
        if tag is None:
            raise LookupError(f"{keyword} is not a keyword of the DICOM dictionary")
        known[tag] = (keyword, dictionary_VR(tag))
    return known


IN_META = _tags(_META)
"""Of the File Meta Information: tag to (keyword, value representation)."""
IN_DATASET = _tags((*_IMAGE, *_PATIENT_AND_STUDY))
"""Of the data set."""
IN_ITEM = _tags(_IN_ITEMS)
"""Of an item of one of its sequences."""
HOLOGIC_GROUP = 0x7E010010
"""The private creator of the group in which Hologic's secondary captures hold a tomosynthesis."""
IN_DATASET[HOLOGIC_GROUP] = ("HologicGroup", "LO")
FIRST_ITEMS = {"ModalityLUTSequence": 1, "PerFrameFunctionalGroupsSequence": 1, "VOILUTSequence": 4}
"""How many items are kept of sequences of alternatives: the first is taken, another one if it is no good.
Of sequences of frames one, as a film has one."""
