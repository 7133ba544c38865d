"""The sentences that the objects show to people; all ASCII, one line each."""

from __future__ import annotations

from collections.abc import Mapping

from bcd_model.words import Finding, OperatingPoint
from converters.films.acceptance import Rule
from converters.product import RESEARCH
from converters.results import film_facts
from converters.results.modules import clean
from converters.results.outcome import Coverage
from converters.results.study_result import ExcludedFilm, FailedFilm, FilmResult, ScannedFilm, StudyResult

RULES: Mapping[Rule, str] = {
    "tomosynthesis": "tomosynthesis: only the 2-D or synthetic 2-D image of a view is scanned"
    " (C-View, Intelligent 2D, S-View, Insight 2D)",
    "for processing": "For Processing: the For Presentation image of this view is taken in its place",
    "spot view": "a spot compression or magnification view: it shows a part of the breast",
    "secondary picture": "a secondary picture made from others, by its Image Type, description or colour",
    "specimen": "a specimen: it is not in the breast",
    "stereotactic": "a stereotactic image, or another one of a biopsy: it shows a part of the breast",
    "contrast": "a subtraction or high-energy image of a contrast examination:"
    " it shows contrast agent, not the tissue",
}
"""Why a film was excluded, by rule."""


def prevalence(*shares: float) -> str:
    """Where the probabilities hold, a share of abnormal films; several of as many results."""
    shown = " or ".join(f"{100 * share:.3g} %" for share in shares)
    return f"probabilities hold where {shown} of films are abnormal"


def operating_point(point: OperatingPoint) -> str:
    """From which probability on a finding is presented, and where that probability holds."""
    return f"P(abnormal) >= {point.threshold:.4g}; {prevalence(point.prevalence)}"


def operating_point_sentence(point: OperatingPoint) -> str:
    """The operating point with what was measured at it."""
    measured = []
    if point.sensitivity is not None:
        measured.append(f"sensitivity {point.sensitivity:.3g} of lesions")
    if point.false_marks_per_film is not None:
        measured.append(f"{point.false_marks_per_film:.3g} false marks per film")
    if point.basis:
        measured.append(f"basis: {point.basis.rstrip('.')}")
    return clean(". ".join((f"Operating point: {operating_point(point)}", *measured)) + ".")


def percent(value: float) -> str:
    """A probability for people: two digits, also where abnormal films are rare."""
    if value >= 0.0995 or value < 1e-6:
        return f"{value:.0%}"
    return f"{100 * value:.2g}%"


def finding_label(finding: Finding, number: int) -> str:
    """The short label beside an outline: "1 malignant 62% (abnormal 87%)"."""
    probability = finding.probability
    share = probability.malignant if finding.label == "malignant" else probability.benign
    return f"{number} {finding.label} {percent(share)} (abnormal {percent(probability.abnormal)})"


def presented(film: FilmResult, result: StudyResult) -> tuple[tuple[int, Finding], ...]:
    """The film's findings at or above the operating point, each with its number from 1."""
    if not isinstance(film, ScannedFilm):
        return ()
    numbered = enumerate(film.scan.findings, start=1)
    return tuple(
        (number, finding) for number, finding in numbered if result.operating_point.presents(finding)
    )


def film_caption(film: ScannedFilm, result: StudyResult) -> tuple[str, ...]:
    """What is said of a scanned film as a whole, line by line; the last lines are its warnings."""
    count = len(presented(film, result))
    if count == 0:
        head = f"BCD: no finding at the operating point. {RESEARCH}."
    else:
        findings = f"{count} finding{'s' if count > 1 else ''}"
        holding = prevalence(result.operating_point.prevalence)
        head = f"BCD: {film.scan.label}, {findings} at the operating point; {holding}. {RESEARCH}."
    return head, *(clean(f"Warning: {warning}") for warning in film_facts.warnings(film))


def coverage_sentence(extent: Coverage) -> str:
    """How many films were scanned, and which views were not looked at."""
    films = extent.scanned + extent.failed + extent.excluded
    parts = [f"{extent.scanned} of {films} film{'s' if films != 1 else ''} scanned"]
    parts += [f"{extent.failed} failed"] if extent.failed else []
    parts += [f"{extent.excluded} excluded"] if extent.excluded else []
    sentence = ", ".join(parts)
    if extent.unseen:
        sentence += f"; NOT LOOKED AT: {', '.join(extent.unseen)}"
    return clean(f"{sentence}.")


def why_not_scanned(film: FilmResult) -> str:
    """Why there is no scan of ``film``; "" if there is one."""
    if isinstance(film, ExcludedFilm):
        return f"excluded: {RULES[film.rule]}"
    return f"not scanned: {film.reason}" if isinstance(film, FailedFilm) else ""


def film_sentence(film: FilmResult, number: int, result: StudyResult) -> str:
    """The film in the CAD SR's impression."""
    name = film_facts.name(film, number)
    name = name[0].upper() + name[1:]
    if not isinstance(film, ScannedFilm):
        sentence = f"{name}: {why_not_scanned(film)}."
    else:
        shown, found = len(presented(film, result)), len(film.scan.findings)
        sentence = (
            f"{name}: {film.scan.label} at the operating point; "
            f"findings at the operating point: {shown}, below it: {found - shown}."
        )
    return clean(" ".join((sentence, *(f"Warning: {text}." for text in film_facts.warnings(film)))))
