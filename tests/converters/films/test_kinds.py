"""What kind of picture an image is, what it is compared with, and how unlike the training films it is."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.uid import (
    BreastTomosynthesisImageStorage,
    ComputedRadiographyImageStorage,
    CTImageStorage,
    DigitalMammographyXRayImageStorageForPresentation,
    DigitalMammographyXRayImageStorageForProcessing,
    DigitalXRayImageStorageForPresentation,
    EnhancedSRStorage,
    MammographyCADSRStorage,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    SecondaryCaptureImageStorage,
)

from converters.films import kinds
from converters.films.acceptance import judge, rule
from tests.support.mammograms import VIEW_CODES, code, mammogram
from tests.support.reasons import said

MG = DigitalMammographyXRayImageStorageForPresentation
SC = SecondaryCaptureImageStorage
BTO = BreastTomosynthesisImageStorage
DX = DigitalXRayImageStorageForPresentation
CR = ComputedRadiographyImageStorage
NO_VIEW: dict[str, object] = {"ViewCodeSequence": None, "ViewPosition": None}


def coded(value: str) -> Dataset:
    item = Dataset()
    item.CodeValue = value
    return item


def header(**elements: object) -> Dataset:
    """A header of 1200 x 900 pixels that says nothing of view and side."""
    dataset = Dataset()
    dataset.Rows, dataset.Columns, dataset.BitsStored = 1200, 900, 8
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return dataset


def hologic(film: Dataset) -> Dataset:
    """``film`` with the private group in which Hologic's secondary captures hold a tomosynthesis."""
    film.private_block(0x7E01, "HOLOGIC, Inc.", create=True).add_new(0x10, "SQ", [Dataset()])
    return film


# --- Image Type, SOP class, descriptions: in this order ---


def processing(said: str) -> dict[str, object]:
    return {"AcquisitionDeviceProcessingDescription": said}


SLICES: list[dict[str, object]] = [
    {"SeriesDescription": "L MLO", "DerivationDescription": "Tomosynthesis slice 23"},
    {"SeriesDescription": "", "ProtocolName": "Tomosynthesis"},
    {"SeriesDescription": "", "ProtocolName": "2D/3D COMBO"},
    {"SeriesDescription": "L MLO", **processing("TOMO")},
    {"SeriesDescription": "L MLO 2D", "DerivationDescription": "plane of a tomosynthesis"},
    {"SeriesDescription": "L MLO 2D/3D Tomo slices"},
    {"SeriesDescription": "L MLO DBT 2D+3D"},
    {"SeriesDescription": "L MLO 2D Tomo"},
    {"SeriesDescription": "LMLOTOMO"},
    {"SeriesDescription": "L MLO Tomo synth"},
    {"SeriesDescription": "L MLO Tomo + C-View"},
    {"SeriesDescription": "L MLO C-View/TomoHD"},
    {"SeriesDescription": "L MLO C-View", "DerivationDescription": "Tomosynthesis slice 23"},
    {"SeriesDescription": "L MLO Tomosynthese, Schicht 23"},
    {"SeriesDescription": "L MLO slab 10 mm"},
    {"SeriesDescription": "L MLO 3DQuorum SmartSlices"},
    {"SeriesDescription": "L MLO SenoClaire"},
    {"SeriesDescription": "L MLO 3-D"},
]
"""Descriptions of a slice in an object of any part of the body."""

