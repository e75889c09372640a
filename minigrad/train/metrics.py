"""Functions of outputs and targets that say how good a model is, and their means over batches."""

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from minigrad.nn import Loss
from minigrad.nn.parameter import Array

Metric = Callable[[Array, Array], float]


def accuracy(outputs: Array, targets: Array) -> float:
    """Return the share of samples whose largest output is that of their class.

    Arguments:
        outputs: (N, C), scores of the classes.
        targets: (N,), class indices.

    >>> accuracy(np.array([[0.1, 0.9], [0.8, 0.2]]), np.array([1, 1]))
    0.5
    """
    _check("accuracy", outputs, targets)
    return float(np.count_nonzero(outputs.argmax(axis=1) == targets) / len(targets))


def top_k(outputs: Array, targets: Array, k: int = 5) -> float:
    """Return the share of samples where fewer than k other classes have a larger output than their own.

    Arguments:
        outputs: (N, C), scores of the classes.
        targets: (N,), class indices.
        k: how many guesses a sample has, at least 1.

    >>> top_k(np.array([[0.1, 0.9, 0.3], [0.8, 0.2, 0.1]]), np.array([2, 2]), k=2)
    0.5
    """
    _check("top_k", outputs, targets)
    if k < 1:
        raise ValueError(f"top_k: want k of at least 1, got {k}")
    own = np.take_along_axis(outputs, targets[:, None], axis=1)
    # "Not smaller or equal" and not "larger", so that NaN outputs count as wrong.
    larger = np.count_nonzero(~(outputs <= own), axis=1)
    return float(np.count_nonzero(larger < k) / len(targets))


def confusion_matrix(predictions: Array, targets: Array, classes: int | None = None) -> npt.NDArray[np.int64]:
    """Return how often each class (row) was taken for each class (column).

    Arguments:
        predictions: (N,) class indices, or (N, C) scores.
        targets: (N,), class indices.
        classes: number of classes C. By default that of the scores, or the largest index plus one.

    >>> confusion_matrix(np.array([0, 1, 1, 0]), np.array([0, 1, 0, 0])).tolist()
    [[2, 1], [0, 1]]
    """
    if predictions.ndim == 2:
        classes = predictions.shape[1] if classes is None else classes
        predictions = predictions.argmax(axis=1)
    if predictions.shape != targets.shape or targets.ndim != 1:
        raise ValueError(
            f"confusion_matrix: want as many predictions as targets (N,), got {predictions.shape} and {targets.shape}"
        )
    if classes is None:
        classes = int(max(predictions.max(initial=-1), targets.max(initial=-1))) + 1
    for name, labels in (("predictions", predictions), ("targets", targets)):
        if labels.dtype.kind not in "iu" or np.any((labels < 0) | (labels >= classes)):
            raise ValueError(f"confusion_matrix: want {name} to be integers in [0, {classes})")
    cells = targets.astype(np.int64) * classes + predictions
    return np.bincount(cells, minlength=classes * classes).reshape(classes, classes).astype(np.int64)


def default_metrics(outputs: Array, targets: Array) -> dict[str, Metric]:
    """Return accuracy where it has a meaning, nothing elsewhere."""
    is_classification = outputs.ndim == 2 and targets.ndim == 1 and targets.dtype.kind in "iu"
    return {"accuracy": accuracy} if is_classification else {}


class Means:
    """Running means of the loss and the metrics over the batches of one pass, weighted by batch size.

    Arguments:
        loss: the loss whose values are added; with reduction "sum" they are divided by the samples, not weighted.
        metrics: functions by name; None for `default_metrics` of the first batch.
    """

    def __init__(self, loss: Loss, metrics: Mapping[str, Metric] | None) -> None:
        self.samples = 0
        self._is_sum = loss.reduction == "sum"
        self._loss = 0.0
        self._metrics = metrics
        self._sums: dict[str, float] = {}

    def add(self, value: float, outputs: Array, targets: Array) -> None:
        """Add a batch."""
        if self._metrics is None:
            self._metrics = default_metrics(outputs, targets)
        size = len(targets)
        self.samples += size
        self._loss += value if self._is_sum else value * size
        for name, metric in self._metrics.items():
            self._sums[name] = self._sums.get(name, 0.0) + float(metric(outputs, targets)) * size

    def add_steps(self, losses: Array, samples: Array, correct: int | None) -> None:
        """Add batches of which only this is known.

        Arguments:
            losses: of each batch.
            samples: in each batch.
            correct: samples of all of them whose class was right; None where that means nothing.
        """
        if self._metrics is None:
            self._metrics = {} if correct is None else {"accuracy": accuracy}
        if self._metrics and correct is None:
            raise ValueError("accuracy: want outputs (N, C) and integer targets (N,)")
        for value, size in zip(losses.tolist(), samples.tolist(), strict=True):
            self.samples += size
            self._loss += value if self._is_sum else value * size
        for name in self._metrics:
            self._sums[name] = self._sums.get(name, 0.0) + (correct or 0)

    @property
    def loss(self) -> float:
        """The mean loss of a sample so far."""
        return self._loss / self.samples

    def result(self) -> dict[str, float]:
        """Return all means by name."""
        return {"loss": self.loss} | {name: total / self.samples for name, total in self._sums.items()}


def _check(metric: str, outputs: Array, targets: Array) -> None:
    if outputs.ndim != 2 or targets.shape != outputs.shape[:1] or targets.dtype.kind not in "iu":
        raise ValueError(
            f"{metric}: want outputs (N, C) and integer targets (N,), "
            f"got {outputs.shape} and {targets.dtype} {targets.shape}"
        )
