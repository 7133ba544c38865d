"""The paper's network as printed, and the form of it that can scan.

Tan, Sim and Ting, "Breast Cancer Detection Using Convolutional Neural Networks for Mammogram
Imaging System" (2017), section III: 48x48x1 -> conv 32 5x5 ReLU -> max-pool 2x2/2 -> conv 64 5x5
ReLU -> max-pool 2x2/2 -> dense 1024 ReLU -> dropout -> 3 logits (normal, benign, malignant).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from bcd_model.words import CLASSES, WINDOW


class ScanningBCDCNN(nn.Module):
    """BCDCNN with *valid* convolutions and its dense layer as a 9x9 convolution.

    On one 48x48 window it gives one set of logits; on a whole image the same weights give those of
    every window 4 pixels apart, in one pass and equal to the loop over windows. With *same* padding
    the two differ at every window's border, so this form is trained as it scans.

    Args:
        units: width of the dense layer (paper: 1024). Over 90 % of a scan's work is in it.
    """

    window = WINDOW
    stride = 4

    def __init__(self, units: int = 1024, dropout: float = 0.4) -> None:
        super().__init__()
        self.units = units
        self.conv1 = nn.Conv2d(1, 32, 5)
        self.conv2 = nn.Conv2d(32, 64, 5)
        self.dense = nn.Conv2d(64, units, 9)
        self.dropout = nn.Dropout(dropout)
        self.logits = nn.Conv2d(units, len(CLASSES), 1)

    def features(self, images: Tensor) -> Tensor:
        """Return (B, 64, (H - 12) // 4, (W - 12) // 4) features of images (B, 1, H, W)."""
        # ReLU and max-pooling commute; pooling first leaves a quarter of the work.
        x = functional.relu(functional.max_pool2d(self.conv1(images), 2))
        return functional.relu(functional.max_pool2d(self.conv2(x), 2))

    def classify(self, features: Tensor) -> Tensor:
        """Return logits (B, 3, h - 8, w - 8) of features (B, 64, h, w)."""
        logits: Tensor = self.logits(self.dropout(functional.relu(self.dense(features))))
        return logits

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (B, 3, h, w) of the windows of images (B, 1, H, W).

        The window of logit (i, j) has its top-left corner at pixel (4i, 4j). A 48x48 image has one.
        """
        return self.classify(self.features(images))


def initialise(network: nn.Module, seed: int) -> None:
    """Give every layer its starting weights from ``seed`` (Glorot uniform, biases 0).

    That is TensorFlow's default for these layers, as the paper's tutorial network had it.
    """
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.xavier_uniform_(module.weight, generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
