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


def test_a_pool_at_the_border_takes_the_maximum_of_what_is_there() -> None:
    # TensorFlow's *same* padding is never the maximum, whatever the sign of the map.
    film = torch.nn.functional.max_pool2d(torch.full((1, 1, 2, 2), -3.0), 5, ceil_mode=True)
    assert film.tolist() == [[[[-3.0]]]]


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
    assert (SYSTEMS["S3"].optimiser, SYSTEMS["S3"].recipes["all"].learning_rate) == ("adam", 0.001)


def test_every_printed_figure_is_of_a_system_that_can_be_run() -> None:
    assert set(TABLE_I) | set(FIGURE_11) <= set(SYSTEMS)
    for name, subsets in FIGURE_11.items():
        assert set(subsets) <= set(SYSTEMS[name].recipes)
