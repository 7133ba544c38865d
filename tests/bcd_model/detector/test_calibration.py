"""The logistic regression, against another minimiser; Platt scaling, against odds that are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from bcd_model.detector.calibration import fit_calibration, fit_logistic
from bcd_model.errors import TruthError


def test_a_logistic_regression_is_the_least_of_what_it_says_it_minimises() -> None:
    rng = np.random.default_rng(0)
    design = rng.normal(size=(200, 6))
    truth = (rng.random(200) < 1 / (1 + np.exp(-2 * design[:, 0] + 1))).astype(np.float64)
    beta = torch.zeros(7, dtype=torch.float64, requires_grad=True)
    inputs, target = torch.from_numpy(design), torch.from_numpy(truth)
    optimizer = torch.optim.LBFGS([beta], max_iter=500, tolerance_grad=1e-10, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        z = inputs @ beta[:-1] + beta[-1]
        value = functional.binary_cross_entropy_with_logits(z, target, reduction="sum")
        value = value + 15 * beta[:-1].square().sum()
        torch.autograd.backward(value)
        return value

    optimizer.step(loss)
    fitted = fit_logistic(np.column_stack([design, np.ones(200)]), truth, np.array([30.0] * 6 + [0.0]))
    np.testing.assert_allclose(fitted, beta.detach().numpy(), atol=1e-5)


def test_calibration_recovers_the_odds_the_scores_were_drawn_with() -> None:
    rng = np.random.default_rng(0)
    score = rng.normal(size=20_000)
    truth = rng.random(score.size) < 1 / (1 + np.exp(-(1.7 * score - 1.2)))
    fitted = fit_calibration(score, truth)
    assert fitted.slope == pytest.approx(1.7, abs=0.1)
    assert fitted.intercept == pytest.approx(-1.2, abs=0.1)
    assert fitted.probability(0.0) == pytest.approx(1 / (1 + np.exp(1.2)), abs=0.02)


def test_calibration_of_a_few_overlapping_scores_stays_finite() -> None:
    # Far from 0 and all but uninformative: an undamped Newton step runs away here.
    rng = np.random.default_rng(1)
    score = 16 + rng.normal(size=52)
    truth = np.arange(52) % 3 == 0
    fitted = fit_calibration(score, truth)
    assert abs(fitted.slope) < 2
    mean = np.mean([fitted.probability(value) for value in score])
    assert mean == pytest.approx(truth.mean(), abs=0.03)


def test_calibration_needs_both_kinds() -> None:
    with pytest.raises(TruthError, match="one kind is missing"):
        fit_calibration(np.zeros(3), np.ones(3, dtype=bool))
