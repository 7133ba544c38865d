import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bcd_model.errors import TruthError
from bcd_model.paper.inputs import CropSet, prepare, select
from bcd_model.paper.protocols import Split, check_by_patient, paper_split, patient_splits, splits
from bcd_model.paper.systems import SYSTEMS
from tests.support.toy_films import StoredFilm

S1, S4 = SYSTEMS["S1"], SYSTEMS["S4"]


@pytest.fixture(scope="module")
def crops(films: list[StoredFilm]) -> CropSet:
    return select(prepare(films, "crops", 48), "all")


@given(st.integers(0, 1000))
def test_no_patient_is_on_both_sides_and_every_crop_is_tested_once_as_it_is(seed: int) -> None:
    # 30 patients with 1 to 3 crops each
    patients = tuple(f"p{i:02d}" for i in range(30) for _ in range(1 + i % 3))
    labels = np.array([(int(p[1:]) * 7) % 3 for p in patients])
    made = patient_splits(_bare(labels, patients), S1, seed)
    assert len(made) == 5
    for part in made:
        training = {patients[sample // 8] for sample in part.training}
        assert not training & {patients[sample // 8] for sample in part.test}
        # augmentation in training alone
        assert len(part.training) == 8 * (len(patients) - len(part.test))
        # stratified: every class in every test part
        assert set(labels[part.test // 8]) == {0, 1, 2}
    tested = np.sort(np.concatenate([part.test for part in made]))
    assert tested.tolist() == list(range(0, 8 * len(patients), 8))


def test_the_papers_split_has_siblings_of_nearly_every_test_sample_in_training(crops: CropSet) -> None:
    part = paper_split(crops.labels, S1, 0)
    both = np.sort(np.concatenate([part.training, part.test]))
    assert both.tolist() == list(range(8 * len(crops.labels)))
    assert len(part.test) == round(0.3 * len(both))
    siblings = np.isin(part.test // 8, part.training // 8)
    assert siblings.mean() > 0.99
    with pytest.raises(TruthError, match="patient p0 is on both sides of fold 1"):
        check_by_patient(part, crops.patients)


def test_splits_follow_from_the_seed(crops: CropSet) -> None:
    first, again, other = (paper_split(crops.labels, S1, seed) for seed in (3, 3, 4))
    assert np.array_equal(first.test, again.test)
    assert not np.array_equal(first.test, other.test)


def test_s4_balances_by_dropping_and_tests_on_an_eighth() -> None:
    # The paper's calcifications: 10 benign and 13 malignant crops, 20 test samples of 160.
    labels = np.array([0] * 10 + [1] * 13)
    part = paper_split(labels, S4, 0)
    assert (len(part.training), len(part.test)) == (140, 20)
    kept = np.concatenate([part.training, part.test])
    assert np.bincount(labels[kept // 8]).tolist() == [80, 80]
    for fold in patient_splits(_bare(labels, tuple(f"p{i:02d}" for i in range(23)), 2), S4, 0):
        assert len(set(np.bincount(labels[fold.training // 8]).tolist())) == 1


def test_a_fold_that_would_be_trained_without_a_class_is_refused_by_name() -> None:
    patients = tuple(f"p{i}" for i in range(8))
    with pytest.raises(TruthError, match=r"fold \d would be trained without a malignant crop"):
        splits(_bare(np.array([0] * 7 + [1]), patients, 2), S1, "patient", 0)


def test_too_few_patients_for_the_folds_are_refused() -> None:
    with pytest.raises(TruthError, match="4 patients cannot fill 5 folds"):
        splits(_bare(np.array([0, 1, 2, 0]), ("a", "b", "c", "d")), S1, "patient", 0)


def test_a_clean_split_passes() -> None:
    check_by_patient(Split(0, np.arange(8), np.array([8])), ("a", "b"))


def _bare(labels: np.ndarray, patients: tuple[str, ...], classes: int = 3) -> CropSet:
    from bcd_model.paper.crops import PaperCrop
    from bcd_model.words import CLASSES, Region

    pixels, region = np.zeros((2, 2), dtype=np.float32), Region((0, 0), 1)
    made = tuple(
        PaperCrop(pixels, int(label) + 3 - classes, "f-1", patient, "f", "CALC", region)
        for label, patient in zip(labels, patients, strict=True)
    )
    return CropSet(CLASSES[-classes:], labels, made)
