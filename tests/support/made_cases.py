"""Cases without pixels, and random ones of the size of a real collection."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bcd_model.detector.calibration import Calibration
from bcd_model.evaluation.cases import Case, Pixels
from bcd_model.evaluation.scored_films import ScoredMark
from bcd_model.words import Film, Label, Lesion, Projection


@dataclass(frozen=True)
class MadeFilm:
    """An annotated film whose pixels are drawn when they are read: an even gray with noise."""

    name: str
    patient: str
    lesions: tuple[Lesion, ...] = ()
    unlocated: bool = False
    tissue: str = "F"

    @property
    def label(self) -> Label:
        labels = {lesion.label for lesion in self.lesions}
        return "malignant" if "malignant" in labels else "benign" if labels or self.unlocated else "normal"

    @property
    def projection(self) -> Projection:
        return Projection(self.patient, None, None)

    def read(self) -> Film:
        noise = np.random.default_rng(len(self.name)).random((400, 300))
        return Film(noise.astype(np.float32), (0.2, 0.2), file=self.name)


def mark(
    row: float, column: float, score: float, radius: float | None = 20.0, malignant: float = 0.5
) -> ScoredMark:
    return ScoredMark((row, column), score, malignant, radius)


def case(
    name: str,
    marks: list[ScoredMark],
    lesions: tuple[Lesion, ...] = (),
    *,
    patient: str = "",
    unlocated: bool = False,
    tissue: str = "F",
    fold: int | None = None,
) -> Case:
    film = MadeFilm(name, patient or name, lesions, unlocated, tissue)
    kept = tuple(sorted(marks, key=lambda each: -each.score))
    return Case(film, Pixels(f"{name:0>16}", f"{name:0>64}", 0.2), kept, fold)


KINDS = ("CALC", "CIRC", "SPIC", "MISC", "ARCH", "ASYM")


def random_cases(patients: int = 12, seed: int = 0, folds: int = 3, most: int = 12) -> list[Case]:
    """Two films a patient; most marks are false, scores a little higher on lesions, many of them equal."""
    rng = np.random.default_rng(seed)
    cases = []
    for patient in range(patients):
        for side in "lr":
            lesions = []
            for _ in range(int(rng.choice([0, 1, 2], p=[0.55, 0.35, 0.1]))):
                center = (float(rng.uniform(30, 370)), float(rng.uniform(30, 270)))
                label = "malignant" if rng.random() < 0.5 else "benign"
                lesions.append(Lesion(center, float(rng.uniform(4, 90)), label, str(rng.choice(KINDS))))
            marks = [
                mark(
                    *rng.uniform(0, 300, 2),
                    round(float(rng.normal(-1)), 1),
                    float(rng.uniform(10, 60)),
                    float(rng.random()),
                )
                for _ in range(int(rng.integers(0, most)))
            ]
            for lesion in lesions:
                if rng.random() < 0.7:
                    place = np.array(lesion.center) + rng.normal(0, 5, 2)
                    marks.append(
                        mark(
                            *place, round(float(rng.normal(0.5)), 1), lesion.radius * 1.3, float(rng.random())
                        )
                    )
            cases.append(
                case(
                    f"f{patient:03d}{side}",
                    marks,
                    tuple(lesions),
                    patient=f"p{patient:03d}",
                    unlocated=not lesions and rng.random() < 0.1,
                    tissue=str(rng.choice(["F", "G", "D"])),
                    fold=patient % folds,
                )
            )
    return cases


IDENTITY = Calibration()
