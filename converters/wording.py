"""The sentences that the objects show to people; all ASCII, one line each."""

from __future__ import annotations

from bcd_model.words import Finding, OperatingPoint
from converters import film_facts
from converters.provenance import RESEARCH, clean
from converters.result import FilmResult, StudyResult


def operating_point(point: OperatingPoint) -> str:
    """From which probability on a finding is presented."""
    return f"P(abnormal) >= {point.threshold:.4g}"


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


def finding_label(finding: Finding, number: int) -> str:
    """The short label beside an outline: "1 malignant 62% (abnormal 87%)"."""
    probability = finding.probability
    share = probability.malignant if finding.label == "malignant" else probability.benign
    return f"{number} {finding.label} {share:.0%} (abnormal {probability.abnormal:.0%})"


def presented(film: FilmResult, result: StudyResult) -> tuple[tuple[int, Finding], ...]:
    """The film's findings at or above the operating point, each with its number from 1."""
    if film.scan is None:
        return ()
    numbered = enumerate(film.scan.findings, start=1)
    return tuple(
        (number, finding) for number, finding in numbered if result.operating_point.presents(finding)
    )


def film_caption(film: FilmResult, result: StudyResult) -> tuple[str, ...]:
    """What is said of a scanned film as a whole, line by line; the last lines are its warnings."""
    count = len(presented(film, result))
    if count == 0:
        head = f"BCD: no finding at the operating point. {RESEARCH}."
    else:
        label = film.scan.label if film.scan is not None else "normal"
        head = f"BCD: {label}, {count} finding{'s' if count > 1 else ''} at the operating point. {RESEARCH}."
    return head, *(clean(f"Warning: {warning}") for warning in film_facts.warnings(film))


def film_sentence(film: FilmResult, number: int, result: StudyResult) -> str:
    """The film in the CAD SR's impression."""
    name = film_facts.name(film, number)
    name = name[0].upper() + name[1:]
    if film.scan is None:
        return clean(f"{name}: not scanned, {(film.reason or 'no reason given').rstrip('.')}.")
    p = film.scan.probability
    shown, found = len(presented(film, result)), len(film.scan.findings)
    sentence = (
        f"{name}: {film.scan.label} (normal {p.normal:.0%}, benign {p.benign:.0%}, "
        f"malignant {p.malignant:.0%}); findings at the operating point: {shown}, below it: {found - shown}."
    )
    return clean(" ".join((sentence, *(f"Warning: {text}." for text in film_facts.warnings(film)))))
