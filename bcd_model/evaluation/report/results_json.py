"""``results.json`` of an assessment; the same assessment gives the same text."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from bcd_model.detector.calibration import SCORE_FLOOR
from bcd_model.evaluation import froc
from bcd_model.evaluation.cases import data_digest
from bcd_model.evaluation.evaluate import Assessment, Curve
from bcd_model.evaluation.report.text import plain
from bcd_model.evaluation.tally import DRAWS
from bcd_model.words import CLASSES, DISCLAIMER

SCHEMA_VERSION = 2


def results(made: Assessment, remarks: Sequence[str]) -> dict[str, Any]:
    """Return the content of ``results.json``; every number rounded to six digits, nan as None.

    Args:
        remarks: what was odd about the input, one line each.
    """
    trained_on = made.overlap.trained_on
    content = {
        "schema_version": SCHEMA_VERSION,
        "disclaimer": DISCLAIMER,
        "measure": made.overlap.measure,
        "overlap": {
            "verdict": made.overlap.verdict,
            "text": made.overlap.text,
            "films_trained_on": None if None in trained_on else sum(map(bool, trained_on)),
        },
        "source": {"kind": made.source.kind, **made.source.facts},
        "data": _data(made),
        "remarks": list(remarks),
        "settings": {
            "hit_rule": made.rule.name,
            "hit_rule_text": made.rule.text,
            "least_radius_px": made.rule.least_radius,
            "seed": made.seed,
            "draws_of_patients": DRAWS,
            "score_floor": SCORE_FLOOR,
        },
        "froc": {curve.rule.name: _curve(curve) for curve in made.curves},
        "film_auc": made.film_auc,
        "operating_point": _operating_point(made),
        "groups_at_false_marks_per_film": froc.OPERATING_FALSE_MARKS,
        "groups": made.groups,
        "density": made.densities,
        "calibration": {
            "basis": _basis(made),
            "marks": made.mark_calibration,
            "films": made.film_calibration,
        },
    }
    rounded: dict[str, Any] = plain(content)
    return rounded


def results_text(content: dict[str, Any]) -> str:
    """The text of ``results.json``."""
    return json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def _data(made: Assessment) -> dict[str, Any]:
    films = [case.film for case in made.cases]
    return {
        "films": len(films),
        "patients": made.tally.patients,
        "lesions": int(made.tally.judged_lesion.sum()),
        "films_for_froc": int(made.tally.judged.sum()),
        "films_abnormal": int(made.tally.abnormal.sum()),
        "films_with_unknown_place": int((~made.tally.judged).sum()),
        "films_by_class": {name: sum(film.label == name for film in films) for name in CLASSES},
        "digest": data_digest(made.cases),
    }


def _curve(curve: Curve) -> dict[str, Any]:
    return {
        "hit_rule": curve.rule.text,
        "sensitivity_at_false_marks_per_film": {str(rate): value for rate, value in curve.at.items()},
        "malignant_against_benign_auc": curve.malignant_auc,
        "lesions_marked": {"benign": curve.found[0], "malignant": curve.found[1]},
    }


def _operating_point(made: Assessment) -> dict[str, Any] | None:
    if made.operating_point is None:
        return None
    sensitivity, false_marks = made.operating_point
    basis = (
        f"P(abnormal) {made.source.threshold:.4f}, from the weights"
        if made.source.threshold is not None
        else "for each fold, the score of one false mark per film on the other folds"
    )
    return {"basis": basis, "sensitivity": sensitivity, "false_marks_per_film": false_marks}


def _basis(made: Assessment) -> str:
    if made.source.kind == "weights":
        return "the calibration of the weights"
    basis = "cross-fitted: for each fold, Platt scaling fitted on the marks of the other folds"
    return "; ".join((basis, *(f"none of {reason}" for reason in made.predictions.missing)))
