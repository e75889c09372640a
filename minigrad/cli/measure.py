"""Applying the model of a run: what it says about images, and how good it is."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from minigrad import engine, kernels, nn
from minigrad.cli.errors import CommandError
from minigrad.cli.run_folder import Config
from minigrad.data import ArrayDataset
from minigrad.train import confusion_matrix
from minigrad.train.evaluation import apply

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Measurement:
    """What was measured: the loss of the training, and how often each class (row) was taken for each (column)."""

    loss: float
    confusion: npt.NDArray[np.int64]

    @property
    def images(self) -> int:
        """How many images it was measured on."""
        return int(self.confusion.sum())

    @property
    def accuracy(self) -> float:
        """The share of images that were taken for what they are."""
        return float(np.trace(self.confusion) / self.images)

    def per_class(self) -> list[float | None]:
        """Return the share of each class that was taken for what it is; None where there was no image."""
        right, all_images = np.diag(self.confusion), self.confusion.sum(axis=1)
        return [float(r / n) if n else None for r, n in zip(right, all_images, strict=True)]

    def summary(self) -> dict[str, Any]:
        """Return the totals for a JSON file."""
        return {"images": self.images, "loss": self.loss, "accuracy": self.accuracy}


def measure(config: Config, model: nn.Module, data: ArrayDataset) -> Measurement:
    """Measure the model on the data."""
    scores = _scores(config, model, data)
    with nn.no_grad():
        loss = float(config.loss()(scores, data.y))
    return Measurement(loss, confusion_matrix(scores, data.y))


def probabilities(config: Config, model: nn.Module, images: Array) -> Array:
    """Return the probability of each class for each image, (N, C)."""
    scores = _scores(config, model, ArrayDataset(images, np.zeros(len(images), np.int64)))
    with nn.no_grad():
        return nn.Softmax(dim=1)(scores)


def require_environment() -> None:
    """Raise CommandError where the environment asks for threads or kernels in a way that cannot be understood."""
    try:
        engine.get_num_threads()
        kernels.backend()
    except ValueError as error:
        raise CommandError(str(error)) from None


def _scores(config: Config, model: nn.Module, data: ArrayDataset) -> Array:
    require_environment()
    return apply(model, config.loader(data))
