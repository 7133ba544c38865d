"""What kind of picture of the breast an image is, by its header; and what it is compared with.

These places say which kind it is, in this order; the first that says something decides:

1. *A specimen*: View Code Sequence (CID 4014), a specimen's own attributes (PS3.3 C.7.6.22), else the word in
   Image Type, Body Part Examined, View Position or a description.
2. *Image Type* (0008,0008), whichever of its values says it (PS3.3 C.8.11.7.1.4, C.8.21.6.1.1):
   stereotactic and biopsy; made from a tomosynthesis (GENERATED_2D, TOMO_2D); contrast (SUBTRACTION,
   ADDITION, HIGH_ENERGY, LOW_ENERGY, PRE_CONTRAST, POST_CONTRAST); tomosynthesis. A derived image of a
   tomosynthesis that a description names as a synthetic one is that.
3. *SOP class*: tomosynthesis, also as some makers wrap it into another class: with Hologic's private group,
   or as CT images of a mammography unit.
4. *Descriptions*: Series Description, Acquisition Device Processing Description, Derivation Description; and
   Protocol Name where there is no Series Description, as it may be that of the whole examination. Words of
   tomosynthesis count in secondary captures, CR and DX alone: a 2-D exposure of a combined examination is
   described so as well. There the name of a synthetic picture outweighs them, "2D" does not: a slice may have
   the name of its examination. In class MG a derived image is one if it is described as a slice. The
   subtraction of scatter, offset and the like is a processing of any exposure, not a contrast image.
"""

from __future__ import annotations

import re
from typing import Final, Literal

from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import (
    UID,
    BreastProjectionXRayImageStorageForPresentation,
    BreastProjectionXRayImageStorageForProcessing,
    BreastTomosynthesisImageStorage,
    ComputedRadiographyImageStorage,
    CTImageStorage,
    DigitalMammographyXRayImageStorageForPresentation,
    DigitalMammographyXRayImageStorageForProcessing,
    DigitalXRayImageStorageForPresentation,
    DigitalXRayImageStorageForProcessing,
    EnhancedCTImageStorage,
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    SecondaryCaptureImageStorage,
)

from converters.dicom.elements import HOLOGIC_GROUP
from converters.dicom.file import integer, items, text, texts, uid, values
from converters.films import header as film_header

Technique = Literal[
    "specimen", "stereotactic", "contrast", "tomosynthesis", "synthetic", "low energy", "contrast agent", ""
]
"""How a picture came about; "" for an exposure like any other.

"contrast" is a subtraction, a sum or a high-energy image; "low energy" and "contrast agent" are pictures of
the tissue that were taken for one.
"""

TOMOSYNTHESIS: Final = frozenset(
    {
        BreastProjectionXRayImageStorageForPresentation,
        BreastProjectionXRayImageStorageForProcessing,
        BreastTomosynthesisImageStorage,
    }
)
MAMMOGRAPHY: Final = TOMOSYNTHESIS | {
    DigitalMammographyXRayImageStorageForPresentation,
    DigitalMammographyXRayImageStorageForProcessing,
}
CAPTURES: Final = frozenset(
    {
        ComputedRadiographyImageStorage,
        SecondaryCaptureImageStorage,
        MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
        MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    }
)
GENERAL: Final = CAPTURES | {DigitalXRayImageStorageForPresentation, DigitalXRayImageStorageForProcessing}
"""SOP classes of any part of the body."""
_VOLUMES = frozenset({CTImageStorage, EnhancedCTImageStorage})

FOR_PROCESSING = "for processing"
"""In the kind of raw data of the detector."""

TRAINING_SPACING = 0.2
"""mm between the pixels of the films that the shipped model was trained on (mini-MIAS)."""
TRAINING_BITS = 8
TRAINING_VIEW = "MLO"

_SAME_SPACING = 0.05

_SPECIMEN_VIEWS = frozenset({"127457009", "G-8310"})
_BIOPSY = re.compile(r"STEREO\w*|(PRE|POST)_?FIRE\w*|POST_?(BIOPSY|MARKER)\w*|TOMO_SCOUT")
_GENERATED = frozenset({"GENERATED_2D", "TOMO_2D"})
_CONTRAST = frozenset({"SUBTRACTION", "ADDITION", "HIGH_ENERGY"})
_AGENT = frozenset({"PRE_CONTRAST", "POST_CONTRAST"})
_TOMO = re.compile(r"TOMO(SYNTHESIS)?(_(PROJ|RECON|SL)\w*)?")

