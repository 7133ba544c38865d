"""The runs of a reproduction: which there are, and what decides each.

One run is one network: a system, a subset, a protocol, a seed and a fold.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from bcd_model.errors import UsageError
from bcd_model.paper.protocols import FOLDS
from bcd_model.paper.systems import PROTOCOLS, SUBSETS, SYSTEMS, Protocol, Subset
from bcd_model.words import Precision

SCHEMA = 5
"""Of the files that a run leaves (``settings.json``, ``run.json``, the checkpoint), of what their digests
hold, and of how crops are cut: a change of any makes it one more, and earlier folders are refused. What says
of an earlier folder what it is by being left out changes nothing."""
QUICK_STEPS = 30


@dataclass(frozen=True, slots=True)
class Options:
    """What all runs of one folder share.

    Attributes:
        steps: of every training, None for each system's own.
        quick: so short that no figure means anything.
        threads: of PyTorch, None for as many as it takes by itself; the last digits depend on them.
    """

    steps: int | None = None
    precision: Precision = "float32"
    device: str = "cpu"
    quick: bool = False
    threads: int | None = None


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


def choose(systems: Sequence[str], subsets: Sequence[str], protocols: Sequence[str], seeds: int) -> list[Run]:
    """Return the runs in the order in which they are done: the paper's protocol first, seed by seed.

    A subset that is none of a system's (S2, S3, S1r, S1u, S1fr: only all) is passed over.

    Raises:
        UsageError: an unknown name, or nothing left to run.
    """
    for kind, wanted, known in (
        ("system", systems, tuple(SYSTEMS)),
        ("subset", subsets, tuple(SUBSETS)),
        ("protocol", protocols, PROTOCOLS),
    ):
        for name in wanted:
            if name not in known:
                raise UsageError(f"unknown {kind} {name!r}", f"choose among {', '.join(known)}")
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
            "S2, S3, S1r, S1u and S1fr have the subset all alone",
        )
    return runs


def digest_of(run: Run, options: Options, films: str) -> str:
    """SHA-256 of all that decides a run: its system, the options, the films (by their own digest)."""
    system = SYSTEMS[run.system]
    recipe = asdict(system.recipes[run.subset])
    if not recipe["falling"]:
        # Runs that were made before a rate could fall stay what they are.
        del recipe["falling"]
    decides = {**asdict(system), "recipes": recipe}
    # An estimate of the time left, which may be corrected without losing hours of training.
    del decides["cost"]
    parts = [SCHEMA, asdict(run), run.steps(options), asdict(options), decides, films]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
