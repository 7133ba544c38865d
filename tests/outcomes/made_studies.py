"""Studies of good, failing, excluded and odd films of one to three patients, with what is true of each film.

What is expected of a film follows from how it was made, never from reading it.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom.dataset import FileDataset
from pydicom.uid import (
    UID,
    BreastTomosynthesisImageStorage,
    DeflatedExplicitVRLittleEndian,
    DigitalMammographyXRayImageStorageForProcessing,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEGLSLossless,
    RLELossless,
    SecondaryCaptureImageStorage,
)

from bcd_model.errors import FilmError
from bcd_model.words import Film, FilmScan, Finding, HeatMap, ModelIdentity, OperatingPoint, Probability
from tests.support.film_tree import encode, tree_of
from tests.support.mammograms import breast, code, mammogram, recoded, uid

SHAPE = (56, 50)
IDENTITY = ("PatientID", "IssuerOfPatientID", "PatientName", "PatientBirthDate", "PatientSex")
Identity = tuple[str, ...]
"""The values of `IDENTITY`, "" for none."""

_NAMES = ("Ahlström^Ina", "Bergmann^Eva", "Castillo^Luz", "Dvořák^Ema", "Eriksen^Liv", "Fuentes^Ana")


@dataclass(frozen=True)
class MadeFilm:
    """A file of a study and the truth about it.

    Attributes:
        patient: whom the film was made of, also where the file no longer says so.
        expected: what may become of it; empty if it is no film and belongs into no result.
        findings: probabilities of abnormality of the findings that a scan of it has.
        pointed_to: whether it has the UIDs that an object needs to refer to it.
        readable: whether a header can be read from the file, so that patient and view are known.
    """

    file: str
    kind: str
    data: bytes = field(repr=False)
    patient: Identity
    sop: str
    side: str | None
    view: str | None
    expected: frozenset[str]
    rule: str | None = None
    findings: tuple[float, ...] = ()
    pointed_to: bool = True
    readable: bool = True
    date: str = "20240102"


@dataclass(frozen=True)
class MadeStudy:
    """A study: its films in no order, and whose they are."""

    number: int
    uid: str
    films: tuple[MadeFilm, ...]

    def write(self, folder: Path) -> None:
        """Write the films into ``folder``, which is made."""
        folder.mkdir()
        for film in self.films:
            (folder / film.file).write_bytes(film.data)


class MarkedScanner:
    """A scanner that reads from the film's top right pixel what it is to find, and keeps what it was given.

    The pixel is 5, 15, 25, 35 or 45 of 255: nothing is found, a finding at the operating point, one below it,
    one of each; the scan breaks down.
    """

    identity = ModelIdentity("marked", "1", "0" * 64)
    operating_point = OperatingPoint(0.5, 0.4)
    compares = True

    def __init__(self) -> None:
        self.pairs: list[tuple[str | None, str | None]] = []

    def scan(self, film: Film, other: Film | None = None) -> FilmScan:
        if other is not None:
            self.pairs.append((film.sop_instance_uid, other.sop_instance_uid))
        if np.ptp(film.pixels) < 1 / 255:
            raise FilmError("shows no breast", place=film.file)
        mark = round(float(film.pixels[0, -1]) * 255) // 10
        if mark == BREAKS:
            raise RuntimeError("the scan breaks down")
        findings = tuple(_finding(film.shape, abnormal, n) for n, abnormal in enumerate(FINDINGS[mark]))
        presented = [f for f in findings if self.operating_point.presents(f)]
        best = findings[0].probability if findings else Probability(0.98, 0.01, 0.01)
        heat = HeatMap(np.zeros((2, 2), dtype=np.float32), (0.0, 0.0), (28.0, 25.0))
        return FilmScan(presented[0].label if presented else "normal", best, findings, heat)


FINDINGS: tuple[tuple[float, ...], ...] = ((), (0.9,), (0.3,), (0.9, 0.3))
BREAKS = 4


def _finding(shape: tuple[int, int], abnormal: float, number: int) -> Finding:
    row, column = shape[0] / 2 + 6 * number, shape[1] / 3
    corners = ((row - 4, column), (row, column + 4), (row + 4, column))
    probability = Probability(1 - abnormal, abnormal / 3, 2 * abnormal / 3)
    return Finding((row, column), 4.0, corners, "malignant", probability)


# --- kinds of film ---


@dataclass
class _Draft:
    """A film while it is made."""

    film: FileDataset
    side: str | None
    view: str | None
    expected: frozenset[str]
    rule: str | None = None
    mark: int = 0
    finish: Callable[[bytes], bytes] = bytes
    syntax: UID | None = None
    pointed_to: bool = True
    readable: bool = True


SCANNED, FAILED, EXCLUDED = frozenset({"scanned"}), frozenset({"failed"}), frozenset({"excluded"})
_Kind = Callable[[_Draft, random.Random], None]
KINDS: dict[str, tuple[int, _Kind]] = {}


def _kind(name: str, weight: int) -> Callable[[_Kind], _Kind]:
    def enter(function: _Kind) -> _Kind:
        KINDS[name] = (weight, function)
        return function

    return enter


@_kind("good", 30)
def _good(draft: _Draft, rng: random.Random) -> None:
    pass


@_kind("good in another coding", 8)
def _coded(draft: _Draft, rng: random.Random) -> None:
    draft.syntax = rng.choice((ImplicitVRLittleEndian, ExplicitVRBigEndian, RLELossless, JPEGLSLossless))


@_kind("good with long UIDs", 3)
def _long_uids(draft: _Draft, rng: random.Random) -> None:
    for keyword in ("SOPInstanceUID", "SeriesInstanceUID"):
        setattr(draft.film, keyword, "1.2." + "".join(rng.choices("123456789", k=60)))


@_kind("good without a series", 4)
def _no_series(draft: _Draft, rng: random.Random) -> None:
    del draft.film.SeriesInstanceUID
    draft.pointed_to = False


@_kind("good without side or view", 4)
def _no_view(draft: _Draft, rng: random.Random) -> None:
    if rng.random() < 0.5:
        del draft.film.ImageLaterality
        draft.film.PatientOrientation = []  # it tells the breast of an oblique view
        draft.side = None
    else:
        del draft.film.ViewCodeSequence, draft.film.ViewPosition
        draft.view = None


@_kind("good of another day", 3)
def _other_day(draft: _Draft, rng: random.Random) -> None:
    draft.film.StudyDate = "20230405"


@_kind("deflated", 2)
def _deflated(draft: _Draft, rng: random.Random) -> None:
    draft.syntax = DeflatedExplicitVRLittleEndian
    draft.expected, draft.readable = FAILED | SCANNED, False


@_kind("without preamble", 3)
def _no_preamble(draft: _Draft, rng: random.Random) -> None:
    draft.finish = lambda data: data[132:]
    draft.expected, draft.readable = FAILED | SCANNED, False


@_kind("blank", 4)
def _blank(draft: _Draft, rng: random.Random) -> None:
    draft.film.PixelData = bytes([rng.choice((0, 128, 255))]) * len(draft.film.PixelData)
    draft.expected = FAILED


@_kind("window beside every value", 2)
def _windowed(draft: _Draft, rng: random.Random) -> None:
    draft.film.WindowCenter, draft.film.WindowWidth = 100000, 2  # its own range is shown


@_kind("window of a width of 1 beside every value", 2)
def _stepped(draft: _Draft, rng: random.Random) -> None:
    draft.film.WindowCenter, draft.film.WindowWidth = 100000, 1
    draft.expected = FAILED


@_kind("a scan that breaks down", 3)
def _breaks(draft: _Draft, rng: random.Random) -> None:
    draft.mark, draft.expected = BREAKS, FAILED


@_kind("cut in its pixels", 4)
def _cut_pixels(draft: _Draft, rng: random.Random) -> None:
    left = rng.randint(1, SHAPE[0] * SHAPE[1] - 2)
    draft.finish = lambda data: data[:-left]
    draft.expected = FAILED


@_kind("cut in its header", 4)
def _cut_header(draft: _Draft, rng: random.Random) -> None:
    share = rng.uniform(0.0, 1.0)
    # Somewhere behind the meta information and before the pixels.
    draft.finish = lambda data: data[: 400 + int(share * (len(data) - SHAPE[0] * SHAPE[1] - 420))]
    draft.expected, draft.readable = FAILED, False


@_kind("header overwritten", 3)
def _overwritten(draft: _Draft, rng: random.Random) -> None:
    pixels = SHAPE[0] * SHAPE[1]
    draft.finish = lambda data: data[:400] + b"\xff" * (len(data) - pixels - 400) + data[-pixels:]
    draft.expected, draft.readable = FAILED, False


@_kind("no decoder", 3)
def _no_decoder(draft: _Draft, rng: random.Random) -> None:
    draft.finish = lambda data: data.replace(b"1.2.840.10008.1.2.5\0", b"1.2.840.10008.1.2.9\0")
    draft.syntax, draft.expected = RLELossless, FAILED


@_kind("burned-in annotation", 2)
def _burned_in(draft: _Draft, rng: random.Random) -> None:
    draft.film.BurnedInAnnotation = "YES"
    draft.expected = FAILED


@_kind("several frames", 2)
def _frames(draft: _Draft, rng: random.Random) -> None:
    if rng.random() < 0.5:
        draft.film.NumberOfFrames = 2
        draft.film.PixelData *= 2
    else:
        draft.film.NumberOfFrames = [1, 1]
    draft.expected = FAILED


@_kind("malformed SOP class", 2)
def _no_class(draft: _Draft, rng: random.Random) -> None:
    good = b"1.2.840.10008.5.1.4.1.1.1.2\0"
    draft.finish = lambda data: data.replace(good, good.replace(b"1.2\0", b"1,2\0"))
    draft.expected, draft.pointed_to = FAILED, False


@_kind("no SOP Instance UID", 2)
def _no_sop(draft: _Draft, rng: random.Random) -> None:
    draft.film.SOPInstanceUID = ""
    draft.expected, draft.pointed_to, draft.readable = FAILED, False, False


@_kind("tomosynthesis", 4)
def _tomosynthesis(draft: _Draft, rng: random.Random) -> None:
    if rng.random() < 0.5:
        draft.film.SOPClassUID = BreastTomosynthesisImageStorage
        draft.film.NumberOfFrames = 1
    else:
        draft.film.ImageType = ["ORIGINAL", "PRIMARY", "TOMOSYNTHESIS"]
    draft.expected, draft.rule = EXCLUDED, "tomosynthesis"


@_kind("spot view", 4)
def _spot(draft: _Draft, rng: random.Random) -> None:
    modifier = code(*rng.choice((("399055006", "spot compression"), ("399163009", "magnification"))))
    draft.film.ViewCodeSequence[0].ViewModifierCodeSequence = [modifier]
    draft.expected, draft.rule = EXCLUDED, "spot view"


@_kind("For Processing", 8)
def _processing(draft: _Draft, rng: random.Random) -> None:
    draft.film.SOPClassUID = DigitalMammographyXRayImageStorageForProcessing
    draft.film.PresentationIntentType = "FOR PROCESSING"
    draft.expected, draft.rule = SCANNED, "for processing"
    if rng.random() < 0.6:
        del draft.film.WindowCenter, draft.film.WindowWidth
        draft.expected = FAILED


@_kind("secondary picture", 2)
def _secondary(draft: _Draft, rng: random.Random) -> None:
    draft.film.SOPClassUID = SecondaryCaptureImageStorage
    draft.film.ImageType = ["DERIVED", "SECONDARY"]
    draft.expected, draft.rule = EXCLUDED, "secondary picture"


@_kind("a result of ours", 3)
def _ours(draft: _Draft, rng: random.Random) -> None:
    draft.film.SOPClassUID = SecondaryCaptureImageStorage
    draft.film.Manufacturer, draft.film.ManufacturerModelName = "BCD", "bcd-cad"
    draft.expected = frozenset()


# --- studies ---


def _patients(rng: random.Random) -> list[Identity]:
    """One to three; each but the first differs from another in one element or more."""
    first = [
        f"SECRET-{rng.randrange(1000)}",
        rng.choice(("SECRET clinic", "")),
        f"SECRET {rng.choice(_NAMES)}",
        f"19{rng.randrange(30, 80)}0{rng.randrange(1, 10)}1{rng.randrange(10)}",
        "F",
    ]
    if rng.random() < 0.1:
        first[0] = ""
    found = [tuple(first)]
    for number in range(rng.choices((0, 1, 2), weights=(50, 35, 15))[0]):
        other = list(rng.choice(found))
        for at in rng.sample(range(5), rng.choice((1, 1, 1, 2, 5))):
            new = (f"SECRET-X{number}", f"SECRET site {number}", f"SECRET {_NAMES[number]}", "19401231", "O")[
                at
            ]
            other[at] = "" if other[at] and rng.random() < 0.4 else new
        found.append(tuple(other))
    return list(dict.fromkeys(found))


def _pixels(mark: int, number: int) -> npt.NDArray[np.integer]:
    pixels = breast(*SHAPE, number=number).copy()
    pixels[0, -1] = 10 * mark + 5
    return pixels


def made_study(number: int) -> MadeStudy:
    """Study ``number``; the same one every time, on every machine."""
    rng = random.Random(f"outcomes/{number}")
    study = f"made {number}"
    patients = _patients(rng)
    names, weights = list(KINDS), [weight for weight, _ in KINDS.values()]
    films: list[MadeFilm] = []
    for place in range(rng.choices((1, 2, 3, 4, 6), weights=(10, 25, 25, 25, 15))[0]):
        kind = "good" if not place and rng.random() < 0.3 else rng.choices(names, weights)[0]
        films.append(_film(kind, study, place, rng.choice(patients), rng))
    if rng.random() < 0.05:
        films += _contradiction(study, len(films), rng.choice(patients), rng)
    if len(patients) > 1 and rng.random() < 0.15:
        films += _picture_of_two(study, len(films), patients, rng)
    if not any(film.expected and film.readable for film in films):
        films.append(_film("good", study, len(films), rng.choice(patients), rng))
    return MadeStudy(number, uid("study", study), tuple(_with_twins(films)))


def _film(kind: str, study: str, place: int, patient: Identity, rng: random.Random) -> MadeFilm:
    mark = rng.choices((0, 1, 2, 3), weights=(50, 20, 20, 10))[0]
    side, view = rng.choice("LR"), rng.choice(("CC", "MLO"))
    film = mammogram(
        _pixels(mark, 10 * rng.randrange(1000) + place),
        name=f"{study}/{place}",
        study=study,
        laterality=side,
        view=view,
    )
    # Lowest and highest UIDs in turn: which film comes first must not matter.
    film.SOPInstanceUID = f"1.2.{rng.randrange(10**9)}.{place}"
    film.ImagerPixelSpacing = [3.0, 3.0]
    draft = _Draft(film, side, view, SCANNED, mark=mark)
    KINDS[kind][1](draft, rng)
    _name(film, patient, rng)
    if draft.mark != mark:
        film.PixelData = _pixels(draft.mark, 10 * rng.randrange(1000) + place).tobytes()
    film.file_meta.MediaStorageSOPInstanceUID = film.SOPInstanceUID or "1.2.3"
    film.file_meta.MediaStorageSOPClassUID = film.SOPClassUID
    if draft.syntax is not None:
        film = recoded(film, draft.syntax)
    return MadeFilm(
        file=f"film{place}.dcm",
        kind=kind,
        data=draft.finish(encode(tree_of(film))),
        patient=patient,
        sop=str(film.SOPInstanceUID),
        side=draft.side,
        view=draft.view,
        expected=draft.expected,
        rule=draft.rule,
        findings=FINDINGS[draft.mark] if draft.mark < len(FINDINGS) else (),
        pointed_to=draft.pointed_to and draft.readable,
        readable=draft.readable,
        date=str(film.StudyDate),
    )


def _name(film: FileDataset, patient: Identity, rng: random.Random) -> None:
    """Write the patient into the header; the same name may stand there in several character sets."""
    latin = all(ord(letter) < 256 for letter in patient[2])
    film.SpecificCharacterSet = rng.choice(("ISO_IR 100", "ISO_IR 192")) if latin else "ISO_IR 192"
    for keyword, value in zip(IDENTITY, patient, strict=True):
        if value:
            setattr(film, keyword, value)
        elif rng.random() < 0.5 or keyword == "IssuerOfPatientID":
            if keyword in film:
                delattr(film, keyword)
        else:
            setattr(film, keyword, "")


def _contradiction(study: str, place: int, patient: Identity, rng: random.Random) -> list[MadeFilm]:
    """Two different files of one SOP Instance UID: one failed film, and nobody knows which."""
    one = _film("good", study, place, patient, rng)
    other = _film("good", study, place + 1, patient, rng)
    own, twin = (f"{len(each.sop):02}{each.sop}" for each in (one, other))
    if own[:2] != twin[:2]:
        return []
    data = other.data.replace(other.sop.encode(), one.sop.encode())
    pair = (one, replace(other, data=data, sop=one.sop))
    return [replace(film, kind="contradiction", expected=FAILED, findings=()) for film in pair]


def _picture_of_two(study: str, place: int, patients: list[Identity], rng: random.Random) -> list[MadeFilm]:
    """One picture under two patients: two failed films, and nobody knows whose it is.

    Only where one header states what the other denies: else they may be of one patient.
    """
    one, other = (_film("good", study, place + n, who, rng) for n, who in enumerate(rng.sample(patients, 2)))
    if not any(
        mine and theirs and mine != theirs for mine, theirs in zip(one.patient, other.patient, strict=True)
    ):
        return [one, other]
    size = SHAPE[0] * SHAPE[1]
    pair = (one, replace(other, data=other.data[:-size] + one.data[-size:]))
    return [replace(film, kind="picture of two", expected=FAILED, findings=()) for film in pair]


def _with_twins(films: list[MadeFilm]) -> list[MadeFilm]:
    """For Processing images are excluded where a For Presentation image of the patient shows their view."""
    found = []
    for film in films:
        if film.rule == "for processing":
            alike = [
                each
                for each in films
                if each is not film
                and (each.side, each.view) == (film.side, film.view)
                and None not in (each.side, each.view)
                and each.rule is None
                and each.expected
            ]
            expected = film.expected
            if any(_sure(each) and each.patient == film.patient for each in alike):
                expected = EXCLUDED
            elif alike:  # another patient's, or one that cannot be used: either is right, if it is told
                expected |= EXCLUDED
            film = replace(film, expected=expected)
        found.append(film)
    return found


def _sure(film: MadeFilm) -> bool:
    return film.expected == SCANNED and film.readable