TECHNIQUES: list[tuple[dict[str, object], str]] = [
    ({}, ""),
    ({"ImageType": ["ORIGINAL", "PRIMARY", ""]}, ""),
    ({"ImageType": ["DERIVED", "PRIMARY", "", "", "", "", "", "", "150000"]}, ""),
    ({"ImageType": ["DERIVED", "PRIMARY", "TOMO", "GENERATED_2D", "", "", "", "", "150000"]}, "synthetic"),
    ({"ImageType": ["DERIVED", "PRIMARY", "TOMOSYNTHESIS", "GENERATED_2D"]}, "synthetic"),
    ({"ImageType": ["DERIVED", "PRIMARY", "TOMO_2D", "LEFT"]}, "synthetic"),
    ({"ImageType": ["DERIVED", "PRIMARY", "TOMO_PROJ", "RIGHT"]}, "tomosynthesis"),
    ({"ImageType": ["DERIVED", "PRIMARY", "TOMO_PROJ"], "SeriesDescription": "S-View"}, "synthetic"),
    ({"ImageType": ["ORIGINAL", "PRIMARY", "TOMO_PROJ"], "SeriesDescription": "S-View"}, "tomosynthesis"),
    ({"ImageType": ["DERIVED", "PRIMARY", "TOMOSYNTHESIS", "MAXIMUM"]}, "tomosynthesis"),
    ({"ImageType": ["ORIGINAL", "PRIMARY", "STEREO_SCOUT"]}, "stereotactic"),
    ({"ImageType": ["ORIGINAL", "PRIMARY", "STEREO_MINUS"]}, "stereotactic"),
    ({"ImageType": ["ORIGINAL", "PRIMARY", "PREFIRE_PLUS"]}, "stereotactic"),
    ({"ImageType": ["ORIGINAL", "PRIMARY", "POSTBIOPSY"]}, "stereotactic"),
    ({"ImageType": ["ORIGINAL", "PRIMARY", "TOMO_SCOUT"]}, "stereotactic"),
    ({"ImageType": ["DERIVED", "PRIMARY", "POST_CONTRAST", "SUBTRACTION"]}, "contrast"),
    ({"ImageType": ["ORIGINAL", "PRIMARY", "POST_CONTRAST", "", "HIGH_ENERGY"]}, "contrast"),
    ({"ImageType": ["ORIGINAL", "PRIMARY", "POST_CONTRAST", "", "LOW_ENERGY"]}, "low energy"),
    ({"ImageType": ["ORIGINAL", "PRIMARY", "POST_CONTRAST"]}, "contrast agent"),
    ({"SOPClassUID": BTO, "NumberOfFrames": 60}, "tomosynthesis"),
    (
        {"SOPClassUID": BTO, "NumberOfFrames": 60, "ImageType": ["DERIVED", "PRIMARY", "X", "GENERATED_2D"]},
        "tomosynthesis",
    ),
    (
        {"SOPClassUID": BTO, "NumberOfFrames": 1, "ImageType": ["DERIVED", "PRIMARY", "X", "GENERATED_2D"]},
        "synthetic",
    ),
    ({"SeriesDescription": "L CC C-View"}, "synthetic"),
    ({"SeriesDescription": "RCC S-VIEW"}, "synthetic"),
    ({"SeriesDescription": "R MLO Intelligent 2D"}, "synthetic"),
    ({"SeriesDescription": "R_MLO_Insight2D"}, "synthetic"),
    ({"SeriesDescription": "V-PREVIEW"}, "synthetic"),
    ({"SeriesDescription": "L MLO synthetic"}, "synthetic"),
    ({"AcquisitionDeviceProcessingDescription": "SYN2D"}, "synthetic"),
    ({"SeriesDescription": "Synth 2D"}, "synthetic"),
    ({"SeriesDescription": "Tomo synthesis"}, ""),
    ({"DerivationDescription": "Synthesized from a tomosynthesis"}, "synthetic"),
    ({"ProtocolName": "C-View"}, "synthetic"),
    ({"ProtocolName": "Combo C-View", "SeriesDescription": "L CC"}, ""),  # the protocol of the examination
    ({"SeriesDescription": "L CC view"}, ""),
    ({"SeriesDescription": "CC-VIEW"}, ""),
    ({"SeriesDescription": "L CC TomoHD"}, ""),  # a 2-D exposure of a combined examination
    ({"SOPClassUID": SC, "SeriesDescription": "L CC Tomosynthesis Reconstruction"}, "tomosynthesis"),
    ({"SOPClassUID": SC, "SeriesDescription": "L CC Tomo C-View"}, "synthetic"),
    *(({"SOPClassUID": sop_class, **said}, "tomosynthesis") for sop_class in (SC, CR, DX) for said in SLICES),
    ({"SOPClassUID": SC, "SeriesDescription": "L CC C-View", **processing("TOMO")}, "synthetic"),
    ({"SOPClassUID": SC, "SeriesDescription": "L CC 3D Synthetic 2D"}, "synthetic"),
    (
        {"SOPClassUID": SC, "SeriesDescription": "L CC C-View"}
        | {"DerivationDescription": "Synthesized from 60 tomosynthesis slices"},
        "synthetic",
    ),
    ({"SOPClassUID": DX, "SeriesDescription": "L CC", "ProtocolName": "2D/3D COMBO"}, ""),
    ({"SOPClassUID": DX, "SeriesDescription": "L CC 2D", "ManufacturerModelName": "3Dimensions"}, ""),
    ({"SOPClassUID": DX, "SeriesDescription": "L CC, symptomology"}, ""),
    ({"SeriesDescription": "2D/3D COMBO"}, ""),
    ({"SeriesDescription": "L CC", **processing("TOMO")}, ""),
    ({"ImageType": ["DERIVED", "PRIMARY", "TOMO"], "SeriesDescription": "Tomo synth"}, "tomosynthesis"),
    ({"SOPClassUID": CTImageStorage, "Modality": "MG"}, "tomosynthesis"),
    ({"SOPClassUID": CTImageStorage, "Modality": "CT", "Manufacturer": "HOLOGIC, Inc."}, "tomosynthesis"),
    ({"SOPClassUID": CTImageStorage, "Modality": "CT", "BodyPartExamined": "BREAST"}, ""),
    ({"SeriesDescription": "Stereotactic pair"}, "stereotactic"),
    ({"SeriesDescription": "L CC recombined"}, "contrast"),
    ({"SeriesDescription": "L CC", "DerivationDescription": "Recombined, high energy"}, "contrast"),
    ({"SeriesDescription": "L CC", "DerivationDescription": "Dual-energy subtraction"}, "contrast"),
    ({"SeriesDescription": "L CC", "DerivationDescription": "Low and\nhigh  energy"}, "contrast"),
    ({"SeriesDescription": "L CC", **processing("HIGH ENERGY")}, "contrast"),
    ({"SeriesDescription": "", "ProtocolName": "CESM recombined"}, "contrast"),
    ({"SeriesDescription": "L CC", "ProtocolName": "CESM recombined"}, ""),
    ({"SeriesDescription": "L CC CESM_HE"}, "contrast"),
    ({"SeriesDescription": "L CC CEM sub"}, "contrast"),
    ({"SeriesDescription": "L CC Substracted"}, "contrast"),
    ({"SeriesDescription": "L CC Subtraktion"}, "contrast"),
    ({"SeriesDescription": "CC gauche, haute énergie"}, "contrast"),
    ({"SeriesDescription": "L CC scatter subtraction"}, ""),
    ({"SeriesDescription": "L CC", **processing("Scatter-Subtracted")}, ""),
    ({"DerivationDescription": "Scatter correction, subtraction of scatter"}, ""),
    ({"DerivationDescription": "Scatter subtraction; recombined"}, "contrast"),
    *(
        ({"DerivationDescription": said}, "")
        for said in (
            "Offset subtraction, gain correction",
            "Background subtraction",
            "Dark field subtracted",
            "Grid line subtraction",
            "Scatter correction (subtraction)",
        )
    ),
    ({"DerivationDescription": "Low energy image registered to high energy image"}, "low energy"),
    ({"DerivationDescription": "Low energy image, high energy image"}, "contrast"),
    ({"DerivationDescription": "Low energy subtracted image aligned to high energy"}, "contrast"),
    ({"DerivationDescription": "Scatter corrected dual energy subtraction"}, "contrast"),
    ({"DerivationDescription": "Low noise subtraction image"}, "contrast"),
    ({"SeriesDescription": "CESM L CC background subtracted"}, "contrast"),
    ({"SOPClassUID": DX, "DerivationDescription": "Tomosynthesis filtered back projection"}, "tomosynthesis"),
    ({"SOPClassUID": DX, "SeriesDescription": "L MLO DBT corrected"}, "tomosynthesis"),
    *(
        ({"ImageType": ["DERIVED", "PRIMARY"], "DerivationDescription": said}, "")
        for said in ("2D image computed from tomosynthesis slices", "DBT exam, no slices", "Slice 1 mm")
    ),
    ({"ImageType": ["DERIVED", "PRIMARY", "TOMO_C_VIEW"]}, ""),
    ({"SeriesDescription": "POST STEREO PAIR +15"}, "stereotactic"),
    *(
        ({"SOPClassUID": sop_class, **said}, "")
        for sop_class in (CR, DX)
        for said in (
            {"SeriesDescription": "3 days post op"},
            {"SeriesDescription": "MAMA 3 DERECHA"},
            {"SeriesDescription": "L MLO, 3 Dec"},
            {"SeriesDescription": "L MLO 2D without Tomo"},
            {"SeriesDescription": "L MLO non-tomo"},
            {"DerivationDescription": "3D noise reduction"},
            {"DerivationDescription": "Tomo detector calibration"},
            processing("TOMO detector"),
        )
    ),
    ({"SOPClassUID": DX, "SeriesDescription": "L MLO 3 D"}, "tomosynthesis"),
    ({"ImageType": ["DERIVED", "PRIMARY", "TOMO_RECON"]}, "tomosynthesis"),
    ({"ImageType": ["DERIVED", "PRIMARY", "TOMOSYNTHESIS_SL"]}, "tomosynthesis"),
    (
        {"ImageType": ["DERIVED", "PRIMARY"], "SeriesDescription": "L MLO Tomosynthesis slices"},
        "tomosynthesis",
    ),
    ({"ImageType": ["DERIVED", "PRIMARY"], "DerivationDescription": "slice 7"}, "tomosynthesis"),
    ({"ImageType": ["DERIVED", "PRIMARY"], "SeriesDescription": "L MLO TomoHD"}, ""),
    ({"ImageType": ["ORIGINAL", "PRIMARY"], "SeriesDescription": "L MLO tomo slices"}, ""),
    ({"SeriesDescription": "Stéréotaxie"}, "stereotactic"),
    ({"SeriesDescription": "stereotaktisch"}, "stereotactic"),
    ({"SeriesDescription": "Estereotaxia"}, "stereotactic"),
    ({"SeriesDescription": "L MLO post stereo biopsy"}, ""),
    ({"SeriesDescription": "Präparateradiographie"}, "specimen"),
    ({"SeriesDescription": "pièce opératoire"}, "specimen"),
    ({"SeriesDescription": "Especimen"}, "specimen"),
    ({"SeriesDescription": "Pieza quirúrgica"}, "specimen"),
    ({"SeriesDescription": "L CC low energy"}, "low energy"),
    ({"SeriesDescription": "L CC basse énergie"}, "low energy"),
    ({"ViewCodeSequence": [coded("127457009")]}, "specimen"),
    ({"ViewCodeSequence": [coded("G-8310")]}, "specimen"),
    ({"SpecimenDescriptionSequence": [Dataset()]}, "specimen"),
    ({"BodyPartExamined": "SPECIMEN"}, "specimen"),
    ({"SeriesDescription": "Specimen Radiography", "ImageType": ["ORIGINAL", "PRIMARY"]}, "specimen"),
]


