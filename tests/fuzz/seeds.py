"""The films that mutants are made of: small, valid, and of many kinds."""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import (
    UID,
    ComputedRadiographyImageStorage,
    DeflatedExplicitVRLittleEndian,
    DigitalMammographyXRayImageStorageForProcessing,
    ExplicitVRBigEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
    SecondaryCaptureImageStorage,
)

from tests.support import jpegs
from tests.support.codestreams import htj2k_12, with_stream
from tests.support.film_tree import FilmFile, tree_of
from tests.support.mammograms import breast, encoded, mammogram, recoded


def _raw8() -> FileDataset:
    return mammogram(name="mutant")


def _raw16() -> FileDataset:
    return mammogram(breast(bits=12), name="mutant")


def _signed() -> FileDataset:
    pixels = (breast(bits=12).astype(np.int32) - 2048).astype("<i2").view("<u2")
    return mammogram(pixels, name="mutant", PixelRepresentation=1, RescaleIntercept=2048)


def _no_window() -> FileDataset:
    return mammogram(breast(bits=12), name="mutant", WindowCenter=None, WindowWidth=None)


def _inverse() -> FileDataset:
    film = mammogram(255 - breast(), name="mutant")
    film.PhotometricInterpretation, film.PresentationLUTShape = "MONOCHROME1", "INVERSE"
    return film


def _lut(bits: int, first: int, entries: int) -> Dataset:
    item = Dataset()
    item.add_new(0x00283002, "US", [entries & 0xFFFF, first, bits])
    table = np.linspace(0, (1 << bits) - 1, entries).astype("<u2")
    item.add_new(0x00283006, "OW", table.tobytes())
    return item


def _luts() -> FileDataset:
    film = mammogram(breast(bits=12), name="mutant", WindowCenter=None, WindowWidth=None)
    film.VOILUTSequence = [_lut(12, 0, 4096)]
    film.ModalityLUTSequence = [_lut(12, 0, 4096)]
    film.ModalityLUTSequence[0].ModalityLUTType = "US"
    del film.RescaleSlope, film.RescaleIntercept, film.RescaleType
    return film


_SPACING = [0.8, 0.8]
"""mm; of a picture so small, by which it may be a whole film."""


def _capture() -> FileDataset:
    film = mammogram(name="mutant", SOPClassUID=SecondaryCaptureImageStorage)
    film.ConversionType = "DF"
    film.NominalScannedPixelSpacing = _SPACING
    film.Laterality = film.ImageLaterality
    del film.ImagerPixelSpacing, film.ImageLaterality, film.PresentationIntentType
    return film


def _computed() -> FileDataset:
    film = mammogram(breast(bits=12), name="mutant", SOPClassUID=ComputedRadiographyImageStorage)
    film.PixelSpacing = film.ImagerPixelSpacing = _SPACING
    film.PixelAspectRatio = [1, 1]
    del film.PresentationIntentType
    return film


def _processing() -> FileDataset:
    return mammogram(
        breast(bits=12),
        name="mutant",
        SOPClassUID=DigitalMammographyXRayImageStorageForProcessing,
        PresentationIntentType="FOR PROCESSING",
    )


def _rich() -> FileDataset:
    """A film with what vendors add: private groups, nested sequences, many sizes of text."""
    film = mammogram(breast(bits=12), name="mutant", SpecificCharacterSet=["", "ISO 2022 IR 87"])
    film.TimezoneOffsetFromUTC = "+0100"
    film.add_new(0x00280120, "US", 0)
    film.WindowCenter, film.WindowWidth = [2048, 1000], [4096, 2000]
    film.WindowCenterWidthExplanation = ["NORMAL", "SOFTER"]
    film.VOILUTFunction = "SIGMOID"
    film.ContributingEquipmentSequence = [_equipment()]
    film.AnatomicRegionSequence = [_code("76752008", "Breast")]
    film.ProcedureCodeSequence = [_code("24623002", "Screening mammography")]
    film.OtherPatientIDsSequence = [Dataset()]
    film.OtherPatientIDsSequence[0].PatientID = "SECRET-0815"
    film.OtherPatientIDsSequence[0].IssuerOfPatientID = "SECRET clinic"
    film.IssuerOfAccessionNumberSequence = [Dataset()]
    film.IssuerOfAccessionNumberSequence[0].UniversalEntityID = "1.2.3"
    film.ImageComments = "SECRET remark " * 20
    film.add_new(0x00190010, "LO", "VENDOR 1.0")
    film.add_new(0x00191001, "OB", bytes(range(64)))
    film.add_new(0x00191002, "SQ", [_code("1", "private")])
    film.add_new(0x00191003, "UN", struct.pack("<4H", 1, 2, 3, 4))
    return film


