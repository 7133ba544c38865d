"""What is true of the written files of a made study: found out with pydicom and json alone."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydicom
from pydicom.dataset import Dataset

from converters.films.studies import Discovery, find_studies
from tests.outcomes.made_studies import IDENTITY, Identity, MadeFilm, MadeStudy, MarkedScanner
from worker.study.outcome import outcome_of
from worker.study.publish import publish
from worker.study.scan import new_job, scan_study

CAD_SR, MEASUREMENT_SR = "1.2.840.10008.5.1.4.1.1.88.50", "1.2.840.10008.5.1.4.1.1.88.34"
PICTURES = {
    "1.2.840.10008.5.1.4.1.1.11.1": "presentation state",
    "1.2.840.10008.5.1.4.1.1.7": "overlay",
    "1.2.840.10008.5.1.4.1.1.66.4": "heat map",
}
ALL_SUCCEEDED = {"111241", "111242", "111222"}
"""PS3.16 CID 6047 and CID 6042: all algorithms succeeded, without and with findings; Succeeded."""
WITHOUT_FINDINGS = {"111241", "111243", "111245"}
"""CID 6047: all, not all and no algorithms succeeded; without findings."""
FINDINGS_SUMMARY, SUMMARY_OF_DETECTIONS = "111017", "111064"
_CODE = {FINDINGS_SUMMARY: {"111241", "111242", "111243", "111244", "111245"}}
_CODE |= {SUMMARY_OF_DETECTIONS: {"111222", "111223", "111224"}}


@dataclass(frozen=True)
class _Object:
    """A written DICOM object."""

    path: str
    data: Dataset
    patient: Identity
    references: frozenset[str]

    @property
    def sop_class(self) -> str:
        return str(self.data.SOPClassUID)


def faults_of(study: MadeStudy, work: Path) -> list[str]:
    """Put ``study`` through reader and writers below ``work``; everything that is not so as it must be."""
    films, results = work / "films", work / "results"
    study.write(films)
    scanner = MarkedScanner()
    found = find_studies([films])
    for each in found.studies:
        result = scan_study(each, scanner, new_job(each, scanner))
        publish(result, results)
        exit_code = outcome_of(result).exit_code
    folder = results / study.uid
    if len(found.studies) != 1 or not folder.is_dir():
        kinds = sorted({film.kind for film in study.films if not film.readable})
        return [f"study {study.number}: {len(found.studies)} studies were found; {', '.join(kinds)}"]
    told = json.loads((folder / "result.json").read_bytes())
    objects = [_read(path, folder) for path in sorted(folder.rglob("*.dcm"))]
    checks = _Checks(study, told, objects)
    checks.films(found)
    checks.pictures()
    checks.documents()
    checks.comparison(scanner)
    checks.exit_code(exit_code)
    checks.pages(folder)
    checks.file_names(folder)
    return checks.faults


def _read(path: Path, folder: Path) -> _Object:
    data = pydicom.dcmread(path)
    references = frozenset(_values(data, "ReferencedSOPInstanceUID"))
    return _Object(str(path.relative_to(folder)), data, _identity(data), references)


def _identity(data: Dataset) -> Identity:
    return tuple(str(data.get(keyword) or "") for keyword in IDENTITY)


def _values(data: Dataset, keyword: str) -> Iterator[str]:
    for element in data:
        if element.VR == "SQ":
            for item in element.value:
                yield from _values(item, keyword)
        elif element.keyword == keyword:
            yield str(element.value)


def _code_of(data: Dataset, concept: str) -> str:
    """The code value of the content item of ``concept`` below the root."""
    for item in data.ContentSequence:
        if item.ConceptNameCodeSequence[0].CodeValue == concept:
            return str(item.ConceptCodeSequence[0].CodeValue)
    return ""


class _Checks:
    """The checks of one study; what is wrong is collected."""

    def __init__(self, study: MadeStudy, told: dict[str, Any], objects: list[_Object]) -> None:
        self.faults: list[str] = []
        self._study = study
        self._objects = objects
        self._told = told["films"]
        self._warnings = told["warnings"]
        self._files = {id(film): _files(film, study) for film in self._told}
        self._status = {name: film["status"] for film in self._told for name in self._files[id(film)]}

    def films(self, found: Discovery) -> None:
        """Each film stands in the result once, with an outcome that it may have."""
        for film in self._study.films:
            entries = [entry for entry in self._told if film.file in self._files[id(entry)]]
            if not film.expected:
                passed_over = any(skipped.path.name == film.file for skipped in found.skipped)
                if entries or not passed_over:
                    self._fault(film, "is no film and was not passed over")
                continue
            if len(entries) != 1:
                self._fault(film, f"is {len(entries)} times in result.json")
                continue
            status, rule = entries[0]["status"], entries[0].get("rule")
            if status not in film.expected:
                self._fault(
                    film, f"is {status} ({entries[0]['reason']}), not {' or '.join(sorted(film.expected))}"
                )
            if (rule is not None) != (status == "excluded") or (rule and rule != film.rule):
                self._fault(film, f"is {status} by rule {rule}")
            if (entries[0]["reason"] is not None) != (status == "failed"):
                self._fault(film, f"is {status} for the reason {entries[0]['reason']!r}")
            if "SECRET" in json.dumps(entries):
                self._fault(film, "is told with its patient")

    def pictures(self) -> None:
        """Each scanned film that can be referred to has its objects, under its own patient; no other has."""
        for film in self._study.films:
            own = [
                each for each in self._objects if film.sop in each.references and each.sop_class in PICTURES
            ]
            kinds = sorted(PICTURES[each.sop_class] for each in own)
            wanted = film.pointed_to and self._is(film, "scanned")
            if kinds != (sorted(PICTURES.values()) if wanted else []) and film.readable:
                self._fault(film, f"has the objects {kinds}")
            for each in own:
                if each.patient != film.patient:
                    self._fault(film, f"{each.path} names {each.patient}, not {film.patient}")
                if len(each.references) != 1:
                    self._fault(film, f"{each.path} refers to {len(each.references)} films")

    def documents(self) -> None:
        """Each patient has documents of her own, and their summaries are true."""
        for sop_class in (CAD_SR, MEASUREMENT_SR):
            documents = [each for each in self._objects if each.sop_class == sop_class]
            whose = [each.patient for each in documents]
            if len(set(whose)) != len(whose):
                self._fault(None, f"several documents of one patient: {whose}")
            # Nobody knows which of several files of one UID is right: they name no patient.
            named = [each for each in self._study.films if each.pointed_to and each.kind != "contradiction"]
            for patient in {film.patient for film in named if film.expected}:
                if patient not in whose:
                    self._fault(None, f"no document {sop_class} of {patient}")
            for each in documents:
                self._document(each)

    def _document(self, document: _Object) -> None:
        own = [film for film in self._study.films if film.patient == document.patient and film.expected]
        if not own:
            self._fault(None, f"{document.path} names a patient of no film: {document.patient}")
        strangers = document.references - {film.sop for film in own}
        if strangers:
            self._fault(None, f"{document.path} refers to films of another patient")
        if document.sop_class != CAD_SR:
            return
        summary = _code_of(document.data, FINDINGS_SUMMARY)
        detections = _code_of(document.data, SUMMARY_OF_DETECTIONS)
        for concept, value in ((FINDINGS_SUMMARY, summary), (SUMMARY_OF_DETECTIONS, detections)):
            if value not in _CODE[concept]:
                self._fault(None, f"{document.path} has the code {value!r} for {concept}")
        whole = self._seen_as_a_whole(own)
        if not whole and {summary, detections} & ALL_SUCCEEDED:
            self._fault(None, f"{document.path} says that all succeeded ({summary}, {detections})")
        if any(film.findings and self._is(film, "scanned") for film in own) and summary in WITHOUT_FINDINGS:
            self._fault(None, f"{document.path} says that there is no finding ({summary})")
        # And it says so where it is true: else it could be silent always.
        if all(self._is(film, "scanned") for film in self._study.films if film.expected):
            found = any(film.findings for film in own)
            true = ("111242" if found else "111241", "111222")
            if (summary, detections) != true:
                self._fault(None, f"{document.path} has the codes {summary}, {detections}, not {true}")

    def _seen_as_a_whole(self, films: list[MadeFilm]) -> bool:
        """Every film was scanned, or excluded while a scanned film of the patient shows its side and view."""
        shown = {(film.side, film.view) for film in films if self._is(film, "scanned")}
        return all(
            self._is(film, "scanned")
            or (
                self._is(film, "excluded")
                and film.side is not None
                and film.view is not None
                and (film.side, film.view) in shown
            )
            for film in films
        )

    def comparison(self, scanner: MarkedScanner) -> None:
        """Films are compared only within one stated patient, on one day, in one view, left with right."""
        by_sop = {film.sop: film for film in self._study.films}
        for own, other in scanner.pairs:
            one, two = by_sop[str(own)], by_sop[str(other)]
            same = one.patient == two.patient and one.patient[0] and one.date == two.date
            if not same or one.view != two.view or {one.side, two.side} != {"L", "R"}:
                self._fault(one, f"is compared with {two.file} of {two.patient}")

    def exit_code(self, code: int) -> None:
        """0 only if all films of each patient were seen as a whole; and then it is 0."""
        films = [film for film in self._study.films if film.expected]
        parts = [[f for f in films if f.patient == patient] for patient in {f.patient for f in films}]
        whole = all(self._seen_as_a_whole(part) for part in parts)
        if code == 0 and not whole:
            self._fault(None, "exit code 0, though not every film was looked at")
        if code != 0 and all(self._is(film, "scanned") for film in films):
            self._fault(None, f"exit code {code}, though every film was scanned")

    def pages(self, folder: Path) -> None:
        """A page names one patient: no file of a film that names another is on it.

        Files of one UID name nobody, and none of them is on any page.
        """
        for path in sorted(folder.glob("report*.html")):
            page = path.read_text(encoding="utf-8")
            whose = {film.patient for film in self._study.films if film.expected}
            names = {patient for patient in whose if patient[0] and re.search(rf"\b{patient[0]}\b", page)}
            if len({patient[0] for patient in names}) > 1:
                self._fault(None, f"{path.name} names several patients: {names}")
            for film in self._study.films:
                told = film.expected and film.readable and film.patient[0] and film.file in page
                if told and not re.search(rf"\b{film.patient[0]}\b", page):
                    self._fault(film, f"is on {path.name}, which names another patient")

    def file_names(self, folder: Path) -> None:
        """A file may be named after a patient: only `file` of result.json and the page's row have it."""
        said = [*self._warnings]
        for film in self._told:
            said += [film["reason"] or "", *film["warnings"]]
        documents = {path.name: path.read_bytes() for path in folder.rglob("*.dcm")}
        for film in self._study.films:
            if any(film.file in text for text in said):
                self._fault(film, f"is named in a reason or warning: {said}")
            for name, data in documents.items():
                if film.file.encode() in data:
                    self._fault(film, f"is named in {name}")

    def _is(self, film: MadeFilm, status: str) -> bool:
        return bool(self._status.get(film.file) == status)

    def _fault(self, film: MadeFilm | None, what: str) -> None:
        who = f"{film.file} ({film.kind}) " if film is not None else ""
        self.faults.append(f"study {self._study.number}: {who}{what}")


def _files(entry: dict[str, Any], study: MadeStudy) -> set[str]:
    """The files that an entry of result.json is about: of a contradiction, all of its SOP Instance UID."""
    own = str(entry["file"])
    if entry["reason_code"] != "same-uid":
        return {own}
    return {own, *(film.file for film in study.films if film.sop == entry["sop_instance_uid"])}
