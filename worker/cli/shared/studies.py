"""The studies that a command is given, and the folder for their results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from converters.films.studies import Discovery, find_studies
from converters.results.patients import patients_warning
from converters.truth.file import TRUTH_FILE
from worker.cli.shared.console import warn
from worker.cli.shared.figures import counted
from worker.cli.shared.progress import busy
from worker.settings import Settings

_NAMED = 3  # files left out for one reason that are named


def read_studies(paths: Sequence[Path], shown: Callable[[Path], Path] = Path) -> Discovery:
    """The studies in ``paths``; says what was left out, and what may be a film and belongs to no study.

    Args:
        shown: what the user calls a file.

    Raises:
        UsageError: a path does not exist.
        InputError: there is no film in them.
    """
    with busy("looking for films"):
        found = find_studies([path.absolute() for path in paths])
    left_out: dict[str, list[Path]] = {}
    for skipped in found.skipped:
        if skipped.path.name != TRUTH_FILE:
            left_out.setdefault(str(skipped.reason), []).append(skipped.path)
    # Results come back beside the films: one line a reason, not one a file.
    for reason, files in left_out.items():
        named = ", ".join(str(shown(path)) for path in files[:_NAMED])
        more = f" and {counted(len(files) - _NAMED, 'more file')}" if len(files) > _NAMED else ""
        warn(f"{named}{more}: left out: {reason}")
    for lost in found.unplaced:
        warn(f"{shown(lost.path)}: NOT SCANNED, and it may be a film of any study: {lost.reason}")
    for study in found.studies:
        for text in (*study.warnings, *patients_warning(study.patients)):
            warn(f"study {study.study_instance_uid}: {text}")
    for clash in found.clashes:
        warn(
            f"{', '.join(str(shown(path)) for path in clash)}: have one SOP Instance UID; keep the right one"
        )
    return found


def unplaced_json(found: Discovery, shown: Callable[[Path], Path]) -> list[dict[str, str]]:
    """What may be films of any study, for ``--json``; ``shown`` says what the user calls a file."""
    return [{"file": str(shown(lost.path)), "reason": str(lost.reason)} for lost in found.unplaced]


def results_root(out: Path | None, settings: Settings) -> Path:
    """Where results go: ``--out``, else ``BCD_RESULTS_DIR``, else ``./bcd-results``; absolute."""
    return (out or settings.results_dir).absolute()
