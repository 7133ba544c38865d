"""``report.html``: a study's result on one page that needs nothing else.

No script, no font, no picture comes from outside, and the page's Content Security Policy forbids
all of it. Every string is escaped by the template engine, and stripped of characters that do not
print: names come from headers and files that others wrote.

The page names the patient (name, identifier, date of birth), as the DICOM objects beside it do: a
reader must be able to see whose films these are. ``result.json`` names no patient.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from typing import TYPE_CHECKING, Any

from pydicom.dataset import Dataset

from bcd_model.words import DISCLAIMER, Film, Finding
from converters.dicom.file import values
from converters.films.kinds import TRAINING_BITS, TRAINING_SPACING
from converters.product import PRODUCT, SOFTWARE_VERSION
from converters.results import film_facts, wording
from converters.results.modules import moment, study_header
from converters.results.outcome import coverage
from converters.results.patients import identity_of
from converters.results.pictures.page_picture import Picture, picture, polygon
from converters.results.study_result import FilmResult, ScannedFilm, StudyResult

if TYPE_CHECKING:
    from jinja2 import Template

FILE_NAME = "report.html"

_LONGEST = 1000  # characters of one string: a damaged header may hold a name of many thousands


def build_report(result: StudyResult) -> bytes:
    """The page of the study, UTF-8."""
    template, style = _page()
    films = [_film(result, film, number) for number, film in result.numbered]
    extent = coverage(result)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return template.render(
        style=style,
        policy=f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; "
        "base-uri 'none'; form-action 'none'",
        disclaimer=DISCLAIMER,
        product=f"{PRODUCT} {SOFTWARE_VERSION}",
        identity=_identity(result),
        films=films,
        extent=extent,
        coverage=wording.coverage_sentence(extent),
        warnings=[_shown(text) for text in result.warnings],
        model=result.model,
        point=result.operating_point,
        prevalence=wording.prevalence(result.operating_point.prevalence),
        job=result.job,
        training=f"{TRAINING_SPACING:g} mm, {TRAINING_BITS} bits",
    ).encode()


@cache
def _page() -> tuple[Template, str]:
    """The template and its style sheet, which stands in the page under the policy's hash."""
    from jinja2 import Environment, PackageLoader, StrictUndefined  # `submit` comes by here and needs none

    loader = PackageLoader("converters")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["percent"] = _percent
    environment.filters["shown"] = _shown
    style = loader.get_source(environment, "report.css")[0]
    return environment.get_template("report.html"), style


def _identity(result: StudyResult) -> list[tuple[str, str]]:
    """Whose study it is, as (name, value); what the header leaves open is said to be."""
    header = study_header(result)
    created = moment(result).isoformat(sep=" ", timespec="minutes")
    rows = [
        ("Patient", _text(header, "PatientName").replace("^", " ").strip()),
        ("Patient ID", _text(header, "PatientID")),
        ("Born", _date(header, "PatientBirthDate")),
        ("Study date", _date(header, "StudyDate")),
        ("Accession number", _text(header, "AccessionNumber")),
        ("Study Instance UID", result.study_instance_uid),
        ("Scanned for job", f"{result.job.job_id} of {created}"),
    ]
    return [(name, _shown(value) or "not stated") for name, value in rows]


def _text(header: Dataset | None, keyword: str) -> str:
    return "" if header is None else ", ".join(str(value) for value in values(header, keyword))


def _date(header: Dataset | None, keyword: str) -> str:
    """A DICOM date as ISO 8601 writes it."""
    stated = _text(header, keyword)
    return f"{stated[:4]}-{stated[4:6]}-{stated[6:]}" if len(stated) == 8 and stated.isdecimal() else stated


def _film(result: StudyResult, film: FilmResult, number: int) -> dict[str, Any]:
    """What the template says of one film."""
    name = film_facts.name(film, number)
    shown: dict[str, Any] = {
        "name": name[0].upper() + name[1:],
        "file": _file(film),
        "uid": film.sop_instance_uid or "not known",
        "number": number,
        "outcome": film.outcome,
        "reason": _shown(wording.why_not_scanned(film)),
        "warnings": [_shown(text) for text in film_facts.warnings(film)],
        "scan": None,
        "highest": None,
        "picture": None,
        "findings": [],
        "below": [],
    }
    if not isinstance(film, ScannedFilm):
        return shown
    small = picture(film.film)
    listed = [
        (result.operating_point.presents(finding), _finding(film.film, number, finding, small))
        for number, finding in enumerate(film.scan.findings, start=1)
    ]
    return shown | {
        "scan": film.scan,
        "highest": film.scan.findings[0].probability if film.scan.findings else None,
        "picture": small,
        "label_size": _label_size(small),
        "findings": [entry for presented, entry in listed if presented],
        "below": [entry for presented, entry in listed if not presented],
    }


def _file(film: FilmResult) -> str:
    """The name of the film's file.

    A film that does not tell its patient may be another one's than the page's, and its file named after that.
    """
    if identity_of(film) is None:
        return "not named here, as the file does not tell its patient; result.json names it"
    return _shown(film.file)


def _finding(film: Film, number: int, finding: Finding, small: Picture) -> dict[str, Any]:
    """A finding for the tables and the drawing; its number stands above it, inside the picture."""
    x, y = small.place(min(film_facts.on_film(finding.outline, film.shape)))
    size = _label_size(small)
    return {
        "number": number,
        "label": finding.label,
        "probability": finding.probability,
        "row": round(finding.center[0]),
        "column": round(finding.center[1]),
        "radius": finding.radius * film.spacing[0],
        "points": polygon(small, finding.outline, film.shape),
        "x": min(max(x, size / 2), small.width - size / 2),
        "y": max(y - size / 4, size),
    }


def _label_size(small: Picture) -> float:
    return max(small.width, small.height) / 26


def _percent(value: float) -> str:
    """One decimal, or two digits where abnormal films are rare."""
    shown = f"{value:.1%}" if value >= 0.00995 or value < 1e-6 else f"{100 * value:.2g}%"
    return shown.replace("%", "\u00a0%")


def _shown(text: str) -> str:
    """``text`` without characters that do not print (controls, changes of direction, half surrogates)."""
    shown = "".join(c if c.isprintable() else "\ufffd" for c in text[:_LONGEST])
    return shown if len(text) <= _LONGEST else f"{shown} ..."
