"""FROC and film ROC: the free-response and the film-level curves of weighted patients (see ``tally``)."""

from __future__ import annotations

import numpy as np

from bcd_model.evaluation.tally import Bools, Floats, Indices, Tally, share

FALSE_MARKS = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0)
"""False marks per film at which sensitivity is reported."""

OPERATING_FALSE_MARKS = 1.0
"""False marks per film at the operating point of a recipe, and where groups of lesions are compared."""

RATES: Floats = np.arange(201) / 40
"""False marks per film at which the curve is drawn: 0 to 5."""

GRID: Floats = np.linspace(0, 1, 101)
"""False positive rates at which the film ROC is drawn."""


def thresholds(tally: Tally, weights: Floats, rates: Floats) -> Floats:
    """Return (draws + 1, rates): marks that score *above* it make at most that many false marks a film.

    -inf where all marks together make no more.
    """
    wrong = np.flatnonzero(tally.judged_mark & ~tally.on_lesion)
    wrong = wrong[np.argsort(-tally.mark_score[wrong], kind="stable")]
    scores = np.append(tally.mark_score[wrong], -np.inf)
    made = np.cumsum(weights[:, tally.mark_patient[wrong]], axis=1)
    films = weights[:, tally.film_patient[tally.judged]].sum(axis=1)
    found = np.empty((len(weights), len(rates)))
    for draw, (of_draw, total) in enumerate(zip(made, films, strict=True)):
        allowed = np.floor(rates * total + 1e-9)
        found[draw] = scores[np.searchsorted(of_draw, allowed, side="right")]
    return found


def sensitivity(tally: Tally, weights: Floats, above: Floats, chosen: Bools | None = None) -> Floats:
    """Return (draws + 1, thresholds): the share of lesions with a mark above each threshold.

    Args:
        above: (draws + 1, thresholds), from ``thresholds``.
        chosen: (L,) lesions that count; all by default. Those of films that are not judged never do.
    """
    counted = tally.judged_lesion if chosen is None else tally.judged_lesion & chosen
    scores = tally.lesion_score[counted]
    of_lesion = weights[:, tally.lesion_patient[counted]]
    total = of_lesion.sum(axis=1)
    columns = [
        share(((scores > above[:, [i]]) * of_lesion).sum(axis=1), total) for i in range(above.shape[1])
    ]
    return np.stack(columns, axis=1)


def false_marks(tally: Tally, weights: Floats, above: Floats, chosen: Bools | None = None) -> Floats:
    """Return (draws + 1,): false marks a film above ``above`` (draws + 1, 1) on the films ``chosen`` (F,)."""
    films = tally.judged if chosen is None else tally.judged & chosen
    wrong = films[tally.mark_film] & ~tally.on_lesion
    made = ((tally.mark_score[wrong] > above) * weights[:, tally.mark_patient[wrong]]).sum(axis=1)
    return share(made, weights[:, tally.film_patient[films]].sum(axis=1))


def at_shown(tally: Tally, weights: Floats, shown: Bools) -> tuple[Floats, Floats]:
    """Return sensitivity and false marks a film, (draws + 1,) each, of the marks that are ``shown`` (M,)."""
    found = np.zeros(len(tally.lesion_score), dtype=bool)
    found[tally.pairs[shown[tally.pairs[:, 1]], 0]] = True
    counted = tally.judged_lesion
    of_lesion = weights[:, tally.lesion_patient[counted]]
    wrong = tally.judged_mark & ~tally.on_lesion & shown
    made = weights[:, tally.mark_patient[wrong]].sum(axis=1)
    films = weights[:, tally.film_patient[tally.judged]].sum(axis=1)
    return share(of_lesion @ found[counted], of_lesion.sum(axis=1)), share(made, films)


def film_auc(tally: Tally, weights: Floats, chosen: Bools | None = None) -> Floats:
    """Return (draws + 1,): AUC of abnormal against normal films by their most suspicious mark."""
    kept = np.ones_like(tally.abnormal) if chosen is None else chosen
    positive, negative = (np.flatnonzero(kept & kind) for kind in (tally.abnormal, ~tally.abnormal))
    return _auc(tally.film_score, tally.film_patient, positive, negative, weights)


def malignant_auc(tally: Tally, weights: Floats) -> Floats:
    """Return (draws + 1,): AUC of malignant against benign among marked lesions, by the best mark's share."""
    found = tally.judged_lesion & np.isfinite(tally.lesion_score)
    positive, negative = (
        np.flatnonzero(found & kind) for kind in (tally.lesion_malignant, ~tally.lesion_malignant)
    )
    return _auc(tally.lesion_share, tally.lesion_patient, positive, negative, weights)


def _auc(scores: Floats, patients: Indices, positive: Indices, negative: Indices, weights: Floats) -> Floats:
    """How often a positive outranks a negative, ties counting half."""
    above = scores[positive][:, None] > scores[negative]
    tied = scores[positive][:, None] == scores[negative]
    of_positive, of_negative = weights[:, patients[positive]], weights[:, patients[negative]]
    ordered = ((of_positive @ (above + 0.5 * tied)) * of_negative).sum(axis=1)
    return share(ordered, of_positive.sum(axis=1) * of_negative.sum(axis=1))


def film_roc(tally: Tally, weights: Floats) -> Floats:
    """Return (draws + 1, 101): the true positive rate of films at each false positive rate of ``GRID``."""
    order = np.argsort(-tally.film_score, kind="stable")
    scores = tally.film_score[order]
    last = np.append(np.flatnonzero(scores[1:] != scores[:-1]), len(scores) - 1)
    of_film = weights[:, tally.film_patient[order]]
    rates = []
    for kind in (tally.abnormal[order], ~tally.abnormal[order]):
        part = of_film * kind
        rates.append(share(np.cumsum(part, axis=1)[:, last], part.sum(axis=1, keepdims=True)))
    found = np.full((len(weights), len(GRID)), np.nan)
    for draw, (true, false) in enumerate(zip(*rates, strict=True)):
        if np.isfinite(true).all() and np.isfinite(false).all():
            found[draw] = np.interp(GRID, *upper_ends(np.append(0, false), np.append(0, true)))
    return found


def upper_ends(false: Floats, true: Floats) -> tuple[Floats, Floats]:
    """Return the curve with one point a false positive rate: where it rises straight up, the upper end."""
    upper = np.append(np.flatnonzero(np.diff(false)), len(false) - 1)
    return false[upper], true[upper]
