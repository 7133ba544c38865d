"""The runs of a reproduction: which there are, and what each leaves in its folder.

One run is one network: a system, a subset, a protocol, a seed and a fold. ``OUT/runs/NAME/run.json``
is written when it is done and is all that the report needs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bcd_model.errors import UsageError
from bcd_model.paper.protocols import FOLDS
from bcd_model.paper.systems import PROTOCOLS, SUBSETS, SYSTEMS, Protocol, Subset

SCHEMA = 1
CURVE_POINTS = 200
"""At most so many points of a loss curve are kept, each the mean over its steps."""
QUICK_STEPS = 20


@dataclass(frozen=True, slots=True)
class Options:
    """What all runs of one folder share.

    Attributes:
        steps: of every training, None for each system's own.
        quick: so short that no figure means anything.
    """

    steps: int | None = None
    precision: str = "float32"
    device: str = "cpu"
    quick: bool = False


@dataclass(frozen=True, slots=True)
class Run:
    """One network to train and test; ``fold`` is 0 in the paper's protocol."""

    system: str
    subset: Subset
    protocol: Protocol
    seed: int
    fold: int

    @property
    def name(self) -> str:
        """The name of its folder."""
        return f"{self.system}-{self.subset}-{self.protocol}-seed{self.seed}-fold{self.fold}"

    @property
    def group(self) -> tuple[str, Subset, Protocol]:
        """What its figures are averaged with over seeds."""
        return self.system, self.subset, self.protocol

    @property
    def network_seed(self) -> int:
        """Seed of weights, batches and dropout: another one in each fold."""
        return int(np.random.SeedSequence([self.seed, self.fold]).generate_state(1)[0])

    def steps(self, options: Options) -> int:
        """How long it is trained."""
        if options.steps is not None:
            return options.steps
        return QUICK_STEPS if options.quick else SYSTEMS[self.system].recipes[self.subset].steps

    def cost(self, options: Options) -> float:
        """Its length in steps of S1."""
        return self.steps(options) * SYSTEMS[self.system].cost


def choose(
    systems: Sequence[str],
    subsets: Sequence[str],
    protocols: Sequence[str],
    seeds: int,
    options: Options,
) -> list[Run]:
    """Return the runs in the order in which they are done: the paper's protocol first, seed by seed.

    A subset that is none of a system's (S2, S3, S1r: only all) is passed over.

    Raises:
        UsageError: an unknown name, or nothing left to run.
    """
    for kind, wanted, known in (
        ("system", systems, tuple(SYSTEMS)),
        ("subset", subsets, tuple(SUBSETS)),
        ("protocol", protocols, PROTOCOLS),
        ("precision", (options.precision,), ("float32", "bfloat16")),
    ):
        for name in wanted:
            if name not in known:
                raise UsageError(f"{name!r} is no {kind}", f"choose among {', '.join(known)}")
    runs = [
        Run(system, subset, protocol, seed, fold)
        for protocol in PROTOCOLS
        if protocol in protocols
        for seed in range(seeds)
        for system in SYSTEMS
        if system in systems
        for subset in SUBSETS
        if subset in subsets and subset in SYSTEMS[system].recipes
        for fold in range(1 if protocol == "paper" else FOLDS)
    ]
    if not runs:
        raise UsageError(
            f"{', '.join(systems)} on {', '.join(subsets)}: the paper has no such run",
            "S2, S3 and S1r have the subset all alone",
        )
    return runs


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a network said of one sample of its test part."""

    crop: str
    film: str
    patient: str
    kind: str
    variant: int
    truth: int
    probability: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """A run that is done.

    Attributes:
        crops: of the subset, before their variants are made, by class in the order of the labels.
        environment: what the last digits depend on beside the seed.
        loss: (step, mean training loss of the stretch that ends with it).
    """

    run: Run
    steps: int
    crops: dict[str, int]
    training_samples: int
    environment: dict[str, Any]
    loss: tuple[tuple[int, float], ...]
    predictions: tuple[Prediction, ...]


def digest_of(run: Run, options: Options, films: str) -> str:
    """SHA-256 of all that decides a run: its system, the options, the films (by their own digest)."""
    system = SYSTEMS[run.system]
    recipe = asdict(system.recipes[run.subset])
    parts = [SCHEMA, asdict(run), asdict(options), {**asdict(system), "recipes": recipe}, films]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def loss_curve(losses: npt.NDArray[np.float32]) -> tuple[tuple[int, float], ...]:
    """Return the mean loss of up to 200 equal stretches of a training, each with its last step."""
    parts = np.array_split(losses.astype(np.float64), min(CURVE_POINTS, len(losses)))
    ends = np.cumsum([len(part) for part in parts])
    return tuple((int(end), round(float(part.mean()), 6)) for end, part in zip(ends, parts, strict=True))


def write_outcome(path: Path, digest: str, outcome: Outcome) -> None:
    """Write ``run.json`` in one step."""
    content = {"schema": SCHEMA, "digest": digest, **asdict(outcome)}
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".partial")
    temporary.write_text(json.dumps(content, indent=None, separators=(",", ":")) + "\n")
    temporary.replace(path)


def read_outcome(path: Path, options: Options, films: str) -> Outcome:
    """Return the outcome in ``path``.

    Raises:
        UsageError: it is damaged, or of other films or settings.
    """
    try:
        content = json.loads(path.read_text())
        outcome = Outcome(
            Run(**content["run"]),
            content["steps"],
            content["crops"],
            content["training_samples"],
            content["environment"],
            tuple((int(step), float(loss)) for step, loss in content["loss"]),
            tuple(
                Prediction(**{**each, "probability": tuple(each["probability"])})
                for each in content["predictions"]
            ),
        )
        known = content["digest"] == digest_of(outcome.run, options, films)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{path} is damaged", "remove it: the run is then done again") from error
    if not known:
        raise UsageError(f"{path} belongs to other films or settings", "name another folder with --out")
    return outcome
