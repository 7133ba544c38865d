"""Any heap of files to studies: which films belong together, and what is left over.

A study is what its films say it is (Study Instance UID); names and folders play no part. Only
headers are read here, one file at a time, so that the number of files hardly matters.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path, PurePath

from pydicom.dataset import Dataset
from pydicom.uid import MediaStorageDirectoryStorage

from bcd_model.errors import BcdError, InputError, UsageError
from bcd_model.reasons import Reason
from bcd_model.words import Projection
from converters.dicom.file import NOT_DICOM, UNREADABLE_HEADER, Survey, survey, uid, why_no_uid
from converters.films import header as film_header
from converters.films.acceptance import judge, may_be_film, rule, says_nothing
from converters.films.facts import facts_digest
from converters.films.identity import Identity, identity, tells_patient
from converters.films.kinds import FOR_PROCESSING, is_for_processing, kind
from converters.films.moments import Taken, ranks, taken
from converters.films.projection import NO_PROJECTION, projection
from converters.films.read import why_unusable
from converters.films.same_uid import as_films, contradiction
from converters.films.study_input import FilmSource, Shown, StudyInput

__all__ = [
    "Discovery",
    "FilmSource",
    "NoStudyError",
    "Shown",
    "Skipped",
    "StudyInput",
    "contradiction",
    "find_studies",
]

_PROGRAMS = (b"\x7fELF", b"MZ", b"\xca\xfe\xba\xbe", b"\xcf\xfa\xed\xfe")
_MOSTLY = 0.6  # of a text in ISO 8859 is ASCII
_END_OF_TEXT = "\x1a"  # of MS-DOS
_DAMAGED = Reason("damaged-file", "is named like a DICOM file, but is not one: damaged, or not complete")
_ARCHIVE = Reason("archive", "an archive", "give a zip by its name, or unpack it")
_NOT_REGULAR = Reason("not-a-file", "not a regular file")
_CIRCULAR = Reason("link", "a link that leads to itself")
_OUTSIDE = Reason("link", "a link to outside the folder: not followed")
_CONVERT = "give DICOM mammograms; films of mini-MIAS become some by 'bcd-admin convert mias'"
_SUFFIXES = frozenset({".dcm", ".dicom", ".ima"})
_OF_ANY_IMAGE = frozenset({"img", "dic"})  # DICOM files have them, and others
_ARCHIVES = (b"PK\x03\x04", b"\x1f\x8b", b"\xfd7zXZ", b"7z\xbc\xaf", b"Rar!")


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that is part of no study, and why."""

    path: Path
    reason: Reason


