"""Any heap of files to studies: which films belong together, and what is left over.

A study is what its films say it is (Study Instance UID); names and folders play no part. Only
headers are read here, one file at a time, so that the number of files hardly matters.
"""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydicom.uid import MediaStorageDirectoryStorage

from bcd_model.errors import InputError, UsageError
from converters.acceptance import judge, may_be_film
from converters.dicom_file import Survey, survey, uid, values, why_no_uid
from converters.dicom_in import why_unusable

DIFFERENT_PATIENTS = "its films name different patients"
"""The warning of a study."""

_UNREADABLE = "its DICOM header cannot be read"
_ARCHIVES = (b"PK\x03\x04", b"\x1f\x8b", b"\xfd7zXZ", b"7z\xbc\xaf", b"Rar!")


@dataclass(frozen=True, slots=True)
class FilmSource:
    """One film of a study, before its pixels are read.

    Attributes:
        path: the file.
        sop_instance_uid: None if the file cannot be read that far.
        sha256: of the file, in hexadecimal.
        reason: why the film is known to be unusable already, one line without patient data.
    """

    path: Path
    sop_instance_uid: str | None
    sha256: str
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class StudyInput:
    """The films of one study, sorted by SOP Instance UID, and what is odd about them."""

    study_instance_uid: str
    films: tuple[FilmSource, ...]
    warnings: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """SHA-256 over the study's content: its UID, its films' UIDs and file contents.

        Names, folders and the order in which files were given do not change it.
        """
        lines = sorted(f"{film.sop_instance_uid or ''} {film.sha256}" for film in self.films)
        return hashlib.sha256("\n".join((self.study_instance_uid, *lines)).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that is part of no study, and why."""

    path: Path
    reason: str


@dataclass(frozen=True, slots=True)
class Discovery:
    """What was found: studies by Study Instance UID, left-over files by path."""

    studies: tuple[StudyInput, ...]
    skipped: tuple[Skipped, ...]


@dataclass(slots=True)
class _Study:
    """A study while its films come in; films by SOP Instance UID, None for those without."""

    films: defaultdict[str | None, list[FilmSource]] = field(default_factory=lambda: defaultdict(list))
    patients: set[bytes] = field(default_factory=set)
    warnings: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Heap:
    """Everything that has been sorted so far; ``dicom`` counts the DICOM files among it."""

    studies: defaultdict[str, _Study] = field(default_factory=lambda: defaultdict(_Study))
    skipped: list[Skipped] = field(default_factory=list)
    lost: list[FilmSource] = field(default_factory=list)
    dicom: int = 0


def find_studies(paths: Sequence[Path]) -> Discovery:
    """Group the mammograms at and below ``paths`` into studies.

    Folders are searched to any depth. Hidden files and folders and DICOMDIR are passed over in
    silence; archives are not opened; a symbolic link inside a folder is followed only to a file
    inside the same folder (a link given as a path itself always is). Everything else that is no film
    is listed as skipped.

    A film that was given twice, as the same file or as two files of the same content, is taken once,
    with a warning. Two files with the same SOP Instance UID and different content are one failed film:
    nobody can tell which is right. A damaged DICOM file that does not tell its study counts as a failed
    film of the study in its folder if all other films there belong to that one.

    Raises:
        UsageError: a path does not exist.
        InputError: there is no mammogram in the input.
    """
    heap = _Heap()
    times: dict[Path, int] = {}
    names: dict[Path, Path] = {}
    for path in (file for given in paths for file in _files(given, heap.skipped)):
        real = path.resolve()
        times[real] = times.get(real, 0) + 1
        names[real] = min(path.absolute(), names.get(real, path.absolute()))
    for real, path in sorted(names.items(), key=lambda item: item[1]):
        _sort_in(heap, path, times[real])
    _place_lost(heap)
    studies = tuple(_finish(name, heap.studies[name]) for name in sorted(heap.studies))
    if not studies:
        raise _nothing(paths, heap)
    return Discovery(studies, tuple(sorted(heap.skipped, key=lambda item: item.path)))


def _files(given: Path, skipped: list[Skipped]) -> Iterator[Path]:
    """The files that ``given`` stands for, sorted."""
    try:
        is_folder = given.is_dir()
        if not is_folder and not given.exists():
            raise UsageError(f"{given}: does not exist", "check the path")
    except OSError as error:
        raise InputError(f"{given}: cannot be opened: {error.strerror}") from error
    if not is_folder:
        yield given
        return

    def unreadable(error: OSError) -> None:
        skipped.append(Skipped(Path(error.filename), f"cannot be opened: {error.strerror}"))

    root = given.resolve()
    for folder, folders, names in os.walk(given, onerror=unreadable):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted((*folders, *names)):
            path = Path(folder, name)
            if path.is_symlink() and not path.resolve().is_relative_to(root):
                skipped.append(Skipped(path, "a link to outside the folder: not followed"))
            elif name not in folders and not name.startswith("."):
                yield path


def _sort_in(heap: _Heap, path: Path, times: int) -> None:
    """Put one file where it belongs."""
    try:
        if not path.is_file():  # a pipe would wait for ever, a broken link leads nowhere
            heap.skipped.append(Skipped(path, "no regular file"))
            return
        found = survey(path)
    except OSError as error:
        heap.skipped.append(Skipped(path, f"cannot be opened: {error.strerror}"))
        return
    if not found.is_dicom:
        archive = found.start.startswith(_ARCHIVES)
        heap.skipped.append(Skipped(path, "an archive: unpack it first" if archive else "no DICOM file"))
        return
    heap.dicom += 1
    _sort_in_dicom(heap, path, found, times)


def _sort_in_dicom(heap: _Heap, path: Path, found: Survey, times: int) -> None:
    dicom = found.dicom
    if dicom is None:
        heap.lost.append(FilmSource(path, None, found.sha256, found.fault))
        return
    header = dicom.header
    if header.file_meta.get("MediaStorageSOPClassUID") == MediaStorageDirectoryStorage:
        return
    verdict = judge(header)
    if verdict.kind == "no film" and not (dicom.fault and may_be_film(header)):
        heap.skipped.append(Skipped(path, verdict.reason))
        return
    sop_instance_uid = uid(header, "SOPInstanceUID")
    name = uid(header, "StudyInstanceUID")
    if name is None:
        reason = dicom.fault or why_no_uid(header, "StudyInstanceUID")
        heap.lost.append(FilmSource(path, sop_instance_uid, found.sha256, reason))
        return
    study = heap.studies[name]
    study.films[sop_instance_uid].append(
        FilmSource(path, sop_instance_uid, found.sha256, why_unusable(dicom) or None)
    )
    study.patients.update(str(value).strip().encode() for value in values(header, "PatientID"))
    if times > 1:
        study.warnings.append(f"{path.name} was given {times} times; it is read once")


def _place_lost(heap: _Heap) -> None:
    """Give the damaged files to the one study of their folder, or to none."""
    in_folder: defaultdict[Path, set[str]] = defaultdict(set)
    for name, study in heap.studies.items():
        for film in (film for films in study.films.values() for film in films):
            in_folder[film.path.parent].add(name)
    for film in heap.lost:
        names = in_folder.get(film.path.parent, set())
        if len(names) == 1:
            heap.studies[next(iter(names))].films[film.sop_instance_uid].append(film)
        else:
            heap.skipped.append(Skipped(film.path, film.reason or _UNREADABLE))


def _finish(name: str, study: _Study) -> StudyInput:
    films: list[FilmSource] = []
    warnings = list(study.warnings)
    for sop_instance_uid, sources in study.films.items():
        alike: dict[str, list[FilmSource]] = {}
        for source in sources:
            alike.setdefault(source.sha256, []).append(source)
        for same in alike.values():
            if len(same) > 1:
                names = ", ".join(source.path.name for source in same)
                warnings.append(f"the same film was given {len(same)} times ({names}); it is read once")
        distinct = [alike[digest][0] for digest in sorted(alike)]
        if sop_instance_uid is None or len(distinct) == 1:
            films += distinct
        else:
            films.append(_contradiction(distinct))
    if len(study.patients) > 1:
        warnings.append(DIFFERENT_PATIENTS)
    films.sort(key=lambda film: (film.sop_instance_uid or "", film.sha256))
    return StudyInput(name, tuple(films), tuple(sorted(warnings)))


def _contradiction(films: Sequence[FilmSource]) -> FilmSource:
    """Several files that claim to be the same SOP instance, as one failed film."""
    names = ", ".join(film.path.name for film in films)
    digest = hashlib.sha256("\n".join(film.sha256 for film in films).encode()).hexdigest()
    reason = f"{len(films)} different files have its SOP Instance UID ({names}); keep the right one"
    return FilmSource(films[0].path, films[0].sop_instance_uid, digest, reason)


def _nothing(paths: Sequence[Path], heap: _Heap) -> InputError:
    """Why there is no study, in one line."""
    where = str(paths[0]) if paths else "input"
    if len(paths) > 1:
        where += f" and {len(paths) - 1} more"
    if not heap.skipped and not heap.dicom:
        return InputError(f"{where}: empty", "give a folder or files with DICOM mammograms")
    if not heap.dicom:
        first = heap.skipped[0]
        alone = len(paths) == len(heap.skipped) == 1 and first.path == paths[0]
        among = f"no DICOM file among {_count(heap.skipped)} ({first.path.name}: {first.reason})"
        return InputError(
            f"{where}: {first.reason if alone else among}",
            "give DICOM mammograms, or convert films with 'bcd-admin convert mias'",
        )
    reasons = sorted({skipped.reason for skipped in heap.skipped})
    why = f": {reasons[0]}" if len(reasons) == 1 else f", for example: {reasons[0]}" if reasons else ""
    return InputError(f"{where}: no mammogram among {_count(heap.skipped)}{why}", "give mammograms")


def _count(skipped: Sequence[Skipped]) -> str:
    return "1 file" if len(skipped) == 1 else f"{len(skipped)} files"
