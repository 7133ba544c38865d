"""The words every floor of the house shares; numpy only.

Coordinates are ``(row, column)`` in pixels of the *source* image, counted as numpy counts:
``(0.0, 0.0)`` is the **centre** of the top-left pixel. DICOM counts ``(column, row)`` from the
top-left **corner** of that pixel (PS3.3 C.18.6.1.1); only the DICOM writers convert.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

WINDOW = 48
"""Side of the network's input in pixels (paper, section III)."""

Label = Literal["normal", "benign", "malignant"]
CLASSES: tuple[Label, Label, Label] = ("normal", "benign", "malignant")
"""The three classes in the order of the network's logits (paper, section III)."""

Laterality = Literal["L", "R"]

Precision = Literal["float32", "bfloat16"]
"""What a network computes in while it is trained."""
Point = tuple[float, float]
"""``(row, column)`` in source pixels; see the module docstring."""

Pixels = npt.NDArray[np.float32]

DISCLAIMER = "Research use only. Not a medical device; not for diagnosis or screening decisions."


@dataclass(frozen=True, slots=True)
class Probability:
    """Probabilities of the three classes; they add up to 1."""

    normal: float
    benign: float
    malignant: float

    @property
    def abnormal(self) -> float:
        """P(benign) + P(malignant)."""
        return self.benign + self.malignant

    @property
    def label(self) -> Label:
        """The most probable class."""
        values = (self.normal, self.benign, self.malignant)
        return CLASSES[values.index(max(values))]

    @property
    def abnormal_label(self) -> Literal["benign", "malignant"]:
        """The more probable of the two abnormal classes."""
        return "malignant" if self.malignant > self.benign else "benign"


@dataclass(frozen=True, slots=True, eq=False)
class Film:
    """One mammogram, ready for the scan.

    Attributes:
        pixels: (rows, columns) float32 in [0, 1], bright is dense, on the source's own grid.
        spacing: mm between pixel centres, (row spacing, column spacing), both positive.
        spacing_assumed: True if the source states no spacing and ``spacing`` is a guess.
        laterality: "L" or "R", None if the source does not say.
        view: "MLO", "CC" or another view's name, None if the source does not say.
        sop_instance_uid: of the source, None if it has none.
        file: name of the source file, without its folder.
        warnings: what the reader of the results must know about this film.
    """

    pixels: Pixels
    spacing: tuple[float, float]
    spacing_assumed: bool = False
    laterality: Laterality | None = None
    view: str | None = None
    sop_instance_uid: str | None = None
    file: str = ""
    warnings: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        return int(self.pixels.shape[0]), int(self.pixels.shape[1])


@dataclass(frozen=True, slots=True)
class Lesion:
    """One annotated abnormality: a circle around it, in source pixels.

    ``kind`` is the collection's own code (MIAS: CALC, CIRC, SPIC, MISC, ARCH, ASYM).
    """

    center: Point
    radius: float
    label: Literal["benign", "malignant"]
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Projection:
    """What a film shows.

    Attributes:
        patient: any name that the films of one patient share.
        kind: what else two films must share to be compared: how they were taken, for example.
        rank: of films that show the same the one with the highest was taken last; it makes no difference to
            what a film shows.
    """

    patient: str
    view: str | None
    laterality: Laterality | None
    kind: tuple[str, ...] = ()
    rank: int = field(default=0, compare=False)


class AnnotatedFilm(Protocol):
    """A film with its truth, as training and evaluation take it.

    A film with an ``unlocated`` abnormality is neither normal tissue nor scorable.
    """

    @property
    def name(self) -> str:
        """The film's name in its collection."""

    @property
    def patient(self) -> str:
        """The unit of every split."""

    @property
    def projection(self) -> Projection:
        """What the film shows, as far as it is known without its pixels."""

    @property
    def label(self) -> Label:
        """The worst class of the film's abnormalities."""

    @property
    def tissue(self) -> str:
        """The collection's code of the background tissue (MIAS: F, G, D)."""

    @property
    def lesions(self) -> tuple[Lesion, ...]:
        """The annotated abnormalities."""

    @property
    def unlocated(self) -> bool:
        """Whether an abnormality's place is not annotated."""

    def read(self) -> Film:
        """Read the pixels."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One reported place: where it is, how far it reaches, what it is taken for.

    Attributes:
        center: source pixels.
        radius: source pixels along the rows' axis, before the film's border cuts the outline.
        outline: closed polygon in source pixels, at least 3 corners, the first not repeated.
        label: the more probable abnormal class.
        probability: of the three classes at this place.
    """

    center: Point
    radius: float
    outline: tuple[Point, ...]
    label: Literal["benign", "malignant"]
    probability: Probability


@dataclass(frozen=True, slots=True, eq=False)
class HeatMap:
    """Probability of abnormality per place.

    Attributes:
        values: (h, w) float32 in [0, 1].
        origin: source (row, column) of the centre of ``values[0, 0]``.
        step: source pixels from one value to the next, (rows, columns).
    """

    values: Pixels
    origin: Point
    step: Point


@dataclass(frozen=True, slots=True, eq=False)
class FilmScan:
    """What the scan says of one film.

    ``findings`` come most suspicious first and may reach below the operating point;
    ``label`` is the class at the operating point: "normal" if no finding reaches it.
    """

    label: Label
    probability: Probability
    findings: tuple[Finding, ...]
    heat_map: HeatMap
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """Which network gave the probabilities; ``digest`` is the SHA-256 of its weight file."""

    name: str
    version: str
    digest: str


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """The probability of abnormality from which a finding is presented.

    Attributes:
        threshold: in [0, 1], on ``Probability.abnormal``.
        prevalence: share of films with an abnormality, in (0, 1), where all probabilities hold.
        sensitivity: lesions found at it, cross-validated by patient; None if never measured.
        false_marks_per_film: at it, measured likewise.
        basis: the data and protocol of the two figures, for people.
    """

    threshold: float
    prevalence: float
    sensitivity: float | None = None
    false_marks_per_film: float | None = None
    basis: str = ""

    def presents(self, finding: Finding) -> bool:
        """Whether ``finding`` is shown to the reader."""
        return finding.probability.abnormal >= self.threshold


class StudyScanner(Protocol):
    """What the study pipeline needs of a model; ``bcd_model.detector.scan.Scanner`` is one."""

    @property
    def identity(self) -> ModelIdentity:
        """Which weights scan."""

    @property
    def operating_point(self) -> OperatingPoint:
        """From where findings are presented."""

    @property
    def compares(self) -> bool:
        """Whether a film is scanned beside the other breast."""

    def scan(self, film: Film, other: Film | None = None) -> FilmScan:
        """Scan one film; ``other`` shows the other breast of the same patient in the same view.

        Raises:
            FilmError: there is nothing in the film to look at.
        """


@dataclass(frozen=True, slots=True)
class Region:
    """A circle on a film, as ``classify`` takes it: source pixels."""

    center: Point
    radius: float


def by_suspicion(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Findings, the most suspicious first; ties by place, so that the order is always the same."""
    return tuple(sorted(findings, key=lambda f: (-f.probability.abnormal, f.center)))
