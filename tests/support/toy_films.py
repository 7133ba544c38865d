"""Annotated films in memory, as training takes them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bcd_model.words import Film, Label, Lesion, Projection
from tests.support.blob_films import half_disc


@dataclass(frozen=True)
class StoredFilm:
    name: str
    patient: str
    film: Film
    lesions: tuple[Lesion, ...] = ()
    unlocated: bool = False
    tissue: str = "F"

    @property
    def label(self) -> Label:
        labels = {lesion.label for lesion in self.lesions}
        return "malignant" if "malignant" in labels else "benign" if labels else "normal"

    @property
    def projection(self) -> Projection:
        return Projection(self.patient, self.film.view, self.film.laterality)

    def read(self) -> Film:
        return self.film


def toy_films(patients: int = 8, shape: tuple[int, int] = (256, 192)) -> list[StoredFilm]:
    """Small films; of two a patient the first has a bright blob: benign even, malignant odd patients."""
    films = []
    for patient in range(patients):
        for side in ("left", "right"):
            rng = np.random.default_rng([patient, side == "left"])
            spacing = (0.8, 0.8)
            pixels = np.where(half_disc(shape, spacing, side), 0.4 + 0.03 * rng.normal(size=shape), 0.0)
            lesions: tuple[Lesion, ...] = ()
            if side == "left":
                center = (float(rng.uniform(90, 160)), float(rng.uniform(40, 80)))
                rows, columns = np.indices(shape)
                distance = np.hypot(rows - center[0], columns - center[1])
                malignant = patient % 2 == 1
                # Malignant blobs are rings, benign ones discs.
                pixels[(distance < 9) & ((distance > 5) | (not malignant))] += 0.4
                lesions = (Lesion(center, 9.0, "malignant" if malignant else "benign", "CIRC"),)
            film = Film(
                pixels.clip(0, 1).astype(np.float32),
                spacing,
                laterality="L" if side == "left" else "R",
                view="MLO",
            )
            films.append(StoredFilm(f"f{patient}{side}", f"p{patient}", film, lesions))
    return films
