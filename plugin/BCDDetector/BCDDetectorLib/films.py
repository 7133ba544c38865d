"""Which file stands behind a volume: what is sent when the user presses Apply."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Callable

import pydicom
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from . import nodes
from .errors import InputError

FileOf = Callable[[str], str]
"""The path of a SOP instance in Slicer's DICOM database, "" if it is not there."""


@dataclass(frozen=True)
class Source:
    """One film that can be sent.

    Attributes:
        study: Study Instance UID.
    """

    uid: str
    study: str
    path: Path


def sources(volume: Any, file_of: FileOf) -> list[Source]:
    """The films of one volume whose files are known; none if it has no DICOM origin."""
    found = []
    for uid in (volume.GetAttribute(nodes.INSTANCE_UIDS) or "").split():
        path = file_of(uid) or _stored(volume, uid)
        study = study_of(Path(path)) if path else None
        if study:
            found.append(Source(uid, study, Path(path)))
    return found


def study_sources(scene: Any, volume: Any, file_of: FileOf) -> list[Source]:
    """Every loaded film of the volume's study, each once; the volume's own come first."""
    own = sources(volume, file_of)
    if not own:
        return []
    found = {source.uid: source for source in own}
    for other in nodes.volumes(scene):
        if other.GetID() != volume.GetID():
            for source in sources(other, file_of):
                if source.study == own[0].study:
                    found.setdefault(source.uid, source)
    return list(found.values())


def study_of(path: Path) -> str | None:
    """Study Instance UID of a DICOM file, None if it cannot be read."""
    return _uids(path)[0]


def header(path: Path) -> Dataset:
    """A film's data elements without its pixels.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        return pydicom.dcmread(path, stop_before_pixels=True)
    except (OSError, InvalidDicomError, ValueError, AttributeError) as error:
        raise InputError("a film's DICOM file cannot be read; import it again", f"{path}\n{error}") from error


def _stored(volume: Any, uid: str) -> str:
    """The file from which the volume itself was loaded, if it is that instance (drag and drop)."""
    storage = volume.GetStorageNode()
    path = storage.GetFileName() if storage is not None else None
    return path if path and _uids(Path(path))[1] == uid else ""


def _uids(path: Path) -> tuple[str | None, str | None]:
    """Study and SOP Instance UID; the panel asks with every key that is typed, so they are kept."""
    try:
        return _read_uids(path, path.stat().st_mtime_ns)
    except OSError:
        return None, None


@lru_cache(maxsize=4096)
def _read_uids(path: Path, _changed: int) -> tuple[str | None, str | None]:
    try:
        header = pydicom.dcmread(
            path, stop_before_pixels=True, specific_tags=["StudyInstanceUID", "SOPInstanceUID"]
        )
    except (OSError, InvalidDicomError, ValueError, AttributeError):
        return None, None
    study, instance = header.get("StudyInstanceUID"), header.get("SOPInstanceUID")
    return (str(study) if study else None), (str(instance) if instance else None)
