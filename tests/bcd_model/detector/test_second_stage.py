from __future__ import annotations

import gc
import weakref
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from bcd_model.detector.backbone import Backbone, imagenet_backbone
from bcd_model.detector.marks import Mark
from bcd_model.detector.model import Model, load_model, save_model
from bcd_model.detector.network import ScanningBCDCNN, initialise
from bcd_model.detector.pyramid import Pyramid, build_pyramid
from bcd_model.detector.scan import NOT_COMPARED, Scanner, scan_pyramid
from bcd_model.detector.second_stage import (
    RECIPE,
    Heads,
    SecondStage,
    candidates,
    describe,
    fit_heads,
)
from bcd_model.detector.spots import Cluster
from bcd_model.errors import TruthError
from bcd_model.evaluation.hits import CENTRE
from bcd_model.evaluation.scored_films import ScoredMark
from bcd_model.training.cross_validation import Validated, cross_validate, folds_of, read_described
from bcd_model.training.network import TrainingConfig, prepare
from bcd_model.training.train import develop, measure
from bcd_model.training.windows import TrainingFilm
from bcd_model.words import Film, OperatingPoint
from tests.support.blob_films import blob_film
from tests.support.toy_films import toy_films

STEP = 0.6


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return imagenet_backbone()


def mark(row: float, column: float) -> Mark:
    """A mark of the only level at a source pixel of 0.2 mm."""
    return Mark((row, column), ((row + 0.5) * 0.2, (column + 0.5) * 0.2), 12 * STEP, 0.0, 0.5)


def scored(scores: np.ndarray, spots: np.ndarray | float = 0.0) -> list[Mark]:
    """Marks with these scores, all of them far apart; of clusters where there are spots."""
    strength = np.broadcast_to(spots, len(scores))
    return [
        replace(mark(1000 * at, 0), score=float(score), spots=float(each), by_spots=bool(each))
        for at, (score, each) in enumerate(zip(scores, strength, strict=True))
    ]


def some(marks: list[Mark], chosen: np.ndarray) -> list[Mark]:
    return [mark for mark, wanted in zip(marks, chosen, strict=True) if wanted]


def pyramid(film: Film) -> Pyramid:
    return build_pyramid(film, (STEP,))


def turned(film: Film) -> Film:
    return replace(film, pixels=np.ascontiguousarray(film.pixels[:, ::-1]))


def apart(seen: np.ndarray) -> np.ndarray:
    return np.asarray(np.abs(seen).mean(axis=-1))


def test_the_same_place_of_a_mirrored_breast_is_no_different(backbone: Backbone) -> None:
    film = blob_film((300, 150), 5.0)
    marks = [mark(300, 150), mark(420, 100), mark(300, 60)]
    same = apart(describe(backbone, marks, pyramid(film), pyramid(turned(film)))[:, 2])
    none = apart(
        describe(backbone, marks, pyramid(film), pyramid(blob_film((-500, -500), 1, side="right")))[:, 2]
    )
    assert same.max() < 0.25 * none[0]
    # Away from the disc both breasts are alike, but for its part in their contrast.
    assert none[1] < 0.5 * none[0]


def test_a_breast_with_its_wall_on_the_same_side_is_not_mirrored(backbone: Backbone) -> None:
    film = blob_film((300, 150), 5.0)
    seen = describe(backbone, [mark(300, 150), mark(420, 100)], pyramid(film), pyramid(film))
    assert apart(seen[:, 2]).max() == 0


def test_what_is_seen_moves_with_the_mark(backbone: Backbone) -> None:
    here, there = blob_film((300, 150), 5.0), blob_film((330, 180), 5.0)  # by 10 pixels of the level
    seen = describe(backbone, [mark(300, 150)], pyramid(here), None)
    moved = describe(backbone, [mark(330, 180)], pyramid(there), None)
    stayed = describe(backbone, [mark(300, 150)], pyramid(there), None)
    assert apart(moved - seen)[0, 0] < 0.25 * apart(stayed - seen)[0, 0]


