"""The recipe on films outside its training: networks and second stages, fold by fold, by patient."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from pydantic import TypeAdapter
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from bcd_model.atomic import replacing
from bcd_model.detector.backbone import Backbone, imagenet_backbone
from bcd_model.detector.calibration import SCORE_FLOOR
from bcd_model.detector.marks import Mark, cluster_marks, find_marks, merge
from bcd_model.detector.second_stage import RECIPE, VIEWS, Features, Heads, candidates, describe, fit_heads
from bcd_model.detector.sliding_window import scan_level
from bcd_model.errors import UsageError
from bcd_model.evaluation.hits import CENTRE
from bcd_model.evaluation.scored_films import MARKS_PER_FILM, ScoredFilm, ScoredMark
from bcd_model.folds import check_split, patient_folds
from bcd_model.pairs import other_breasts
from bcd_model.training.network import Progress, TrainingConfig, named, train_network
from bcd_model.training.windows import TrainingFilm
from bcd_model.words import Projection

Others = Mapping[str, TrainingFilm | None]
"""The film of the other breast of each film, by the film's name."""


@dataclass(frozen=True, slots=True, eq=False)
class Described:
    """The network's marks of one film, the most suspicious first, with the second stage's features.

    Attributes:
        features: (n, 3, features), see ``second_stage.describe``; (n, 3, 0) without a second stage.
    """

    marks: tuple[Mark, ...]
    features: Features


@dataclass(frozen=True, slots=True, eq=False)
class Validated:
    """What cross-validation gives.

    Attributes:
        scored: every film with its final marks, by name; no part of the recipe was trained on its patient,
            but see ``docs/explanation/detector.md`` on the second stage.
        first: the same with the network's own scores.
        heads: the second stage's, fitted to the marks of all films; None without one.
    """

    scored: list[ScoredFilm]
    first: list[ScoredFilm]
    heads: Heads | None


def folds_of(films: Sequence[TrainingFilm], folds: int, seed: int) -> dict[str, int]:
    """Return each patient's fold, stratified by the worst class of the patient's films."""
    severity: dict[str, int] = {}
    for film in films:
        malignant = any(lesion.label == "malignant" for lesion in film.lesions)
        worst = 2 if malignant else 1 if film.lesions or film.unlocated else 0
        severity[film.patient] = max(severity.get(film.patient, 0), worst)
    return patient_folds(severity, folds, seed)


def cross_validate(
    films: Sequence[TrainingFilm],
    config: TrainingConfig,
    folds: int,
    out: Path,
    progress: Progress = lambda _: None,
) -> Validated:
    """Scan each film with a network trained on no film of its patient, and score its marks again.

    Folds that are done stand in ``out`` and are not done again. The heads of a fold's second stage
    are fitted to the marks of the other folds, which are out of fold themselves.

    Raises:
        UsageError: ``out`` holds folds of other films or settings.
        TruthError: the films cannot be split by patient, see :func:`bcd_model.folds.check_split`.
    """
    placed = folds_of(films, folds, config.seed)
    check_split(films, placed)
    other = others(films)
    describer = Describer(other, config)
    described: dict[str, Described] = {}
    for fold in range(folds):
        training = [film for film in films if placed[film.patient] != fold]
        testing = [film for film in films if placed[film.patient] == fold]
        path = out / f"fold-{fold}.marks.safetensors"
        digest = f"{config.digest(training)} {RECIPE}"
        found = read_described(path, digest)
        if found is not None and found.keys() != {film.name for film in testing}:
            raise _foreign(path)
        if found is None:
            network = train_network(
                training,
                config,
                out / f"fold-{fold}.safetensors",
                named(progress, f"fold {fold + 1} of {folds}"),
            )
            found = {film.name: describer.describe(network, film) for film in testing}
            _write_described(path, digest, found)
        described |= found
        progress(f"fold {fold + 1} of {folds} done")
    scored: list[ScoredFilm] = []
    for fold in range(folds):
        training = [film for film in films if placed[film.patient] != fold]
        testing = [film for film in films if placed[film.patient] == fold]
        heads = _fit(training, described) if config.second_stage else None
        marks = final({film.name: described[film.name] for film in testing}, heads, other)
        results = [_scored(film, marks[film.name]) for film in testing]
        write_fold(
            out / f"fold-{fold}.json",
            config.digest(training),
            {film.name: film.digest for film in testing},
            {film.name: film.marks for film in results},
        )
        scored += results
    return Validated(
        sorted(scored, key=lambda film: film.name),
        [
            _scored(film, [mark for mark in described[film.name].marks if not mark.by_spots])
            for film in sorted(films, key=lambda film: film.name)
        ],
        _fit(films, described) if config.second_stage else None,
    )


