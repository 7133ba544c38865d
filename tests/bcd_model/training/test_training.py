from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from bcd_model.detector.model import load_model
from bcd_model.detector.scan import Scanner
from bcd_model.errors import TruthError, UsageError
from bcd_model.training.cross_validation import cross_validate, folds_of
from bcd_model.training.network import TrainingConfig, data_digest, prepare, train_network
from bcd_model.training.train import develop
from bcd_model.training.windows import WindowSampler, fitting_levels
from bcd_model.weights import read_info
from bcd_model.words import CLASSES
from tests.support.toy_films import toy_films

CONFIG = TrainingConfig(
    steps=40, batch=16, units=8, mining=(20,), mined_films=4, steps_mm=(0.8, 1.2), second_stage=False
)


@pytest.fixture(scope="module")
def films() -> list:
    return prepare(toy_films(), CONFIG.steps_mm)


def _weights(network: torch.nn.Module) -> bytes:
    return b"".join(value.numpy().tobytes() for value in network.state_dict().values())


def test_a_killed_run_goes_on_as_if_nothing_had_happened(films: list, tmp_path: Path) -> None:
    whole = train_network(films, CONFIG)
    checkpoint = tmp_path / "run.safetensors"

    class KilledError(Exception):
        pass

    def kill(text: str) -> None:
        if text.startswith("step 20: "):  # after a checkpoint at step 10, in the midst of mining
            raise KilledError

    config = replace(CONFIG, checkpoint_every=10)
    with pytest.raises(KilledError):
        train_network(films, config, checkpoint, kill)
    assert _weights(train_network(films, config, checkpoint)) == _weights(whole)


def test_other_seed_other_weights(films: list) -> None:
    short = replace(CONFIG, steps=3, mining=())
    assert _weights(train_network(films, short)) != _weights(train_network(films, replace(short, seed=1)))


def test_a_checkpoint_of_another_run_is_refused(films: list, tmp_path: Path) -> None:
    checkpoint = tmp_path / "run.safetensors"
    short = replace(CONFIG, steps=2, mining=())
    train_network(films, short, checkpoint)
    with pytest.raises(
        UsageError, match=r"run\.safetensors: the checkpoint belongs to other films or settings"
    ):
        train_network(films, replace(short, seed=1), checkpoint)


def test_batches_are_balanced_and_lesions_are_in_their_windows(films: list) -> None:
    sampler = WindowSampler(films, seed=0)
    windows, labels = sampler.batch(step=0, size=64)
    assert windows.shape == (64, 48, 48)
    assert np.bincount(labels, minlength=3).tolist() == [32, 16, 16]
    middle = windows[:, 18:30, 18:30].mean(axis=(1, 2))
    assert middle[labels != CLASSES.index("normal")].mean() > middle[labels == 0].mean() + 1


def test_normal_windows_come_from_the_levels_of_the_lesions(films: list) -> None:
    fitting = {
        level for film in films for lesion in film.lesions for level in fitting_levels(film.pyramid, lesion)
    }
    sampler = WindowSampler(films, seed=0)
    rng = np.random.default_rng(0)
    assert {sampler._draw_clear(rng)[1] for _ in range(200)} <= fitting


def test_normal_windows_keep_away_from_lesions(films: list) -> None:
    sampler = WindowSampler(films, seed=0)
    for film, levels in zip(sampler.films, sampler.clear, strict=True):
        for lesion in film.lesions:
            for level, windows in zip(film.pyramid.levels, levels, strict=True):
                for window in windows:
                    row, column = film.pyramid.to_source(level, tuple(window))
                    assert np.hypot(row - lesion.center[0], column - lesion.center[1]) > lesion.radius


def test_folds_never_part_a_patient_and_spread_the_classes(films: list) -> None:
    placed = folds_of(films, 4, seed=0)
    malignant = [f.patient for f in films if f.lesions and f.lesions[0].label == "malignant"]
    assert sorted(placed[patient] for patient in malignant) == [0, 1, 2, 3]
    assert np.bincount(list(placed.values())).tolist() == [2, 2, 2, 2]


