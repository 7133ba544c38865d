"""Publishing: a result becomes visible whole or not at all.

The objects are written into a hidden folder inside the results root (the same file system), flushed to
the disk, and made visible by one rename. A result that stands there already is exchanged for the new
one in one step where the system offers it (Linux ``renameat2``); elsewhere it is moved aside first, and
for that moment there is no result at its place. What is written, moved and deleted is reached by
descriptor, never through a link (`worker.study.staging`).
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from bcd_model.errors import OutputError
from converters.results.study_result import StudyResult
from converters.results.write import write_results
from worker.study.growth import Contents, contents_of, grows
from worker.study.published import job_at, published_at
from worker.study.staging import ResultsMode, ResultsRoot, check_name, finish, open_folder, staged, sync

Writer = Callable[[StudyResult, Path], object]


class ResultWriter:
    """Writes results as `write_results` does, and keeps what was written last.

    Args:
        ending: as there.

    Attributes:
        names_files: whether what is written is for the user who named the films' files; for others they are
            called by their numbers.
        written: in it a film has failed whose objects could not be made.
    """

    def __init__(self, ending: tuple[type[BaseException], ...] = ()) -> None:
        self._ending = ending
        self.names_files = True
        self.written: StudyResult | None = None

    def __call__(self, result: StudyResult, folder: Path) -> None:
        """Write the objects of ``result`` into ``folder``."""
        written = write_results(result if self.names_files else _without_names(result), folder, self._ending)
        films = zip(written.films, result.films, strict=True)
        self.written = replace(written, films=tuple(replace(film, file=own.file) for film, own in films))


def _without_names(result: StudyResult) -> StudyResult:
    films = tuple(replace(film, file=f"film-{number}.dcm") for number, film in result.numbered)
    return replace(result, films=films)


def check_target(folder: Path, job_id: str, *, replace: bool, films: Contents = ()) -> None:
    """Make sure that ``job_id`` may publish in ``folder``.

    Args:
        replace: whether the result of another job may be replaced, whatever it is of.
        films: those of the job. The result of a part of them may always be replaced.

    Raises:
        OutputError: it holds another job's result that may not be replaced, or something that is not a
            result; or it is a link.
    """
    try:
        root = ResultsRoot(folder.parent, make=False)
    except OSError:  # there is nothing, or nothing that can be seen: writing says so
        return
    with root:
        _close(_checked(root, folder.name, job_id, replace=replace, films=films))


def _checked(root: ResultsRoot, name: str, job_id: str, *, replace: bool, films: Contents) -> int | None:
    """The open folder that ``job_id`` may replace; None if nothing stands there.

    Raises:
        OutputError: as `check_target`.
    """
    fd = open_folder(root, name)
    if fd is None:
        return None
    folder = root.path / name
    there = published_at(fd)
    if there is None:
        ours = bool(job_at(fd))  # a result of ours that cannot be read
        if ours and replace:
            return fd
        os.close(fd)
        if ours:
            remedy = "replace it with --force, or give another --out"
            raise OutputError("holds a damaged result", remedy, folder, "not-a-result")
        detail = "is there already and is not a result of this software"
        raise OutputError(detail, "move it away or give another --out", folder, "not-a-result")
    if there.job_id != job_id and not replace and not grows(films, there.contents):
        os.close(fd)
        detail = f"holds the result of another job ({there.job_id})"
        remedy = "give all films of the study together, replace it with --force, or give another --out"
        raise OutputError(detail, remedy, folder, "another-result")
    return fd


def _close(fd: int | None) -> None:
    if fd is not None:
        os.close(fd)


def prepare_root(
    root: Path, *, make: bool = True, roots: Sequence[Path] = (), mode: ResultsMode = "private"
) -> None:
    """Make the results folder, clear what killed processes left in it, and see that it can be written.

    Args:
        make: whether it is made; if not, it has to be there.
        roots: the folders in one of which it has to be, links resolved; empty: anywhere.
        mode: who may list it, if it is made.

    Raises:
        OutputError: it cannot, or is not there.
    """
    with _output_errors(root), ResultsRoot(root, make=make, roots=roots, mode=mode) as opened:
        opened.check_writable()


def publish(
    result: StudyResult,
    root: Path,
    *,
    replace: bool = False,
    make_root: bool = True,
    roots: Sequence[Path] = (),
    mode: ResultsMode = "private",
    write: Writer = write_results,
) -> Path:
    """Write ``result`` into ``root/<StudyInstanceUID>`` in one step.

    Args:
        root: the results folder.
        replace: whether the result of another job may be replaced even if it has films that this has not.
        make_root: whether the results folder is made if need be.
        roots: the folders in one of which it has to be, links resolved; empty: anywhere.
        mode: who may read the result: it names the patient.
        write: what writes the objects into an empty folder.

    A result of the same job that another process has published first, under the UIDs of another time, is
    left as it is: it may have been read already.

    Returns:
        the published folder.

    Raises:
        OutputError: it cannot be written, or another job's result is in the way.
    """
    name, job = result.study_instance_uid, result.job.job_id
    films = contents_of(result)
    check_name(name)
    target = root / name
    with _output_errors(root):
        opened = ResultsRoot(root, make=make_root, roots=roots, mode=mode)
    with opened:
        with _output_errors(root):
            opened.check_writable()
            _close(_checked(opened, name, job, replace=replace, films=films))
        with _output_errors(target), staged(opened) as stage:
            write(result, stage.path)
            finish(stage.fd, mode)
            with stage.alone():
                there = _checked(opened, name, job, replace=replace, films=films)
                try:
                    if there is None or not _won_by_another(there, result):
                        stage.show(name, there)
                finally:
                    _close(there)
            sync(opened.fd)
    return target


def _won_by_another(target: int, result: StudyResult) -> bool:
    there = published_at(target)
    return (
        there is not None
        and there.job_id == result.job.job_id
        and there.created is not None
        and there.created != result.job.created
    )


@contextmanager
def _output_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, OutputError) as caught:
        # the writers name the file in the hidden folder; the user knows only its final place
        error = caught.__cause__ if isinstance(caught, OutputError) else caught
        if not isinstance(error, OSError):
            raise
        remedy = {
            errno.ENOSPC: "free space on this disk or give another --out",
            errno.EDQUOT: "free space or give another --out",
            errno.ENOENT: "mount its share, or submit again if it was deleted",
            errno.EEXIST: "give another --out",
            errno.ENOTDIR: "give another --out",
        }.get(error.errno or 0, "give another --out or correct its permissions")
        in_place = error.errno in (errno.EEXIST, errno.ENOTDIR)
        why = "a file stands where its folder would" if in_place else error.strerror
        detail = f"cannot be written: {why or os.strerror(errno.EIO)}"
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise OutputError(detail, remedy, path, "disk-full" if full else "unwritable") from error
