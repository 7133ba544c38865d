from __future__ import annotations

import numpy as np
import pytest

from bcd_model.detector.breast import breast_mask, normalise
from tests.support.blob_films import half_disc

SHAPE = (512, 400)
SPACING = (0.4, 0.4)


def _overlap(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / (a | b).sum())


def _film(side: str = "left") -> tuple[np.ndarray, np.ndarray]:
    breast = half_disc(SHAPE, SPACING, side)
    noise = np.random.default_rng(0).normal(0, 0.01, SHAPE)
    return np.where(breast, 0.5, 0.05) + noise, breast


@pytest.mark.parametrize("side", ["left", "right"])
def test_the_breast_is_found(side: str) -> None:
    pixels, breast = _film(side)
    assert _overlap(breast_mask(pixels.astype(np.float32), SPACING), breast) > 0.95


def test_labels_and_a_white_frame_are_no_breast() -> None:
    pixels, breast = _film()
    pixels[20:60, 330:380] = 1.0  # a lead marker
    pixels[:, -8:] = 1.0  # the digitiser's frame
    pixels[:6] = 1.0
    mask = breast_mask(pixels.clip(0, 1).astype(np.float32), SPACING)
    assert not mask[20:60, 330:380].any()
    assert not mask[:, -8:].any()
    assert _overlap(mask, breast) > 0.93


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_a_film_without_contrast_has_no_breast(value: float) -> None:
    assert not breast_mask(np.full((50, 40), value, dtype=np.float32), SPACING).any()


def test_contrast_is_measured_inside_the_breast_and_exposure_does_not_matter() -> None:
    pixels, _ = _film()
    pixels = pixels.clip(0, 1).astype(np.float32)
    mask = breast_mask(pixels, SPACING)
    scaled = normalise(pixels, mask)
    assert abs(scaled[mask].mean()) < 0.1
    assert not scaled[~mask].any()
    np.testing.assert_allclose(normalise(pixels * 0.5 + 0.2, mask), scaled, atol=1e-3)