_SAYS_SPECIMEN = re.compile(
    r"\b(E?SP[EÉ]CIMENE?S?|PR[ÄA]E?PARAT\w*|PI[EÈ]CES? OP[EÉ]RATOIRES?|PIEZAS? QUIR[UÚ]RGICAS?"
    r"|PE[CÇ]AS? CIR[UÚ]RGICAS?|PEZZ[OI] OPERATORI[OI]?)\b"
)
_SAYS_STEREO = re.compile(
    r"\b(?!(?<=POST.)STEREO\w* (BIOP|CLIP|MARK))E?ST[EÉ]R[EÉ]O([- ]?TA[CKXSZ]\w*)?\b|\b(PRE|POST)[- ]?FIRE\b"
)
"""Not what was taken after a biopsy, of the whole breast."""
_ENERGY = r"[- ]?[EÉ]NERG\w*"
_CONTRAST_EXAM = r"\b(CES?M|CEDM|SENOBRIGHT|I[- ]VIEW)\b"
_SAYS_SUBTRACTED = re.compile(
    r"\b(SUBS?TRA[CKÇ]\w*|SUBTR|SOUSTRA\w*|SOTTRA\w*|SUSTRA\w*|(RE[CK]|RIC)OMBIN\w*|RECOMB|IODINE (MAP|IMAGE)"
    rf"|(HIGH|HAUTES?|ALTAS?|HOCH){_ENERGY})\b"
    rf"|^(?=.*{_CONTRAST_EXAM}).*\b(SUB|HE)\b",
    re.MULTILINE,
)
_SAYS_CONTRAST_EXAM = re.compile(_CONTRAST_EXAM)
_TAKEN_AWAY = r"(?:SCATTER\w*|OFFSET|BACKGROUND|DARK|GRID|(?<!LOW )NOISE|PEDESTAL|BIAS|GHOST\w*|LAG|TREND)"
_CORRECTION = re.compile(
    rf"\b{_TAKEN_AWAY}(?:[- ](?:RADIATION|FIELD|LINE|IMAGE|CORRECTION)S?)*[- (]{{1,3}}SUBTR\w*"
    rf"|\bSUBTR\w* OF (?:THE )?{_TAKEN_AWAY}\b"
)
"""The subtraction of scatter, of the detector's offset and the like: a processing of any exposure."""
_ALIGNED = re.compile(
    rf"\bLOW{_ENERGY}(?: (?:IMAGE|PICTURE|VIEW))? (?:REGISTERED|ALIGNED|MATCHED|WARPED)"
    rf" (?:TO|WITH) (?:THE )?HIGH{_ENERGY}"
)
"""A low-energy image that was only laid over the other."""
_SAYS_LOW_ENERGY = re.compile(rf"\b(LOW|BASSES?|BASS[AE]|BAI?[JX]AS?|NIEDRIG|NIEDER){_ENERGY}\b")
_SAYS_SYNTHETIC = re.compile(
    r"\b([CSG][- ]?VIEW|V-?PREVIEW|(INTELLIGENT|INSIGHT|GENERATED|SYN(TH)?|[IS])[- ]?2-?D|2-?D[- ]?GENERATED"
    r"|SYNTH(ETIC|ESI[SZ]ED|ETISCH\w*|[EÉ]TIQUE)?|SINT[EÉ]TI[CZ]\w*)\b"
)
_TOMO_SYNTH = re.compile(r"\bTOMO[- ]SYNTH\b(?![- ]?2-?D)")
"""An abbreviation of tomosynthesis, not of a synthetic picture."""
_SIDE, _VIEW = r"(?:LEFT|RIGHT|LT|RT|L|R)", r"(?:XCC[LM]?|MLO|LMO|CC|ML|LM)"
_VOLUME = (
    r"(?:TOMO\w*|DBT\w*|3-?D(?!IMENSIONS\b)\w*|3 D(?:IM\w*)?(?!\w)|COMBO\w*|SENOCLAIRE"
    r"|(?:SMART)?SLICES?|SLABS?)"
)
_NO_VOLUME = re.compile(
    rf"\b(?:NON?|WITHOUT|W/O|OHNE|SANS|SIN|SENZA|SEM)[- ]{_VOLUME}\b"
    r"|\b(?:TOMO\w*|3-?D) (?:DETECTOR|NOISE REDUCTION|DENOISING|CALIBRATION)\b"
)
"""That it is none; or a correction that is named after it."""
_SAYS_TOMO = re.compile(rf"\b{_SIDE}?{_VIEW}?{_VOLUME}\b")
_AND = r"(?:/|\b(?:AND|WITH|PLUS|UND|MIT|ET|AVEC)\b)"
_SAYS_BOTH = re.compile(rf"\b{_VOLUME} ?{_AND}|{_AND} ?{_VOLUME}\b|\b{_VOLUME}\b.*[+&]|[+&].*\b{_VOLUME}\b")
"""A tomosynthesis and another picture."""
_SAYS_SLICES = re.compile(r"\b((SMART)?SLICES?|SLABS?|STACKS?|PLANES?|SCHICHT\w*|COUPES?|CORTES?)\b")
_SAYS_A_SLICE = re.compile(r"\b(TOMO\w*|DBT|3-?D)\b[^\n]*\b(SLICES?|SLABS?)\b|\bSLICE ?#? ?\d+\b(?! ?MM)")
"""Of a derived image: one of those of a tomosynthesis, not an exposure beside them."""
_FROM_SLICES = re.compile(r"\bFROM\b.*\b(SLICES|SLABS|STACKS?|PLANES)\b")
"""What a synthetic picture was made of."""
_FACTOR = r"(?:1[.,][2-9]|[23][.,]\d)\d*"
"""Of a magnification, not of a contact view (1.0)."""
_NOT = r"(?<!NO )(?<!NON )(?<!NON-)(?<!WITHOUT )"
_NO_FOCUS = (
    r"(?<!FOCAL )(?<!FOCAL-)"
    r"(?:(?<!SMALL )(?<!FINE )(?<!LARGE )(?<!BROAD )|(?=SPOT\w* (?:COMPR|CONTACT|VIEW|PADDLE|MAG|CONE)))"
)
"""Not the spot of the tube."""
_ANY_VIEW = r"(?:XCC[LM]?|MLO|LMO|CC|ML|LM|FB|SIO|ISO)(?:ID|AT|CV|TAN|R[LMIS]|NP)?"
_SAYS_SPOT = re.compile(
    rf"\b{_SIDE}?{_VIEW}?({_NOT}{_NO_FOCUS}SPOT\w*"
    rf"|{_NOT}MAG(S|VIEWS|N|NI|NIF\w+)?(?![- :=]*X? ?1(?:[.,]0+)?X?(?![.,]?\w|-\d))"
    rf"|MAG[- ]?X?(?!1[.,]0)\d[\d.,]*X?|(?:MAG|SPOT){_SIDE}?{_ANY_VIEW})\b"
    rf"|\b{_SIDE}?{_VIEW}[- ]?MAGVIEW$"
    rf"|\b{_SIDE}[- ]?M{_ANY_VIEW}\b|\b{_SIDE}S{_ANY_VIEW}\b"
    r"|\b(VERGR(Ö|OE|O)SS\w*|AGRANDI\w*|AMPLIA([DÇ]\w*|CAO)|INGRANDI\w*|CONE[- ]?DOWN|CONED)\b",
    re.MULTILINE,
)
"""Also around a view, as in View Position "RCCSPOT" and "LMAGCC", and by ACR's letters ("RMCC", "RSMLO").

MagView is a reporting software, unless it ends a text behind a view.
"""
_SAYS_FACTOR = re.compile(
    rf"\b{_SIDE}?{_VIEW}?M[- ]?{_FACTOR}X?\b|\b{_FACTOR} ?X\b(?! ?\d)|(?<!\d )\bX ?{_FACTOR}\b"
)
"""A magnification by its factor alone."""
_SPOT_PADDLE = re.compile(rf"(?<!FOCAL )(?<!FOCAL-){_NOT}\bSPOT")
"""A paddle has no focus."""
_NAMES_VIEW = re.compile(rf"\b{_SIDE}?{_VIEW}")
_SAYS_DISPLACED = re.compile(
    rf"{_NOT}\bIMPLANTS?[- ]DISPLACED\b|\bEKLUND\b|\b{_SIDE}?[MS]?{_VIEW}[-, (]{{0,2}}ID\b"
)
_SAYS_CUT_OUT = re.compile(r"\b((?<!UNSHARP )(?<!UNSHARP-)MASKS?|ROIS?|CROP(S|PED)?|PATCH(ES)?)\b")
_SAYS_PAGE = re.compile(
    r"\b(REPORTS?|(DOSE|EXAM|PATIENT)[- ](SHEET|SUMMARY|PAGE|PROTOCOL|INFO\w*)"
    r"|SCREEN[- ]?(SAVES?|SHOTS?|CAPTURES?)|WORKSHEET|REQUISITION)\b"
)
_SAYS_CAD = re.compile(
    r"(?<!W )(?<!W/)(?<!WITH )(?<!FOR )\bCAD\b|\bCAD (MARK|OVERLAY|RESULT|REPORT)\w*"
    r"|\b(RESULTS?|VIEW) (WITH|FOR) CAD\b"
)

