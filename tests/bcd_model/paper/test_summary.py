from dataclasses import replace

import numpy as np
import pytest

from bcd_model.evaluation.report.text import plain
from bcd_model.paper.outcome import Outcome, Prediction, loss_curve
from bcd_model.paper.report.causes import causes
from bcd_model.paper.report.summary import Group, groups
from bcd_model.paper.runs import Run
from bcd_model.paper.systems import Protocol


def _outcome(system: str, protocol: Protocol, seed: int, fold: int, told: list[tuple[int, int]]) -> Outcome:
    """One crop a patient; ``told`` is (truth, answer)."""
    predictions = tuple(
        Prediction(f"{fold}-{i}", "f", f"p{fold}-{i}", "CIRC", 0, truth, tuple(2.0 * np.eye(3)[answer]))
        for i, (truth, answer) in enumerate(told)
    )
    crops = {"normal": 8, "benign": 4, "malignant": 3}
    losses = tuple((step, 1.0) for step in range(20))
    return Outcome(Run(system, "all", protocol, seed, fold), 9, crops, 100, {}, losses, predictions)


RIGHT = [(0, 0), (1, 1), (2, 2), (0, 0)]
HALF = [(0, 0), (1, 0), (2, 0), (0, 0)]


def _five(system: str, told: list[tuple[int, int]], seed: int = 0) -> list[Outcome]:
    return [_outcome(system, "patient", seed, fold, told) for fold in range(5)]


def test_the_causes_add_up_to_the_accuracy_of_the_papers_protocol() -> None:
    leaking = _outcome("S1", "paper", 0, 0, [*RIGHT, *RIGHT, (0, 1)])
    three = [(0, 0), (1, 1), (2, 0), (0, 0)]
    found = causes(groups([leaking, *_five("S1", three), *_five("S1r", HALF)]))
    parts = {cause.name: cause.part.value for cause in found}
    assert parts == pytest.approx(
        {
            "printed - ours": 0.8271 - 8 / 9,
            "leak": 8 / 9 - 3 / 4,
            "scale shortcut": 3 / 4 - 1 / 2,
            "count": 1 / 2 - 1 / 3,
            "left": 1 / 3,
        }
    )
    assert sum(parts.values()) == pytest.approx(0.8271)  # as the paper prints it


def test_the_same_patients_are_drawn_in_both_protocols() -> None:
    """The same answers for the same patients: whoever is drawn, the leak is nothing."""
    by_patient = _five("S1", HALF)
    leaking = replace(
        _outcome("S1", "paper", 0, 0, HALF),
        predictions=tuple(each for outcome in by_patient for each in outcome.predictions),
    )
    parts = {cause.name: cause.part for cause in causes(groups([leaking, *by_patient]))}
    assert (parts["leak"].value, parts["leak"].low, parts["leak"].high) == (0, 0, 0)
    assert parts["printed - ours"].low < parts["printed - ours"].value < parts["printed - ours"].high


def test_the_fast_systems_are_explained_beside_s1_and_not_with_it() -> None:
    leaking = [_outcome(system, "paper", 0, 0, RIGHT) for system in ("S1", "S1f")]
    found = causes(groups([*leaking, *_five("S1", RIGHT), *_five("S1f", HALF), *_five("S1fr", HALF)]))
    parts = {(cause.system, cause.name): cause.part.value for cause in found}
    assert parts["S1", "leak"] == 0 and parts["S1f", "leak"] == 0.5
    assert ("S1", "scale shortcut") not in parts and parts["S1f", "scale shortcut"] == 0


def test_one_seed_in_the_papers_protocol_has_no_range() -> None:
    table = plain(Group([_outcome("S1", "paper", 0, 0, HALF)]).table())
    assert table["interval"] == "none: one seed"
    assert table["figures"]["accuracy"] == {"value": 0.5, "low": None, "high": None}


def test_without_one_of_the_protocols_or_at_another_length_nothing_is_explained() -> None:
    leaking = _outcome("S1", "paper", 0, 0, RIGHT)
    assert causes(groups([leaking])) == []
    longer = Outcome(leaking.run, 10, leaking.crops, 100, {}, leaking.loss, leaking.predictions)
    assert causes(groups([longer, *_five("S1", HALF)])) == []