@pytest.mark.parametrize(("elements", "expected"), TECHNIQUES)
def test_how_a_picture_came_about(elements: dict[str, object], expected: str) -> None:
    assert kinds.technique(header(**{"SOPClassUID": MG} | elements)) == expected


def test_a_hologic_secondary_capture_holds_a_tomosynthesis() -> None:
    assert kinds.technique(hologic(header(SOPClassUID=SC))) == "tomosynthesis"
    assert kinds.technique(hologic(header(SOPClassUID=MG))) == ""  # of a 2-D image it says nothing


@given(st.text(max_size=40), st.sampled_from(["SeriesDescription", "ProtocolName", "ViewPosition"]))
def test_no_text_is_too_odd_to_be_judged(text: str, keyword: str) -> None:
    film = header(SOPClassUID=MG)
    film.add_new(tag_for_keyword(keyword), "LO", text.replace("\\", ""))
    assert rule(film) in {None, "specimen", "stereotactic", "contrast", "spot view"}
    assert isinstance(kinds.kind(film), tuple)


# --- which are films ---

SECONDARY = ("film", "secondary picture", "")
TAKEN: tuple[str, str | None, str] = ("film", None, "")

JUDGED: list[tuple[str, dict[str, object], str, str | None, str]] = [
    ("a mammogram of class DX", {"SOPClassUID": DX}, "film", None, ""),
    ("DX of a breast, not MG", {"SOPClassUID": DX, "Modality": "DX"}, "film", None, ""),
    (
        "CR of a breast without a view",
        {"SOPClassUID": CR, "Modality": "CR", "ViewCodeSequence": None, "ViewPosition": None}
        | {"BodyPartExamined": "BREAST"},
        "film",
        None,
        "",
    ),
    (
        "CR of an ankle in the view LM",
        {"SOPClassUID": CR, "Modality": "CR", "ViewCodeSequence": None, "ViewPosition": "LM"}
        | {"BodyPartExamined": "ANKLE"},
        "no film",
        None,
        "another part than the breast",
    ),
    (
        "CR in the view LM of no stated part",
        {"SOPClassUID": CR, "Modality": "CR", "ViewCodeSequence": None, "ViewPosition": "LM"},
        "no film",
        None,
        "neither the modality MG nor a view",
    ),
    (
        "CR of a breast in the view LM",
        {"SOPClassUID": CR, "Modality": "CR", "ViewCodeSequence": None, "ViewPosition": "LM"}
        | {"BodyPartExamined": "BREAST"},
        "film",
        None,
        "",
    ),
    (
        "DX of a hand",
        {"SOPClassUID": DX, "Modality": "DX", "ViewCodeSequence": None, "ViewPosition": "AP"}
        | {"BodyPartExamined": "HAND"},
        "no film",
        None,
        "another part",
    ),
    ("MG that says secondary", {"ImageType": ["DERIVED", "SECONDARY"]}, "film", None, ""),
    (
        "a mask",
        {"SOPClassUID": SC, "SeriesDescription": "ROI mask images", **NO_VIEW},
        "no film",
        None,
        "a mask",
    ),
    (
        "a crop",
        {"SOPClassUID": SC, "SeriesDescription": "cropped images", **NO_VIEW},
        "no film",
        None,
        "cut out",
    ),
    (
        "a crop of a stated view",
        {"SOPClassUID": SC, "SeriesDescription": "cropped images"},
        "film",
        "secondary picture",
        "",
    ),
    ("CR for CAD", {"SOPClassUID": CR, "SeriesDescription": "R CC MAMMO CAD"}, "film", None, ""),
    ("a whole film", {"SOPClassUID": SC, "SeriesDescription": "full mammogram images"}, "film", None, ""),
    (
        "a crop that does not say so",
        {"SOPClassUID": SC, "ImagerPixelSpacing": None},
        "unusable",
        None,
        "fewer than a whole film has",
    ),
    (
        "a dose page",
        {"SOPClassUID": SC, "SeriesDescription": "Dose report", **NO_VIEW},
        "no film",
        None,
        "a page",
    ),
    (
        "a screen",
        {"SOPClassUID": SC, "SeriesDescription": "Screen Save", **NO_VIEW},
        "no film",
        None,
        "captured screen",
    ),
    (
        "tomosynthesis in a CT object",
        {"SOPClassUID": CTImageStorage, "Manufacturer": "HOLOGIC, Inc.", "Modality": "CT"},
        "unusable",
        "tomosynthesis",
        "send the 2-D or synthetic 2-D image",
    ),
    (
        "tomosynthesis in a capture of many frames",
        {"SOPClassUID": MultiFrameGrayscaleWordSecondaryCaptureImageStorage, "NumberOfFrames": 50}
        | {"SeriesDescription": "L CC Tomo"},
        "unusable",
        "tomosynthesis",
        "send the 2-D",
    ),
    ("a CT", {"SOPClassUID": CTImageStorage, "Modality": "CT"}, "no film", None, "CT Image"),
    ("somebody's CAD SR", {"SOPClassUID": MammographyCADSRStorage}, "no film", None, "CAD SR"),
    ("somebody's SR", {"SOPClassUID": EnhancedSRStorage}, "no film", None, "Enhanced SR"),
    (
        "a 2-D picture in a tomosynthesis object",
        {"SOPClassUID": BTO, "ImageType": ["DERIVED", "PRIMARY", "TOMOSYNTHESIS", "GENERATED_2D"]}
        | {"NumberOfFrames": 1},
        "film",
        None,
        "",
    ),
    (
        "a page by its protocol",
        {"SOPClassUID": SC, "SeriesDescription": "", "ProtocolName": "Dose report", **NO_VIEW},
        "no film",
        None,
        "a page",
    ),
    (
        "a page of the protocol alone",
        {"SOPClassUID": SC, "SeriesDescription": "left", "ProtocolName": "Dose report"},
        "film",
        None,
        "",
    ),
    ("a page of a stated view", {"SOPClassUID": SC, "SeriesDescription": "CAD report"}, *SECONDARY),
    ("a part of a CR", {"SOPClassUID": CR, "SeriesDescription": "ROI L MLO"}, *SECONDARY),
    ("a CR page, which its pixels fail", {"SOPClassUID": CR, "SeriesDescription": "Dose report"}, *TAKEN),
    *(
        (f"CR of {part}", {"SOPClassUID": CR, "Modality": "CR", "BodyPartExamined": part}, *TAKEN)
        for part in ("MAMAS", "SEINS", "SENOS", "SENI", "BORST", "PECHO", "TORAX", "NA", "HAND")
    ),
    *(
        (
            f"CR of {part}",
            {"SOPClassUID": CR, "Modality": "CR", "BodyPartExamined": part, **NO_VIEW},
            "no film",
            None,
            "another part",
        )
        for part in ("BORSTWERVEL", "SEIO MAXILAR", "SEIOS DA FACE", "BRUSTBEIN")
    ),
    (
        "CR of a knee",
        {"SOPClassUID": CR, "Modality": "CR", "BodyPartExamined": "", **processing("Knee CC"), **NO_VIEW},
        "no film",
        None,
        "no breast",
    ),
    *(
        (
            f"a picture: {said}",
            {"SOPClassUID": SC, "SeriesDescription": said, **NO_VIEW},
            "no film",
            None,
            "a page",
        )
        for said in ("MLO WITH CAD OVERLAY", "results for CAD")
    ),
    (
        "CR of sinuses",
        {"SOPClassUID": CR, "Modality": "CR", "BodyPartExamined": "SENI PARANASALI", **NO_VIEW},
        "no film",
        None,
        "another part",
    ),
    (
        "CR with its view where Fuji has it",
        {"SOPClassUID": CR, "Modality": "CR", **processing("L-MLO"), **NO_VIEW},
        *TAKEN,
    ),
    (
        "a film in colour of a stated view",
        {"SOPClassUID": SC, "SamplesPerPixel": 3},
        "unusable",
        *SECONDARY[1:],
    ),
    (
        "a colour picture",
        {"SOPClassUID": SC, "SamplesPerPixel": 3, **NO_VIEW},
        "no film",
        None,
        "colour",
    ),
    (
        "a picture of CAD",
        {"SOPClassUID": SC, "SeriesDescription": "L MLO CAD", **NO_VIEW},
        "no film",
        None,
        "a page",
    ),
    (
        "a digitised film for CAD",
        {"SOPClassUID": SC, "ConversionType": "DF", "SeriesDescription": "L MLO CAD", **NO_VIEW},
        *TAKEN,
    ),
    ("screening with CAD", {"SOPClassUID": SC, "SeriesDescription": "MAMMO SCREENING W CAD"}, *TAKEN),
    (
        "screening with CAD by its protocol",
        {"SOPClassUID": SC, "SeriesDescription": "", "ProtocolName": "MAMMO SCREENING BILATERAL W CAD"},
        *TAKEN,
    ),
    ("unsharp mask", {"SOPClassUID": CR, "SeriesDescription": "L MLO unsharp mask", **NO_VIEW}, *TAKEN),
    (
        "a secondary picture with its view where Fuji has it",
        {"SOPClassUID": CR, "ImageType": ["DERIVED", "SECONDARY"], **processing("L-MLO"), **NO_VIEW},
        *SECONDARY,
    ),
    (
        "a secondary picture in colour, of a stated view",
        {"SOPClassUID": SC, "ImageType": ["DERIVED", "SECONDARY"], "SamplesPerPixel": 3},
        "no film",
        None,
        "colour",
    ),
    ("a spot view by its name", {"SeriesDescription": "L CC Spot"}, "film", "spot view", ""),
    ("a spot view by its paddle", {"PaddleDescription": "7.5CM SPOT CONTACT"}, "film", "spot view", ""),
    ("magnified by its name", {"SeriesDescription": "L ML MAG"}, "film", "spot view", ""),
    ("a specimen", {"ViewCodeSequence": [coded("127457009")]}, "film", "specimen", ""),
]


