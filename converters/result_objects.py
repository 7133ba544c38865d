"""Writes a study's result: ``result.json`` and the DICOM objects beside it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

from pydicom.dataset import FileDataset

from bcd_model.errors import OutputError
from converters import film_facts, result_json
from converters.cad_sr import build_cad_sr
from converters.dicom_file import quiet
from converters.gsps import build_presentation
from converters.overlay import build_overlay
from converters.result import StudyResult

CAD_SR = "cad_sr.dcm"
PRESENTATION = "presentation"
OVERLAY = "overlay"


def write_results(result: StudyResult, folder: Path) -> tuple[Path, ...]:
    """Write every result object of the study into ``folder``, which exists and is empty.

    ``result.json`` always; ``cad_sr.dcm`` if the header of at least one film gives its UIDs;
    ``presentation/`` and ``overlay/`` with one ``<SOP Instance UID>.dcm`` for each scanned film.
    The same ``result`` gives the same bytes. ``result.json`` comes last.

    Returns:
        The files written.

    Raises:
        OutputError: the folder cannot be written or is full, or a finding lies outside its film.
    """
    written = []
    with quiet():  # of what is odd in the films' headers and is copied from them
        for name, data in _files(result):
            path = folder / name
            try:
                if path.parent != folder:
                    path.parent.mkdir(exist_ok=True)
                path.write_bytes(data)
            except OSError as error:
                raise OutputError(
                    f"{path}: cannot be written ({error.strerror or error})",
                    "choose a results folder that can be written and has room",
                ) from error
            written.append(path)
    return tuple(written)


def _files(result: StudyResult) -> Iterator[tuple[str, bytes]]:
    """Relative path and content of each file, one at a time: a full-size overlay is large."""
    report = build_cad_sr(result)
    if report is not None:
        yield CAD_SR, _named(result, report)
    for number, film in enumerate(result.films, start=1):
        if film.failed or film_facts.reference(film) is None:
            continue
        name = f"{film.sop_instance_uid}.dcm"
        yield f"{PRESENTATION}/{name}", _named(result, build_presentation(result, film, number))
        yield f"{OVERLAY}/{name}", _named(result, build_overlay(result, film, number))
    yield result_json.FILE_NAME, result_json.encode(result)


def _named(result: StudyResult, file: FileDataset) -> bytes:
    """``file`` as bytes, with a SOP Instance UID that follows from the job and from all they say.

    One job may come to say something else: a film can be read the second time, a file bears
    another name. An archive keeps the first object of a UID, so the second must have its own.
    """
    content = hashlib.sha256(_encode(file)).hexdigest()
    file.SOPInstanceUID = result.job.uid("object", str(file.SOPInstanceUID), content)
    file.file_meta.MediaStorageSOPInstanceUID = file.SOPInstanceUID
    return _encode(file)


def _encode(file: FileDataset) -> bytes:
    buffer = BytesIO()
    file.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()
