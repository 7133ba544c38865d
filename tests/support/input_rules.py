"""What comes of one file in a folder with a film of the other breast: the rules of the input, by example.

`tests/docs/test_input.py` puts each file through the product and holds the tables of
``docs/reference/input.md`` to what came of it; the outcomes here are written by hand.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydicom.dataset import Dataset, FileDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    MPEG2MPML,
    BreastTomosynthesisImageStorage,
    ComputedRadiographyImageStorage,
    DigitalMammographyXRayImageStorageForProcessing,
    DigitalXRayImageStorageForPresentation,
    MammographyCADSRStorage,
    SecondaryCaptureImageStorage,
)

from bcd_model.errors import FilmError
from converters.films.read import read_film
from converters.films.studies import find_studies
from tests.support.exams import SHAPE, SYNTHETIC, exposure, save
from tests.support.mammograms import code, encoded
from tests.support.pages import page

Outcome = Literal["scanned", "failed", "excluded", "passed over"]
FILE = "it.dcm"

SC = {"SOPClassUID": SecondaryCaptureImageStorage}
CR = {"SOPClassUID": ComputedRadiographyImageStorage}
DX = {"SOPClassUID": DigitalXRayImageStorageForPresentation}
NO_VIEW: dict[str, Any] = {"ViewPosition": None, "ViewCodeSequence": None}
NO_BREAST: dict[str, Any] = {**NO_VIEW, "ImageLaterality": None, "PatientOrientation": None}
SECONDARY = ["DERIVED", "SECONDARY"]


@dataclass(frozen=True)
class Example:
    """One file.

    Attributes:
        what: in the words of the document.
        outcome: what comes of it.
        elements: of its header that differ from those of an exposure For Presentation; None is absent.
        change: what else is done to it.
        bytes_of: its bytes.
        beside: other files of the folder.
    """

    what: str
    outcome: Outcome
    elements: dict[str, Any] = field(default_factory=dict)
    change: Callable[[FileDataset], object] = lambda film: None
    bytes_of: Callable[[FileDataset], bytes] = encoded
    beside: tuple[FileDataset, ...] = ()


def _hologic(film: FileDataset) -> None:
    film.private_block(0x7E01, "HOLOGIC, Inc.", create=True).add_new(0x10, "SQ", [Dataset()])


def _frames(number: int) -> Callable[[FileDataset], None]:
    def change(film: FileDataset) -> None:
        film.NumberOfFrames = number
        film.PixelData *= number

    return change


def _colour(film: FileDataset) -> None:
    film.SamplesPerPixel, film.PhotometricInterpretation, film.PlanarConfiguration = 3, "RGB", 0
    film.PixelData *= 3


def _mask(film: FileDataset) -> None:
    film.PixelData = ((film.pixel_array > 100) * np.uint8(255)).tobytes()


def _page(film: FileDataset) -> None:
    film.PixelData = page(size=11, lines=15, dark=True, shape=SHAPE).tobytes()


def _text(film: FileDataset) -> None:
    for keyword in ("PixelData", "Rows", "Columns"):
        delattr(film, keyword)
    film.ContentSequence = []


_FOR_PROCESSING: dict[str, Any] = {
    "SOPClassUID": DigitalMammographyXRayImageStorageForProcessing,
    "PresentationIntentType": "FOR PROCESSING",
}
_RAW: dict[str, Any] = {**_FOR_PROCESSING, "WindowCenter": None, "WindowWidth": None}


def _long_uid(film: FileDataset) -> bytes:
    """With a UID of 68 characters, which pydicom does not write."""
    film.SOPInstanceUID = "1." + "2" * 62
    element, value = b"\x08\0\x18\0UI", film.SOPInstanceUID.encode()
    length = len(value).to_bytes(2, "little"), (len(value) + 4).to_bytes(2, "little")
    return encoded(film).replace(element + length[0] + value, element + length[1] + value + b"2222")


def _data_set(film: FileDataset) -> bytes:
    """The data set alone, without preamble and File Meta Information."""
    whole = encoded(film)
    return whole[144 + int.from_bytes(whole[140:144], "little") :]


def _video(film: FileDataset) -> None:
    film.PixelData = encapsulate([b"\0\0\1\xb3" + bytes(996)])
    film["PixelData"].VR, film["PixelData"].is_undefined_length = "OB", True
    film.file_meta.TransferSyntaxUID = MPEG2MPML


EXAMPLES = (
    Example("Digital Mammography X-Ray, For Presentation", "scanned"),
    Example("the same with Image Type `DERIVED\\SECONDARY`", "scanned", {"ImageType": SECONDARY}),
    Example("For Processing, with a window", "scanned", _FOR_PROCESSING),
    Example(
        "For Processing, without a window",
        "failed",
        _RAW,
    ),
    Example(
        "For Processing beside its For Presentation",
        "excluded",
        _RAW,
        beside=(exposure("L", "MLO", name="processed"),),
    ),
    Example("synthetic 2-D by its Image Type (`GENERATED_2D`)", "scanned", {"ImageType": SYNTHETIC}),
    Example("synthetic 2-D by its description (`C-View`)", "scanned", {"SeriesDescription": "L MLO C-View"}),
    Example(
        "synthetic 2-D, one frame of class Breast Tomosynthesis",
        "scanned",
        {"SOPClassUID": BreastTomosynthesisImageStorage, "ImageType": SYNTHETIC, "NumberOfFrames": 1},
    ),
    Example(
        "tomosynthesis of several frames",
        "excluded",
        {"SOPClassUID": BreastTomosynthesisImageStorage},
        _frames(3),
    ),
    Example(
        "a projection of a tomosynthesis", "excluded", {"ImageType": ["ORIGINAL", "PRIMARY", "TOMO_PROJ"]}
    ),
    Example("a Secondary Capture with Hologic's group 7E01", "excluded", SC, _hologic),
    Example(
        "a Secondary Capture `L MLO Tomo slices 2D/3D`",
        "excluded",
        {**SC, "SeriesDescription": "L MLO Tomo slices 2D/3D"},
    ),
    Example(
        "DX with Derivation Description `Tomosynthesis slice 23`",
        "excluded",
        {**DX, "DerivationDescription": "Tomosynthesis slice 23"},
    ),
    Example(
        "a Secondary Capture `L MLO Tomo C-View`", "scanned", {**SC, "SeriesDescription": "L MLO Tomo C-View"}
    ),
    Example(
        "an exposure For Presentation `2D/3D COMBO`", "scanned", {"SeriesDescription": "L MLO 2D/3D COMBO"}
    ),
    Example("stereotactic", "excluded", {"ImageType": ["ORIGINAL", "PRIMARY", "STEREO_MINUS"]}),
    Example(
        "subtraction of a contrast examination",
        "excluded",
        {"ImageType": ["DERIVED", "PRIMARY", "POST_CONTRAST", "SUBTRACTION"]},
    ),
    Example(
        "its low-energy image",
        "scanned",
        {"ImageType": ["ORIGINAL", "PRIMARY", "POST_CONTRAST", "LOW_ENERGY"]},
    ),
    Example(
        "an exposure with Derivation Description `Recombined, high energy`",
        "excluded",
        {"DerivationDescription": "Recombined, high energy"},
    ),
    Example(
        "an exposure `scatter subtraction`", "scanned", {"SeriesDescription": "L MLO scatter subtraction"}
    ),
    Example("a specimen", "excluded", {"BodyPartExamined": "SPECIMEN"}),
    Example(
        "spot compression",
        "excluded",
        {"ViewModifierCodeSequence": [code("399055006", "spot compression")]},
    ),
    Example(
        "magnification by View Modifier Code",
        "excluded",
        {"ViewModifierCodeSequence": [code("399163009", "magnification")]},
    ),
    Example("magnification by name (`LMAGCC`, `M1.8`)", "excluded", {"SeriesDescription": "L MLO M1.8"}),
    Example("`MagView import L MLO`", "scanned", {"SeriesDescription": "MagView import L MLO"}),
    Example(
        "magnification by its factor alone, 1.8",
        "scanned",
        {"EstimatedRadiographicMagnificationFactor": "1.8"},
    ),
    Example("Secondary Capture, modality MG, with breast and view", "scanned", SC),
    Example("the same, Image Type `DERIVED\\SECONDARY`", "excluded", {**SC, "ImageType": SECONDARY}),
    Example(
        "the same, Conversion Type `DF`: a film was digitised",
        "scanned",
        {**SC, "ImageType": SECONDARY, "ConversionType": "DF"},
    ),
    Example(
        "Secondary Capture, `DERIVED\\SECONDARY`, without breast and view",
        "passed over",
        {**SC, **NO_BREAST, "ImageType": SECONDARY, "SeriesDescription": "Summary"},
    ),
    Example(
        "Secondary Capture `ROI mask images`",
        "passed over",
        {**SC, **NO_VIEW, "SeriesDescription": "ROI mask images"},
    ),
    Example(
        "Secondary Capture `CAD report`", "passed over", {**SC, **NO_VIEW, "SeriesDescription": "CAD report"}
    ),
    Example(
        "Secondary Capture with Protocol Name `Dose report` alone",
        "passed over",
        {**SC, **NO_VIEW, "SeriesDescription": "", "ProtocolName": "Dose report"},
    ),
    Example(
        "Secondary Capture `CAD report` that states breast and view",
        "excluded",
        {**SC, "SeriesDescription": "CAD report"},
    ),
    Example(
        "CR `ROI L MLO` that states breast and view", "excluded", {**CR, "SeriesDescription": "ROI L MLO"}
    ),
    Example("CR `L MLO CAD`", "scanned", {**CR, "SeriesDescription": "L MLO CAD"}),
    Example("CR `Dose report`, a page of text", "failed", {**CR, "SeriesDescription": "Dose report"}, _page),
    Example("Secondary Capture in colour", "excluded", SC, _colour),
    Example(
        "Secondary Capture in colour, without breast and view",
        "passed over",
        {**SC, **NO_BREAST, "SeriesDescription": "Summary"},
        _colour,
    ),
    Example("DX with modality MG", "scanned", DX),
    Example(
        "CR, View Position `MLO`, no body part", "scanned", {**CR, "Modality": "CR", "ViewCodeSequence": None}
    ),
    Example(
        "CR of an ankle, View Position `LM`",
        "passed over",
        {**CR, **NO_VIEW, "Modality": "CR", "BodyPartExamined": "ANKLE", "ViewPosition": "LM"},
    ),
    Example(
        "DX of the chest",
        "passed over",
        {**DX, **NO_VIEW, "Modality": "DX", "BodyPartExamined": "CHEST", "ViewPosition": "PA"},
    ),
    Example("a CAD SR", "passed over", {"SOPClassUID": MammographyCADSRStorage, "Modality": "SR"}, _text),
    Example("no preamble and no File Meta", "scanned", bytes_of=_data_set),
    Example("colour", "failed", change=_colour),
    Example("three frames", "failed", change=_frames(3)),
    Example("Number of Frames 0", "scanned", {"NumberOfFrames": 0}),
    Example("Burned In Annotation YES", "failed", {"BurnedInAnnotation": "YES"}),
    Example("a mask of two gray values", "failed", change=_mask),
    Example("no SOP Instance UID", "failed", {"SOPInstanceUID": None}),
    Example(
        "SOP Instance UID of 68 characters",
        "failed",
        bytes_of=_long_uid,
    ),
    Example("cut short in its pixels", "failed", bytes_of=lambda film: encoded(film)[:-9000]),
    Example("MPEG-2 video", "failed", change=_video),
)
"""By what decides: class and kind of picture first, then the file."""


@dataclass(frozen=True)
class Came:
    """What came of a file.

    Attributes:
        why: the rule or the reason; of a film that is scanned its warnings, but for the one that all have.
    """

    outcome: Outcome
    why: str


def came_of(example: Example, folder: Path) -> Came:
    """Put the file of ``example`` and its neighbours through grouping and reading, in an empty ``folder``."""
    beside = {f"other-{number}.dcm": film for number, film in enumerate(example.beside)}
    save({"right.dcm": exposure("R", "MLO"), **beside}, folder)
    film = exposure("L", "MLO", name="it", **example.elements)
    example.change(film)
    path = folder / FILE
    path.write_bytes(example.bytes_of(film))
    found = find_studies([folder])
    skipped = [str(each.reason) for each in found.skipped if each.path == path]
    if skipped:
        return Came("passed over", skipped[0])
    (source,) = (film for study in found.studies for film in study.films if film.path == path)
    if source.rule is not None:
        return Came("excluded", source.rule)
    if source.reason is not None:
        return Came("failed", str(source.reason))
    try:
        warnings = read_film(path).film.warnings
    except FilmError as error:
        return Came("failed", str(error.reason))
    return Came("scanned", "; ".join(each for each in warnings if not each.startswith("unlike the training")))