@pytest.mark.parametrize(
    ("elements", "verdict", "excluded", "word"),
    [each[1:] for each in JUDGED],
    ids=[each[0] for each in JUDGED],
)
def test_what_is_a_film(elements: dict[str, object], verdict: str, excluded: str | None, word: str) -> None:
    film = mammogram(**{"ImagerPixelSpacing": [1.0, 1.0]} | elements)
    found = judge(film)
    assert (found.kind, rule(film) if found.kind != "no film" else None) == (verdict, excluded)
    assert word in (said(found.reason) or "")


def test_a_tomosynthesis_that_hologic_wraps_is_excluded_by_its_name_with_pixels_or_without() -> None:
    for elements in ({}, {"Modality": "OT", "ViewCodeSequence": None, "ViewPosition": None}):
        film = hologic(mammogram(SOPClassUID=SC, ImageType=["DERIVED", "PRIMARY"], **elements))
        assert judge(film).kind == "unusable"
        assert rule(film) == "tomosynthesis"


@pytest.mark.parametrize(
    "said",
    [
        "L CC MAG",
        "L CC MAG1.8X",
        "L CC MAG 1,8",
        "L CC MAGx2",
        "L CC MAG2",
        "L CC M1.8",
        "LCCM1.5X",
        "L CC 1.8x",
        "L CC x1.8",
        "LMAGCC",
        "MAGCC",
        "MAGLMLO",
        "LMAG",
        "RCCMAG",
        "R CC mag view",
        "R CC mag-views",
        "RMCC",
        "L MML",
        "RSMLO",
        "MagView import L MLO MAG",
        "L CC MagView",
        "L CC Magnified",
        "L CC magn.",
        "L CC, Vergrößerung",
        "CC gauche agrandi",
        "L MLO coned",
        "LSPOTCC",
        "L CC MAGNIFICATION 1.8",
        "L CC MAGNIFICATION: 1.8",
        "L CC MAG=1.5",
        "L CC MAGN 1,8",
        "SMALL SPOT COMPRESSION",
        "LARGE SPOT CONTACT",
        "RMCCID",
        "LSMLORL",
        "RMAGCCID",
        "RMISO",
        "LSSIO",
    ],
)
def test_a_part_of_the_breast_is_one_by_its_name(said: str) -> None:
    for place in ("SeriesDescription", "AcquisitionDeviceProcessingDescription", "PaddleDescription"):
        assert kinds.is_part_of_breast(header(**{place: said}))
    assert kinds.is_part_of_breast(header(ProtocolName=said))
    assert not kinds.is_part_of_breast(header(ProtocolName=said, SeriesDescription="L CC"))


