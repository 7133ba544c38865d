"""ROC curves of one class against the rest, and the areas under them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bcd_model.evaluation.froc import GRID, upper_ends
from bcd_model.evaluation.statistics import Floats, auc


def roc(scores: Floats, positive: npt.NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Return false and true positive rates from (0, 0) to (1, 1), one point for each distinct score."""
    order = np.argsort(-scores, kind="stable")
    hits, ranked = positive[order], scores[order]
    last = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)
    true, false = np.cumsum(hits)[last], np.cumsum(~hits)[last]
    return (
        np.concatenate([[0.0], false / max(int((~positive).sum()), 1)]),
        np.concatenate([[0.0], true / max(int(positive.sum()), 1)]),
    )


def on_grid(scores: Floats, positive: npt.NDArray[np.bool_]) -> Floats:
    """Return the true positive rate at each false positive rate of ``GRID``, linear in between."""
    return np.asarray(np.interp(GRID, *upper_ends(*roc(scores, positive))), dtype=np.float64)


def probabilities(logits: Floats) -> Floats:
    """Return (n, classes) probabilities of logits (n, classes)."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), dtype=np.float64)


def log_odds(logits: Floats, index: int) -> Floats:
    """Return (n,) log-odds of class ``index`` against the rest, of logits (n, classes).

    They rank as the probability does, but have no end: probabilities that are 1 to the last digit are
    all one, and a curve over them has ties that the network did not leave.
    """
    rest = np.delete(logits, index, axis=1)
    return np.asarray(logits[:, index] - np.logaddexp.reduce(rest, axis=1), dtype=np.float64)


def areas(logits: Floats, truth: npt.NDArray[np.int64]) -> dict[str, float]:
    """Return the areas under the ROC curves; nan where a side has no example.

    Args:
        logits: (n, classes), 3 (normal, benign, malignant) or 2 (benign, malignant).
        truth: (n,).

    Returns:
        ``auc_CLASS`` of each class against the rest; ``auc_abnormal`` of benign and malignant against
        normal; ``auc_malignant_benign`` by P(malignant) / (P(benign) + P(malignant)), among the lesions.
    """
    names = ("normal", "benign", "malignant")[-logits.shape[1] :]
    found = {}
    for index, name in enumerate(names):
        scores = log_odds(logits, index)
        found[f"auc_{name}"] = auc(scores[truth == index], scores[truth != index])
    if len(names) == 3:
        abnormal = -log_odds(logits, 0)
        found["auc_abnormal"] = auc(abnormal[truth > 0], abnormal[truth == 0])
    share = logits[:, -1] - logits[:, -2]
    last = len(names) - 1
    found["auc_malignant_benign"] = auc(share[truth == last], share[truth == last - 1])
    return found
