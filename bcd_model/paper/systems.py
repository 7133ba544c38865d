"""The systems of the paper's tables by name: network, input, training, split.

What the paper does not say is taken from where its networks come from: TensorFlow r1.3's layers
tutorial for S1, S2 and S4, tflearn's defaults for S3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from bcd_model.words import WINDOW

NetworkName = Literal["BCDCNN", "KaggleNet", "DenseNet"]
Preparation = Literal["crops", "crops of one scale", "films"]
Subset = Literal["all", "mass", "calcification"]
Protocol = Literal["paper", "patient"]
Scaling = Literal["standardised", "0 to 1"]

SUBSETS: Mapping[Subset, tuple[str, ...]] = {
    "all": (),
    "mass": ("CIRC", "SPIC", "MISC"),
    "calcification": ("CALC",),
}
"""Kinds of lesion in each subset; "all" takes every kind and the normal crops, the others two classes."""

PROTOCOLS: tuple[Protocol, ...] = ("paper", "patient")


@dataclass(frozen=True, slots=True)
class Recipe:
    """Learning rate and length of a training on one subset.

    Attributes:
        falling: part of the steps, the last ones, over which the rate falls to 0 in a straight line.
    """

    learning_rate: float = 0.003
    steps: int = 20_000
    falling: float = 0.0


@dataclass(frozen=True, slots=True)
class System:
    """One system: everything but the films, the split and the seed.

    Attributes:
        name: S1 to S5 in the order of the paper's claims; a suffix marks a variation that is ours.
        title: what it is, for people.
        preparation: crops as the paper cuts them, crops with the normal ones at the lesions' radii, or
            whole films scaled down.
        size: side of the input in pixels.
        scaling: of the pixels; standardised is to mean 0 and deviation 1 over the training samples.
        recipes: by subset; a subset that is missing is not one of this system.
        test_share: of the samples, in the paper's protocol.
        balanced: whether samples of the larger classes are dropped until all are equal in number.
        cost: of one step, as a part of a step of S1; for the estimate of the time left.
    """

    name: str
    title: str
    network: NetworkName
    preparation: Preparation
    recipes: Mapping[Subset, Recipe]
    size: int = WINDOW
    scaling: Scaling = "standardised"
    optimiser: Literal["sgd", "adam"] = "sgd"
    batch: int = 100
    dropout: float = 0.4
    test_share: float = 0.3
    balanced: bool = False
    cost: float = 1.0


_TUTORIAL: Mapping[Subset, Recipe] = {"all": Recipe(), "mass": Recipe(), "calcification": Recipe()}
# At a rate that stays this high the loss leaps to the end; falling, it comes to rest.
_FAST: Mapping[Subset, Recipe] = {subset: Recipe(0.1, 2_000, falling=0.5) for subset in SUBSETS}

SYSTEMS: Mapping[str, System] = {
    system.name: system
    for system in (
        System("S1", "BCDCNN, version 3: crops", "BCDCNN", "crops", _TUTORIAL),
        System("S2", "version 2: the same network on whole films", "BCDCNN", "films", {"all": Recipe()}),
        System(
            "S3",
            "version 1: the cats-and-dogs network on whole films",
            "KaggleNet",
            "films",
            # The paper gives no length; 64 is tflearn's batch.
            {"all": Recipe(0.001, 5_000)},
            size=50,
            scaling="0 to 1",
            optimiser="adam",
            batch=64,
            dropout=0.2,
            cost=0.4,
        ),
        System(
            "S4",
            "MCCNN (Zhou, Zaninovich, Gregory 2016): crops",
            "BCDCNN",
            "crops",
            # Mass: no rate and no length printed; those of calcification.
            {
                "all": Recipe(0.002, 5_000),
                "mass": Recipe(0.003, 10_000),
                "calcification": Recipe(0.003, 10_000),
            },
            dropout=0.5,
            test_share=1 / 8,
            balanced=True,
        ),
        System("S5", "regular neural network: crops", "DenseNet", "crops", _TUTORIAL, cost=0.08),
        System(
            "S1r",
            "S1 with the normal crops at the lesions' radii (ours)",
            "BCDCNN",
            "crops of one scale",
            {"all": Recipe()},
        ),
        System(
            "S1u",
            "S1 with its pixels from 0 to 1 (ours)",
            "BCDCNN",
            "crops",
            {"all": Recipe()},
            scaling="0 to 1",
        ),
        System("S1f", "S1 at a higher rate that falls to 0, 2,000 steps (ours)", "BCDCNN", "crops", _FAST),
        System(
            "S1fr",
            "S1f with the normal crops at the lesions' radii (ours)",
            "BCDCNN",
            "crops of one scale",
            {"all": _FAST["all"]},
        ),
    )
}