@pytest.mark.parametrize(
    "said",
    [
        "MagView import L MLO",
        "L MLO MagView import",
        "MAGVIEW L MLO",
        "L CC MAG1.0X",
        "L CC M1.0",
        "L CC 1.0x",
        "L MLO MAGNETOM",
        "paddle 18x24",
        "2.5 x 3.1 cm",
        "10 x 2.5 cm",
        "small focal spot",
        "L CC small spot",
        "Focal-spot L CC",
        "No mag L CC",
        "MAG 1.0",
        "MAG-1.0",
        "MAGNIFICATION 1.0",
        "MAGNIFICATION 1",
        "LMLOID",
        "LSIO",
        "RISO",
        "L CC no spot",
        "LML",
        "RMLO",
        "L LMO",
        "L MLO 2 x",
        "MCC Breast Center",
    ],
)
def test_a_name_that_is_no_spot_view(said: str) -> None:
    assert not kinds.is_part_of_breast(header(SeriesDescription=said))


@pytest.mark.parametrize("said", ["Gamma 1.5x", "GAIN 1.5X", "EDGE 2.5X", "CONTRAST M2.3", "MAG 1.0"])
def test_the_factor_of_a_processing_is_no_magnification(said: str) -> None:
    assert not kinds.is_part_of_breast(header(**processing(said)))


