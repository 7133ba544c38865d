"""What is in an upload: its zips unpacked, its studies found. Done in a process of its own (`inspector`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bcd_model.errors import FilmError, InputError
from converters.dicom.file import integer, read_dicom
from converters.films.archives import Budget, LargeArchiveError, RefusedArchiveError, is_archive, unpack
from converters.films.read import why_unusable
from converters.films.studies import NoStudyError, StudyInput, find_studies
from worker.gateway.problems import ProblemError, Skipped
from worker.gateway.storage.disk import check_room
from worker.gateway.upload.form import Upload, shown_name
from worker.settings import Settings

_NO_MAMMOGRAM = "not a mammogram"
_NO_FILMS = "there is no mammogram in the upload that can be used"

_NOT_USED = "not used: a DICOMDIR, or a film whose SOP Instance UID another file has, too"


@dataclass(frozen=True, slots=True)
class Contents:
    """The studies of an upload, their films where they are, and the files that are part of none."""

    studies: tuple[StudyInput, ...]
    skipped: tuple[Skipped, ...]


def look_through(files: Sequence[Upload], folder: Path, limits: Settings) -> Contents:
    """Find the studies in ``files``, which are in ``folder``; zips are unpacked there.

    Raises:
        ProblemError: 413 too many files, or too much in a zip; 422 no film.
        OSError: there is no room.
    """
    skipped: list[Skipped] = []
    films = _films(files, folder, limits, skipped)
    if not films:
        raise ProblemError(422, _NO_FILMS, skipped=skipped)
    try:
        found = find_studies(list(films), films)
    except InputError as error:
        skipped += [Skipped(name, _why_none(path)) for path, name in films.items()]
        raise ProblemError(422, _NO_FILMS, skipped=skipped) from error
    left = {left.path: str(left.reason) for left in found.skipped}
    left |= {
        lost.path: f"not scanned, and it may be a film of any of the studies: {lost.reason}"
        for lost in found.unplaced
    }
    used = {film.path for study in found.studies for film in study.films}
    skipped += [Skipped(name, left.get(path, _NOT_USED)) for path, name in films.items() if path not in used]
    return Contents(found.studies, tuple(skipped))


def look_at_film(path: Path) -> tuple[int, int]:
    """Rows and columns of the film of a region.

    Raises:
        ProblemError: 422: it cannot be used.
    """
    try:
        dicom = read_dicom(path)
        reason = why_unusable(dicom)
    except FilmError as error:
        raise ProblemError(422, f"the film: {error.reason}") from error
    if reason:
        raise ProblemError(422, f"the film cannot be used: {reason}")
    return integer(dicom.header, "Rows") or 0, integer(dicom.header, "Columns") or 0


def _films(
    files: Sequence[Upload], folder: Path, limits: Settings, skipped: list[Skipped]
) -> dict[Path, str]:
    """Every file that may be a film, those in zips included, with the client's name for it."""
    room = partial(check_room, folder, limits.gateway_free_bytes)
    archives = {file.path for file in files if is_archive(file.path)}
    plain = sum(file.path not in archives for file in files)
    budget = Budget(
        files=limits.gateway_upload_files - plain,
        unpacked=limits.gateway_unpacked_bytes,
        ratio=limits.gateway_zip_ratio,
        film=limits.gateway_film_bytes,
        check_room=room,
    )
    films: dict[Path, str] = {}
    seen: set[Path] = set()

    def add(file: Upload) -> None:
        if file.path.stat().st_size > limits.gateway_film_bytes:
            skipped.append(
                Skipped(file.name, f"more than {limits.gateway_film_bytes} bytes: too many for a film")
            )
            file.path.unlink()
        else:
            films[file.path] = file.name

    def new(file: Upload) -> bool:
        if file.path in seen:
            skipped.append(Skipped(file.name, "the same file again"))
            return False
        seen.add(file.path)
        return True

    for number, file in enumerate(files):
        if not new(file):
            continue
        if file.path not in archives:
            add(file)
            continue
        inside = folder / f"zip-{number}"
        inside.mkdir()
        try:
            for found in unpack(file.path, inside, budget):
                member = Upload(found.path, shown_name(found.name))
                if not new(member):
                    continue
                if is_archive(member.path):
                    skipped.append(Skipped(member.name, "a zip inside a zip: not unpacked"))
                    member.path.unlink()
                else:
                    add(member)
        except LargeArchiveError as error:
            raise ProblemError(413, str(error.reason)) from error
        except RefusedArchiveError as error:
            # nothing of a zip that is not what it should be
            for path in [path for path in films if path.parent == inside]:
                del films[path]
            skipped.append(Skipped(file.name, str(error.reason)))
        file.path.unlink(missing_ok=True)
    return films


def _why_none(path: Path) -> str:
    """Why a file of an upload without a film is not one, without its path."""
    try:
        find_studies([path])
    except NoStudyError as error:
        return str(error.passed[0].reason) if error.passed else _NO_MAMMOGRAM
    return _NO_MAMMOGRAM
