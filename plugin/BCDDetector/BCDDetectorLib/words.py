"""The words of the module: what the gateway or a report says of a study.

Coordinates are ``(row, column)`` in source pixels; ``(0, 0)`` is the centre of the top-left pixel.
"""

from __future__ import annotations

from dataclasses import dataclass

DISCLAIMER = "Research use only. Not a medical device; not for diagnosis or screening decisions."

CLASSES = ("normal", "benign", "malignant")
ABNORMAL = ("benign", "malignant")

MIN_CORNERS = 3
"""Of an outline."""

Point = tuple[float, float]
"""``(row, column)``."""


@dataclass(frozen=True)
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
    def label(self) -> str:
        """The more probable of the two abnormal classes."""
        return "malignant" if self.malignant > self.benign else "benign"


@dataclass(frozen=True)
class Finding:
    """One reported place on one film.

    Attributes:
        tracking_uid: the same in every object of the result.
        film: SOP Instance UID of the film.
        number: from 1, in the order of the film's list.
        outline: closed polygon, its first corner not repeated.
        label: "benign" or "malignant".
        presented: whether it reaches the operating point.
    """

    tracking_uid: str
    film: str
    number: int
    center: Point
    radius: float
    outline: tuple[Point, ...]
    label: str
    probability: Probability
    presented: bool


@dataclass(frozen=True)
class Film:
    """One film of the study.

    Attributes:
        sop_instance_uid: None if the file could not be read that far.
        failed: whether it was not scanned; ``reason`` says why.
    """

    sop_instance_uid: str | None
    laterality: str | None = None
    view: str | None = None
    failed: bool = False
    reason: str = ""
    warnings: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()

    @property
    def name(self) -> str:
        """How the panel calls the film: "L MLO", as far as it is known."""
        return " ".join(part for part in (self.laterality, self.view) if part) or "film"


@dataclass(frozen=True)
class Study:
    """One result: everything that was found out about one study.

    Attributes:
        threshold: the operating point on P(abnormal); None if the source does not state it.
        model: name and version, for people.
        prevalence: share of abnormal films where all probabilities hold; None if the source has no number.
    """

    study_instance_uid: str
    job_id: str
    model: str
    threshold: float | None
    films: tuple[Film, ...]
    warnings: tuple[str, ...] = ()
    prevalence: float | None = None

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Those of every film, film by film."""
        return tuple(finding for film in self.films for finding in film.findings)


def percent(value: float) -> str:
    """A probability for people: two digits, also where abnormal films are rare."""
    if value >= 0.0995 or value < 1e-6:
        return f"{value:.0%}"
    return f"{100 * value:.2g}%"


def finding_label(number: int, label: str, probability: Probability) -> str:
    """The short label beside an outline: "1 malignant 62% (abnormal 87%)"."""
    share = probability.malignant if label == "malignant" else probability.benign
    return f"{number} {label} {percent(share)} (abnormal {percent(probability.abnormal)})"
