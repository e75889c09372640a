"""A network of pairs of convolutions, in the manner of VGG (Simonyan and Zisserman, 2015), with BatchNorm."""

from collections.abc import Sequence

import numpy as np

from minigrad import nn
from minigrad.nn.rng import generator


def vgg(
    in_channels: int = 1,
    classes: int = 10,
    *,
    filters: Sequence[int] = (32, 64, 128),
    dropout: float = 0.0,
    rng: np.random.Generator | int | None = None,
) -> nn.Sequential:
    """Return for each number of filters two times Conv2d of 3x3, BatchNorm2d, ReLU, with a MaxPool2d(2) in between.

    Then come the mean over the pixels, [Dropout], and a Linear: 288,170 parameters for small grey images.

    Arguments:
        in_channels: of the images.
        classes: outputs.
        filters: of each pair of convolutions.
        dropout: probability of a zero before the Linear, in [0, 1]; 0 leaves the layer out.
        rng: generator or seed of the initial weights and the dropout mask.

    Shape:
        x: (N, in_channels, H, W) of any size that the poolings leave something of, y: (N, classes), without a softmax.

    >>> model = vgg(filters=[8, 16], rng=0)
    >>> model(np.ones((2, 1, 28, 28), np.float32)).shape
    (2, 10)
    """
    if not filters:
        raise ValueError("vgg: want filters for at least one pair of convolutions")
    rng = generator(rng)
    layers: list[nn.Module] = []
    channels = in_channels
    for count in filters:
        layers += [nn.MaxPool2d(2)] if layers else []
        for _ in range(2):
            layers += [nn.Conv2d(channels, count, 3, padding=1, bias=False, rng=rng), nn.BatchNorm2d(count), nn.ReLU()]
            channels = count
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    layers += [nn.Dropout(dropout, rng=rng)] if dropout else []
    return nn.Sequential(*layers, nn.Linear(channels, classes, rng=rng))
