"""What the systems are shown: crops or whole films, by subset."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bcd_model.digests import lines_digest
from bcd_model.duplicates import check_given_once, check_pictures
from bcd_model.errors import TruthError
from bcd_model.paper.crops import PaperCrop, crops_of_one_scale, eight_variants, paper_crops, square_crop
from bcd_model.paper.systems import SUBSETS, Preparation, Scaling, Subset
from bcd_model.words import CLASSES, AnnotatedFilm, Label, Region

DRAW = 0
"""Seed of the places of the normal crops: every run, whatever its seed, has the same crops."""

Labels = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class CropSet:
    """The crops (or whole films) of one subset, before their variants are made.

    Attributes:
        classes: what the labels index.
        labels: (n,).
        crops: n, in the same order.
    """

    classes: tuple[Label, ...]
    labels: Labels
    crops: tuple[PaperCrop, ...]

    @property
    def patients(self) -> tuple[str, ...]:
        """The patient of each crop."""
        return tuple(crop.patient for crop in self.crops)

    def samples(self) -> npt.NDArray[np.float32]:
        """Return (8n, size, size): the 8 variants of the first crop, then those of the next."""
        return np.concatenate([eight_variants(crop.pixels) for crop in self.crops])


def prepare(films: Sequence[AnnotatedFilm], preparation: Preparation, size: int) -> list[PaperCrop]:
    """Return every crop of the films as ``preparation`` says.

    Raises:
        TruthError: no films; the same film twice; one picture for two patients.
        FilmError: a film cannot be read.
    """
    check_given_once(films)
    if preparation == "films":
        crops = [_whole(annotated, size) for annotated in films]
    elif preparation == "crops":
        crops = paper_crops(films, DRAW)
    else:
        crops = crops_of_one_scale(films, DRAW)
    return crops


def films_digest(films: Sequence[AnnotatedFilm]) -> str:
    """Return a SHA-256 of all films and their truth, after a look for pictures that two films share.

    Raises:
        TruthError: two films are the same picture: one patient could stand on both sides of a split.
    """
    ordered = sorted(films, key=lambda each: each.name)
    pictures = [
        hashlib.sha256(np.ascontiguousarray(film.read().pixels).tobytes()).hexdigest() for film in ordered
    ]
    check_pictures(zip(pictures, ordered, strict=True))
    lines = [
        f"{film.name} {film.patient} {film.label} {film.unlocated} {film.lesions} {picture}"
        for film, picture in zip(ordered, pictures, strict=True)
    ]
    return lines_digest(lines)


def _whole(annotated: AnnotatedFilm, size: int) -> PaperCrop:
    """The whole film scaled down, padded to a square with 0 where it is none; its label the worst."""
    film = annotated.read()
    rows, columns = film.shape
    region = Region(((rows - 1) / 2, (columns - 1) / 2), max(rows, columns) / 2)
    label = CLASSES.index(annotated.label)
    kinds = [lesion.kind for lesion in annotated.lesions if lesion.label == annotated.label]
    kind = kinds[0] if kinds else "NORM" if label == 0 else "unlocated"
    pixels = square_crop(film.pixels, region, size)
    name = f"{annotated.name}-1"
    return PaperCrop(pixels, label, name, annotated.patient, annotated.name, kind, region)


def select(crops: Sequence[PaperCrop], subset: Subset) -> CropSet:
    """Return the crops of ``subset``: all in three classes, or some kinds of lesion in two.

    Raises:
        TruthError: a class has no crop.
    """
    kinds = SUBSETS[subset]
    classes = CLASSES[1:] if kinds else CLASSES
    chosen = [crop for crop in crops if not kinds or crop.kind in kinds]
    for label in classes:
        if not any(CLASSES[crop.label] == label for crop in chosen):
            raise TruthError(
                f"subset {subset} has no {label} crop among its {len(chosen)}",
                "leave it out with --subset, or give more films",
            )
    labels = np.array([classes.index(CLASSES[crop.label]) for crop in chosen], dtype=np.int64)
    return CropSet(classes, labels, tuple(chosen))


def scale(
    samples: npt.NDArray[np.float32], training: npt.NDArray[np.int64], scaling: Scaling
) -> npt.NDArray[np.float32]:
    """Return samples (n, size, size) in [0, 1] as a network is shown them.

    Args:
        training: indices of the samples that may decide the scaling; those tested on may not.
    """
    if scaling == "0 to 1":
        return samples
    known = samples[training].astype(np.float64)
    # Blank samples have no deviation.
    scaled = (samples.astype(np.float64) - known.mean()) / max(known.std(), 1e-6)
    return np.asarray(scaled, dtype=np.float32)
