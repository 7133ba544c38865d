"""Zips among the paths that a command is given: unpacked for it, and removed after it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from tempfile import mkdtemp

from bcd_model.errors import InputError, OutputError, about
from converters.films.archives import Budget, Member, is_archive, unpack
from worker.cli.shared.console import note
from worker.cli.shared.progress import busy
from worker.gateway.storage.disk import check_room
from worker.study.staging import ResultsMode, make_results_folder

FOLDER = ".bcd-films"
"""In the results folder: films from zips whose jobs have not ended."""

_FREE = 1 << 30  # bytes that are left on the disk
_FILES = 100_000  # more in one zip are no studies of one night
_FILE = 4 << 30  # bytes, the most that an element of DICOM may state
_RATIO = 100  # to which films are not packed: zips that are bombs are


@dataclass(slots=True)
class Films:
    """Where the films of a command are.

    Attributes:
        paths: those that the user named, with a folder in the place of each zip.
        zips: the zip that each of these folders was made from.
        needed: whether the folders are needed after the command has ended.
    """

    paths: list[Path]
    zips: dict[Path, Path] = field(default_factory=dict)
    needed: bool = False

    def shown(self, path: Path) -> Path:
        """What the user calls ``path``: a file of a zip is called as if that were a folder."""
        for folder, archive in self.zips.items():
            if path.is_relative_to(folder):
                return archive / path.relative_to(folder)
        return path


@contextmanager
def unpacked(paths: Sequence[Path], make_folder: Callable[[], Path]) -> Iterator[Films]:
    """The films in ``paths``, those in zips unpacked below a folder that is removed afterwards.

    Args:
        make_folder: makes it; called if there is a zip.

    Raises:
        InputError: a zip is broken, encrypted, or holds what no study does, or too much.
        OutputError: there is no room for it.
    """
    films = Films(list(paths))
    archives = [number for number, path in enumerate(paths) if _is_zip(path)]
    if not archives:
        yield films
        return
    root = make_folder()
    try:
        budget = Budget(_FILES, 1 << 50, _RATIO, _FILE, partial(check_room, root, _FREE))
        for number in archives:
            folder = root / str(number)
            folder.mkdir()
            films.paths[number], films.zips[folder] = folder, paths[number].absolute()
            with busy("unpacking"), about(paths[number]), _no_room(root):
                for member in unpack(paths[number], folder, budget):
                    _give_name(member, folder)
        yield films
    except InputError as error:
        if error.reason.code == "archive" and not error.reason.remedy:
            error.reason = replace(error.reason, remedy="get it again, or unpack it and look at it")
        if error.reason.place:
            error.reason = replace(error.reason, place=str(films.shown(Path(error.reason.place))))
        raise
    finally:
        if films.needed:
            note(f"the films unpacked stay in {root} for their jobs; remove it when these are done")
        else:
            shutil.rmtree(root, ignore_errors=True)
            if root.parent.name == FOLDER:
                with suppress(OSError):  # another command uses it
                    root.parent.rmdir()


def _is_zip(path: Path) -> bool:
    try:
        return path.is_file() and is_archive(path)
    except OSError:  # who looks for films says what is wrong with it
        return False


def make_films_folder(results: Path, mode: ResultsMode) -> Path:
    """A new folder for unpacked films where workers find it: in the results folder.

    Raises:
        OutputError: it cannot be made.
    """
    with _no_room(results):
        make_results_folder(results, mode)
        make_results_folder(results / FOLDER, mode)
        new = Path(mkdtemp(dir=results / FOLDER))
        new.chmod((results / FOLDER).stat().st_mode & 0o777)
    return new


def _give_name(member: Member, folder: Path) -> None:
    """Call an unpacked file what the zip does, if the disk can; `unpack` has refused names that lead out."""
    path = folder.joinpath(*member.name.replace("\\", "/").split("/"))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            member.path.rename(path)
    except (OSError, ValueError):  # it keeps the name of its content
        return


@contextmanager
def _no_room(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        why = f"films cannot be unpacked here: {error.strerror or error}"
        raise OutputError(why, "make room, or unpack the zip yourself", folder) from error