_SPOT = "399055006"
_PARTIAL = frozenset({_SPOT, "399163009"})
"""Spot compression and magnification (CID 4015)."""
_DISPLACED = "399209000"
_SNOMED_CT = {
    "R-102D2": "399161006",
    "R-102D1": "399011000",
    "R-102D3": "399197002",
    "R-102D4": "399226006",
    "R-102CA": "414493004",
    "R-102C9": "415670009",
    "R-102D5": _DISPLACED,
    "R-102D6": "399163009",
    "R-102D7": "399055006",
    "R-102C2": "399110001",
    "R-40AB3": "442581004",
    "P2-00161": "441752004",
    "R-40ABE": "442593008",
    "R-40AB2": "442580003",
}
"""View modifiers (CID 4015) by their older SNOMED-RT codes."""

_BREAST_CODES = frozenset({"76752008", "T-04000"})
_BREAST = re.compile(
    r"BREAST|MAMM|\bBR(UST|ÜSTE?|UESTE?)\b|\bBORST(EN)?\b|\bMAMO|\bMAMAS?\b"
    r"|\b(SENO|SEINS?|SEIOS?)\b(?! (DA FACE|PARA|MAXIL|FRONT|ESFEN|ETM))|\bMM?G\b"
)
_NOT_A_PART = frozenset(
    {
        "",
        "CHEST",
        "THORAX",
        "TORAX",
        "TÓRAX",
        "PECHO",
        "AXILLA",
        "OTHER",
        "UNKNOWN",
        "NONE",
        "N/A",
        "NA",
        "DEFAULT",
    }
) | {"SENI", "SENOS"}  # breasts, and sinuses
"""What Body Part Examined may say of a mammogram beside the breast."""
_ALSO_OF_LIMBS = frozenset({"ML", "LM", "AT", "CV", "TAN"})


