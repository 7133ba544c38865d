"""From annotated films to a weight file: cross-validated by patient first, then trained on all.

The weight file carries the figures of the *recipe*, measured on films that its networks had not
seen; the shipped network itself has seen them all, so no film is left here to measure it on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bcd_model.detector.backbone import imagenet_backbone
from bcd_model.detector.calibration import SCORE_FLOOR, Calibration, fit_calibration
from bcd_model.detector.model import save_model
from bcd_model.detector.network import ScanningBCDCNN
from bcd_model.detector.second_stage import SecondStage
from bcd_model.detector.sliding_window import scan_level
from bcd_model.errors import TruthError
from bcd_model.evaluation import froc
from bcd_model.evaluation.hits import CENTRE
from bcd_model.evaluation.report.text import plain
from bcd_model.evaluation.tally import Tally, count, draw_patients, interval, intervals
from bcd_model.training.cross_validation import Validated, cross_validate
from bcd_model.training.network import Progress, TrainingConfig, data_digest, named, train_network
from bcd_model.training.windows import TrainingFilm
from bcd_model.weights import SHIPPED_NAME
from bcd_model.words import OperatingPoint


@dataclass(frozen=True, slots=True)
class Measured:
    """The cross-validated figures of a recipe, and what a model takes from them.

    Attributes:
        figures: as the model card holds them: value, low and high of each, None if there is none.
    """

    figures: dict[str, Any]
    calibration: Calibration
    film_calibration: Calibration
    heat_calibration: Calibration
    operating_point: OperatingPoint


def measure(validated: Validated, folds: int) -> Measured:
    """Return the figures of marks on unseen films, with intervals over patients.

    Calibration and operating point are fitted on these very marks: they are for use on films to
    come, and only the ranking figures (FROC, AUC) are free of that.
    """
    tally = count(validated.scored, CENTRE)
    weights = draw_patients(tally.patients, seed=0)
    calibration = _calibrate(tally)
    above = froc.thresholds(tally, weights, np.array(froc.FALSE_MARKS))
    highest_left_out = float(above[0, froc.FALSE_MARKS.index(froc.OPERATING_FALSE_MARKS)])
    if not np.isfinite(highest_left_out):
        raise TruthError(
            "the network marks too little to set an operating point", "train longer, on more films"
        )
    point = np.full((len(weights), 1), highest_left_out)
    sensitivity = interval(froc.sensitivity(tally, weights, point)[:, 0])
    false_marks = interval(froc.false_marks(tally, weights, point))
    films, lesions = len(tally.abnormal), int(tally.judged_lesion.sum())
    basis = (
        f"{folds}-fold cross-validation by patient of the training recipe, {films} films of "
        f"{tally.patients} patients, {lesions} lesions; {CENTRE.text}"
    )
    at_rates = zip(froc.FALSE_MARKS, intervals(froc.sensitivity(tally, weights, above)), strict=True)
    figures = {
        "protocol": "out of fold, by patient; 95 % intervals from a bootstrap over patients",
        "hit_rule": CENTRE.text,
        "films": films,
        "patients": tally.patients,
        "lesions": lesions,
        "sensitivity_at_false_marks_per_film": dict(at_rates),
        "film_auc": interval(froc.film_auc(tally, weights)),
        "malignant_against_benign_auc": interval(froc.malignant_auc(tally, weights)),
        "operating_point": {"sensitivity": sensitivity, "false_marks_per_film": false_marks},
    }
    return Measured(
        plain(figures),
        calibration,
        fit_calibration(np.maximum(tally.film_score, SCORE_FLOOR), tally.abnormal),
        _calibrate(count(validated.first, CENTRE)),
        OperatingPoint(
            calibration.probability(float(np.nextafter(highest_left_out, np.inf))),
            float(tally.abnormal.mean()),
            sensitivity.value,
            false_marks.value,
            basis,
        ),
    )


def _calibrate(tally: Tally) -> Calibration:
    return fit_calibration(tally.mark_score[tally.judged_mark], tally.on_lesion[tally.judged_mark])


def change_by_float16(network: ScanningBCDCNN, film: TrainingFilm) -> float:
    """Return how much storing the weights as float16 changes a class probability of ``film`` at most."""
    rounded = ScanningBCDCNN(network.units).eval()
    rounded.load_state_dict({name: value.half().float() for name, value in network.state_dict().items()})
    changes = []
    for level in film.pyramid.levels:
        before, after = (
            torch.softmax(torch.from_numpy(scan_level(each, level)), 0) for each in (network, rounded)
        )
        changes.append(float((before - after).abs().max()))
    return max(changes)


def _check_slopes(measured: Measured) -> None:
    calibrations = (measured.calibration, measured.film_calibration, measured.heat_calibration)
    if not all(calibration.slope > 0 for calibration in calibrations):
        raise TruthError(
            "the scores of the cross-validation do not rise with suspicion, so there is nothing to calibrate",
            "train for more --steps, or on more films",
        )


def develop(
    films: Sequence[TrainingFilm],
    config: TrainingConfig,
    out: Path,
    *,
    folds: int = 5,
    version: str,
    data: dict[str, Any],
    command: str,
    progress: Progress = lambda _: None,
) -> Path:
    """Cross-validate the recipe, train it on all films and write ``out/bcd-scan.safetensors``.

    Args:
        data: what the model card says of the films: name, licence.
        command: what made the file, for the model card.

    PyTorch's number of threads becomes ``config.threads`` for the whole process.

    Raises:
        TruthError: the films do not suffice to calibrate, or the networks have learned nothing from them.
    """
    out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(config.threads)
    validated = cross_validate(films, config, folds, out, progress)
    measured = measure(validated, folds)
    _check_slopes(measured)
    heads = validated.heads
    network = train_network(films, config, out / "final.safetensors", named(progress, "all films"))
    path = out / "bcd-scan.safetensors"
    change = change_by_float16(network, films[0])
    progress(f"stored as float16, which changes a probability of {films[0].name} by {change:.1e} at most")
    card = {
        "data": {
            **data,
            "digest": data_digest(films),
            "film_digests": sorted(film.pixel_digest for film in films),
            "films": measured.figures["films"],
            "patients": measured.figures["patients"],
        },
        "command": command,
        "recipe": config.as_json(),
        "folds": folds,
        "cross_validated": measured.figures,
        "greatest_change_by_float16": round(change, 6),
    }
    save_model(
        path,
        network,
        name=SHIPPED_NAME,
        version=version,
        steps_mm=config.steps_mm,
        operating_point=measured.operating_point,
        calibration=measured.calibration,
        film_calibration=measured.film_calibration,
        heat_calibration=measured.heat_calibration,
        second_stage=None if heads is None else SecondStage(imagenet_backbone(), heads),
        card=card,
    )
    return path
