"""The same model where another share of films is abnormal.

Every calibrated probability holds at one prevalence, that of the films it was fitted on. Elsewhere the
films of either kind are taken to look as they do there, and only their shares to differ (prior
probability shift: Saerens, Latinne, Decaestecker, Neural Computation 14, 2002). Then

- the odds that a film is abnormal grow by the ratio of the prior odds, [p'/(1-p')] / [p/(1-p)];
- the odds that a place is a lesion grow by p'/p: true marks become more frequent with the abnormal
  films, while every film keeps its false marks.

What is found, in which order, and what is presented stay the same; so do the operating point's figures.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from bcd_model.errors import UsageError
from bcd_model.words import OperatingPoint

if TYPE_CHECKING:
    from bcd_model.detector.calibration import Calibration
    from bcd_model.detector.model import Model

LEAST = 1e-4
"""Least prevalence that may be asked for, and of normal films likewise: results hold six decimals."""


def at_prevalence(model: Model, prevalence: float) -> Model:
    """Return ``model`` with its probabilities at ``prevalence``; the very same if that is its own.

    Raises:
        UsageError: the prevalence is below ``LEAST`` or above 1 - ``LEAST``.
    """
    own = model.operating_point
    if prevalence == own.prevalence:
        return model
    point = in_force(own, prevalence, None)
    marks = prevalence / own.prevalence
    films = marks * (1 - own.prevalence) / (1 - prevalence)
    return replace(
        model,
        operating_point=point,
        calibration=_grown(model.calibration, marks),
        film_calibration=_grown(model.film_calibration, films),
        heat_calibration=_grown(model.heat_calibration, marks),
        floor=_at_odds(model.floor, marks),
    )


def in_force(point: OperatingPoint, prevalence: float | None, threshold: float | None) -> OperatingPoint:
    """Return the operating point that settings make of a model's own ``point``.

    Args:
        prevalence: where the model is used; None: as the model's.
        threshold: of the user, at that prevalence; None: the model's, moved there. The figures of
            ``point`` do not apply to another one.

    Raises:
        UsageError: the prevalence is below ``LEAST`` or above 1 - ``LEAST``.
    """
    if prevalence is not None and prevalence != point.prevalence:
        if not LEAST <= prevalence <= 1 - LEAST:
            raise UsageError(
                f"a prevalence of {prevalence} cannot be used",
                f"give the share of abnormal films, from {LEAST} to {1 - LEAST}",
            )
        moved = _at_odds(point.threshold, prevalence / point.prevalence)
        point = replace(point, threshold=moved, prevalence=prevalence)
    if threshold is None or threshold == point.threshold:
        return point
    return OperatingPoint(threshold, point.prevalence, basis="set by the user; not measured")


def _at_odds(probability: float, ratio: float) -> float:
    """``probability`` after its odds have grown by ``ratio``."""
    return ratio * probability / (1 - probability + ratio * probability)


def _grown(calibration: Calibration, ratio: float) -> Calibration:
    return replace(calibration, intercept=calibration.intercept + math.log(ratio))