def sop_class(header: Dataset) -> str | None:
    """The SOP class; of the File Meta Information where the header was cut off before it."""
    meta = getattr(header, "file_meta", Dataset())
    return uid(header, "SOPClassUID") or uid(meta, "MediaStorageSOPClassUID")


def technique(header: Dataset) -> Technique:
    """How the picture came about; the places that tell, and their order, are in the module's docstring."""
    if _is_specimen(header):
        return "specimen"
    if sop_class(header) in TOMOSYNTHESIS and (integer(header, "NumberOfFrames") or 1) > 1:
        return "tomosynthesis"  # whatever it was made of: a 2-D picture has one frame
    image_type, said = texts(header, "ImageType"), _descriptions(header)
    stated = _by_image_type(image_type, said)
    if stated:
        return stated
    if _is_tomosynthesis(header, said):
        return "tomosynthesis"
    corrected = "\n".join(
        line if _SAYS_CONTRAST_EXAM.search(line) else _CORRECTION.sub("", line) for line in said.split("\n")
    )
    if _SAYS_SUBTRACTED.search(_ALIGNED.sub("LOW ENERGY", corrected)):
        return "contrast"
    by_description: tuple[tuple[re.Pattern[str], Technique], ...] = (
        (_SAYS_STEREO, "stereotactic"),
        (_SAYS_LOW_ENERGY, "low energy"),
        (_SAYS_SYNTHETIC, "synthetic"),
    )
    return next((found for pattern, found in by_description if pattern.search(said)), "")


