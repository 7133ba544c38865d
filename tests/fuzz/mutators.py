"""What may be wrong with a film: each mutator knows one part of the file and damages it.

A mutator changes a film in place and says in a few words what it did. Together with a seed film and a
random number generator of its own it decides the mutant's bytes, on every machine.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from dataclasses import dataclass

from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.uid import ImplicitVRLittleEndian

from tests.fuzz import reasons
from tests.fuzz.edge_values import CHARACTER_SETS, OFFSETS, TEXT_VRS, edge_value
from tests.fuzz.seeds import NAMES, seed
from tests.support.film_tree import (
    ITEM,
    ITEM_END,
    PIXEL_DATA,
    SEQUENCE_END,
    UNDEFINED,
    Element,
    FilmFile,
    Items,
    encode,
    nested,
)

Mutator = Callable[[FilmFile, random.Random], str]

MUTATORS: dict[str, Mutator] = {}


def mutator(name: str) -> Callable[[Mutator], Mutator]:
    """Enter a mutator under the name of its row in the table."""

    def enter(function: Mutator) -> Mutator:
        MUTATORS[name] = function
        return function

    return enter


@dataclass(frozen=True)
class Mutant:
    """One damaged film: its bytes, and what was done to which seed."""

    number: int
    data: bytes
    seed: str
    kinds: tuple[str, ...]
    steps: tuple[str, ...]
    same_sop: bool

    @property
    def may(self) -> frozenset[str]:
        """The codes of the reasons that its damage may cause."""
        return frozenset().union(*(reasons.MAY.get(kind, reasons.ANY) for kind in self.kinds or ("",)))


def mutant(number: int, seed_number: int) -> Mutant:
    """Mutant ``number`` of the campaign ``seed_number``; the first kinds of damage take turns."""
    rng = random.Random(f"{seed_number}/{number}")
    names = sorted(MUTATORS)
    wanted = [names[number % len(names)]]
    wanted += rng.choices(names, k=rng.choices((0, 1, 2, 3), weights=(50, 25, 15, 10))[0])
    name = rng.choice(NAMES)
    if wanted[0].startswith("pixels: ") and wanted[0] != "pixels: length":
        name = rng.choice([each for each in NAMES if seed(each).fragments is not None])
    if wanted[0] == "pixels: rle":
        name = rng.choice(("rle 8", "rle 16"))
    if wanted[0] == "pixels: jpeg":
        name = rng.choice([each for each in NAMES if each.startswith("jpeg") and "2000" not in each])
    if wanted[0] == "pixels: jpeg 2000":
        name = rng.choice([each for each in NAMES if "2000" in each])
    film = seed(name).copy()
    steps = tuple(f"{kind}: {MUTATORS[kind](film, rng)}" for kind in wanted)
    same = any("as the film beside it" in step for step in steps)
    return Mutant(number, encode(film), name, tuple(dict.fromkeys(wanted)), steps, same)


# --- elements ---

_WEIGHTY = tuple(
    tag_for_keyword(keyword) or 0
    for keyword in (
        "SpecificCharacterSet", "ImageType", "SOPClassUID", "SOPInstanceUID", "StudyDate", "StudyTime",
        "Modality", "PresentationIntentType", "Manufacturer", "PatientName", "PatientID", "IssuerOfPatientID",
        "PatientBirthDate", "PatientSex", "PatientAge", "StudyInstanceUID", "SeriesInstanceUID", "StudyID",
        "PatientOrientation", "ImageLaterality", "ImagerPixelSpacing", "ViewPosition", "ViewCodeSequence",
        "SamplesPerPixel", "PhotometricInterpretation", "Rows", "Columns", "BitsAllocated", "BitsStored",
        "HighBit", "PixelRepresentation", "RescaleIntercept", "RescaleSlope", "WindowCenter", "WindowWidth",
        "VOILUTSequence", "ModalityLUTSequence", "PixelPaddingValue", "TimezoneOffsetFromUTC",
        "LossyImageCompression", "EstimatedRadiographicMagnificationFactor", "BurnedInAnnotation",
    )
)  # fmt: skip

# Of the modules whose elements are copied or looked at, what the seeds do not have.
_ABSENT = (
    "PatientBirthTime", "TypeOfPatientID", "PatientIdentityRemoved", "DeidentificationMethod",
    "ClinicalTrialSponsorName", "ClinicalTrialProtocolID", "ClinicalTrialSubjectID", "ClinicalTrialSiteID",
    "TimezoneOffsetFromUTC", "PixelAspectRatio", "PixelSpacing", "NominalScannedPixelSpacing", "Laterality",
    "PixelSpacingCalibrationType", "PixelSpacingCalibrationDescription", "PixelPaddingValue",
    "PixelPaddingRangeLimit", "VOILUTFunction", "NumberOfFrames", "QualityControlImage", "ConversionType",
    "LossyImageCompressionRatio", "LossyImageCompressionMethod", "BreastImplantPresent", "PatientComments",
    "SmallestImagePixelValue", "LargestImagePixelValue", "RescaleType", "WindowCenterWidthExplanation",
    "PlanarConfiguration", "InstanceCreationDate", "AcquisitionDate", "ContentDate", "OperatorsName",
    "FrameOfReferenceUID", "PositionReferenceIndicator", "ImageComments", "StudyDescription",
)  # fmt: skip


def _place(film: FilmFile, rng: random.Random) -> tuple[list[Element], int] | None:
    """An element: half of the time one that decides something, else any, at any depth."""
    if rng.random() < 0.5:
        at = [i for i, each in enumerate(film.body) if each.tag in _WEIGHTY]
        if at:
            return film.body, rng.choice(at)
    lists = [elements for elements in film.lists() if elements]
    if not lists:
        return None
    elements = rng.choice(lists)
    return elements, rng.randrange(len(elements))


def _name(element: Element) -> str:
    return f"({element.tag >> 16:04X},{element.tag & 0xFFFF:04X})"


@mutator("element: drop")
def _drop(film: FilmFile, rng: random.Random) -> str:
    place = _place(film, rng)
    if place is None:
        return "none left"
    elements, at = place
    return f"{_name(elements.pop(at))} dropped"


@mutator("element: twice")
def _twice(film: FilmFile, rng: random.Random) -> str:
    place = _place(film, rng)
    if place is None:
        return "none left"
    elements, at = place
    again = Element(elements[at].tag, elements[at].vr, elements[at].value, elements[at].stated_length)
    if isinstance(again.value, bytes) and rng.random() < 0.6:
        again.value = edge_value(again.vr, rng)
    where = at + 1 if rng.random() < 0.6 else rng.randint(0, len(elements))
    elements.insert(where, again)
    return f"{_name(again)} again at {where}"


@mutator("element: order")
def _order(film: FilmFile, rng: random.Random) -> str:
    lists = [elements for elements in film.lists() if len(elements) > 1]
    if not lists:
        return "none left"
    elements = film.body if rng.random() < 0.6 and len(film.body) > 1 else rng.choice(lists)
    if rng.random() < 0.15:
        elements.reverse()
        return "all reversed"
    one, other = rng.sample(range(len(elements)), 2)
    elements[one], elements[other] = elements[other], elements[one]
    return f"{_name(elements[one])} and {_name(elements[other])} swapped"


_VRS = (
    *TEXT_VRS,
    "AT",
    "FD",
    "FL",
    "OB",
    "OW",
    "OF",
    "OD",
    "OL",
    "SL",
    "SQ",
    "SS",
    "UL",
    "UN",
    "US",
    "SV",
    "UV",
)


@mutator("element: VR")
def _vr(film: FilmFile, rng: random.Random) -> str:
    place = _place(film, rng)
    if place is None:
        return "none left"
    element = place[0][place[1]]
    if rng.random() < 0.3:
        element.stated_vr = rng.choice((b"XX", b"\0\0", b"  ", b"us", b"\xff\xff", b"UN", b"SQ", b"OB"))
        return f"{_name(element)} says VR {element.stated_vr!r}"
    vr = rng.choice(_VRS)
    if isinstance(element.value, Items):
        element.value = rng.choice((b"", bytes(8), b"\xfe\xff\x00\xe0\x00\x00\x00\x00"))
    elif vr == "SQ":
        element.stated_vr = b"SQ"
        return f"{_name(element)} says VR SQ"
    element.vr = vr
    return f"{_name(element)} has VR {vr}"


@mutator("element: length")
def _length(film: FilmFile, rng: random.Random) -> str:
    place = _place(film, rng)
    if place is None:
        return "none left"
    element = place[0][place[1]]
    true = len(element.raw)
    element.stated_length = rng.choice(
        (
            0,
            1,
            max(0, true - 1),
            true + 1,
            true + 2,
            true + 8,
            0xFFFF,
            0xFFFE,
            1 << 20,
            1 << 31,
            UNDEFINED,
            UNDEFINED - 1,
        )
    )
    return f"{_name(element)} states a length of {element.stated_length}"


@mutator("element: value")
def _value(film: FilmFile, rng: random.Random) -> str:
    place = _place(film, rng)
    if place is None:
        return "none left"
    element = place[0][place[1]]
    if isinstance(element.value, Items):
        element.value = Items([], undefined=rng.random() < 0.5)
        return f"{_name(element)} has no item"
    element.value = edge_value(element.vr, rng)
    return f"{_name(element)} = {element.value[:40]!r} ({len(element.value)} bytes)"


@mutator("element: added")
def _added(film: FilmFile, rng: random.Random) -> str:
    keyword = rng.choice(_ABSENT)
    tag = tag_for_keyword(keyword) or 0
    vr = dictionary_VR(tag).split(" or ")[0]
    value = rng.choice(OFFSETS) if keyword == "TimezoneOffsetFromUTC" else edge_value(vr, rng)
    film.put(Element(tag, vr, value))
    return f"{keyword} = {value[:40]!r} ({len(value)} bytes)"


# --- sequences ---

_SEQUENCES = tuple(
    tag_for_keyword(keyword) or 0
    for keyword in (
        "ViewCodeSequence", "VOILUTSequence", "ModalityLUTSequence", "SharedFunctionalGroupsSequence",
        "ContributingEquipmentSequence", "ProcedureCodeSequence", "OtherPatientIDsSequence",
        "IssuerOfAccessionNumberSequence", "IssuerOfPatientIDQualifiersSequence", "AnatomicRegionSequence",
        "DeidentificationMethodCodeSequence", "SourceImageSequence", "AcquisitionContextSequence",
        "IconImageSequence",
    )
)  # fmt: skip
_PRIVATE_SEQUENCES = (0x00191002, 0x00091010)


def _an_item(rng: random.Random) -> list[Element]:
    return [
        Element(0x00080100, "SH", edge_value("SH", rng)),
        Element(0x00080102, "SH", b"SCT"),
        Element(0x00080104, "LO", edge_value("LO", rng)),
    ]


@mutator("sequence: deep")
def _deep(film: FilmFile, rng: random.Random) -> str:
    depth = int(2 ** rng.uniform(1, 12.5))
    tag = rng.choice((*_SEQUENCES, *_PRIVATE_SEQUENCES))
    undefined = rng.random() < 0.5
    inner = nested(tag, depth, undefined=undefined, implicit=film.syntax == ImplicitVRLittleEndian)
    film.put(Element(tag, rng.choice(("SQ", "SQ", "SQ", "UN")), inner.value, inner.stated_length))
    return f"({tag:08X}) {depth} deep, {'un' if undefined else ''}defined length"


@mutator("sequence: many items")
def _many(film: FilmFile, rng: random.Random) -> str:
    count = int(2 ** rng.uniform(1, 15))
    tag = rng.choice((*_SEQUENCES, *_PRIVATE_SEQUENCES))
    item = rng.choice(([], [], _an_item(rng)))
    count = min(count, (1 << 20) // (sum(len(each.raw) + 12 for each in item) + 8))
    items = Items([item], count=count, undefined=rng.random() < 0.5)
    film.put(Element(tag, "SQ", items))
    return f"({tag:08X}) with {count} items of {len(items.items[0])} elements"


@mutator("sequence: lengths")
def _lengths(film: FilmFile, rng: random.Random) -> str:
    elements = [e for each in film.lists() for e in each if isinstance(e.value, Items)]
    if not elements:
        film.put(Element(_SEQUENCES[0], "SQ", Items([_an_item(rng)])))
        elements = [film.find(_SEQUENCES[0])]  # type: ignore[list-item]
    element = rng.choice(elements)
    value = element.value
    assert isinstance(value, Items)
    value.undefined = rng.random() < 0.7
    value.bare = value.undefined and rng.random() < 0.5
    if rng.random() < 0.3:
        element.stated_length = rng.choice((0, 7, 8, 1 << 16, 1 << 31, UNDEFINED))
    return f"{_name(element)} undefined={value.undefined}, bare={value.bare}, states {element.stated_length}"


@mutator("sequence: out of place")
def _out_of_place(film: FilmFile, rng: random.Random) -> str:
    tag = rng.choice((ITEM, ITEM_END, SEQUENCE_END))
    elements = rng.choice(list(film.lists()))
    at = rng.randint(0, len(elements))
    length = rng.choice((0, 0, 8, UNDEFINED))
    elements.insert(at, Element(tag, "UN", b"", length))
    if rng.random() < 0.3 and film.body:
        element = rng.choice(film.body)
        film.put(Element(element.tag, "SQ", Items([_an_item(rng), list(film.body[:3])])))
        return f"({tag:08X}) at {at}, {_name(element)} is a sequence"
    return f"({tag:08X}) at {at}"


@mutator("sequence: item content")
def _item_content(film: FilmFile, rng: random.Random) -> str:
    tag = rng.choice((*_SEQUENCES, *_PRIVATE_SEQUENCES))
    content = [
        Element(0x00280010, "US", edge_value("US", rng)),
        Element(0x00280100, "US", edge_value("US", rng)),
        Element(0x00283002, "US", edge_value("US", rng)),
        Element(0x00283006, rng.choice(("OW", "US", "UN")), edge_value("US", rng)),
        Element(PIXEL_DATA, "OW", rng.randbytes(rng.choice((0, 2, 300)))),
    ]
    film.put(
        Element(tag, "SQ", Items([rng.sample(content, rng.randint(1, 5))], undefined=rng.random() < 0.3))
    )
    return f"({tag:08X}) holds image elements"


# --- File Meta Information ---

_SYNTAXES = (
    b"", b"1.2.840.10008.1.2", b"1.2.840.10008.1.2.1", b"1.2.840.10008.1.2.1.99", b"1.2.840.10008.1.2.2",
    b"1.2.840.10008.1.2.5", b"1.2.840.10008.1.2.4.50", b"1.2.840.10008.1.2.4.51", b"1.2.840.10008.1.2.4.57",
    b"1.2.840.10008.1.2.4.70", b"1.2.840.10008.1.2.4.80", b"1.2.840.10008.1.2.4.90",
    b"1.2.840.10008.1.2.4.91", b"1.2.840.10008.1.2.4.100", b"1.2.840.10008.1.2.4.201",
    b"1.2.840.10008.1.2.4.94", b"1.2.840.10008.1.2.1.98", b"1.2.840.10008.1.2.4.202", b"1.2.3", b"SECRET",
    b"1.2.840.10008.1.2.1\\1.2.840.10008.1.2",
)  # fmt: skip


@mutator("meta: syntax")
def _syntax(film: FilmFile, rng: random.Random) -> str:
    value = rng.choice(_SYNTAXES)
    how = rng.random()
    if how < 0.15:
        film.meta = [each for each in film.meta if each.tag != 0x00020010]
        return "no transfer syntax"
    for element in film.meta:
        if element.tag == 0x00020010:
            element.value = value
    if how < 0.4 and value.decode() in ("1.2.840.10008.1.2", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"):
        film.syntax = value.decode()
        return f"recoded as {film.syntax}"
    return f"states {value!r}"


@mutator("meta: group length")
def _group_length(film: FilmFile, rng: random.Random) -> str:
    film.group_length = rng.choice((-1, 0, 1, 8, 100, 1000, 1 << 20, 1 << 31, UNDEFINED))
    return f"{film.group_length}"


@mutator("meta: elements")
def _meta(film: FilmFile, rng: random.Random) -> str:
    how = rng.choice(("drop", "value", "order", "many", "long"))
    if how == "many":
        film.meta += [Element(0x00020013, "SH", b"x")] * int(2 ** rng.uniform(2, 14))
    elif how == "long":
        film.meta.append(Element(0x00020102, "OB", bytes(rng.choice((10, 1 << 16, 1 << 20)))))
    elif film.meta:
        element = rng.choice(film.meta)
        if how == "drop":
            film.meta = [each for each in film.meta if each is not element]
        elif how == "value":
            element.value = edge_value(element.vr, rng)
        else:
            rng.shuffle(film.meta)
    return how


@mutator("meta: preamble")
def _preamble(film: FilmFile, rng: random.Random) -> str:
    film.preamble = rng.choice(
        (b"", b"DICM", bytes(64) + b"DICM", bytes(128), bytes(128) + b"dicm", b"II*\0" + bytes(124) + b"DICM",
         b"\x89PNG" + bytes(124) + b"DICM", b"PK\x03\x04" + bytes(124) + b"DICM", bytes(128) + b"DICMDICM")
    )  # fmt: skip
    if rng.random() < 0.4:
        film.meta, film.group_length = [], -1
        return f"{film.preamble[-8:]!r} and no meta information"
    return f"{len(film.preamble)} bytes, {film.preamble[-8:]!r}"


@mutator("file: cut")
def _cut(film: FilmFile, rng: random.Random) -> str:
    film.kept = rng.choice((rng.random(), rng.random(), 1 - 0.02 * rng.random(), 0.2 * rng.random()))
    return f"{film.kept:.4f} kept"


@mutator("file: appended")
def _appended(film: FilmFile, rng: random.Random) -> str:
    how = rng.choice(("zeros", "noise", "elements", "again", "padding"))
    if how == "zeros":
        film.tail = bytes(rng.choice((1, 7, 128, 4096)))
    elif how == "noise":
        film.tail = rng.randbytes(rng.choice((1, 9, 500)))
    elif how == "elements":
        film.after = [Element(0x00100010, "PN", b"SECRET^Other"), Element(0x7FE10010, "OB", bytes(64))]
    elif how == "again":
        film.tail = encode(seed("explicit 8"))
    else:
        film.after = [Element(0xFFFCFFFC, "OB", bytes(rng.choice((0, 2, 512))))]
    return how


@mutator("file: header bytes")
def _flips(film: FilmFile, rng: random.Random) -> str:
    count = rng.choice((1, 1, 2, 4, 16))
    film.flips += [(rng.random(), rng.randrange(256)) for _ in range(count)]
    return f"{count} overwritten"


@mutator("private elements")
def _private(film: FilmFile, rng: random.Random) -> str:
    group = rng.choice((0x0009, 0x0019, 0x0029, 0x0051, 0x0001, 0x0007, 0x00E1, 0x7FD1))
    film.body = [each for each in film.body if each.tag >> 16 != group]
    tag = group << 16
    if rng.random() < 0.7:
        film.put(Element(tag | 0x0010, "LO", edge_value("LO", rng)))
    for _ in range(rng.choice((1, 3, 40, 600))):
        vr = rng.choice(_VRS)
        value: bytes | Items = Items([_an_item(rng)]) if vr == "SQ" else edge_value(vr, rng)
        film.put(Element(tag | rng.choice((0x1000, 0x10FF, 0x0011)) | rng.randrange(256), vr, value))
    return f"group {group:04X}"


@mutator("character set")
def _charset(film: FilmFile, rng: random.Random) -> str:
    value = rng.choice(CHARACTER_SETS)
    film.put(Element(0x00080005, "CS", value))
    if rng.random() < 0.5:
        name = rng.choice(
            (
                b"SECRET^\x1b$B;3ED\x1b(B",
                b"SECRET^\xe9\xfc",
                b"U0VDUkVU",
                b"\\u0053\\x41SECRET",
                b"\x80SECRET",
            )
        )
        for tag in (0x00100010, 0x00100020):
            film.put(Element(tag, "PN" if tag & 0x10 else "LO", name))
    return repr(value)


# --- pixels ---


@mutator("pixels: length")
def _pixel_length(film: FilmFile, rng: random.Random) -> str:
    how = rng.choice(("states", "short", "long", "none", "VR", "empty"))
    if how == "states":
        film.pixel_length = rng.choice(
            (0, 1, 2, 100, len(film.pixels) + 2, 1 << 30, UNDEFINED, UNDEFINED - 1)
        )
        return f"states {film.pixel_length}"
    if how == "none":
        film.with_pixels = False
    elif how == "VR":
        film.pixel_vr = rng.choice(("OB", "OW", "UN", "OF", "US"))
    elif film.fragments is not None:
        film.fragments = [film.fragments[0]] if how == "empty" else film.fragments * 2
    elif how == "empty":
        film.pixels = b""
    elif how == "short":
        film.pixels = film.pixels[: rng.randrange(len(film.pixels) + 1)]
    else:
        film.pixels += rng.randbytes(rng.choice((1, 2, 79, 80, 160, len(film.pixels), 4096)))
    return f"{how} ({len(film.pixels)} bytes)"


def _codestream(film: FilmFile) -> int | None:
    """Which fragment holds the codestream."""
    if not film.fragments:
        return None
    return next((i for i in range(1, len(film.fragments)) if film.fragments[i]), None)


@mutator("pixels: fragments")
def _fragments(film: FilmFile, rng: random.Random) -> str:
    at = _codestream(film)
    if at is None or film.fragments is None:
        film.fragments = [b"", film.pixels or bytes(8)]
        return "raw pixels as a fragment"
    stream = film.fragments[at]
    how = rng.choice(("split", "empty", "many empty", "twice", "order", "no delimiter", "odd", "no table"))
    if how in ("split", "order"):
        cut = sorted(rng.randrange(len(stream)) for _ in range(rng.choice((1, 2, 30))))
        parts = [stream[a:b] for a, b in zip([0, *cut], [*cut, len(stream)], strict=True)]
        if how == "order":
            rng.shuffle(parts)
        film.fragments[at : at + 1] = parts
    elif how == "empty":
        film.fragments.insert(rng.randint(0, len(film.fragments)), b"")
    elif how == "many empty":
        film.fragments[1:1] = [b""] * int(2 ** rng.uniform(2, 15))
    elif how == "twice":
        film.fragments.append(stream)
    elif how == "no delimiter":
        film.with_delimiter = False
    elif how == "odd":
        film.fragments[at] = stream[:-1]
    else:
        film.fragments = film.fragments[1:]
    return how


@mutator("pixels: offset table")
def _offset_table(film: FilmFile, rng: random.Random) -> str:
    at = _codestream(film)
    if at is None or film.fragments is None:
        return _pixel_length(film, rng)
    how = rng.choice(("numbers", "true", "decoy", "huge decoy", "long", "extended"))
    if how == "numbers":
        count = rng.choice((1, 2, 3, 1000))
        film.fragments[0] = struct.pack(
            f"<{count}L", *(rng.choice((0, 8, 1 << 20, UNDEFINED)) for _ in range(count))
        )
    elif how == "true":
        film.fragments[0] = bytes(4)
    elif how in ("decoy", "huge decoy"):
        # What looks like the codestream's own header, with its true size, before one that says another.
        film.fragments[0] = film.fragments[at][:96] + bytes(96 % 4)
        if how == "huge decoy":
            film.fragments[at] = _resized(film.fragments[at], rng)
    elif how == "long":
        film.fragments[0] = bytes(4 * rng.choice((256, 1 << 16)))
    else:
        film.put(Element(0x7FE00001, "OV", rng.randbytes(8)))
        film.put(
            Element(0x7FE00002, "OV", struct.pack("<Q", rng.choice((0, len(film.fragments[at]), 1 << 60))))
        )
    return how


def _resized(stream: bytes, rng: random.Random) -> bytes:
    """``stream`` with another size in its header, if it has one."""
    size = rng.choice((0, 1, 47, 97, 1000, 4096, 16384, 40000, 65535))
    other = rng.choice((size, 80, 96, 1, 0))
    if stream.startswith(b"\xff\x4f\xff\x51"):
        return stream[:8] + struct.pack(">2L", size, other) + stream[16:]
    at = _frame_header(stream)
    return stream if at is None else stream[: at + 5] + struct.pack(">2H", size, other) + stream[at + 9 :]


def _frame_header(stream: bytes) -> int | None:
    """Where JPEG's or JPEG-LS's frame header starts (ISO/IEC 10918-1 B.2.2)."""
    at = 2
    while at + 4 <= len(stream) and stream[at] == 0xFF:
        if stream[at + 1] in (*range(0xC0, 0xC4), 0xF7):
            return at
        at += 2 + int(struct.unpack_from(">H", stream, at + 2)[0])
    return None


_J2K_FIELDS = {
    "capability": (6, "H"), "width": (8, "L"), "height": (12, "L"), "left": (16, "L"), "top": (20, "L"),
    "tile width": (24, "L"), "tile height": (28, "L"), "tile left": (32, "L"), "tile top": (36, "L"),
    "components": (40, "H"), "precision": (42, "B"), "x sampling": (43, "B"), "y sampling": (44, "B"),
}  # fmt: skip
_JPEG_FIELDS = {
    "precision": (4, "B"),
    "rows": (5, "H"),
    "columns": (7, "H"),
    "components": (9, "B"),
    "length": (2, "H"),
}
_NUMBERS = {
    "B": (0, 1, 7, 8, 11, 15, 16, 37, 127, 128, 255),
    "H": (0, 1, 2, 3, 79, 97, 255, 4096, 16384, 65535),
    "L": (0, 1, 2, 47, 95, 97, 160, 1000, 16384, 65535, 1 << 20, (1 << 31) - 1, 1 << 31, (1 << 32) - 1),
}


@mutator("pixels: codestream")
def _codestream_header(film: FilmFile, rng: random.Random) -> str:
    at = _codestream(film)
    if at is None or film.fragments is None:
        return _pixel_length(film, rng)
    stream = film.fragments[at]
    if stream.startswith(b"\xff\x4f\xff\x51"):
        start, fields = 0, _J2K_FIELDS
    else:
        frame = _frame_header(stream)
        if frame is None:
            return _rle(film, rng)
        start, fields = frame, _JPEG_FIELDS
    done = []
    data = bytearray(stream)
    for name in rng.sample(sorted(fields), rng.choice((1, 1, 2, 3))):
        where, form = fields[name]
        value = rng.choice(_NUMBERS[form])
        struct.pack_into(f">{form}", data, start + where, value)
        done.append(f"{name} {value}")
    film.fragments[at] = bytes(data)
    return ", ".join(done)


@mutator("pixels: rle")
def _rle(film: FilmFile, rng: random.Random) -> str:
    at = _codestream(film)
    if at is None or film.fragments is None or len(film.fragments[at]) < 64:
        return _pixel_length(film, rng)
    data = bytearray(film.fragments[at])
    how = rng.choice(("segments", "offset", "offsets swapped", "overlong", "runs", "noise"))
    if how == "segments":
        struct.pack_into("<L", data, 0, rng.choice((0, 1, 2, 3, 15, 16, 1 << 31, UNDEFINED)))
    elif how == "offset":
        struct.pack_into(
            "<L", data, 4 + 4 * rng.randrange(3), rng.choice((0, 63, 65, len(data), len(data) - 1, UNDEFINED))
        )
    elif how == "offsets swapped":
        data[4:8], data[8:12] = data[8:12], data[4:8]
    elif how == "overlong":
        data += b"\x81\xff" * rng.choice((1, 100, 20000))  # runs of 128 bytes
    elif how == "runs":
        for _ in range(rng.choice((1, 5, 50))):
            data[rng.randrange(64, len(data))] = rng.choice((0x80, 0x81, 0x7F, 0, 0xFF))
    else:
        data[64:] = rng.randbytes(len(data) - 64)
    film.fragments[at] = bytes(data)
    return how


@mutator("pixels: stream damaged")
def _damaged(film: FilmFile, rng: random.Random) -> str:
    at = _codestream(film)
    if at is None or film.fragments is None:
        return _pixel_length(film, rng)
    data = bytearray(film.fragments[at])
    how = rng.choice(("bytes", "cut", "appended", "markers", "other format"))
    if how == "bytes":
        for _ in range(rng.choice((1, 3, 20))):
            data[rng.randrange(len(data))] = rng.randrange(256)
    elif how == "cut":
        del data[rng.randrange(len(data)) :]
    elif how == "appended":
        data += bytes(data) if rng.random() < 0.5 else rng.randbytes(100)
    elif how == "markers":
        where = rng.randrange(2, min(200, len(data)))
        data[where:where] = (
            b"\xff"
            + bytes([rng.choice((0xD8, 0xD9, 0x4F, 0x51, 0x90, 0xC4, 0xDA, 0xDD, 0xFE))])
            + rng.randbytes(6)
        )
    else:
        other = seed(rng.choice([each for each in NAMES if seed(each).fragments is not None]))
        data = bytearray((other.fragments or [b"", b""])[1])
    film.fragments[at] = bytes(data)
    return f"{how} ({len(data)} bytes)"


@mutator("pixels: end")
def _end(film: FilmFile, rng: random.Random) -> str:
    at = _codestream(film)
    if at is None or film.fragments is None:
        return _pixel_length(film, rng)
    how = rng.choice(("no end marker", "delimiter", "no table", "native", "stated length"))
    if how == "no end marker":
        film.fragments[at] = film.fragments[at].rstrip(b"\0").removesuffix(b"\xff\xd9")
    elif how == "delimiter":
        film.with_delimiter = False
        film.tail = rng.choice((b"", bytes(3), bytes(8), bytes(500), b"\xfe\xff\x0d\xe0" + bytes(4)))
    elif how == "no table":
        del film.fragments[0]
    elif how == "native":
        film.pixels, film.fragments = film.fragments[at], None
    else:
        film.pixel_length = rng.choice((sum(map(len, film.fragments)) + 8 * len(film.fragments) + 8, 100, 0))
    return how


_SEGMENTS = (0xC3, 0xC0, 0xC1, 0xF7, 0xC4, 0xDB, 0xDA, 0xDD)


@mutator("pixels: jpeg")
def _jpeg(film: FilmFile, rng: random.Random) -> str:
    """Tables and parameters: of SOF, DHT, DQT, SOS, DRI (ISO/IEC 10918-1 B.2)."""
    at = _codestream(film)
    if at is None or film.fragments is None:
        return _pixel_length(film, rng)
    data = bytearray(film.fragments[at])
    places = [i for i in range(2, min(len(data) - 8, 800)) if data[i] == 0xFF and data[i + 1] in _SEGMENTS]
    if not places:
        return _codestream_header(film, rng)
    how = rng.choice(("parameter", "length", "twice", "gone", "restart", "marker", "scan twice"))
    place = rng.choice(places)
    (length,) = struct.unpack_from(">H", data, place + 2)
    end = min(place + 2 + length, len(data) - 1)
    if how == "parameter":
        for _ in range(rng.choice((1, 1, 3))):
            data[rng.randrange(place + 4, max(place + 5, end))] = rng.choice(
                (0, 1, 2, 7, 8, 15, 16, 127, 255)
            )
    elif how == "length":
        struct.pack_into(">H", data, place + 2, rng.choice((0, 1, 2, 3, length - 1, length + 1, 65535)))
    elif how == "twice":
        data[end:end] = data[place:end]
    elif how == "gone":
        del data[place:end]
    elif how == "restart":
        data[place:place] = struct.pack(">4H", 0xFFDD, 4, rng.choice((0, 1, 80, 81, 65535)), 0xFFFE)
        data[place + 6 : place + 8] = b""
    elif how == "marker":
        data[place + 1] = rng.choice((0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC9, 0xCB, 0xF7, 0xF8, 0xDC, 0xDE))
    else:
        data[-2:] = data[place:]
    film.fragments[at] = bytes(data)
    return f"{how} of {data[place + 1] if place + 1 < len(data) else 0:02X}"


@mutator("pixels: jpeg 2000")
def _jpeg_2000(film: FilmFile, rng: random.Random) -> str:
    """Capabilities, coding styles, quantisation and tile-parts (ISO/IEC 15444-1 A, 15444-15 A)."""
    at = _codestream(film)
    if at is None or film.fragments is None:
        return _pixel_length(film, rng)
    data = bytearray(film.fragments[at])
    markers = (0x50, 0x51, 0x52, 0x5C, 0x90, 0x93, 0x55, 0x64)
    places = [i for i in range(2, min(len(data) - 16, 300)) if data[i] == 0xFF and data[i + 1] in markers]
    if not places:
        return _codestream_header(film, rng)
    place = rng.choice(places)
    how = rng.choice(("parameter", "parameter", "gone", "twice", "high throughput or not", "length"))
    (length,) = struct.unpack_from(">H", data, place + 2)
    end = min(place + 2 + length, len(data) - 1)
    if how == "parameter":
        data[rng.randrange(place + 4, max(place + 5, end))] = rng.choice((0, 1, 2, 4, 8, 32, 64, 127, 255))
    elif how == "gone":
        del data[place:end]
    elif how == "twice":
        data[end:end] = data[place:end]
    elif how == "length":
        struct.pack_into(">H", data, place + 2, rng.choice((0, 2, length - 1, length + 1, 65535)))
    else:
        data[6] ^= 0x40
    film.fragments[at] = bytes(data)
    return f"{how} of {data[place + 1] if place + 1 < len(data) else 0:02X}"


@mutator("pixels: label")
def _label(film: FilmFile, rng: random.Random) -> str:
    value = rng.choice([each for each in _SYNTAXES if each.startswith(b"1.2.840")])
    for element in film.meta:
        if element.tag == 0x00020010:
            element.value = value
    return f"states {value!r}"


# --- what the image says of itself ---


def _us(keyword: str, *values: int) -> Element:
    return Element(
        tag_for_keyword(keyword) or 0, "US", struct.pack(f"<{len(values)}H", *(v & 0xFFFF for v in values))
    )


def _ds(keyword: str, *values: str) -> Element:
    return Element(tag_for_keyword(keyword) or 0, "DS", "\\".join(values).encode())


@mutator("image: size")
def _size(film: FilmFile, rng: random.Random) -> str:
    keyword = rng.choice(("Rows", "Columns"))
    value = rng.choice((0, 1, 47, 48, 79, 81, 95, 97, 160, 8192, 65535))
    film.put(_us(keyword, value))
    if rng.random() < 0.3:
        film.body = [each for each in film.body if each.tag != film.body[-1].tag]
    if rng.random() < 0.3:
        other = rng.choice((48, 96, 8192, 65535))
        film.put(_us("Rows" if keyword == "Columns" else "Columns", other))
        return f"{keyword} {value}, the other {other}"
    return f"{keyword} {value}"


@mutator("image: bits")
def _bits(film: FilmFile, rng: random.Random) -> str:
    done = []
    for keyword in rng.sample(
        ("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "SamplesPerPixel"),
        rng.randint(1, 3),
    ):
        value = rng.choice((0, 1, 3, 7, 8, 9, 11, 12, 13, 15, 16, 31, 32, 64, 65535))
        film.put(_us(keyword, value))
        done.append(f"{keyword} {value}")
    return ", ".join(done)


@mutator("image: spacing")
def _spacing(film: FilmFile, rng: random.Random) -> str:
    keyword = rng.choice(
        ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing", "PixelAspectRatio")
    )
    values = (
        "0",
        "-1",
        "1e-9",
        "0.005",
        "0.02",
        "0.2",
        "1.9",
        "2",
        "2.0001",
        "20",
        "1e9",
        "1e308",
        "nan",
        "inf",
        "x",
        "",
    )
    first = rng.choice(values)
    chosen = [first, first if rng.random() < 0.5 else rng.choice(values)][: rng.choice((1, 2, 2, 2))]
    if keyword == "PixelAspectRatio":
        film.put(Element(0x00280034, "IS", "\\".join(chosen).encode()))
    else:
        film.put(_ds(keyword, *chosen))
    if rng.random() < 0.4:
        factor = rng.choice(("0", "1.2", "1.8", "3", "3.1", "-2", "1e-300", "nan", "1e300"))
        film.put(_ds("EstimatedRadiographicMagnificationFactor", factor))
        return f"{keyword} {chosen}, magnified {factor}"
    return f"{keyword} {chosen}"


@mutator("image: window")
def _window(film: FilmFile, rng: random.Random) -> str:
    numbers = (
        "0",
        "1",
        "0.5",
        "-1",
        "2048",
        "1e308",
        "-1e308",
        "1e-308",
        "nan",
        "inf",
        "4096",
        "65536",
        "",
        "1e15",
    )
    center, width = rng.choice(numbers), rng.choice(numbers)
    film.put(_ds("WindowCenter", center))
    film.put(_ds("WindowWidth", width))
    function = rng.choice((b"LINEAR", b"LINEAR_EXACT", b"SIGMOID", b"", b"CUBIC"))
    film.put(Element(0x00281056, "CS", function))
    return f"{center} / {width} {function!r}"


@mutator("image: rescale")
def _rescale(film: FilmFile, rng: random.Random) -> str:
    numbers = (
        "0",
        "1",
        "-1",
        "1e308",
        "-1e308",
        "1e-308",
        "1e-320",
        "nan",
        "inf",
        "1e200",
        "2.5",
        "",
        "1e300",
    )
    slope, intercept = rng.choice(numbers), rng.choice(numbers)
    film.put(_ds("RescaleSlope", slope))
    film.put(_ds("RescaleIntercept", intercept))
    return f"slope {slope}, intercept {intercept}"


@mutator("image: LUT")
def _lookup(film: FilmFile, rng: random.Random) -> str:
    entries = rng.choice((0, 1, 2, 256, 4096, 65535))
    first = rng.choice((0, 1, 100, 32767, 32768, 65535))
    bits = rng.choice((0, 1, 8, 12, 16, 17, 255))
    size = rng.choice((0, 1, 2, entries, 2 * entries, 2 * entries - 1 if entries else 0))
    vr = rng.choice(("OW", "OW", "US", "UN", "OB"))
    if rng.random() < 0.5:  # as it should be, but for where it starts
        bits, size, vr = rng.choice((8, 12, 16)), 2 * entries, rng.choice(("OW", "US"))
    item = [
        Element(
            0x00283002,
            rng.choice(("US", "SS")),
            struct.pack("<3H", entries, first, bits)[: rng.choice((6, 6, 6, 4))],
        ),
        Element(0x00283006, vr, bytes(i * 37 & 0xFF for i in range(256)) * (size // 256) + bytes(size % 256)),
    ]
    tag = rng.choice((0x00283010, 0x00283000))
    film.put(Element(tag, "SQ", Items([item] * rng.choice((1, 1, 2)))))
    return f"({tag:08X}) {entries} from {first}, {bits} bits, {size} bytes of {vr}"


@mutator("image: padding")
def _padding(film: FilmFile, rng: random.Random) -> str:
    values = (0, 1, 5, 255, 256, 4095, 32767, 32768, 65535)
    first, last = rng.choice(values), rng.choice(values)
    film.put(_us("PixelPaddingValue", first))
    if rng.random() < 0.6:
        film.put(_us("PixelPaddingRangeLimit", last))
    film.put(Element(0x20500020, "CS", rng.choice((b"IDENTITY", b"INVERSE", b"", b"X"))))
    return f"{first} to {last}"


@mutator("image: blank")
def _blank(film: FilmFile, rng: random.Random) -> str:
    if film.fragments is not None:
        film.put(_ds("WindowCenter", "1e9"))
        film.put(_ds("WindowWidth", "1"))
        return "window beyond every value"
    value = rng.choice((0, 1, 255))
    film.pixels = bytes([value]) * len(film.pixels)
    return f"every byte {value}"


_CLASSES = (
    b"1.2.840.10008.5.1.4.1.1.1.2", b"1.2.840.10008.5.1.4.1.1.1.2.1", b"1.2.840.10008.5.1.4.1.1.13.1.3",
    b"1.2.840.10008.5.1.4.1.1.7", b"1.2.840.10008.5.1.4.1.1.1", b"1.2.840.10008.5.1.4.1.1.7.2",
    b"1.2.840.10008.5.1.4.1.1.88.50", b"1.2.840.10008.5.1.4.1.1.11.1", b"1.2.840.10008.1.3.10", b"1.2.3", b"",
)  # fmt: skip


@mutator("image: class")
def _class(film: FilmFile, rng: random.Random) -> str:
    value = rng.choice(_CLASSES)
    film.put(Element(0x00080016, "UI", value))
    if rng.random() < 0.7:
        for element in film.meta:
            if element.tag == 0x00020002:
                element.value = value
    return repr(value)


_IMAGE_TYPES = (
    b"DERIVED\\SECONDARY", b"ORIGINAL\\PRIMARY\\TOMO", b"DERIVED\\PRIMARY\\TOMOSYNTHESIS\\GENERATED_2D", b"",
    b"X", b"\\\\\\",
)  # fmt: skip


@mutator("image: kind")
def _kind(film: FilmFile, rng: random.Random) -> str:
    tag, vr, values = rng.choice(
        (
            (0x00080008, "CS", _IMAGE_TYPES),
            (0x00080068, "CS", (b"FOR PROCESSING", b"FOR PRESENTATION", b"", b"X")),
            (0x00080060, "CS", (b"MG", b"CR", b"OT", b"", b"SECRET")),
            (0x00280301, "CS", (b"YES", b"", b"X")),
            (0x00280300, "CS", (b"YES", b"NO", b"BOTH")),
            (0x00280008, "IS", (b"0", b"1", b"2", b"-1", b"99999999999", b"x", b"")),
            (0x00280004, "CS", (b"MONOCHROME1", b"RGB", b"PALETTE COLOR", b"", b"YBR_FULL")),
            (0x00080064, "CS", (b"DF", b"WSD", b"DV", b"")),
            (0x00080070, "LO", (b"BCD", b"", b"SECRET")),
        )
    )  # fmt: skip
    value = rng.choice(values)
    film.put(Element(tag, vr, value))
    return f"({tag:08X}) = {value!r}"


@mutator("image: view")
def _view(film: FilmFile, rng: random.Random) -> str:
    film.put(Element(0x00185101, "CS", rng.choice((b"MLO", b"CC", b"", b"SECRET", b"XCCL", b"ml"))))
    values = (b"399368009", b"R-10226", b"399162004", b"", b"SECRET", b"1", b"399368009\\R-10226")
    item = [
        Element(0x00080100, "SH", rng.choice(values)),
        Element(0x00080102, "SH", rng.choice((b"SCT", b"SRT", b"", b"x"))),
    ]
    if rng.random() < 0.4:
        modifier = Element(
            0x00080100, "SH", rng.choice((b"399055006", b"R-102D7", b"399163009", b"SECRET", b""))
        )
        item.append(Element(0x00540222, "SQ", Items([[modifier]])))
    film.put(Element(0x00540220, "SQ", Items([item] * rng.choice((0, 1, 1, 1, 2)))))
    film.put(Element(0x00200062, "CS", rng.choice((b"L", b"R", b"B", b"U", b"", b"SECRET"))))
    return "view, modifier and side"


# --- identity ---

_UID_TAGS = (0x00080018, 0x0020000D, 0x0020000E, 0x00080016, 0x00020003)


@mutator("identity: UIDs")
def _uids(film: FilmFile, rng: random.Random) -> str:
    tag = rng.choice(_UID_TAGS)
    value = edge_value("UI", rng)
    if tag == 0x00020003:
        for element in film.meta:
            if element.tag == tag:
                element.value = value
    else:
        film.put(Element(tag, "UI", value))
    return f"({tag:08X}) = {value[:70]!r}"


@mutator("identity: same UID")
def _same_uid(film: FilmFile, rng: random.Random) -> str:
    from tests.support.mammograms import uid

    if rng.random() < 0.6:
        film.put(Element(0x00080018, "UI", uid("film", "good").encode()))
        return "SOP Instance UID as the film beside it"
    own = film.find(0x0020000D)
    film.put(Element(0x00080018, "UI", own.raw if own else b"1.2"))
    film.put(Element(0x0020000E, "UI", own.raw if own else b"1.2"))
    return "film, series and study share one"


_PATIENT = (
    (0x00100010, "PN"), (0x00100020, "LO"), (0x00100021, "LO"), (0x00100030, "DA"), (0x00100040, "CS"),
)  # fmt: skip


@mutator("identity: patient")
def _patient(film: FilmFile, rng: random.Random) -> str:
    done = []
    for tag, vr in rng.sample(_PATIENT, rng.choice((1, 1, 2, 5))):
        how = rng.choice(("other", "none", "empty", "edge", "blank"))
        if how == "none":
            film.body = [each for each in film.body if each.tag != tag]
        else:
            other = {0x00100030: b"19401231", 0x00100040: b"O"}.get(tag, b"SECRET^Other")
            value = {"other": other, "empty": b"", "blank": b"  "}.get(how, b"")
            film.put(Element(tag, vr, edge_value(vr, rng) if how == "edge" else value))
        done.append(f"({tag:08X}) {how}")
    return ", ".join(done)


@mutator("identity: study")
def _study(film: FilmFile, rng: random.Random) -> str:
    tag, vr, values = rng.choice(
        (
            (0x0020000D, "UI", (b"1.2.3.4", b"", b"1." + b"9" * 62, b"SECRET")),
            (0x00080020, "DA", (b"20230101", b"", b"SECRET")),
            (0x00080030, "TM", (b"", b"999999", b"SECRET")),
            (0x00080201, "SH", OFFSETS),
            (0x00080050, "SH", (b"", b"SECRET" * 20, b"\xff")),
            (0x00200010, "SH", (b"", b"SECRET" * 20)),
        )
    )
    value = rng.choice(values)
    film.put(Element(tag, vr, value))
    return f"({tag:08X}) = {value[:40]!r}"
