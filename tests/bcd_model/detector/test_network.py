import numpy as np
import pytest
import torch

from bcd_model.detector.network import ScanningBCDCNN, initialise
from bcd_model.detector.pyramid import build_pyramid
from bcd_model.detector.sliding_window import scan_level
from bcd_model.paper.networks import BCDCNN
from bcd_model.words import WINDOW
from tests.support.blob_films import blob_film
from tests.support.patch_loop import patch_loop


def test_the_papers_network_has_the_size_that_follows_from_its_text() -> None:
    # 5*5*1*32+32 + 5*5*32*64+64 + 12*12*64*1024+1024 + 1024*3+3
    assert sum(p.numel() for p in BCDCNN().parameters()) == 9_493_379


def test_the_papers_network_takes_48_by_48_crops() -> None:
    assert BCDCNN()(torch.zeros(2, 1, WINDOW, WINDOW)).shape == (2, 3)


@pytest.mark.parametrize("size", [(48, 48), (52, 48), (100, 148), (101, 99)])
def test_dense_scan_equals_each_window_alone(size: tuple[int, int]) -> None:
    network = ScanningBCDCNN(16).eval()
    initialise(network, 3)
    image = torch.from_numpy(np.random.default_rng(1).normal(size=size).astype(np.float32))
    with torch.inference_mode():
        dense = network(image[None, None])[0]
        for i in range(dense.shape[1]):
            for j in range(dense.shape[2]):
                window = image[4 * i : 4 * i + WINDOW, 4 * j : 4 * j + WINDOW]
                alone = network(window[None, None])[0, :, 0, 0]
                torch.testing.assert_close(dense[:, i, j], alone, atol=1e-5, rtol=1e-5)
    assert dense.shape[1:] == ((size[0] - WINDOW) // 4 + 1, (size[1] - WINDOW) // 4 + 1)


def test_scan_of_a_level_equals_the_patch_loop_inside_the_breast() -> None:
    network = ScanningBCDCNN(8).eval()
    initialise(network, 0)
    level = build_pyramid(blob_film((300, 150), 5), (0.675,)).levels[0]
    dense, loop = scan_level(network, level), patch_loop(network, level)
    assert np.abs(loop).max() > 0
    np.testing.assert_allclose(dense, loop, atol=1e-5)
    assert np.all(dense[:, ~level.inside] == 0)


def test_same_seed_same_weights_other_seed_others() -> None:
    first, again, other = (ScanningBCDCNN(4) for _ in range(3))
    for network, seed in ((first, 1), (again, 1), (other, 2)):
        initialise(network, seed)
    assert torch.equal(first.conv1.weight, again.conv1.weight)
    assert not torch.equal(first.conv1.weight, other.conv1.weight)
