"""Zips among the paths that a command is given: unpacked for it, and removed after it."""

from __future__ import annotations

import shutil
import signal
import threading
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
from worker.study.staging import FILMS, ResultsMode, ResultsRoot, finish, make_results_folder

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
                return archive.joinpath(*path.relative_to(folder).parts[1:])
        return path


@contextmanager
def unpacked(
    paths: Sequence[Path], make_folder: Callable[[], Path], mode: ResultsMode = "private"
) -> Iterator[Films]:
    """The films in ``paths``, those in zips unpacked below a folder that is removed afterwards.

    Until then SIGTERM ends the command as Ctrl-C does: no film stays behind without a word.

    Args:
        make_folder: makes it; called if there is a zip.
        mode: who may read the films.

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
    alone = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGTERM, signal.default_int_handler) if alone else None
    try:
        budget = Budget(_FILES, 1 << 50, _RATIO, _FILE, partial(check_room, root, _FREE))
        for number in archives:
            folder = root / str(number)
            raw, named = folder / "raw", folder / "named"  # no name in the zip can be that of another file
            for each in (folder, raw, named):
                each.mkdir()
            films.paths[number], films.zips[folder] = folder, paths[number].absolute()
            with busy("unpacking"), about(paths[number]), _no_room(root):
                for member in unpack(paths[number], raw, budget):
                    _give_name(member, named)
        with _no_room(root), ResultsRoot(root, make=False) as opened:
            finish(opened.fd, mode)
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
            if root.parent.name == FILMS:
                with suppress(OSError):  # another command uses it
                    root.parent.rmdir()
        if before is not None:
            signal.signal(signal.SIGTERM, before)


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
        make_results_folder(results / FILMS, mode)
        return Path(mkdtemp(dir=results / FILMS))


def _give_name(member: Member, folder: Path) -> None:
    """Move an unpacked file to where the zip has it, if the disk can; else it stays where it is.

    `unpack` has refused names that lead out.
    """
    path = folder.joinpath(*member.name.replace("\\", "/").split("/"))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            member.path.rename(path)
    except (OSError, ValueError):  # too long, or a folder's name, too
        return


@contextmanager
def _no_room(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        why = f"films cannot be unpacked here: {error.strerror or error}"
        raise OutputError(why, "make room, or unpack the zip yourself", folder) from error