def _by_image_type(image_type: tuple[str, ...], said: str) -> Technique:
    """What Image Type says, ``said`` being the descriptions."""
    stated = {"TOMO" if _TOMO.fullmatch(each) else each for each in image_type}
    if any(map(_BIOPSY.fullmatch, stated)):
        return "stereotactic"
    if stated & _GENERATED or ("TOMO" in stated and "DERIVED" in stated and _names_synthetic(said)):
        return "synthetic"
    if stated & _CONTRAST:
        return "contrast"
    if "TOMO" in stated:
        return "tomosynthesis"
    if "LOW_ENERGY" in stated:
        return "low energy"
    return "contrast agent" if stated & _AGENT else ""


def _names_synthetic(said: str) -> bool:
    """Whether the descriptions ``said`` name a synthetic picture, and no slices but those it was made of."""
    slices = _SAYS_SLICES.search(_FROM_SLICES.sub("", said))
    return bool(_SAYS_SYNTHETIC.search(said)) and not slices


def is_coded_specimen(header: Dataset) -> bool:
    """Whether the view's code or a specimen's own attributes say that it is one, not a word alone."""
    views = {text(item, "CodeValue") for item in items(header, "ViewCodeSequence")}
    if views & _SPECIMEN_VIEWS or items(header, "SpecimenDescriptionSequence"):
        return True
    return bool(text(header, "ContainerIdentifier"))


def _is_specimen(header: Dataset) -> bool:
    if is_coded_specimen(header):
        return True
    words = (*texts(header, "ImageType"), text(header, "BodyPartExamined"), text(header, "ViewPosition"))
    return bool(_SAYS_SPECIMEN.search(" ".join((*words, _descriptions(header)))))


def _is_tomosynthesis(header: Dataset, said: str) -> bool:
    """Whether the SOP class, or what stands in an object of another, is a tomosynthesis."""
    stated = sop_class(header)
    if stated in TOMOSYNTHESIS or _has_hologic_payload(header):
        return True
    if stated in MAMMOGRAPHY and "DERIVED" in texts(header, "ImageType"):
        slices = _SAYS_A_SLICE.search(_NO_VOLUME.sub("", _FROM_SLICES.sub("", said)))
        return bool(slices) and not _names_synthetic(said)
    if stated in GENERAL:
        said = _NO_VOLUME.sub("", said)
        is_2d = _names_synthetic(said) and not _SAYS_BOTH.search(said)
        return bool(_SAYS_TOMO.search(said)) and not is_2d
    by_unit = text(header, "Modality") == "MG" or "HOLOGIC" in text(header, "Manufacturer")
    return stated in _VOLUMES and (by_unit or text(header, "PositionerType") == "MAMMOGRAPHIC")


def _has_hologic_payload(header: Dataset) -> bool:
    """Whether an image that states another SOP class holds a tomosynthesis in Hologic's private group."""
    tag = Tag(HOLOGIC_GROUP)
    if tag not in header or "HOLOGIC" not in str(header[tag].value).upper():
        return False
    stated = sop_class(header)
    is_image = "Rows" in header or (stated is not None and "Image Storage" in UID(stated).name)
    return is_image and stated not in MAMMOGRAPHY


def _described(header: Dataset, keyword: str) -> str:
    return " ".join(" ".join(texts(header, keyword)).replace("_", " ").split())


def _series(header: Dataset) -> str:
    """Series Description; without one Protocol Name, which may be that of the whole examination."""
    return _described(header, "SeriesDescription") or _described(header, "ProtocolName")


def _descriptions(header: Dataset) -> str:
    """What is said of the picture in words, in capitals, each description on a line of its own."""
    found = (
        _series(header),
        _described(header, "AcquisitionDeviceProcessingDescription"),
        _described(header, "DerivationDescription"),
    )
    return _TOMO_SYNTH.sub("TOMOSYNTHESIS", "\n".join(found))