class Recorder(Backbone):
    """Keeps the pictures it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.given: list[np.ndarray] = []

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.given.append(images.numpy().copy())
        return torch.zeros(len(images), self.features)


def test_near_and_wide_are_squares_of_the_level_that_fits_the_mark() -> None:
    film = build_pyramid(blob_film((300, 150), 5.0), (STEP, 2 * STEP))
    recorder = Recorder()
    place = (60.0, 24.0)
    for level in film.levels:
        describe(recorder, [Mark((0, 0), place, level.radius, 0.0, 0.5)], film, None)
        for side, picture, given in ((64, 96, recorder.given[0]), (96, 128, recorder.given[4])):
            # The window of the scan there, as the level says where its windows are, and what is around it.
            framed = np.pad(level.pixels, side)
            top, left = (int(x / level.step) + 24 - side // 2 + side for x in place)
            square = torch.from_numpy(framed[top : top + side, left : left + side])[None, None] / 3
            expected = functional.interpolate(square, (picture, picture), mode="bilinear").clamp(-1, 1)
            assert given.shape == (1, 1, picture, picture)
            assert 0 < np.abs(given).mean() < 0.99
            np.testing.assert_allclose(given, expected.numpy(), atol=1e-6)
        assert len(recorder.given) == 8
        for k in (0, 4):
            upright, *turned_pictures = (each[0, 0] for each in recorder.given[k : k + 4])
            for one, other in zip(
                turned_pictures,
                (upright[:, ::-1], np.rot90(upright), np.rot90(upright[:, ::-1])),
                strict=True,
            ):
                np.testing.assert_array_equal(one, other)
        recorder.given.clear()


def test_a_film_without_the_other_breast_does_without_that_head(backbone: Backbone) -> None:
    film = pyramid(blob_film((300, 150), 5.0))
    seen = describe(backbone, [mark(300, 150)], film, None)
    assert np.isnan(seen[:, 2]).all() and np.isfinite(seen[:, :2]).all()
    weight = np.zeros((2, 3, 2 + Backbone.features), dtype=np.float32)
    bias = np.array([[1, 3, 100], [5, 7, 100]], dtype=np.float32)
    heads = Heads(weight, bias, 0)
    assert heads.scores([mark(300, 150)], seen) == [2]
    assert heads.scores([replace(mark(300, 150), spots=1.0, by_spots=True)], seen) == [6]
    empty = pyramid(Film(np.zeros((64, 64), dtype=np.float32), (0.2, 0.2)))
    assert np.isnan(describe(backbone, [mark(300, 150)], film, empty)[:, 2]).all()


def test_heads_learn_what_tells_marks_apart_in_each_view() -> None:
    rng = np.random.default_rng(0)
    truth = rng.random(800) < 0.3
    scores = rng.normal(size=800)
    seen = rng.normal(size=(800, 3, 20)).astype(np.float32) * 5 + 7
    seen[:, :, 4] += 12 * truth[:, None]
    seen[:200, 2] = np.nan
    film = np.arange(800) // 8
    clusters = rng.random(800) < 0.4
    seen[clusters, :, 4] *= -1
    marks = scored(scores, np.where(clusters, 3, 0))
    heads = fit_heads(marks, seen, truth, film)
    for kind, of_kind in enumerate((~clusters, clusters)):
        for view in range(3):
            alone = np.full_like(seen, np.nan)
            alone[:, view] = seen[:, view]
            there = np.isfinite(alone[:, view, 0]) & of_kind
            found = heads.scores(some(marks, there), alone[there])
            assert found[truth[there]].mean() > found[~truth[there]].mean() + 1.5
            largest = np.abs(heads.weight[kind, view, 2:]).argmax()
            assert largest == 4 and (heads.weight[kind, view, 2 + largest] < 0) == bool(kind)
            # With a free intercept the greatest likelihood expects as many true marks as there are.
            assert (1 / (1 + np.exp(-found))).sum() == pytest.approx(truth[there].sum(), rel=1e-3)
    highest = heads.scores(marks, seen).reshape(100, 8).max(axis=1)
    assert heads.usual == pytest.approx(highest.mean(), abs=1e-6)
    with pytest.raises(TruthError, match="one kind is missing"):
        fit_heads(marks, seen, np.zeros(800, dtype=bool), film)
    with pytest.raises(TruthError, match="one kind is missing"):
        fit_heads([], seen[:0], truth[:0], film[:0])


def test_the_strength_of_a_cluster_counts() -> None:
    rng = np.random.default_rng(0)
    strength = np.exp(rng.normal(size=300))
    truth = np.log(strength) + rng.normal(size=300) / 2 > 0
    seen = rng.normal(size=(300, 3, 5)).astype(np.float32)
    marks = scored(np.zeros(300), strength) + scored(np.zeros(2))
    seen = np.concatenate([seen, seen[:2]])
    heads = fit_heads(marks, seen, np.r_[truth, True, False], np.arange(302) // 4)
    found = heads.scores(marks[:300], seen[:300])
    assert np.corrcoef(found, np.log(strength))[0, 1] > 0.9
    np.testing.assert_allclose(heads.weight[0, :, 1], 0, atol=1e-6)


def test_clusters_that_no_head_can_judge_are_left_out() -> None:
    rng = np.random.default_rng(0)
    truth = np.arange(80) < 30
    seen = rng.normal(size=(80, 3, 5)).astype(np.float32)
    marks = scored(rng.normal(size=80), np.where(np.arange(80) >= 70, 2, 0))
    heads = fit_heads(marks, seen, truth, np.arange(80) // 8)
    assert np.isnan(heads.scores(marks, seen)[70:]).all()
    assert np.isfinite(heads.usual)
    kept = heads.rescore(marks, seen)
    assert len(kept) == 70 and not any(each.by_spots for each in kept)


def test_one_place_is_one_mark_whoever_marked_it() -> None:
    weight = np.zeros((2, 3, 2), dtype=np.float32)
    weight[:, :, 0] = 1
    heads = Heads(weight, np.zeros((2, 3), dtype=np.float32), 0.0)
    network = replace(mark(100, 100), score=1.0)
    far = replace(mark(300, 100), score=2.0, spots=4.0, by_spots=True)
    close = replace(mark(110, 100), score=3.0, spots=4.0, by_spots=True)
    seen = np.zeros((3, 3, 0), dtype=np.float32)
    assert heads.rescore([network, far, close], seen) == [close, far]
    assert heads.rescore([replace(network, score=9.0), far, close], seen)[0].score == 9.0


def test_the_networks_best_marks_and_the_strongest_clusters_are_scored_again() -> None:
    many = [replace(mark(100 * n, 0), score=float(n)) for n in range(40)]
    spots = [replace(mark(100 * n, 10), score=-9.0, spots=1.0 + n, by_spots=True) for n in range(12)]
    found = candidates([*spots, *many])
    assert found == [*many[:-26:-1], *spots[:-9:-1]]


@pytest.mark.parametrize("beside", ["none", "false marks"])
def test_without_enough_pairs_the_head_across_has_no_say(beside: str) -> None:
    rng = np.random.default_rng(0)
    truth = np.arange(80) < 30
    marks, seen = scored(rng.normal(size=80)), rng.normal(size=(80, 3, 5)).astype(np.float32)
    seen[: 80 if beside == "none" else 70, 2] = np.nan
    heads = fit_heads(marks, seen, truth, np.arange(80) // 8)
    assert np.isfinite(heads.usual)
    alone = seen.copy()
    alone[:, 2] = np.nan
    np.testing.assert_array_equal(heads.scores(marks, seen), heads.scores(marks, alone))


@pytest.mark.slow
def test_a_model_with_a_second_stage_comes_back_and_gives_findings_their_scores(
    backbone: Backbone, blob_model: Model, tmp_path: Path
) -> None:
    weight = np.zeros((2, 3, 2 + Backbone.features), dtype=np.float32)
    as_stored = deepcopy(backbone).half().float()
    second = SecondStage(as_stored, Heads(weight, np.full((2, 3), 2, dtype=np.float32), 0.5))
    film = blob_film((300, 150), 5.0)
    first = Scanner(blob_model).scan(film)
    again = Scanner(replace(blob_model, second_stage=second)).scan(film)
    assert {round(f.probability.abnormal, 6) for f in again.findings} == {0.880797}  # the logistic of 2
    assert again.findings[0].center == first.findings[0].center
    np.testing.assert_array_equal(again.heat_map.values, first.heat_map.values)
    assert NOT_COMPARED in again.warnings
    empty = Film(np.zeros((64, 64), dtype=np.float32), (0.2, 0.2))
    assert NOT_COMPARED in Scanner(replace(blob_model, second_stage=second)).scan(film, empty).warnings
    assert (
        first.warnings == Scanner(replace(blob_model, second_stage=second)).scan(film, turned(film)).warnings
    )

    network = ScanningBCDCNN(8)
    initialise(network, 0)
    second.weight[:, :, 5] = 0.125
    path = tmp_path / "w.safetensors"
    save_model(
        path, network, name="toy", version="1", steps_mm=(0.6,), operating_point=OperatingPoint(0.5, 0.4),
        second_stage=second,
    )  # fmt: skip
    model = load_model(path)
    assert model.second_stage is not None
    for mine, its in zip(second.state_dict().values(), model.second_stage.state_dict().values(), strict=True):
        assert torch.equal(mine, its)
    found = Scanner(model).scan(film, turned(film)).findings
    assert [f.center for f in found] == [
        f.center for f in Scanner(replace(model, second_stage=second)).scan(film, turned(film)).findings
    ]


def test_a_cluster_of_spots_becomes_a_finding_where_its_heads_say_so(
    backbone: Backbone, blob_model: Model
) -> None:
    film = blob_film((300, 150), 5.0)
    rows, columns = np.indices(film.shape)
    spots = [(420, 100), (427, 103), (414, 105), (423, 92)]
    bright = sum(
        (0.05 * np.exp(-((rows - r) ** 2 + (columns - c) ** 2) / 2) for r, c in spots), np.zeros(film.shape)
    )
    film = replace(film, pixels=(film.pixels + bright).astype(np.float32))
    weight = np.zeros((2, 3, 2 + Backbone.features), dtype=np.float32)
    weight[1, :, 1] = 1
    for bias, expected in (([4, -9], "disc"), ([-2, 4], "cluster")):
        heads = Heads(weight, np.repeat(np.array(bias, dtype=np.float32)[:, None], 3, axis=1), 0.0)
        found = Scanner(replace(blob_model, second_stage=SecondStage(backbone, heads))).scan(film).findings[0]
        place = (420, 100) if expected == "cluster" else (300, 150)
        assert np.hypot(*np.subtract(found.center, place)) * 0.2 < 2.5
    assert found.radius * 0.2 == pytest.approx(min(blob_model.steps_mm) * 12)


def test_without_a_second_stage_no_cluster_is_marked(backbone: Backbone, blob_model: Model) -> None:
    film = replace(pyramid(blob_film((300, 150), 5.0)), clusters=(Cluster((60.0, 30.0), 4.0),))
    again = replace(blob_model, second_stage=SecondStage(backbone))
    assert [mark.spots for mark in scan_pyramid(again, film)[0] if mark.by_spots] == [4.0]
    assert not any(mark.by_spots for mark in scan_pyramid(blob_model, film)[0])


@pytest.mark.slow
def test_the_heads_of_a_fold_come_from_the_other_folds_alone(tmp_path: Path) -> None:
    config = TrainingConfig(steps=1, batch=8, units=4, mining=(), steps_mm=(0.8, 1.2))
    films = [clustered(film) for film in prepare(toy_films(4), config.steps_mm)]
    found = cross_validate(films, config, 2, tmp_path)
    assert found.heads is not None and np.isfinite(found.heads.bias[1]).all()
    placed = folds_of(films, 2, config.seed)
    by_name = {film.name: film for film in films}
    for fold in range(2):
        others = [film for film in films if placed[film.patient] != fold]
        described = {
            name: each
            for path in sorted(tmp_path.glob("*.marks.safetensors"))
            for name, each in read_described(path, _digest(path, config, films, placed)).items()
        }
        marks = [mark for film in others for mark in described[film.name].marks]
        on_lesion = [_on_lesion(mark, film) for film in others for mark in described[film.name].marks]
        seen = np.concatenate([described[film.name].features for film in others])
        of = np.repeat(np.arange(len(others)), [len(described[film.name].marks) for film in others])
        heads = fit_heads(marks, seen, np.array(on_lesion), of)
        for film in found.scored:
            if placed[by_name[film.name].patient] == fold:
                own, other = (described[name] for name in (film.name, _other(by_name, film.name)))
                across = np.nanmax(heads.scores(other.marks, other.features))
                final = [
                    each.score - 0.3 * (across - heads.usual)
                    for each in heads.rescore(own.marks, own.features)
                ]
                assert [mark.score for mark in film.marks] == pytest.approx(final[:12])
    again = cross_validate(films, config, 2, tmp_path)
    assert again.scored == found.scored
    assert any(mark.by_spots for each in described.values() for mark in each.marks)
    for film in found.first:
        assert len(film.marks) == sum(not mark.by_spots for mark in described[film.name].marks)

    # The model that ships has heads of all films' marks, and a heat map of the network's own scores.
    model = load_model(develop(films, config, tmp_path, folds=2, version="1", data={}, command="test"))
    assert model.second_stage is not None
    marks = [mark for film in films for mark in described[film.name].marks]
    heads = fit_heads(
        marks,
        np.concatenate([described[film.name].features for film in films]),
        np.array([_on_lesion(mark, film) for film in films for mark in described[film.name].marks]),
        np.repeat(np.arange(len(films)), [len(described[film.name].marks) for film in films]),
    )
    np.testing.assert_allclose(model.second_stage.heads.weight, heads.weight, atol=1e-6)
    assert model.second_stage.heads.usual == pytest.approx(heads.usual, abs=1e-5)
    assert model.heat_calibration == measure(Validated(found.first, found.first, None), 2).calibration
    assert model.heat_calibration != model.calibration


def clustered(film: TrainingFilm) -> TrainingFilm:
    """A film with a cluster on each lesion and some elsewhere."""
    rows, columns = film.pyramid.spacing
    places = [
        ((lesion.center[0] + 0.5) * rows, (lesion.center[1] + 0.5) * columns) for lesion in film.lesions
    ]
    found = [Cluster(place, 5.0) for place in places]
    found += [Cluster((20.0 + 15 * n, 20.0 + n), 1.0 + n) for n in range(4)]
    return replace(film, pyramid=replace(film.pyramid, clusters=tuple(found)))


def _other(films: dict[str, TrainingFilm], name: str) -> str:
    own = films[name]
    (found,) = [
        each.name
        for each in films.values()
        if each.patient == own.patient and each.laterality != own.laterality
    ]
    return found


def _on_lesion(mark: Mark, film: TrainingFilm) -> bool:
    return any(CENTRE.hits(ScoredMark(mark.center, mark.score, 0.5), lesion) for lesion in film.lesions)


def _digest(path: Path, config: TrainingConfig, films: list[TrainingFilm], placed: dict[str, int]) -> str:
    return f"{config.digest(_trained_on(path, films, placed))} {RECIPE}"


def _trained_on(path: Path, films: list[TrainingFilm], placed: dict[str, int]) -> list[TrainingFilm]:
    fold = int(path.name.removeprefix("fold-").split(".")[0])
    return [film for film in films if placed[film.patient] != fold]


def test_marks_count_for_less_beside_a_suspicious_other_breast() -> None:
    heads = Heads(np.zeros((2, 3, 2), np.float32), np.zeros((2, 3), np.float32), usual=1.0)
    marks = [replace(mark(1, 1), score=2.0), replace(mark(9, 9), score=-1.0)]
    for highest, less in ((4.0, 0.9), (1.0, 0.0), (-3.0, -1.2)):
        other = [replace(mark(5, 5), score=highest - 1), replace(mark(7, 7), score=highest)]
        assert [each.score for each in heads.weigh(marks, other)] == pytest.approx([2 - less, -1 - less])
    assert heads.weigh(marks, None) == heads.weigh(marks, []) == marks


def test_a_pair_is_scored_once_and_either_film_counts_against_the_other(
    backbone: Backbone, blob_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    weight = np.zeros((2, 3, 2 + Backbone.features), dtype=np.float32)
    weight[:, :, 0] = 1
    heads = Heads(weight, np.zeros((2, 3), np.float32), 0.0)
    model = replace(blob_model, second_stage=SecondStage(backbone, heads))
    seen: list[Pyramid] = []
    monkeypatch.setattr(
        "bcd_model.detector.scan.scan_pyramid",
        lambda *given: (seen.append(given[1]), scan_pyramid(*given))[1],
    )
    scanner = Scanner(model)
    film, other = blob_film((300, 150), 5.0), blob_film((420, 200), 3.0, side="right")
    alone = [Scanner(model).marks(each, None, 10) for each in (film, other)]
    seen.clear()
    beside = [scanner.marks(film, other, 10), scanner.marks(other, film, 10)]
    assert len(seen) == 2
    for own, marks, across in zip(alone, beside, alone[::-1], strict=True):
        expected = [mark.score - 0.3 * across[0].score for mark in own]
        assert [mark.score for mark in marks] == pytest.approx(expected)
    found = scanner.scan(film, other).probability.abnormal
    assert found == pytest.approx(model.film_calibration.probability(beside[0][0].score))


def test_a_scanner_is_gone_with_the_last_that_holds_it(backbone: Backbone, blob_model: Model) -> None:
    """Without waiting for Python's search for cycles: each job has one, and it keeps two films."""
    weight = np.zeros((2, 3, 2 + Backbone.features), dtype=np.float32)
    second = SecondStage(backbone, Heads(weight, np.zeros((2, 3), np.float32), 0))
    film = blob_film((300, 150), 5.0)
    scanner = Scanner(replace(blob_model, second_stage=second))
    gc.collect()
    gc.disable()
    try:
        scanner.scan(film, turned(film))
        pixels, held = weakref.ref(film.pixels), weakref.ref(scanner)
        del film, scanner
        assert (pixels(), held()) == (None, None)
    finally:
        gc.enable()
