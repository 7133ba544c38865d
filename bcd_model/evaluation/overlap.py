"""Train/test overlap: figures on films that the network was trained on are not a measure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from bcd_model.evaluation.cases import Case, data_digest

Verdict = Literal["out of fold", "seen", "unseen", "not known"]


@dataclass(frozen=True, slots=True)
class Overlap:
    """What is known of the overlap between the films and the training set.

    Attributes:
        trained_on: (F,) whether the network was trained on each film; None where it is not known.
        text: one line for every output.
    """

    verdict: Verdict
    trained_on: tuple[bool | None, ...]
    text: str

    @property
    def measure(self) -> bool | None:
        """Whether the figures are a measure; None where it is not known."""
        return {"out of fold": True, "unseen": True, "seen": False, "not known": None}[self.verdict]


def out_of_fold(cases: Sequence[Case]) -> Overlap:
    """The marks of a run: each film's by a network that had not seen its patient."""
    return Overlap(
        "out of fold",
        tuple(False for _ in cases),
        "out of fold: every film was marked by a network that had seen no film of its patient",
    )


def film_digests(card: dict[str, Any]) -> frozenset[str] | None:
    """The digests (``bcd_model.words.film_digest``) of the training films; None if the card lists none."""
    listed = _data(card).get("film_digests")
    return frozenset(map(str, listed)) if isinstance(listed, list) else None


def of_weights(cases: Sequence[Case], card: dict[str, Any]) -> Overlap:
    """The marks of one weight file, whose model card lists its training films unless it is an old one.

    Without a list, the digest of the whole training set still recognises that set itself.
    """
    known = film_digests(card)
    if known is not None:
        trained = tuple(case.pixels.digest in known for case in cases)
    elif _data(card).get("digest") == data_digest(cases):
        trained = tuple(True for _ in cases)
    else:
        return Overlap(
            "not known",
            tuple(None for _ in cases),
            "not known whether the network was trained on these films (its model card lists none): "
            "not a measure unless you know that it was not",
        )
    if any(trained):
        text = f"includes films the network was trained on ({sum(trained)} of {len(cases)}): not a measure"
        return Overlap("seen", trained, text)
    return Overlap("unseen", trained, f"none of the {len(cases)} films was in the network's training")


def _data(card: dict[str, Any]) -> dict[str, Any]:
    data = card.get("data")
    return data if isinstance(data, dict) else {}