@pytest.mark.slow
def test_development_gives_a_weight_file_that_finds_obvious_lesions_of_unseen_patients(
    films: list, tmp_path: Path
) -> None:
    config = replace(CONFIG, steps=120, mining=(60,))
    messages: list[str] = []
    path = develop(
        films,
        config,
        tmp_path,
        folds=2,
        version="9",
        data={"name": "toy"},
        command="test",
        progress=messages.append,
    )
    info = read_info(path)
    figures = info.card["cross_validated"]
    assert figures["lesions"] == 8
    assert figures["sensitivity_at_false_marks_per_film"]["1.0"]["value"] >= 0.75
    assert info.operating_point.prevalence == pytest.approx(np.mean([bool(film.lesions) for film in films]))
    assert info.card["data"]["digest"] == data_digest(films)
    assert any("fold 2 of 2" in message for message in messages)
    seen = toy_films(9)[16].film
    assert Scanner(load_model(path)).scan(seen).label != "normal"

    first = path.read_bytes()
    again = develop(films, config, tmp_path, folds=2, version="9", data={"name": "toy"}, command="test")
    assert again.read_bytes() == first


def test_cross_validation_takes_up_finished_folds_and_refuses_foreign_ones(
    films: list, tmp_path: Path
) -> None:
    config = replace(CONFIG, steps=2, mining=())
    first = cross_validate(films, config, 2, tmp_path)
    kept = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    (tmp_path / "fold-0.safetensors").unlink()  # a network trained again would leave it again
    assert cross_validate(films, config, 2, tmp_path).scored == first.scored
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        name: content for name, content in kept.items() if name != "fold-0.safetensors"
    }
    with pytest.raises(UsageError, match=r"fold-0\.marks\.safetensors: belongs to other"):
        cross_validate(films, replace(config, seed=1), 2, tmp_path)
    whole = (tmp_path / "fold-0.marks.safetensors").read_bytes()
    for damaged in (b"", b"no tensors", whole[: len(whole) // 2], whole.replace(b"place_mm", b"place_cm")):
        (tmp_path / "fold-0.marks.safetensors").write_bytes(damaged)
        with pytest.raises(UsageError, match=r"fold-0\.marks\.safetensors: is damaged"):
            cross_validate(films, config, 2, tmp_path)


def test_data_no_detector_can_be_trained_on_is_refused_by_name() -> None:
    films = toy_films(2)
    with pytest.raises(TruthError, match="no film with truth"):
        prepare([], CONFIG.steps_mm)
    with pytest.raises(TruthError, match="film f0left is given twice"):
        prepare([*films, films[0]], CONFIG.steps_mm)
    with pytest.raises(TruthError, match="no film has a malignant lesion"):
        prepare(films[:2], CONFIG.steps_mm)


def _relabelled(films: list, malignant: int) -> list:
    """The films with ``malignant`` malignant lesions, all others benign."""
    made, left = [], malignant
    for film in films:
        lesions = tuple(replace(x, label="malignant" if left > 0 else "benign") for x in film.lesions)
        left -= len(lesions)
        made.append(replace(film, lesions=lesions))
    return made


def test_a_fold_that_lacks_a_film_since_added_is_refused(films: list, tmp_path: Path) -> None:
    """No network of the fold is trained on the film: only the marks tell that it is not among them."""
    config = replace(CONFIG, steps=1, mining=())
    cross_validate(films, config, 2, tmp_path)
    for path in tmp_path.glob("fold-1.*"):
        path.unlink()
    placed = folds_of(films, 2, config.seed)
    tested = next(film for film in films if placed[film.patient] == 0)
    with pytest.raises(UsageError, match=r"fold-0\.marks\.safetensors: belongs to other"):
        cross_validate([*films, replace(tested, name="added", pixel_digest="another")], config, 2, tmp_path)


def test_a_fold_trained_without_a_class_is_refused_before_any_training(films: list, tmp_path: Path) -> None:
    config = replace(CONFIG, steps=2, mining=())
    said = r"fold 1 of 3 would be trained without a malignant lesion \(1 patient with one that has a place\)"
    with pytest.raises(TruthError, match=said):
        cross_validate(_relabelled(films, 1), config, 3, tmp_path)
    with pytest.raises(TruthError, match="no film is normal"):
        cross_validate([film for film in films if film.lesions], config, 2, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_fold_tested_without_a_class_is_none_the_worse(films: list, tmp_path: Path) -> None:
    """All figures are of all folds together."""
    few = _relabelled(films, 2)
    scored = cross_validate(few, replace(CONFIG, steps=2, mining=()), 3, tmp_path).scored
    assert {film.name for film in scored} == {film.name for film in few}


def test_one_picture_under_two_patients_is_refused_before_any_training(films: list, tmp_path: Path) -> None:
    twin = replace(films[4], pixel_digest=films[1].pixel_digest)
    said = f"films {films[1].name} and {films[4].name} are the same picture, under two patients"
    with pytest.raises(TruthError, match=said):
        cross_validate([*films[:4], twin, *films[5:]], CONFIG, 2, tmp_path)
    assert list(tmp_path.iterdir()) == []