class Describer:
    """Scans films with a network and, if the recipe has a second stage, takes its features."""

    def __init__(self, other: Others, config: TrainingConfig) -> None:
        self.backbone: Backbone | None = imagenet_backbone() if config.second_stage else None
        self._other = other

    def describe(self, network: nn.Module, film: TrainingFilm) -> Described:
        """Return the marks of ``film`` with the second stage's features."""
        scanned = [scan_level(network, level) for level in film.pyramid.levels]
        marks = [
            mark
            for level, logits in zip(film.pyramid.levels, scanned, strict=True)
            for mark in find_marks(film.pyramid, level, logits, SCORE_FLOOR)
        ]
        if self.backbone is None:
            marks = merge(marks, MARKS_PER_FILM)
            return Described(tuple(marks), np.zeros((len(marks), len(VIEWS), 0), dtype=np.float32))
        marks = candidates([*marks, *cluster_marks(film.pyramid, scanned)])
        if not marks:
            return Described((), np.zeros((0, len(VIEWS), Backbone.features), dtype=np.float32))
        other = self._other[film.name]
        across = None if other is None else other.pyramid
        return Described(tuple(marks), describe(self.backbone, marks, film.pyramid, across))


def others(films: Sequence[TrainingFilm]) -> Others:
    """Return the film of the other breast in the same view for each film, by name; None if there is none."""
    found = other_breasts([Projection(film.patient, film.view, film.laterality) for film in films])
    return {film.name: None if at is None else films[at] for film, at in zip(films, found, strict=True)}


def final(described: Mapping[str, Described], heads: Heads | None, other: Others) -> dict[str, list[Mark]]:
    """Return each film's marks with their final scores, the most suspicious first."""
    if heads is None:
        return {name: list(each.marks) for name, each in described.items()}
    rescored = {name: heads.rescore(each.marks, each.features) for name, each in described.items()}
    found = {}
    for name, marks in rescored.items():
        across = other[name]
        beside = None if across is None else rescored[across.name]
        found[name] = heads.weigh(marks, beside)[:MARKS_PER_FILM]
    return found


def _fit(films: Sequence[TrainingFilm], described: dict[str, Described]) -> Heads:
    judged = [film for film in films if not film.unlocated]
    on_lesion = [
        any(CENTRE.hits(mark, lesion) for lesion in film.lesions)
        for film in judged
        for mark in _scored(film, described[film.name].marks).marks
    ]
    marks = [mark for film in judged for mark in described[film.name].marks]
    features = np.concatenate([described[film.name].features for film in judged])
    film = np.repeat(np.arange(len(judged)), [len(described[each.name].marks) for each in judged])
    return fit_heads(marks, features, np.array(on_lesion, dtype=bool), film)


def _scored(film: TrainingFilm, marks: Sequence[Mark]) -> ScoredFilm:
    return ScoredFilm(
        film.name,
        film.patient,
        film.lesions,
        film.unlocated,
        tuple(
            ScoredMark(m.center, m.score, m.malignant, m.radius_mm / film.pyramid.spacing[0]) for m in marks
        ),
    )


def write_fold(
    path: Path, digest: str, films: dict[str, str], marks: dict[str, tuple[ScoredMark, ...]]
) -> None:
    """Write a fold's final marks, as ``bcd-admin evaluate --run`` reads them.

    Args:
        digest: of what its network was trained on, and how.
        films: the digest of each film of the fold.
    """
    rows = {name: [asdict(mark) for mark in found] for name, found in marks.items()}
    content = {"digest": digest, "films": films, "marks": rows}
    with replacing(path) as staged:
        staged.write_text(json.dumps(content, indent=1))


def _write_described(path: Path, digest: str, found: dict[str, Described]) -> None:
    marks = {name: [asdict(mark) for mark in each.marks] for name, each in found.items()}
    tensors = {name: torch.from_numpy(np.ascontiguousarray(each.features)) for name, each in found.items()}
    metadata = {"digest": digest, "marks": json.dumps(marks)}
    with replacing(path) as staged:
        save_file(tensors, staged, metadata=metadata)


_MARKS = TypeAdapter(dict[str, tuple[Mark, ...]])


def read_described(path: Path, digest: str) -> dict[str, Described] | None:
    """Return the marks of a fold's films and their features; None if the fold is not done.

    Raises:
        UsageError: the file is damaged, or of other films or settings.
    """
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="np") as file:
            metadata = file.metadata() or {}
            known = metadata["digest"]
            marks = _MARKS.validate_json(metadata["marks"])
            found = {name: Described(of_film, file.get_tensor(name)) for name, of_film in marks.items()}
    except (SafetensorError, ValueError, KeyError) as error:
        raise UsageError("is damaged", "remove it: the fold is then done again", path) from error
    if known != digest:
        raise _foreign(path)
    return found


def _foreign(path: Path) -> UsageError:
    return UsageError("belongs to other films or settings", "remove it or name another folder", path)
