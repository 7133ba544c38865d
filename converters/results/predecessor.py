"""What a new result needs to know of the one that it replaces: its reports, and where its findings were."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset

from bcd_model.errors import FilmError, InputError
from bcd_model.words import ModelIdentity
from converters.dicom.file import items, read_dicom, uid
from converters.films.identity import identity
from converters.results.result_json import read_result
from converters.results.study_result import EarlierDocument, EarlierFinding, Predecessor


def read_predecessor(folder: Path, job_id: str, model: ModelIdentity) -> Predecessor | None:
    """The result that job ``job_id`` replaces in ``folder``; None if there is none that can be read.

    If its own result stands there already, it is the one that this replaced: done again, the job says the
    same again.

    Args:
        model: of the job; the places of another model's findings are not kept.
    """
    try:
        result = read_result(folder)
    except InputError:  # none, or one of another version, whose reports are reports all the same
        documents = tuple(_documents(folder, ours=False))
        return Predecessor(documents) if documents else None
    ours = result["job_id"] == job_id
    documents = tuple(_documents(folder, ours=ours))
    same_model = result["model"]["digest"] == model.digest
    findings = {
        film.get("film_digest") or film["sha256"]: _findings(film)
        for film in result["films"]
        if same_model and film["sha256"]
    }
    return Predecessor(documents, findings)


def _documents(folder: Path, *, ours: bool) -> Iterator[EarlierDocument]:
    for path in sorted((*folder.glob("cad_sr*.dcm"), *folder.glob("measurement_sr*.dcm"))):
        try:
            header = read_dicom(path).header
        except FilmError:
            continue
        for reference in _earlier(header) if ours else (header,):
            found = _reference(reference, header, ours=ours)
            if found is not None:
                yield found


def _earlier(header: Dataset) -> Iterator[Dataset]:
    """The items that name a document which ``header`` has replaced, with their series."""
    for study in items(header, "PredecessorDocumentsSequence"):
        for series in items(study, "ReferencedSeriesSequence"):
            for document in items(series, "ReferencedSOPSequence"):
                document.SeriesInstanceUID = uid(series, "SeriesInstanceUID")
                yield document


def _reference(document: Dataset, header: Dataset, *, ours: bool) -> EarlierDocument | None:
    start = "Referenced" if ours else ""
    sop_class, instance = (uid(document, f"{start}SOP{kind}UID") for kind in ("Class", "Instance"))
    series = uid(document, "SeriesInstanceUID")
    if sop_class is None or instance is None or series is None:
        return None
    return EarlierDocument(sop_class, instance, series, identity(header))


def _findings(film: Mapping[str, Any]) -> tuple[EarlierFinding, ...]:
    return tuple(
        EarlierFinding((row, column), finding["radius"], finding["tracking_uid"])
        for finding in film["findings"]
        for row, column in (finding["center"],)
    )
