from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from bcd_model.paper.networks import KaggleNet, build
from bcd_model.paper.printed import FIGURE_11, TABLE_I
from bcd_model.paper.systems import SYSTEMS

CONVOLUTIONS = sum(25 * a * b + b for a, b in ((1, 32), (32, 64), (64, 128), (128, 64), (64, 32)))


@pytest.mark.parametrize(
    ("name", "classes", "parameters"),
    [
        ("S1", 3, 9_493_379),
        ("S1", 2, 9_493_379 - 1025),
        ("S2", 3, 9_493_379),
        ("S3", 3, CONVOLUTIONS + 33 * 1024 + 1025 * 3),
        ("S4", 3, 9_493_379),
        ("S5", 3, 2305 * 1024 + 1025 * 3),
    ],
)
def test_size_of_each_network(name: str, classes: int, parameters: int) -> None:
    system = SYSTEMS[name]
    network = build(system, classes)
    assert sum(p.numel() for p in network.parameters()) == parameters
    assert network(torch.zeros(2, 1, system.size, system.size)).shape == (2, classes)


def test_the_map_of_version_1_is_one_pixel_from_the_third_pool_on() -> None:
    maps = KaggleNet().maps(torch.zeros(1, 1, 50, 50))
    assert [tuple(each.shape[1:]) for each in maps] == [
        (32, 10, 10),
        (64, 2, 2),
        (128, 1, 1),
        (64, 1, 1),
        (32, 1, 1),
    ]


def test_a_pool_of_version_1_is_the_maximum_of_its_own_window_cut_at_the_border() -> None:
    network = KaggleNet()
    with torch.no_grad():
        for convolution in network.convolutions:
            # The middle tap of the first channel alone: the convolution passes its input on.
            convolution.weight.zero_()
            convolution.bias.zero_()
            convolution.weight[0, 0, 2, 2] = 1
    film = torch.rand(1, 1, 50, 50)
    first, second, third = (each[0, 0] for each in network.maps(film)[:3])
    pixels = film[0, 0].numpy()
    blocks = [[pixels[5 * i : 5 * i + 5, 5 * j : 5 * j + 5].max() for j in range(10)] for i in range(10)]
    np.testing.assert_array_equal(first.detach(), blocks)
    halves = [[pixels[25 * i : 25 * i + 25, 25 * j : 25 * j + 25].max() for j in range(2)] for i in range(2)]
    np.testing.assert_array_equal(second.detach(), halves)
    assert third.item() == pixels.max()


@pytest.mark.parametrize(("name", "share"), [("S1", 0.4), ("S3", 0.2), ("S4", 0.5), ("S5", 0.4), ("S3", 0.7)])
def test_dropout_drops_its_share_of_the_hidden_layer_in_training_alone(name: str, share: float) -> None:
    system = SYSTEMS[name]
    network = build(replace(system, dropout=share), 3)
    assert share in (system.dropout, 0.7)
    shown = []
    network.logits.register_forward_pre_hook(lambda _module, inputs: shown.append(inputs[0]))
    with torch.no_grad():
        network.dense.weight.zero_()
        network.dense.bias.fill_(1.0)
        torch.manual_seed(0)
        for training in (True, False):
            network.train(training)(torch.zeros(20, 1, system.size, system.size))
    assert (shown[0] == 0).float().mean().item() == pytest.approx(share, abs=0.02)
    assert (shown[1] == 1).all()


def test_dropout_learning_rates_and_lengths_are_those_of_the_papers() -> None:
    assert [SYSTEMS[name].dropout for name in ("S1", "S2", "S3", "S4")] == [0.4, 0.4, 0.2, 0.5]
    for name in ("S1", "S2"):
        assert (SYSTEMS[name].recipes["all"].learning_rate, SYSTEMS[name].recipes["all"].steps) == (
            0.003,
            20_000,
        )
    four = SYSTEMS["S4"].recipes
    assert (four["all"].learning_rate, four["all"].steps) == (0.002, 5_000)
    assert (four["calcification"].learning_rate, four["calcification"].steps) == (0.003, 10_000)
    # The source prints neither rate nor length for masses; those of calcification are taken.
    assert (four["mass"].learning_rate, four["mass"].steps) == (0.003, 10_000)
    others = [system for name, system in SYSTEMS.items() if name != "S3"]
    assert {(system.batch, system.optimiser) for system in others} == {(100, "sgd")}
    assert SYSTEMS["S3"].batch == 64
    assert (SYSTEMS["S3"].optimiser, SYSTEMS["S3"].recipes["all"].learning_rate) == ("adam", 0.001)


def test_every_printed_figure_is_of_a_system_that_can_be_run() -> None:
    assert set(TABLE_I) | set(FIGURE_11) <= set(SYSTEMS)
    for name, subsets in FIGURE_11.items():
        assert set(subsets) <= set(SYSTEMS[name].recipes)


@pytest.mark.parametrize(("name", "differs"), [("S1r", "preparation"), ("S1u", "scaling")])
def test_what_is_ours_differs_from_version_3_in_one_thing(name: str, differs: str) -> None:
    ours, paper = asdict(SYSTEMS[name]), asdict(SYSTEMS["S1"])
    found = {key for key, value in paper.items() if ours[key] != value}
    assert found == {"name", "title", "recipes", differs}
    assert ours["recipes"]["all"] == paper["recipes"]["all"]


def test_the_fast_systems_are_s1_and_s1r_but_for_rate_and_length() -> None:
    for fast, slow in (("S1f", "S1"), ("S1fr", "S1r")):
        ours, paper = asdict(SYSTEMS[fast]), asdict(SYSTEMS[slow])
        assert {key for key, value in paper.items() if ours[key] != value} == {"name", "title", "recipes"}
        for subset, recipe in SYSTEMS[fast].recipes.items():
            assert recipe.steps == SYSTEMS[slow].recipes[subset].steps / 10
            assert (recipe.learning_rate, recipe.falling) == (0.1, 0.5)
            assert SYSTEMS[slow].recipes[subset].falling == 0
