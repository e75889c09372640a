"""The networks of images, and what they are trained on."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from benchmarks.workloads import BATCHES, Floats, Integers
from minigrad import models, nn


@dataclass(frozen=True)
class ImageWorkload:
    """A network of images of 28 x 28 pixels and one channel, trained with Adam on cross-entropy.

    Arguments:
        name: as the tables show it.
        network: "cnn", "resnet20" or "resnet18".
        batch: images in a batch.
        dropout: of the CNN.
        lr: Adam's learning rate.
        seed: of the initial weights.
    """

    name: str
    network: str
    batch: int
    dropout: float = 0.0
    lr: float = 1e-3
    seed: int = 0

    def without_dropout(self) -> "ImageWorkload":
        """Return what can be compared loss by loss."""
        return replace(self, dropout=0.0)

    def model(self) -> nn.Module:
        """Return the network in minigrad."""
        if self.network == "cnn":
            return models.cnn(dropout=self.dropout, rng=self.seed)
        if self.network == "resnet20":
            return models.resnet20(in_channels=1, rng=self.seed)
        return models.resnet18(10, in_channels=1, small_images=True, rng=self.seed)

    def state(self) -> dict[str, Any]:
        """Return its initial weights under the keys that PyTorch's has too."""
        return {name: np.array(array) for name, array in self.model().state_dict().items()}

    def batches(self) -> list[tuple[Floats, Integers]]:
        """Return batches of random images."""
        rng = np.random.default_rng((self.seed, 2))
        labels = np.arange(self.batch) % 10
        return [
            (rng.standard_normal((self.batch, 1, 28, 28), np.float32), rng.permutation(labels)) for _ in range(BATCHES)
        ]

    def samples(self, count: int) -> Floats:
        """Return so many random images to evaluate."""
        return np.random.default_rng(2).random((count, 1, 28, 28), np.float32)


CNN = ImageWorkload("CNN, batch 64", "cnn", 64, dropout=0.4)
RESNET20 = ImageWorkload("ResNet20, batch 64", "resnet20", 64)
RESNET18 = ImageWorkload("ResNet18, batch 32", "resnet18", 32)
# Images for which the others compute outputs at a time: of 50, 100, 250, 500 and 1,000 the fastest for all of them.
TOGETHER = 100
IMAGE_WORKLOADS = (CNN, RESNET20, RESNET18)
