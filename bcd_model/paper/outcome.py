"""What a run that is done leaves in its folder.

``OUT/runs/NAME/run.json`` is all that the report needs. It holds a SHA-256 of its own content, so that
no figure is made of a file that is not as it was written.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import TypeAdapter

from bcd_model.atomic import replacing
from bcd_model.errors import UsageError
from bcd_model.paper.runs import SCHEMA, Options, Run, digest_of

CURVE_POINTS = 200
"""At most so many points of a loss curve are kept, each the mean over its steps."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a network said of one sample of its test part.

    Attributes:
        logits: of each class; their probabilities would be 1 for many that differ.
    """

    crop: str
    film: str
    patient: str
    kind: str
    variant: int
    truth: int
    logits: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """A run that is done.

    Attributes:
        crops: of the subset, before their variants are made, by class in the order of the labels.
        environment: what the last digits depend on beside the seed.
        loss: (step, mean training loss of the stretch that ends with it).
        restarts: how often it was begun again with other start weights, because it diverged.
    """

    run: Run
    steps: int
    crops: dict[str, int]
    training_samples: int
    environment: dict[str, Any]
    loss: tuple[tuple[int, float], ...]
    predictions: tuple[Prediction, ...]
    restarts: int = 0


_OUTCOME = TypeAdapter(Outcome)


def loss_curve(losses: npt.NDArray[np.float32]) -> tuple[tuple[int, float], ...]:
    """Return the mean loss of up to 200 equal stretches of a training, each with its last step."""
    parts = np.array_split(losses.astype(np.float64), min(CURVE_POINTS, len(losses)))
    ends = np.cumsum([len(part) for part in parts])
    return tuple((int(end), round(float(part.mean()), 6)) for end, part in zip(ends, parts, strict=True))


def write_outcome(path: Path, digest: str, outcome: Outcome) -> None:
    """Write ``run.json`` in one step."""
    content = {"schema": SCHEMA, "digest": digest, **asdict(outcome)}
    text = _text({"sha256": _sha256(content), **content})
    with replacing(path) as staged:
        staged.write_text(text + "\n")


def read_outcome(path: Path, options: Options, films: str) -> Outcome:
    """Return the outcome in ``path``.

    Raises:
        UsageError: it is damaged, or of other films or settings.
    """
    remedy = "remove it: the run is then done again"
    try:
        content = json.loads(path.read_text())
        if content.pop("sha256") != _sha256(content):
            raise UsageError("is not as it was written", remedy, path)
        outcome = _OUTCOME.validate_python(content)
        known = content["digest"] == digest_of(outcome.run, options, films)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError("is damaged", remedy, path) from error
    if not known:
        raise UsageError("belongs to other films or settings", "name another folder with --out", path)
    if path.parent.name != outcome.run.name:
        raise UsageError(f"holds the run {outcome.run.name}", "remove the copy, or name it so", path.parent)
    return outcome


def _sha256(content: dict[str, Any]) -> str:
    return hashlib.sha256(_text(content).encode()).hexdigest()


def _text(content: dict[str, Any]) -> str:
    return json.dumps(content, separators=(",", ":"))