def _equipment() -> Dataset:
    item = Dataset()
    item.PurposeOfReferenceCodeSequence = [_code("109101", "Acquisition Equipment", "DCM")]
    item.Manufacturer = "Vendor"
    return item


def _code(value: str, meaning: str, scheme: str = "SCT") -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def _as(make: Callable[[], FileDataset], syntax: UID) -> Callable[[], FileDataset]:
    return lambda: recoded(make(), syntax)


_SEEDS: dict[str, Callable[[], FileDataset]] = {
    "explicit 8": _raw8,
    "explicit 16": _raw16,
    "signed": _signed,
    "no window": _no_window,
    "inverse": _inverse,
    "luts": _luts,
    "capture": _capture,
    "computed": _computed,
    "processing": _processing,
    "rich": _rich,
    "implicit 8": _as(_raw8, ImplicitVRLittleEndian),
    "implicit rich": _as(_rich, ImplicitVRLittleEndian),
    "big endian 16": _as(_raw16, ExplicitVRBigEndian),
    "big endian luts": _as(_luts, ExplicitVRBigEndian),
    "deflated": _as(_raw16, DeflatedExplicitVRLittleEndian),
    "rle 8": _as(_raw8, RLELossless),
    "rle 16": _as(_raw16, RLELossless),
    "jpeg": _as(_raw8, JPEGBaseline8Bit),
    "jpeg-ls 8": _as(_raw8, JPEGLSLossless),
    "jpeg-ls 16": _as(_raw16, JPEGLSLossless),
    "jpeg 2000 8": _as(_raw8, JPEG2000Lossless),
    "jpeg 2000 16": _as(_raw16, JPEG2000Lossless),
}

_STREAMS: dict[str, Callable[[], FilmFile]] = {
    "jpeg lossless 8": lambda: _with(_raw8, JPEGLosslessSV1, jpegs.lossless(breast(), 8)),
    "jpeg lossless 16": lambda: _with(_raw16, JPEGLosslessSV1, jpegs.lossless(breast(bits=12), 12)),
    "jpeg process 14": lambda: _with(_raw16, JPEGLossless, jpegs.lossless(breast(bits=12), 12, predictor=6)),
    "jpeg restarts": lambda: _with(_raw16, JPEGLosslessSV1, jpegs.lossless(breast(bits=12), 12, restart=16)),
    "jpeg extended": lambda: _with(_raw16, JPEGExtended12Bit, jpegs.extended(breast(bits=12))),
    "high throughput jpeg 2000": lambda: _with(_raw16, HTJ2KLossless, htj2k_12()),
    "encapsulated": lambda: _with(_raw16, UID("1.2.840.10008.1.2.1.98"), breast(bits=12).tobytes()),
}
NAMES = (*_SEEDS, *_STREAMS)


def _with(make: Callable[[], FileDataset], syntax: UID, stream: bytes) -> FilmFile:
    return with_stream(tree_of(make()), syntax, stream)


@lru_cache
def seed(name: str) -> FilmFile:
    """A film to be copied and changed."""
    return _STREAMS[name]() if name in _STREAMS else tree_of(_SEEDS[name]())


@lru_cache
def good_film() -> bytes:
    """The film that lies beside each mutant: the other breast of the same patient in the same study."""
    return encoded(mammogram(breast(number=3), name="good", laterality="R"))
