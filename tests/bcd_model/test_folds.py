"""Folds by patient."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bcd_model.errors import TruthError
from bcd_model.folds import patient_folds


@given(
    st.dictionaries(st.text("abcdef", min_size=1), st.integers(0, 2), min_size=5, max_size=60),
    st.integers(2, 5),
)
def test_folds_are_even_in_size_and_in_classes(severity: dict[str, int], folds: int) -> None:
    placed = patient_folds(severity, folds, seed=0)
    assert placed.keys() == severity.keys()
    for wanted in (None, 0, 1, 2):
        counts = np.bincount(
            [placed[p] for p in placed if wanted is None or severity[p] == wanted], minlength=folds
        )
        assert counts.max() - counts.min() <= 1


def test_fewer_patients_than_folds_are_refused() -> None:
    with pytest.raises(TruthError, match="2 patients cannot fill 5 folds"):
        patient_folds({"a": 0, "b": 1}, 5, 0)