@pytest.mark.parametrize("modifier", [("SPT", "Spot compression"), ("", "Magnification"), ("X", "Spot view")])
def test_a_modifier_by_its_makers_code_is_what_it_means(modifier: tuple[str, str]) -> None:
    local = code(*modifier, "99VENDOR")
    assert kinds.is_part_of_breast(header(ViewModifierCodeSequence=[local]))


# --- like with like ---

LIKE: dict[str, dict[str, object]] = {
    "an exposure": {},
    "synthetic": {"ImageType": ["DERIVED", "PRIMARY", "TOMO", "GENERATED_2D"]},
    "low energy": {"ImageType": ["ORIGINAL", "PRIMARY", "POST_CONTRAST", "", "LOW_ENERGY"]},
    "raw": {"PresentationIntentType": "FOR PROCESSING"},
    "implant displaced": {"ViewModifierCodeSequence": [code("399209000", "Implant Displaced")]},
    "rolled": {"ViewModifierCodeSequence": [code("399197002", "Rolled Lateral")]},
    "a part": {"PartialView": "YES"},
}


@pytest.mark.parametrize(("one", "other"), list(product(LIKE, LIKE)))
def test_only_films_that_were_taken_alike_are_of_one_kind(one: str, other: str) -> None:
    alike = kinds.kind(mammogram(**LIKE[one])) == kinds.kind(mammogram(laterality="R", **LIKE[other]))
    assert alike == (one == other)


