"""Films and detectors whose answers are known beforehand."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from bcd_model.detector.model import Model
from bcd_model.words import WINDOW, Film, ModelIdentity, OperatingPoint

BLOB_STEPS = (0.2, 0.3, 0.45, 0.675)


class BlobDetector(nn.Module):
    """A fixed detector with the scanning network's interface: bright discs of half a window's width.

    Its response is the mean of the central disc less that of the ring around it.
    """

    def __init__(self) -> None:
        super().__init__()
        rows, columns = np.indices((WINDOW, WINDOW)) - (WINDOW - 1) / 2
        distance = np.hypot(rows, columns)
        disc, ring = distance <= WINDOW / 4, (distance > WINDOW / 4) & (distance <= WINDOW / 2)
        self.register_buffer(
            "kernel", torch.from_numpy(disc / disc.sum() - ring / ring.sum()).float()[None, None]
        )

    def forward(self, images: Tensor) -> Tensor:
        response = nn.functional.conv2d(images, self.kernel, stride=4)
        return torch.cat([12 - 4 * response, torch.zeros_like(response), torch.full_like(response, -2)], 1)


def half_disc(shape: tuple[int, int], spacing: tuple[float, float], side: str) -> np.ndarray:
    """A breast of even tissue: half an ellipse at the left or right edge, in mm."""
    rows, columns = np.indices(shape)
    height, width = shape[0] * spacing[0], shape[1] * spacing[1]
    y = (rows + 0.5) * spacing[0] - height / 2
    x = (columns + 0.5) * spacing[1]
    if side == "right":
        x = width - x
    return (y / (0.45 * height)) ** 2 + (x / (0.85 * width)) ** 2 <= 1


def blob_film(
    center: tuple[float, float],
    radius_mm: float,
    *,
    shape: tuple[int, int] = (640, 480),
    spacing: tuple[float, float] = (0.2, 0.2),
    side: str = "left",
) -> Film:
    """An even breast with one bright, soft-edged disc at ``center`` (row, column)."""
    pixels = np.where(half_disc(shape, spacing, side), 0.4, 0.0)
    rows, columns = np.indices(shape)
    distance = np.hypot((rows - center[0]) * spacing[0], (columns - center[1]) * spacing[1])
    pixels += 0.4 / (1 + np.exp(np.clip((distance - radius_mm) / 0.1, -50, 50)))
    return Film(pixels.astype(np.float32), spacing, file="blob.dcm", sop_instance_uid="2.25.1")


def make_blob_model() -> Model:
    """A model of the detector, at its operating point."""
    return Model(
        BlobDetector().eval(),
        ModelIdentity("blob-detector", "1", "0" * 64),
        OperatingPoint(0.5, 0.4, basis="fixed detector"),
        BLOB_STEPS,
    )
