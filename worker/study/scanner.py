"""The detector as a study's scan takes it, loaded once for a setting, and the folders that it may read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from bcd_model.detector.prevalence import at_prevalence, in_force
from bcd_model.errors import UsageError

if TYPE_CHECKING:
    from bcd_model.detector.model import Model
    from bcd_model.detector.scan import Scanner


def check_roots(what: str, paths: Sequence[Path], roots: Sequence[Path], variable: str) -> None:
    """Raise UsageError unless every path is below one of ``roots``, which ``variable`` sets; none: any is."""
    if not roots:
        return
    allowed = [root.resolve() for root in roots]
    for path in paths:
        real = path.resolve()
        if not any(real.is_relative_to(root) for root in allowed):
            detail = f"this worker may not {what} this folder"
            raise UsageError(detail, f"correct {variable} or move the files", path.parent, "outside-roots")


def make_scanner(
    path: Path | None, threads: int | None, threshold: float | None = None, prevalence: float | None = None
) -> Scanner:
    """A scanner with the model of this process, which is loaded once and kept.

    Args:
        threshold: in place of the model's own operating point, whose figures then do not apply.
        prevalence: where the probabilities and the threshold hold, if not at the model's own.

    Raises:
        ModelError: the weight file cannot be used.
        UsageError: there is no shift to such a prevalence.
    """
    from bcd_model.detector.scan import Scanner

    model = _model(path)
    point = in_force(model.operating_point, prevalence, threshold)
    model = replace(at_prevalence(model, point.prevalence), operating_point=point)
    return Scanner(model, threads=threads)


@lru_cache(maxsize=1)
def _model(path: Path | None) -> Model:
    from bcd_model.detector.model import load_model

    return load_model(path)