def test_a_seed_with_a_fold_missing_is_left_out() -> None:
    made = groups([*_five("S1", RIGHT), *_five("S1", HALF, seed=1)[:4]])
    assert [answers.seed for answers in made[0].answers] == [0]
    assert groups(_five("S1", RIGHT)[:3]) == []
    # as many as there are folds, but not these
    assert groups([*_five("S1", RIGHT)[:4], _outcome("S1", "patient", 0, 0, RIGHT)]) == []


def test_the_crops_of_all_seeds_are_in_one_order_whatever_the_folds() -> None:
    # In another seed the crops lie in other folds: patient p0-0's answer must still be found at its place.
    first = _five("S1", RIGHT)
    turned = [
        replace(
            outcome,
            run=replace(outcome.run, seed=1, fold=4 - outcome.run.fold),
            predictions=outcome.predictions[::-1],
        )
        for outcome in reversed(first)
    ]
    one, other = Group([*first, *turned]).answers
    assert one.crops == other.crops
    assert one.patients == other.patients
    assert one.truth.tolist() == other.truth.tolist()
    np.testing.assert_array_equal(one.logits, other.logits)


def test_mean_and_range_over_seeds_in_the_papers_protocol() -> None:
    group = Group([_outcome("S1", "paper", seed, 0, told) for seed, told in enumerate((RIGHT, HALF, HALF))])
    interval = group.figures["accuracy"]
    assert (interval.value, interval.low, interval.high) == pytest.approx((2 / 3, 0.5, 1.0))


def test_in_the_papers_protocol_the_variants_of_a_crop_are_no_new_patients() -> None:
    answers = [
        Prediction(f"c{i}", "f", f"p{i}", "CIRC", variant, 0, tuple(2.0 * np.eye(3)[i % 2]))
        for i in range(40)
        for variant in range(8)
    ]
    outcome = replace(_outcome("S1", "paper", 0, 0, RIGHT), predictions=tuple(answers))
    interval = Group([outcome]).accuracy_over_patients
    assert interval.value == 0.5
    # 40 patients, right or wrong with all they have: 0.5 / sqrt(40) = 0.079, not 0.5 / sqrt(320) = 0.028.
    assert interval.low == pytest.approx(0.5 - 1.96 * 0.079, abs=0.03)
    assert interval.high == pytest.approx(0.5 + 1.96 * 0.079, abs=0.03)


def test_the_patients_tested_in_any_seed_are_drawn_together() -> None:
    # Two seeds tested other patients: the mean over seeds varies as that of 2 x 20 answers.
    made = [
        replace(
            _outcome("S1", "paper", seed, 0, RIGHT),
            predictions=tuple(
                Prediction(f"c{i}", "f", f"p{seed}-{i}", "CIRC", 0, 0, tuple(2.0 * np.eye(3)[i % 2]))
                for i in range(20)
            ),
        )
        for seed in (0, 1)
    ]
    interval = Group(made).accuracy_over_patients
    assert interval.value == 0.5
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * 0.5 / np.sqrt(40), abs=0.06)


def test_by_patient_the_mean_over_seeds_has_an_interval_over_patients() -> None:
    group = Group([*_five("S1", RIGHT), *_five("S1", HALF, seed=1)])
    interval = group.figures["accuracy"]
    assert interval.value == pytest.approx(0.75)
    # Every draw of 20 patients: half of a patient's answers right where it has a lesion. Binomial, by hand:
    # standard deviation 0.25 / sqrt(20) = 0.056.
    assert interval.low == pytest.approx(0.75 - 1.96 * 0.056, abs=0.03)
    assert interval.high == pytest.approx(0.75 + 1.96 * 0.056, abs=0.03)


def test_a_loss_is_flat_when_its_last_two_tenths_are_alike() -> None:
    flat = _outcome("S1", "paper", 0, 0, RIGHT)
    falling = Outcome(
        flat.run, 9, flat.crops, 100, {}, tuple((i, 1 - i / 50) for i in range(20)), flat.predictions
    )
    assert Group([flat]).loss()["flat"] is True
    assert Group([falling]).loss()["flat"] is False


def test_a_loss_curve_keeps_the_mean_of_every_stretch() -> None:
    losses = np.arange(1000, dtype=np.float32)
    curve = loss_curve(losses)
    assert len(curve) == 200
    assert curve[0] == (5, 2.0)
    assert curve[-1] == (1000, 997.0)
    assert loss_curve(losses[:3]) == ((1, 0.0), (2, 1.0), (3, 2.0))