@pytest.mark.parametrize(
    "elements",
    [
        {"ViewModifierCodeSequence": [code("R-102D5", "Implant Displaced", "SRT")]},
        {"ViewModifierCodeSequence": [code("ID", "Implant displaced", "99VENDOR")]},
        {"ViewPosition": "MLOID"},
        {"SeriesDescription": "L MLO ID"},
        {"SeriesDescription": "L MLO, implant displaced"},
        {"ViewPosition": "LTMLOID"},
        {"SeriesDescription": "L MLO (ID)"},
        {"SeriesDescription": "LXCC, ID"},
    ],
)
def test_an_implant_displaced_is_one_however_it_is_said(elements: dict[str, object]) -> None:
    assert kinds.kind(mammogram(**elements)) == kinds.kind(mammogram(**LIKE["implant displaced"]))


@pytest.mark.parametrize(
    "elements",
    [
        {"ImageType": ["DERIVED", "PRIMARY", "TOMOSYNTHESIS", "GENERATED_2D"]},
        {"SeriesDescription": "L MLO C-View"},
        {"SeriesDescription": "Intelligent 2D"},
    ],
)
def test_a_synthetic_picture_is_one_however_it_is_said(elements: dict[str, object]) -> None:
    assert kinds.kind(mammogram(**elements)) == kinds.kind(mammogram(**LIKE["synthetic"]))


