"""The dense scan against the plain patch loop on one film: equal, and how much faster.

Takes a real film from ``BCD_MIAS_DIR`` if that is set, else a phantom's.
"""

from __future__ import annotations

import os
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from bcd_model.detector.model import load_model
from bcd_model.detector.pyramid import build_pyramid
from bcd_model.detector.scan import Scanner
from bcd_model.detector.sliding_window import scan_level
from bcd_model.words import Film
from converters.mias.collection import read_collection
from converters.mias.phantom import write_phantom
from tests.support.patch_loop import patch_loop


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Class probabilities of logits (3, ...), in float32 as the network gives them."""
    return torch.softmax(torch.from_numpy(logits), 0).numpy()


def main() -> None:
    """Print a row a level, then the whole film."""
    folder = os.environ.get("BCD_MIAS_DIR")
    with tempfile.TemporaryDirectory() as scratch:
        films = (read_collection(Path(folder)) if folder else write_phantom(Path(scratch), patients=1)).films
        annotated = films[0]
        film, other = annotated.read(), films[1].read()
    model = load_model()
    pyramid = build_pyramid(film, model.steps_mm)
    scan_level(model.network, pyramid.levels[-1])  # warm up
    print(f"film {annotated.name}, {torch.get_num_threads()} threads, {pyramid.windows} windows")
    totals = np.zeros(2)
    greatest = 0.0
    for level in pyramid.levels:
        start = time.perf_counter()
        dense = scan_level(model.network, level)
        middle = time.perf_counter()
        loop = patch_loop(model.network, level)
        end = time.perf_counter()
        seconds = np.array([middle - start, end - middle])
        totals += seconds
        difference = float(np.abs(softmax(dense) - softmax(loop)).max())
        greatest = max(greatest, difference)
        print(
            f"  {level.step:.3f} mm  {int(level.inside.sum()):6d} windows  dense {seconds[0]:6.2f} s  "
            f"loop {seconds[1]:7.2f} s  ratio {seconds[1] / seconds[0]:5.1f}  difference {difference:.1e}"
        )
    print(
        f"all levels: dense {totals[0]:.2f} s, loop {totals[1]:.2f} s, ratio {totals[1] / totals[0]:.1f}, "
        f"greatest difference of a probability {greatest:.1e}"
    )
    once, twice = (
        seconds_a_film(Scanner(each), film, other) for each in (replace(model, second_stage=None), model)
    )
    print(
        f"whole scan of a pair: {once:.2f} s a film, with the second stage {twice:.2f} s, "
        f"ratio {twice / once:.1f}"
    )


def seconds_a_film(scanner: Scanner, film: Film, other: Film) -> float:
    """Scan both films of a pair, each beside the other."""
    start = time.perf_counter()
    scanner.scan(film, other)
    scanner.scan(other, film)
    return (time.perf_counter() - start) / 2


if __name__ == "__main__":
    main()
