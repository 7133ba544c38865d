"""The networks of the five systems; S1, S2 and S4 are :class:`bcd_model.paper.networks.BCDCNN`."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from bcd_model.paper.systems import System
from bcd_model.words import CLASSES


class KaggleNet(nn.Module):
    """S3: the network of a tutorial for Kaggle's cats and dogs, 50x50 input.

    Conv 32-64-128-64-32, 5x5 *same*, ReLU, each followed by a 5x5 max-pool of stride 5 with *same*
    padding: 50 -> 10 -> 2 -> 1 -> 1 -> 1. After the third pool one pixel is left, and the last two
    convolutions see nothing but their own padding around it.
    """

    channels = (32, 64, 128, 64, 32)

    def __init__(self, dropout: float = 0.2, classes: int = 3) -> None:
        super().__init__()
        inputs = (1, *self.channels[:-1])
        self.convolutions = nn.ModuleList(
            nn.Conv2d(a, b, 5, padding=2) for a, b in zip(inputs, self.channels, strict=True)
        )
        self.dense = nn.Linear(self.channels[-1], 1024)
        self.dropout = nn.Dropout(dropout)
        self.logits = nn.Linear(1024, classes)

    def maps(self, films: Tensor) -> list[Tensor]:
        """Return what each of the five pools gives of films (B, 1, 50, 50)."""
        found = []
        x = films
        for convolution in self.convolutions:
            # ceil_mode is TensorFlow's *same* padding here: the maximum of what lies under the window.
            x = functional.max_pool2d(functional.relu(convolution(x)), 5, ceil_mode=True)
            found.append(x)
        return found

    def forward(self, films: Tensor) -> Tensor:
        """Return logits (B, classes) of films (B, 1, 50, 50)."""
        x = functional.relu(self.dense(self.maps(films)[-1].flatten(1)))  # (B, 1024)
        logits: Tensor = self.logits(self.dropout(x))
        return logits


class DenseNet(nn.Module):
    """S5: the paper's regular neural network, 2304 inputs and one hidden layer of 1024."""

    def __init__(self, size: int = 48, dropout: float = 0.4, classes: int = 3) -> None:
        super().__init__()
        self.dense = nn.Linear(size * size, 1024)
        self.dropout = nn.Dropout(dropout)
        self.logits = nn.Linear(1024, classes)

    def forward(self, crops: Tensor) -> Tensor:
        """Return logits (B, classes) of crops (B, 1, 48, 48)."""
        logits: Tensor = self.logits(self.dropout(functional.relu(self.dense(crops.flatten(1)))))
        return logits


def build(system: System, classes: int) -> nn.Module:
    """Return the network of ``system``, its weights not yet drawn."""
    if system.network == "KaggleNet":
        return KaggleNet(system.dropout, classes)
    if system.network == "DenseNet":
        return DenseNet(system.size, system.dropout, classes)
    return BCDCNN(system.dropout, classes)


class BCDCNN(nn.Module):
    """The paper's version 3 as printed (section III), for 48x48 crops.

    *Same* padding and dropout 0.4, as in the TensorFlow tutorial it was made from. The text's
    7*7*64 before the dense layer is that tutorial's 28x28 figure; a 48x48 input gives 12*12*64,
    hence 9,493,379 parameters.

    Args:
        classes: 3, or 2 where the paper sorts lesions alone into benign and malignant.
    """

    def __init__(self, dropout: float = 0.4, classes: int = len(CLASSES)) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 5, padding=2)
        self.conv2 = nn.Conv2d(32, 64, 5, padding=2)
        self.dense = nn.Linear(12 * 12 * 64, 1024)
        self.dropout = nn.Dropout(dropout)
        self.logits = nn.Linear(1024, classes)

    def forward(self, crops: Tensor) -> Tensor:
        """Return logits (B, classes) of crops (B, 1, 48, 48)."""
        # ReLU and max-pooling commute, to the last bit; pooling first leaves a quarter of the work.
        x = functional.relu(functional.max_pool2d(self.conv1(crops), 2))  # (B, 32, 24, 24)
        x = functional.relu(functional.max_pool2d(self.conv2(x), 2))  # (B, 64, 12, 12)
        x = functional.relu(self.dense(x.flatten(1)))  # (B, 1024)
        logits: Tensor = self.logits(self.dropout(x))
        return logits