def test_a_modifier_is_one_nested_or_at_the_top_level_and_in_any_order() -> None:
    nested = code(*VIEW_CODES["MLO"])
    found = [code("399011000", "Axillary Tail"), code("399055006", "Spot Compression")]
    nested.ViewModifierCodeSequence = found
    top = mammogram(ViewModifierCodeSequence=found[::-1])
    assert kinds.kind(mammogram(ViewCodeSequence=[nested])) == kinds.kind(top)
    assert kinds.is_part_of_breast(top)


def test_a_magnification_is_not_of_the_kind_of_a_contact_view() -> None:
    contact = mammogram(EstimatedRadiographicMagnificationFactor="1.05")
    magnified = mammogram(EstimatedRadiographicMagnificationFactor="1.8")
    assert kinds.kind(contact) == kinds.kind(mammogram())
    assert kinds.kind(magnified) != kinds.kind(contact)
    assert kinds.is_partial(magnified)


def test_raw_data_are_known_by_their_sop_class() -> None:
    assert kinds.is_for_processing(header(SOPClassUID=DigitalMammographyXRayImageStorageForProcessing))


# --- unlike the training films ---


def test_film_like_those_of_the_training_has_no_remark() -> None:
    assert kinds.unlike_training(header(DetectorType="FILM", ViewPosition="MLO"), (0.2, 0.2)) == ()


@pytest.mark.parametrize(
    ("elements", "words"),
    [
        ({"DetectorType": "DIRECT", "BitsStored": 12}, ("a digital detector", "12 bits")),
        ({"SOPClassUID": SC}, ("a secondary capture",)),
        ({"SOPClassUID": CR}, ("computed radiography",)),
        ({"DetectorType": "FILM", "ViewPosition": "CC"}, ("CC view",)),
        ({"DetectorType": "FILM", "ViewPosition": "LM"}, ("LM view",)),
        (LIKE["synthetic"], ("synthetic, made from a tomosynthesis",)),
        (LIKE["low energy"], ("the low-energy image of a contrast examination",)),
        ({"ContrastBolusAgent": "Iohexol"}, ("taken with contrast agent",)),
        (LIKE["implant displaced"], ("implant displaced",)),
        (LIKE["a part"], ("a part of the breast",)),
    ],
)
def test_what_is_unlike_the_training_films_is_one_sentence(
    elements: dict[str, object], words: tuple[str, ...]
) -> None:
    (remark,) = kinds.unlike_training(header(**elements), (0.07, 0.07))
    for word in (*words, "0.07 x 0.07 mm pixels", "results are less reliable"):
        assert word in remark