def is_wrapped_tomosynthesis(header: Dataset) -> bool:
    """Whether a tomosynthesis came in a SOP class that is not read otherwise."""
    stated = sop_class(header)
    return stated not in MAMMOGRAPHY | GENERAL and _is_tomosynthesis(header, "")


# --- whether it is one of the breast ---


def shows_breast(header: Dataset) -> bool:
    """Whether an image of a SOP class of any part of the body is one of the breast, by its header.

    Modality MG says so, and a tomosynthesis in a private group; else the view, by its code (CID 4014) or
    name, unless Body Part Examined names another part: ML and LM are views of limbs as well (CID 4010), and
    count beside a statement of the breast alone. Beside one, a description may name the view. A CR or DX
    image is one by that statement, too.
    """
    if text(header, "Modality") == "MG" or _has_hologic_payload(header):
        return True
    if _names_breast(header):
        of_any_part = CAPTURES - {ComputedRadiographyImageStorage}
        return film_header.view(header) is not None or sop_class(header) not in of_any_part
    view = film_header.view_of_exposure(header) or film_header.view_of_processing(header)
    if view in film_header.OF_THE_BREAST:
        return True
    return view not in {None, *_ALSO_OF_LIMBS} and text(header, "BodyPartExamined") in _NOT_A_PART


def names_another_part(header: Dataset) -> bool:
    """Whether Body Part Examined (0018,0015) names something else than the breast."""
    part = text(header, "BodyPartExamined")
    return part not in _NOT_A_PART and not _BREAST.search(part)


def _names_breast(header: Dataset) -> bool:
    codes = {text(item, "CodeValue") for item in items(header, "AnatomicRegionSequence")}
    return (
        bool(_BREAST.search(text(header, "BodyPartExamined")))
        or bool(codes & _BREAST_CODES)
        or text(header, "OrganExposed") == "BREAST"
        or text(header, "PositionerType") == "MAMMOGRAPHIC"
    )


def why_no_capture(header: Dataset) -> str:
    """Why a secondary capture or CR that says that it shows a breast is no film; "" if it may be one.

    By its Series Description, or Protocol Name without one. Pages come as secondary captures;
    of a CR or digitised film the words say what it is for, and if it is a page its pixels show that.
    """
    said = _series(header)
    if _SAYS_CUT_OUT.search(said):
        return "a mask, or a part cut out of a film, by its description"
    if sop_class(header) == ComputedRadiographyImageStorage or text(header, "ConversionType") == "DF":
        return ""
    is_page = _SAYS_PAGE.search(said) or _SAYS_CAD.search(said)
    return "a page or a captured screen, by its description" if is_page else ""


# --- what it is compared with ---


def kind(header: Dataset) -> tuple[str, ...]:
    """What two films of one view share that are compared: how they were taken, and what they are made for.

    `technique`; the codes of View Modifier Code Sequence (0054,0222), an implant displaced by its name as
    well; a magnification; Partial View and its section; For Processing.
    """
    found = [technique(header), *modifiers(header)]
    found += ["magnified"] * film_header.is_magnified(header)
    if text(header, "PartialView") == "YES":
        sections = (text(item, "CodeValue") for item in items(header, "PartialViewCodeSequence"))
        found += ["partial", *sorted(sections)]
    found += [FOR_PROCESSING] * is_for_processing(header)
    return tuple(filter(None, found))


def is_for_processing(header: Dataset) -> bool:
    """Whether the image is raw data of the detector, made for processing (PS3.3 C.8.11.7)."""
    return (
        sop_class(header)
        in (DigitalMammographyXRayImageStorageForProcessing, DigitalXRayImageStorageForProcessing)
        or text(header, "PresentationIntentType") == "FOR PROCESSING"
    )


