"""The Python API in one import: find the studies of a folder, scan one, write its result.

``docs/reference/python-api.md`` shows how. Importing this module does not bring PyTorch; `load_scanner` does.
"""

from __future__ import annotations

from bcd_model.words import StudyScanner
from converters.films.studies import StudyInput, find_studies
from converters.results.study_result import StudyResult
from converters.uids import UUID_ROOT
from worker.study import scan
from worker.study.publish import publish
from worker.study.scanner import load_scanner

__all__ = ["find_studies", "load_scanner", "publish", "scan_study"]


def scan_study(
    study: StudyInput,
    scanner: StudyScanner,
    *,
    uid_root: str = UUID_ROOT,
    progress: scan.Progress | None = None,
) -> StudyResult:
    """Read and scan every film of a study; a film that cannot be scanned costs that film alone.

    Args:
        uid_root: of the UIDs of the objects that are written.
        progress: called with (k, n) before film k of n is read, k from 1.
    """
    return scan.scan_study(study, scanner, scan.new_job(study, scanner, uid_root=uid_root), progress=progress)
