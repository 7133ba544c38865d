"""Writes a study's result: ``result.json`` and the DICOM objects beside it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path

from pydicom.dataset import Dataset

from bcd_model.errors import OutputError
from bcd_model.reasons import Reason
from converters.dicom.file import quiet
from converters.results import film_facts, page, result_json
from converters.results.gsps import build_presentation
from converters.results.patients import by_patient
from converters.results.pictures.heat_map import build_heat_map
from converters.results.pictures.overlay import build_overlay
from converters.results.sr.cad_sr import build_cad_sr
from converters.results.sr.measurement_sr import build_measurement_sr
from converters.results.study_result import FilmResult, ScannedFilm, StudyResult, failed

DOCUMENTS = {"cad_sr.dcm": build_cad_sr, "measurement_sr.dcm": build_measurement_sr}
"""What there is one of for a study."""

PICTURES = {"presentation": build_presentation, "overlay": build_overlay, "heatmap": build_heat_map}
"""What there is one of for a film: by folder."""

_GROUP_LENGTH = slice(140, 144)
_MEDIA_UID, _SOP_UID = b"\x02\0\x03\0", b"\x08\0\x18\0"


def document_name(name: str, patient: int) -> str:
    """The file of a document: ``cad_sr.dcm``; ``cad_sr-2.dcm`` of the second patient of a study."""
    stem, _, suffix = name.rpartition(".")
    return name if patient == 1 else f"{stem}-{patient}.{suffix}"


def write_results(
    result: StudyResult, folder: Path, ending: tuple[type[BaseException], ...] = ()
) -> StudyResult:
    """Write every result object of the study into ``folder``, which exists and is empty.

    ``result.json`` and ``report.html`` always; ``cad_sr.dcm`` and ``measurement_sr.dcm`` if the header
    of at least one film gives its UIDs; ``presentation/``, ``overlay/`` and ``heatmap/`` with one
    ``<SOP Instance UID>.dcm`` for each scanned film. Where films name several patients, there are a page and
    reports for each (`document_name`). The same ``result`` gives the same bytes. ``result.json`` comes last.

    Args:
        ending: exceptions that are no fault of a film and end the job.

    Returns:
        The result as it was written: a film whose objects cannot be made has failed in it.

    Raises:
        OutputError: the folder cannot be written or is full.
    """
    with quiet():  # of what is odd in the films' headers and is copied from them
        result = replace(result, films=tuple(_written(result, folder, ending)))
        for part in by_patient(result):
            for name, build_document in DOCUMENTS.items():
                document = build_document(part)
                if document is not None:
                    _write(folder / document_name(name, part.patient), _named(part, document))
            _write(folder / document_name(page.FILE_NAME, part.patient), page.build_report(part))
        _write(folder / result_json.FILE_NAME, result_json.encode(result))
    return result


def _written(
    result: StudyResult, folder: Path, ending: tuple[type[BaseException], ...]
) -> Iterator[FilmResult]:
    """Write the objects of each film; yield the films, those whose objects cannot be made as failed."""
    parts = {film: part for part in by_patient(result) for film in part.films}
    for number, film in result.numbered:
        reference = film_facts.reference(film)
        if not isinstance(film, ScannedFilm) or reference is None:
            yield film
            continue
        try:
            film_facts.check_places(film)
            objects = [
                (name, _named(parts[film], build(parts[film], film, reference, number)))
                for name, build in PICTURES.items()
            ]
        except ending:
            raise
        except Exception as error:  # noqa: BLE001 - whatever one film's objects raise costs that film alone
            detail = f"its result objects cannot be made ({type(error).__name__})"
            reason = Reason("unexpected", detail, "report it")
            yield failed(film, reason)
            continue
        for name, data in objects:
            _write(folder / name / f"{film.sop_instance_uid}.dcm", data)
        yield film


def _write(path: Path, data: bytes) -> None:
    try:
        if not path.parent.is_dir():
            path.parent.mkdir()
        path.write_bytes(data)
    except OSError as error:
        raise OutputError(
            f"cannot be written ({error.strerror or error})",
            "choose a results folder that can be written and has room",
            path,
        ) from error


def _named(result: StudyResult, file: Dataset) -> bytes:
    """``file`` as bytes, with a SOP Instance UID that follows from the job and from all they say.

    One job may come to say something else: a film can be read the second time, a file bears
    another name. An archive keeps the first object of a UID, so the second must have its own.
    """
    data, first = _encode(file), str(file.SOPInstanceUID)
    return with_sop_uid(data, first, result.uid("object", first, hashlib.sha256(data).hexdigest()))


def with_sop_uid(data: bytes, old: str, new: str) -> bytes:
    """A file in Explicit VR Little Endian with another SOP Instance UID: writing it anew takes far longer.

    Args:
        data: the file, as pydicom writes it: its File Meta Information begins with the length of that.
        old: its SOP Instance UID.
    """
    meta = int.from_bytes(data[_GROUP_LENGTH], "little")
    end = _GROUP_LENGTH.stop + meta
    head = data[_GROUP_LENGTH.stop : end].replace(_element(_MEDIA_UID, old), _element(_MEDIA_UID, new), 1)
    body = data[end:].replace(_element(_SOP_UID, old), _element(_SOP_UID, new), 1)
    return data[: _GROUP_LENGTH.start] + len(head).to_bytes(4, "little") + head + body


def _element(tag: bytes, uid: str) -> bytes:
    value = uid.encode()
    value += bytes(len(value) % 2)
    return tag + b"UI" + len(value).to_bytes(2, "little") + value


def _encode(file: Dataset) -> bytes:
    buffer = BytesIO()
    file.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()