def is_part_of_breast(header: Dataset) -> bool:
    """Whether the view is a spot compression or a magnification.

    By View Modifier Code (CID 4015), else by the word in View Position, Paddle Description (0018,11A4),
    Acquisition Device Processing Description, Series Description or, without one, Protocol Name.
    """
    places = ("ViewPosition", "PaddleDescription")
    said = "\n".join((_series(header), *(_described(header, each) for each in places)))
    processed = _described(header, "AcquisitionDeviceProcessingDescription")
    if _NAMES_VIEW.search(processed):  # else a factor may be a gain
        said = f"{said}\n{processed}"
    by_word = (
        _SAYS_SPOT.search(f"{said}\n{processed}")
        or _SAYS_FACTOR.search(said)
        or _SPOT_PADDLE.search(_described(header, "PaddleDescription"))
    )
    return not _PARTIAL.isdisjoint(modifiers(header)) or bool(by_word)


def is_partial(header: Dataset) -> bool:
    """Whether a film shows only a part of the breast: a spot, magnified or partial view (0028,1350)."""
    return (
        is_part_of_breast(header) or film_header.is_magnified(header) or text(header, "PartialView") == "YES"
    )


def modifiers(header: Dataset) -> tuple[str, ...]:
    """Codes of the view's modifiers, in SNOMED CT.

    They are nested in the view's code (PS3.3 C.8.11.7), or at the top level, where some makers put them. A
    maker's own code counts by its meaning. An implant displaced is also given by View Position ("MLOID") and
    the descriptions.
    """
    found = {
        _modifier(modifier)
        for item in (header, *items(header, "ViewCodeSequence"))
        for modifier in items(item, "ViewModifierCodeSequence")
    } - {""}
    said = "\n".join((text(header, "ViewPosition"), _descriptions(header)))
    if _SAYS_DISPLACED.search(said):
        found.add(_DISPLACED)
    return tuple(sorted(found))


def is_displaced(header: Dataset) -> bool:
    """Whether the view shows the tissue before an implant, which is displaced."""
    return _DISPLACED in modifiers(header)


def _modifier(item: Dataset) -> str:
    """A view modifier's code in SNOMED CT; the one that its meaning names if it is none of CID 4015."""
    code = text(item, "CodeValue")
    code = _SNOMED_CT.get(code, code)
    if code in _SNOMED_CT.values():
        return code
    meaning = _described(item, "CodeMeaning")
    if _SAYS_SPOT.search(meaning):
        return _SPOT
    return _DISPLACED if _SAYS_DISPLACED.search(meaning) else code


# --- how unlike the training films it is ---


def unlike_training(header: Dataset, pixel_spacing: tuple[float, float]) -> tuple[str, ...]:
    """One sentence on how the image differs from the training films; none if it does not.

    Args:
        pixel_spacing: mm between pixel centres, (rows, columns).
    """
    differences = []
    detector = text(header, "DetectorType")
    stated = sop_class(header)
    if stated == SecondaryCaptureImageStorage:
        differences.append("a secondary capture")
    elif stated == ComputedRadiographyImageStorage:
        differences.append("computed radiography")
    elif not detector:
        differences.append("detector not stated")
    elif detector != "FILM":
        differences.append("a digital detector")
    view = film_header.view(header)
    if view not in (None, TRAINING_VIEW):
        differences.append(f"{view} view")
    differences += _unlike_technique(header)
    if any(abs(value - TRAINING_SPACING) > _SAME_SPACING * TRAINING_SPACING for value in pixel_spacing):
        differences.append(f"{pixel_spacing[0]:.3g} x {pixel_spacing[1]:.3g} mm pixels")
    bits = integer(header, "BitsStored")
    if bits != TRAINING_BITS:
        differences.append(f"{bits} bits")
    if not differences:
        return ()
    return (
        f"unlike the training films ({', '.join(differences)};"
        f" they are digitised, {TRAINING_SPACING} mm, {TRAINING_BITS} bits): results are less reliable",
    )


def _unlike_technique(header: Dataset) -> list[str]:
    how = technique(header)
    found = []
    if how == "synthetic":
        found.append("synthetic, made from a tomosynthesis")
    elif how == "low energy":
        found.append("the low-energy image of a contrast examination")
    elif how == "contrast agent" or values(header, "ContrastBolusAgent"):
        found.append("taken with contrast agent")
    if is_displaced(header):
        found.append("implant displaced")
    if is_partial(header):
        found.append("a part of the breast")
    return found
