"""Writes a study's result: ``result.json`` and the DICOM objects beside it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

from pydicom.dataset import FileDataset

from bcd_model.errors import OutputError
from converters import film_facts, report, result_json
from converters.cad_sr import build_cad_sr
from converters.dicom_file import quiet
from converters.gsps import build_presentation
from converters.heat_map import build_heat_map
from converters.measurement_sr import build_measurement_sr
from converters.overlay import build_overlay
from converters.result import StudyResult

DOCUMENTS = {"cad_sr.dcm": build_cad_sr, "measurement_sr.dcm": build_measurement_sr}
"""What there is one of for a study."""

PICTURES = {"presentation": build_presentation, "overlay": build_overlay, "heatmap": build_heat_map}
"""What there is one of for a film: by folder."""


def write_results(result: StudyResult, folder: Path) -> tuple[Path, ...]:
    """Write every result object of the study into ``folder``, which exists and is empty.

    ``result.json`` and ``report.html`` always; ``cad_sr.dcm`` and ``measurement_sr.dcm`` if the header
    of at least one film gives its UIDs; ``presentation/``, ``overlay/`` and ``heatmap/`` with one
    ``<SOP Instance UID>.dcm`` for each scanned film. The same ``result`` gives the same bytes.
    ``result.json`` comes last.

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
    for name, build_document in DOCUMENTS.items():
        document = build_document(result)
        if document is not None:
            yield name, _named(result, document)
    for number, film in enumerate(result.films, start=1):
        if film.failed or film_facts.reference(film) is None:
            continue
        name = f"{film.sop_instance_uid}.dcm"
        for folder, build_picture in PICTURES.items():
            yield f"{folder}/{name}", _named(result, build_picture(result, film, number))
    yield report.FILE_NAME, report.build_report(result)
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
