"""Sensitivity for kinds, classes and sizes of lesions, and for the density of the breast.

All are compared at one score threshold, that of one false mark per film over all films: a reader has one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from bcd_model.evaluation import froc
from bcd_model.evaluation.cases import Case
from bcd_model.evaluation.statistics import Interval
from bcd_model.evaluation.tally import Floats, Tally, interval
from bcd_model.words import Lesion

NOT_STATED = "not stated"
FAMILIES = {
    "CALC": "calcification",
    "CIRC": "mass",
    "SPIC": "mass",
    "MISC": "mass",
    "ARCH": "distortion",
    "ASYM": "asymmetry",
}
"""MIAS's classes of abnormality in the paper's groups."""

SIZES = ((5.0, "radius below 5 mm"), (10.0, "radius 5 to 10 mm"), (np.inf, "radius 10 mm or more"))


@dataclass(frozen=True, slots=True)
class Group:
    """Lesions of one sort.

    Attributes:
        by: "class", "family", "kind" or "size".
        lesions: how many.
        found: of these, with a mark above the threshold.
    """

    by: str
    name: str
    lesions: int
    found: int
    sensitivity: Interval


@dataclass(frozen=True, slots=True)
class Density:
    """Films of one background tissue; ``film_auc`` is nan where all are normal, or none."""

    tissue: str
    films: int
    lesions: int
    found: int
    sensitivity: Interval
    false_marks: Interval
    film_auc: Interval


def groups(cases: Sequence[Case], tally: Tally, weights: Floats, above: Floats) -> tuple[Group, ...]:
    """Return the groups that have a lesion.

    Args:
        above: (draws + 1, 1) the score that a mark must surpass.
    """
    lesions = [(case, lesion) for case in cases for lesion in case.film.lesions]
    names: dict[str, Callable[[Case, Lesion], str]] = {
        "class": lambda _, lesion: lesion.label,
        "family": lambda _, lesion: FAMILIES.get(lesion.kind, NOT_STATED),
        "kind": lambda _, lesion: lesion.kind or NOT_STATED,
        "size": lambda case, lesion: size_of(case, lesion),
    }
    order = {
        "family": list(dict.fromkeys(FAMILIES.values())),
        "kind": list(FAMILIES),
        "size": [name for _, name in SIZES],
    }
    made = []
    for by, name_of in names.items():
        of_lesion = np.array([name_of(case, lesion) for case, lesion in lesions])
        known = order.get(by, [])
        present = sorted(
            set(of_lesion[tally.judged_lesion]),
            key=lambda name: (known.index(name) if name in known else len(known), name),
        )
        for name in present:
            chosen = (of_lesion == name) & tally.judged_lesion
            values = froc.sensitivity(tally, weights, above, chosen)[:, 0]
            made.append(
                Group(by, str(name), int(chosen.sum()), _found(tally, above, chosen), interval(values))
            )
    return tuple(made)


def densities(cases: Sequence[Case], tally: Tally, weights: Floats, above: Floats) -> tuple[Density, ...]:
    """Return a row for each background tissue, in the collection's own codes."""
    tissues = np.array([case.film.tissue or NOT_STATED for case in cases])
    order = ["F", "G", "D"]
    made = []
    for tissue in sorted(set(tissues), key=lambda t: (order.index(t) if t in order else len(order), t)):
        films = tissues == tissue
        chosen = films[tally.lesion_film] & tally.judged_lesion
        made.append(
            Density(
                str(tissue),
                int(films.sum()),
                int(chosen.sum()),
                _found(tally, above, chosen),
                interval(froc.sensitivity(tally, weights, above, chosen)[:, 0]),
                interval(froc.false_marks(tally, weights, above, films)),
                interval(froc.film_auc(tally, weights, films)),
            )
        )
    return tuple(made)


def size_of(case: Case, lesion: Lesion) -> str:
    """The bin of a lesion's radius in mm, by the spacing of the film's rows."""
    radius = lesion.radius * case.pixels.spacing
    return next(name for limit, name in SIZES if radius < limit)


def _found(tally: Tally, above: Floats, chosen: np.ndarray) -> int:
    return int((tally.lesion_score[chosen] > above[0, 0]).sum())
