"""On a real film the dense scan must equal the plain patch loop."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from bcd_model.detector.model import load_model
from bcd_model.detector.pyramid import build_pyramid
from bcd_model.detector.sliding_window import scan_level
from converters.mias.collection import read_collection
from tests.support.patch_loop import patch_loop

pytestmark = [
    pytest.mark.films,
    pytest.mark.skipif("BCD_MIAS_DIR" not in os.environ, reason="BCD_MIAS_DIR names no mini-MIAS films"),
]


def test_dense_scan_equals_patch_loop_with_the_shipped_weights() -> None:
    film = read_collection(Path(os.environ["BCD_MIAS_DIR"])).films[0].read()
    model = load_model()
    # Every level but the finest, whose patch loop takes too long for a test; `make bench` has it.
    for level in build_pyramid(film, model.steps_mm).levels[1:]:
        dense = torch.softmax(torch.from_numpy(scan_level(model.network, level)), 0).numpy()
        loop = torch.softmax(torch.from_numpy(patch_loop(model.network, level)), 0).numpy()
        assert float(np.abs(dense - loop).max()) <= 1e-5
