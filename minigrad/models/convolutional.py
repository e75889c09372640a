"""The convolutional network of two convolutions."""

from collections.abc import Sequence

import numpy as np

from minigrad import nn
from minigrad.nn.rng import generator


def cnn(
    in_channels: int = 1,
    classes: int = 10,
    *,
    image_size: int = 28,
    filters: Sequence[int] = (32, 64),
    kernel_size: int = 3,
    hidden: Sequence[int] = (),
    dropout: float = 0.0,
    rng: np.random.Generator | int | None = None,
) -> nn.Sequential:
    """Return for each number of filters Conv2d, ReLU, MaxPool2d(2), then Flatten, and fully connected layers.

    Those are for each hidden layer Linear, ReLU, and a last Linear, with a Dropout before each of them.

    Arguments:
        in_channels: of the images.
        classes: outputs.
        image_size: pixels along each side; each pooling halves it.
        filters: of each convolution.
        kernel_size: of the convolutions, which keep the size of the image.
        hidden: units of each hidden layer behind the convolutions.
        dropout: probability of a zero before each Linear, in [0, 1]; 0 leaves the layers out.
        rng: generator or seed of the initial weights and the dropout mask.

    Shape:
        x: (N, in_channels, image_size, image_size), y: (N, classes), scores without a softmax.

    Raises:
        ValueError: for a size below 1, images too small for so many poolings, or a dropout that is no probability.

    >>> cnn(dropout=0.4, rng=0)
    Sequential(
      (0): Conv2d(1, 32, kernel_size=(3, 3), stride=(1, 1), padding='same', dilation=(1, 1), groups=1, bias=True)
      (1): ReLU()
      (2): MaxPool2d(kernel_size=(2, 2), stride=(2, 2), padding=(0, 0), dilation=(1, 1), ceil_mode=False)
      (3): Conv2d(32, 64, kernel_size=(3, 3), stride=(1, 1), padding='same', dilation=(1, 1), groups=1, bias=True)
      (4): ReLU()
      (5): MaxPool2d(kernel_size=(2, 2), stride=(2, 2), padding=(0, 0), dilation=(1, 1), ceil_mode=False)
      (6): Flatten(start_dim=1, end_dim=-1)
      (7): Dropout(p=0.4)
      (8): Linear(3136, 10, bias=True)
    )
    """
    size = image_size >> len(filters)
    if size < 1:
        raise ValueError(f"cnn: {len(filters)} poolings leave nothing of images of {image_size} pixels a side")
    rng = generator(rng)
    layers: list[nn.Module] = []
    channels = in_channels
    for count in filters:
        layers += [nn.Conv2d(channels, count, kernel_size, padding="same", rng=rng), nn.ReLU(), nn.MaxPool2d(2)]
        channels = count
    layers.append(nn.Flatten())
    sizes = [channels * size * size, *hidden]
    for inputs, outputs in zip(sizes, [*hidden, classes], strict=True):
        layers += [nn.Dropout(dropout, rng=rng)] if dropout else []
        layers += [nn.Linear(inputs, outputs, rng=rng), nn.ReLU()]
    return nn.Sequential(*layers[:-1])