@dataclass(frozen=True, slots=True)
class Discovery:
    """What was found.

    Attributes:
        studies: by Study Instance UID.
        skipped: files that are no films, by path.
        unplaced: what may hold films and does not state of which study, by path: damaged DICOM files, files
            and folders that cannot be opened.
        clashes: different files that have one SOP Instance UID, each group by path: one failed film each.
    """

    studies: tuple[StudyInput, ...]
    skipped: tuple[Skipped, ...]
    unplaced: tuple[Skipped, ...] = ()
    clashes: tuple[tuple[Path, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class _Found:
    """A film of a study with what the grouping needs of its header.

    Attributes:
        position: patient, breast, view and kind, but for what it is made for; None if they are not stated.
        patient: as `converters.results.patients.identity_of` has it.
        projection: for the comparison of the two breasts.
        times: how many times the file was given.
        taken: for the order of repeats.
    """

    source: FilmSource
    for_processing: bool = False
    position: tuple[str, ...] | None = None
    patient: Identity | None = None
    projection: Projection = NO_PROJECTION
    stated: bool = True
    times: int = 1
    taken: Taken = ()


_Study = defaultdict[str | None, list[_Found]]
"""A study while its films come in: by SOP Instance UID, None for those without."""


@dataclass(slots=True)
class _Heap:
    """Everything that has been sorted so far.

    Attributes:
        nameless: files without a suffix that are neither DICOM nor text.
        folders: of the DICOM files.
        clashes: see `Discovery`.
    """

    studies: defaultdict[str, _Study] = field(default_factory=lambda: defaultdict(lambda: defaultdict(list)))
    skipped: list[Skipped] = field(default_factory=list)
    unplaced: list[Skipped] = field(default_factory=list)
    lost: list[FilmSource] = field(default_factory=list)
    nameless: list[Path] = field(default_factory=list)
    folders: set[Path] = field(default_factory=set)
    clashes: list[tuple[Path, ...]] = field(default_factory=list)


def find_studies(paths: Sequence[Path], names: Mapping[Path, str] | None = None) -> Discovery:
    """Group the mammograms at and below ``paths`` into studies.

    Folders are searched to any depth. Hidden files and folders and DICOMDIR are passed over in
    silence; archives are not opened; a symbolic link inside a folder is followed only to a file
    inside the same folder (a link given as a path itself always is). Everything else that is not a film
    is listed as skipped.

    A film that was given twice, as the same file, as two files of the same content or in two forms whose
    headers and stored values are the same, is taken once, with a warning. Two films with the same SOP
    Instance UID are one failed film: which is right is not known. A damaged DICOM file that
    does not tell its study counts as a failed film of the study in its folder if all other films there belong
    to that one; else it is ``unplaced``. So is a file that is not DICOM and is named like it, be it empty,
    cut short or overwritten: by its suffix, or without a suffix in a folder with DICOM files, unless it is
    text, or empty and without a number in its name.

    Which images of a study are left out of its scan is written in `converters.films.acceptance`.

    Args:
        names: what files were called where they come from, if that is not what their paths end with.

    Raises:
        UsageError: a path does not exist.
        InputError: there is no mammogram in the input.
    """
    heap = _Heap()
    times: dict[Path, int] = {}
    shortest: dict[Path, Path] = {}
    for path in (file for given in paths for file in _files(given, heap)):
        real = _resolved(path)
        if real is None:
            heap.skipped.append(Skipped(path, _CIRCULAR))
            continue
        times[real] = times.get(real, 0) + 1
        shortest[real] = min(path.absolute(), shortest.get(real, path.absolute()))
    called = {path.absolute(): name for path, name in (names or {}).items()}
    for real, path in sorted(shortest.items(), key=lambda item: item[1]):
        _sort_in(heap, path, PurePath(called.get(path, path.name)), times[real])
    _place_lost(heap)
    for path in heap.nameless:
        if path.parent in heap.folders:
            heap.unplaced.append(Skipped(path, _DAMAGED))
        else:
            heap.skipped.append(Skipped(path, NOT_DICOM))
    studies = tuple(_finish(heap, name) for name in sorted(heap.studies))
    if not studies:
        raise _nothing(paths, heap)
    skipped, unplaced = (
        tuple(sorted(items, key=lambda item: item.path)) for items in (heap.skipped, heap.unplaced)
    )
    return Discovery(studies, skipped, unplaced, tuple(heap.clashes))


def _files(given: Path, heap: _Heap) -> Iterator[Path]:
    """The files that ``given`` stands for, sorted."""
    try:
        is_folder = given.is_dir()
        if not is_folder and not given.exists():
            what = "a link that leads nowhere" if given.is_symlink() else "does not exist"
            raise UsageError(what, "check the path", given)
    except OSError as error:
        raise InputError.of(_unopened(error), given) from error
    if not is_folder:
        yield given
        return

    def unreadable(error: OSError) -> None:
        heap.unplaced.append(Skipped(Path(error.filename), _unopened(error)))

    root = _resolved(given) or given
    for folder, folders, names in os.walk(given, onerror=unreadable):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted((*folders, *names)):
            path = Path(folder, name)
            if path.is_symlink() and not (_resolved(path) or path).is_relative_to(root):
                heap.skipped.append(Skipped(path, _OUTSIDE))
            elif name not in folders and not name.startswith("."):
                yield path


def _resolved(path: Path) -> Path | None:
    """``path`` without links; None if they lead in a circle."""
    try:
        return path.resolve()
    except (OSError, RuntimeError):
        return None


def _sort_in(heap: _Heap, path: Path, name: PurePath, times: int) -> None:
    """Put one file, which is called ``name``, where it belongs."""
    try:
        if not path.is_file():  # a pipe would wait for ever, a broken link leads nowhere
            heap.skipped.append(Skipped(path, _NOT_REGULAR))
            return
        found = survey(path)
    except OSError as error:
        heap.unplaced.append(Skipped(path, _unopened(error)))
        return
    if found.is_dicom:
        if found.dicom is None or not _is_medium_directory(found.dicom.header):
            heap.folders.add(path.parent)
        _sort_in_dicom(heap, path, name, found, times)
    elif name.name.startswith("._"):
        heap.skipped.append(Skipped(path, NOT_DICOM))
    elif name.suffix.lower() in _SUFFIXES:
        heap.unplaced.append(Skipped(path, _DAMAGED))
    elif found.start.startswith(_ARCHIVES):
        heap.skipped.append(Skipped(path, _ARCHIVE))
    elif found.start.startswith(_PROGRAMS):
        heap.skipped.append(Skipped(path, NOT_DICOM))
    elif _is_nameless(name, found.start):
        heap.nameless.append(path)
    else:
        heap.skipped.append(Skipped(path, NOT_DICOM))


def _is_nameless(name: PurePath, start: bytes) -> bool:
    """Whether a file that is not a DICOM file, called ``name``, may be a damaged one without a suffix."""
    if _has_suffix(name) or _is_directory(name):
        return False
    if start:
        return not _is_text(start)
    return name.suffix[1:].lower() in _OF_ANY_IMAGE or any(character.isdigit() for character in name.name)


def _has_suffix(name: PurePath) -> bool:
    """Whether ``name`` says what the file is; a file that is named after its UID, or numbered, does not."""
    suffix = name.suffix[1:].lower()
    return bool(suffix) and not suffix.isdecimal() and suffix not in _OF_ANY_IMAGE


def _is_directory(name: PurePath) -> bool:
    """Whether it is the name that PS3.10 keeps for the list of a medium's files."""
    return name.name.upper() == "DICOMDIR"


def _is_text(start: bytes) -> bool:
    """Whether a file that begins so holds text: no damage makes that of a film."""
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = start[: len(start) // 2 * 2].decode("utf-16", "ignore")
        if sum(map(str.isascii, text)) <= max(1, _MOSTLY * (len(start) // 2)):
            return False  # pixels, or the items of a sequence (PS3.5 7.5), that begin as such a text does
    else:
        text = start.decode("utf-8", "ignore")
        if len(text.encode()) <= len(start) - 4:  # more than a last character that is cut: not UTF-8
            text = (
                start.decode("latin-1") if sum(byte < 0x80 for byte in start) > _MOSTLY * len(start) else "\0"
            )
    return all(c.isprintable() or c.isspace() or c == _END_OF_TEXT for c in text.lstrip("\ufeff"))


def _is_medium_directory(header: Dataset) -> bool:
    return bool(header.file_meta.get("MediaStorageSOPClassUID") == MediaStorageDirectoryStorage)


def _sort_in_dicom(heap: _Heap, path: Path, name: PurePath, found: Survey, times: int) -> None:
    dicom = found.dicom
    if dicom is None:
        _lose(heap, FilmSource(path, None, found.sha256, found.fault), name)
        return
    header = dicom.header
    if _is_medium_directory(header) and not dicom.fault and dicom.pixel_data is None and "Rows" not in header:
        return
    verdict = judge(header)
    in_part = dicom.fault is not None or says_nothing(header)
    if verdict.kind == "no film" and verdict.reason and not (in_part and may_be_film(header)):
        heap.skipped.append(Skipped(path, verdict.reason))
        return
    sop_instance_uid = uid(header, "SOPInstanceUID")
    study = uid(header, "StudyInstanceUID")
    if study is None:
        reason = dicom.fault or why_no_uid(header, "StudyInstanceUID")
        _lose(heap, FilmSource(path, sop_instance_uid, found.sha256, reason), name)
        return
    left_out = None if dicom.fault else rule(header)
    unusable = None if left_out else why_unusable(dicom, verdict)
    whole = dicom.fault is None or dicom.pixel_data is not None
    facts = facts_digest(header) if sop_instance_uid and whole else ""
    source = FilmSource(path, sop_instance_uid, found.sha256, unusable, left_out, facts=facts)
    whose = identity(header)
    film = _Found(
        source,
        is_for_processing(header),
        _position(header, whose),
        whose if sop_instance_uid is not None and tells_patient(header) else None,
        projection(header),
        whose.stated,
        times,
        taken(header),
    )
    heap.studies[study][sop_instance_uid].append(film)


def _lose(heap: _Heap, film: FilmSource, name: PurePath) -> None:
    """Keep a damaged file that does not state its study; one that is named as a directory is not a film."""
    if _is_directory(name):
        why = film.reason or UNREADABLE_HEADER
        heap.skipped.append(Skipped(film.path, Reason(why.code, f"a damaged DICOMDIR: {why.detail}")))
    else:
        heap.lost.append(film)


def _position(header: Dataset, whose: Identity) -> tuple[str, ...] | None:
    side, view = film_header.laterality(header), film_header.view(header)
    if side is None or view is None:
        return None
    return (repr(whose), side, view, *(each for each in kind(header) if each != FOR_PROCESSING))


def _place_lost(heap: _Heap) -> None:
    """Give the damaged files to the one study of their folder, or to none."""
    in_folder: defaultdict[Path, set[str]] = defaultdict(set)
    for name, study in heap.studies.items():
        for film in (film for films in study.values() for film in films):
            in_folder[film.source.path.parent].add(name)
    for lost in heap.lost:
        names = in_folder.get(lost.path.parent, set())
        if len(names) == 1:
            heap.studies[next(iter(names))][lost.sop_instance_uid].append(_Found(lost))
        else:
            heap.unplaced.append(Skipped(lost.path, lost.reason or UNREADABLE_HEADER))


def _finish(heap: _Heap, name: str) -> StudyInput:
    films: list[_Found] = []
    warnings: list[str] = []
    for sop_instance_uid, found in heap.studies[name].items():
        by_content: defaultdict[str, list[_Found]] = defaultdict(list)
        for film in sorted(found, key=lambda film: film.source.sha256):
            by_content[film.source.sha256].append(film)
        files = [same[0].source for same in by_content.values()]
        alike = [[file] for file in files] if sop_instance_uid is None else as_films(files)
        left_out = len(files) - sum(map(len, alike))
        warnings += [
            f"a file of the film {sop_instance_uid} cannot be used and is left out: another one of it can"
        ] * left_out
        for same in alike:
            times = sum(film.times for file in same for film in by_content[file.sha256])
            if times > 1:
                which = f"film {sop_instance_uid}" if sop_instance_uid else "a film without SOP Instance UID"
                warnings.append(f"{which} was given {times} times; it is read once")
        distinct = [by_content[same[0].sha256][0] for same in alike]
        if sop_instance_uid is None or len(distinct) == 1:
            films += distinct
        else:
            path, digests = distinct[0].source.path, [film.source.digest for film in distinct]
            films.append(_Found(contradiction(path, sop_instance_uid, digests)))
            heap.clashes.append(tuple(sorted(film.source.path for film in distinct)))
            warnings.append(f"{len(distinct)} different files have the SOP Instance UID {sop_instance_uid}")
    patients = list(dict.fromkeys(film.patient for film in films if film.patient is not None))
    sources = [
        source if source.reason or source.rule else replace(source, shown=shown)
        for source, shown in zip(_without_for_processing(films), _shown(films, patients), strict=True)
    ]
    sources.sort(key=lambda film: (film.sop_instance_uid or "", film.digest))
    return StudyInput(
        name, tuple(sources), tuple(sorted(warnings)), max(1, len(patients)), _may_be_one(patients)
    )


def _may_be_one(patients: Sequence[Identity]) -> tuple[tuple[int, int], ...]:
    """Pairs of ``patients``, by their numbers from 1, of whom nothing stated differs."""
    by_id: defaultdict[str, list[int]] = defaultdict(list)
    for number, patient in enumerate(patients, 1):
        by_id[patient.patient_id.casefold()].append(number)
    nameless = by_id.pop("", [])
    return tuple(
        sorted(
            {
                (one, other)
                for some in (*by_id.values(), [])
                for one, other in combinations(sorted((*some, *nameless)), 2)
                if not patients[one - 1].denies(patients[other - 1])
            }
        )
    )


def _shown(films: Sequence[_Found], patients: Sequence[Identity]) -> list[Shown]:
    """What each of ``films`` shows; films that are compared have one number."""
    shared = [(film.projection.patient, film.projection.kind) for film in films]
    groups = list(dict.fromkeys(shared))
    of_repeats = ranks([film.projection for film in films], [film.taken for film in films])
    return [
        Shown(
            patients.index(film.patient) + 1 if film.patient is not None else 0,
            film.stated,
            Projection(
                str(groups.index(group) + 1), film.projection.view, film.projection.laterality, rank=rank
            ),
        )
        for film, group, rank in zip(films, shared, of_repeats, strict=True)
    ]


def _without_for_processing(films: Sequence[_Found]) -> list[FilmSource]:
    """The films; For Processing images beside the For Presentation image of their view are left out."""
    presented = {
        film.position
        for film in films
        if not film.for_processing and film.source.reason is None and film.source.rule is None
    } - {None}
    return [
        replace(film.source, reason=None, rule="for processing")
        if film.for_processing and film.source.rule is None and film.position in presented
        else film.source
        for film in films
    ]


class NoStudyError(InputError):
    """There is no study in what was given.

    Args:
        passed: the files that were looked at, each with the reason why it is none of a study.
    """

    code = "no-study"

    def __init__(self, detail: str, remedy: str, place: Path | str, passed: Sequence[Skipped]) -> None:
        super().__init__(detail, remedy, place)
        self.passed = tuple(passed)

    def __reduce__(self) -> tuple[Callable[..., BcdError], tuple[object, ...]]:
        return type(self), (self.reason.detail, self.reason.remedy, self.reason.place, self.passed)


def _nothing(paths: Sequence[Path], heap: _Heap) -> NoStudyError:
    """Why there is no study, in one line."""
    where = str(paths[0]) if paths else "input"
    if len(paths) > 1:
        where += f" and {len(paths) - 1} more"
    passed = (*heap.unplaced, *heap.skipped)
    if not passed and not heap.folders:
        return NoStudyError("an empty folder", "give a folder or files with DICOM mammograms", where, passed)
    if not heap.folders and len(paths) == len(passed) == 1 and passed[0].path == paths[0]:
        alone = passed[0].reason
        return NoStudyError(alone.detail, alone.remedy or _CONVERT, where, passed)
    reasons = sorted({skipped.reason for skipped in passed}, key=str)
    first = reasons[0].detail if reasons else ""
    why = f": {first}" if len(reasons) == 1 else f", for example: {first}" if reasons else ""
    remedy = reasons[0].remedy if len(reasons) == 1 else ""
    if not heap.folders:
        return NoStudyError(f"no DICOM file among {_count(passed)}{why}", remedy or _CONVERT, where, passed)
    what = "no mammogram that can be used" if heap.unplaced else "no mammogram"
    return NoStudyError(f"{what} among {_count(passed)}{why}", remedy or "give mammograms", where, passed)


def _unopened(error: OSError) -> Reason:
    return Reason(
        "unreadable-file", f"cannot be opened: {error.strerror}", "give this user the right to read it"
    )


def _count(skipped: Sequence[Skipped]) -> str:
    return "1 file" if len(skipped) == 1 else f"{len(skipped)} files"
