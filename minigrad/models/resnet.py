"""Residual networks (He et al., 2016), with torchvision's structure and keys, and the small ones for small images."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from minigrad import nn
from minigrad.io.state import FilePath
from minigrad.models.weights import load_weights
from minigrad.nn import init
from minigrad.nn.rng import generator


class BasicBlock(nn.Composite):
    """y = relu(bn2(conv2(relu(bn1(conv1(x))))) + shortcut(x)), the shortcut being x itself or `downsample`.

    Arguments:
        in_channels: of x.
        channels: of y.
        stride: of the first convolution.
        rng: generator of the initial weights.
    """

    conv1: nn.Conv2d
    bn1: nn.BatchNorm2d
    conv2: nn.Conv2d
    bn2: nn.BatchNorm2d
    downsample: nn.Sequential

    def __init__(self, in_channels: int, channels: int, stride: int, rng: np.random.Generator) -> None:
        super().__init__()
        conv = partial(nn.Conv2d, bias=False, rng=rng)
        self.conv1, self.bn1 = conv(in_channels, channels, 3, stride, 1), nn.BatchNorm2d(channels)
        self.conv2, self.bn2 = conv(channels, channels, 3, 1, 1), nn.BatchNorm2d(channels)
        if stride != 1 or in_channels != channels:
            self.downsample = nn.Sequential(conv(in_channels, channels, 1, stride), nn.BatchNorm2d(channels))

    def compose(self) -> nn.Module:
        """Return what is made of the parts."""
        body = nn.Sequential(self.conv1, self.bn1, nn.ReLU(), self.conv2, self.bn2)
        return nn.Sequential(nn.Residual(body, getattr(self, "downsample", None)), nn.ReLU())


class ResNet(nn.Composite):
    """A stem, stages of blocks, the mean over the pixels, and a fully connected layer `fc`.

    Arguments:
        blocks: in each stage. The first stage keeps the size of the image, each other one halves it.
        channels: of each stage.
        classes: outputs.
        in_channels: of the images.
        small_images: whether the stem is one 3x3 convolution, for images of about 32 pixels, in the place of
            torchvision's 7x7 with stride 2 and a pooling.
        rng: generator or seed of the initial weights.

    Shape:
        x: (N, in_channels, H, W), y: (N, classes), scores without a softmax.
    """

    conv1: nn.Conv2d
    bn1: nn.BatchNorm2d
    fc: nn.Linear
    small_images: bool
    stages: int

    def __init__(
        self,
        blocks: Sequence[int],
        channels: Sequence[int],
        classes: int,
        *,
        in_channels: int = 3,
        small_images: bool = False,
        rng: np.random.Generator | int | None = None,
    ) -> None:
        super().__init__()
        rng = generator(rng)
        stem = (3, 1, 1) if small_images else (7, 2, 3)
        self.small_images, self.stages = small_images, len(blocks)
        self.conv1 = nn.Conv2d(in_channels, channels[0], *stem, bias=False, rng=rng)
        self.bn1 = nn.BatchNorm2d(channels[0])
        width = channels[0]
        for stage, (count, wider) in enumerate(zip(blocks, channels, strict=True)):
            strides = [1 if stage == 0 else 2] + [1] * (count - 1)
            made = [BasicBlock(width if i == 0 else wider, wider, stride, rng) for i, stride in enumerate(strides)]
            setattr(self, f"layer{stage + 1}", nn.Sequential(*made))
            width = wider
        self.fc = nn.Linear(width, classes, rng=rng)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu", rng=rng)

    def compose(self) -> nn.Module:
        """Return what is made of the parts."""
        pool = [] if self.small_images else [nn.MaxPool2d(3, 2, 1)]
        stages = [getattr(self, f"layer{stage + 1}") for stage in range(self.stages)]
        head = nn.AdaptiveAvgPool2d(1), nn.Flatten(), self.fc
        return nn.Sequential(self.conv1, self.bn1, nn.ReLU(), *pool, *stages, *head)


def resnet18(
    classes: int = 1000,
    *,
    in_channels: int = 3,
    small_images: bool = False,
    weights: FilePath | None = None,
    rng: np.random.Generator | int | None = None,
) -> ResNet:
    """Return torchvision's ResNet18: 11.7 million parameters, with its keys.

    Arguments:
        classes: outputs.
        in_channels: of the images.
        small_images: whether the stem is one 3x3 convolution, for images of 28 or 32 pixels.
        weights: "IMAGENET1K_V1", torchvision's, downloaded once; or a file with the same keys: .safetensors, .pth or
            .pt. Torchvision's want 1000 classes, and images of 224 x 224 with channels RGB, from 0 to 1, of which
            (0.485, 0.456, 0.406) is taken and which are divided by (0.229, 0.224, 0.225).
        rng: generator or seed of the initial weights.

    Raises:
        WeightsError: if the weights cannot be found, or do not fit.

    >>> model = resnet18(10, in_channels=1, small_images=True, rng=0)
    >>> model(np.ones((2, 1, 28, 28), np.float32)).shape
    (2, 10)
    """
    widths = (64, 128, 256, 512)
    model = ResNet((2, 2, 2, 2), widths, classes, in_channels=in_channels, small_images=small_images, rng=rng)
    return load_weights(model, "resnet18", weights)


def resnet34(
    classes: int = 1000,
    *,
    in_channels: int = 3,
    small_images: bool = False,
    weights: FilePath | None = None,
    rng: np.random.Generator | int | None = None,
) -> ResNet:
    """Return torchvision's ResNet34: 21.8 million parameters, with its keys. Arguments: those of `resnet18`."""
    widths = (64, 128, 256, 512)
    model = ResNet((3, 4, 6, 3), widths, classes, in_channels=in_channels, small_images=small_images, rng=rng)
    return load_weights(model, "resnet34", weights)


def resnet20(classes: int = 10, *, in_channels: int = 3, rng: np.random.Generator | int | None = None) -> ResNet:
    """Return the ResNet of 0.27 million parameters for images of about 32 pixels: three stages of three blocks.

    Arguments:
        classes: outputs.
        in_channels: of the images.
        rng: generator or seed of the initial weights.

    >>> sum(parameter.size for parameter in resnet20(in_channels=1).parameters())
    272186
    """
    return ResNet((3, 3, 3), (16, 32, 64), classes, in_channels=in_channels, small_images=True, rng=rng)
