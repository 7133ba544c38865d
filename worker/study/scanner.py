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


def load_scanner(
    weights: Path | None = None,
    *,
    threads: int | None = None,
    threshold: float | None = None,
    prevalence: float | None = None,
) -> Scanner:
    """Return a scanner with the model of this process, which is loaded once and kept.

    Args:
        weights: a file made by ``bcd-admin train``; by default the shipped one.
        threads: of PyTorch, for the whole process; its own default if None.
        threshold: on P(abnormal), in place of the model's operating point, whose figures then do not apply.
        prevalence: share of abnormal films where it is used; by default the model's own.

    Raises:
        ModelError: the weight file cannot be used.
        UsageError: the prevalence cannot be used.
    """
    from bcd_model.detector.scan import Scanner

    model = _model(weights)
    point = in_force(model.operating_point, prevalence, threshold)
    model = replace(at_prevalence(model, point.prevalence), operating_point=point)
    return Scanner(model, threads=threads)


@lru_cache(maxsize=1)
def _model(weights: Path | None) -> Model:
    from bcd_model.detector.model import load_model

    return load_model(weights)
