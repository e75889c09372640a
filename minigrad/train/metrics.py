"""Functions of outputs and targets that say how good a model is, and their means over batches."""

import math
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches

import numpy as np
import numpy.typing as npt

from minigrad.engine import EpochResult
from minigrad.engine.base import Judgement
from minigrad.nn import Loss
from minigrad.nn.loss import Measured
from minigrad.nn.parameter import Array

Metric = Callable[[Array, Array], float]
Metrics = Mapping[str, Metric | str] | Sequence[Metric | str] | Metric | str


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


def binary_accuracy(outputs: Array, targets: Array) -> float:
    """Return the share of outputs that are on the right side of 0: positive where the target is above 1/2.

    Arguments:
        outputs: logits, any shape.
        targets: 0 or 1, the same shape.

    >>> binary_accuracy(np.array([[2.0], [-1.0]]), np.array([[1.0], [1.0]]))
    0.5
    """
    if outputs.shape != targets.shape:
        raise ValueError(
            f"binary_accuracy: want a target for each output, got {outputs.shape} and {targets.dtype} {targets.shape}"
        )
    return float(np.mean(np.where(targets > 0.5, outputs > 0, outputs <= 0)))


ACCURACY = "accuracy"  # which of the two functions it is, the data say
NAMES: dict[str, Metric] = {"binary_accuracy": binary_accuracy, "top_5": top_k}


def named(metrics: Metrics) -> dict[str, Metric | str]:
    """Return metrics by name. Names stand for themselves where only the data tell which function is meant.

    Arguments:
        metrics: functions by name; or names and functions; or one of those.

    Raises:
        ValueError: for a name that is unknown, or comes twice.
        TypeError: for what is neither a name nor a function.

    >>> list(named(["accuracy", top_k]))
    ['accuracy', 'top_k']
    """
    if isinstance(metrics, Mapping):
        pairs = list(metrics.items())
    else:
        parts = [metrics] if isinstance(metrics, str) or callable(metrics) else list(metrics)
        pairs = [
            (part if isinstance(part, str) else getattr(part, "__name__", type(part).__name__), part) for part in parts
        ]
    found: dict[str, Metric | str] = {}
    for name, metric in pairs:
        if name in found:
            raise ValueError(f"metrics: the name {name!r} comes twice; give functions by name, as a dict")
        found[name] = _of_name(metric) if isinstance(metric, str) else metric
        if not isinstance(metric, str) and not callable(metric):
            raise TypeError(f"metrics: want names or functions (outputs, targets) -> float, got {metric!r}")
    return found


def _of_name(name: str) -> Metric | str:
    if name != ACCURACY and name not in NAMES:
        known = [ACCURACY, *NAMES]
        close = get_close_matches(name, known, 1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"metrics: no metric is called {name!r}, known are {', '.join(known)}{hint}")
    return NAMES.get(name, name)


def is_counted(metric: Metric | str) -> bool:
    """Return whether a compiled epoch counts it without handing outputs out."""
    return metric in (ACCURACY, accuracy, binary_accuracy)


def resolve(metrics: Metrics | None, loss: Loss, outputs: Array, targets: Array) -> dict[str, Metric]:
    """Return the functions that are meant for data like these; for None accuracy where it has a meaning."""
    judged = _accuracy_of(loss, outputs, targets)
    if metrics is None:
        return (
            {} if judged is None or (judged is binary_accuracy and outputs.size != len(outputs)) else {ACCURACY: judged}
        )
    found: dict[str, Metric] = {}
    for name, metric in named(metrics).items():
        if not isinstance(metric, str):
            found[name] = metric
        elif judged is None:
            raise ValueError(
                "accuracy: want outputs (N, C) and integer targets (N,), or logits and targets of a BCEWithLogitsLoss, "
                f"got {outputs.shape} and {targets.dtype} {targets.shape}"
            )
        else:
            found[name] = judged
    return found


def _accuracy_of(loss: Loss, outputs: Array, targets: Array) -> Metric | None:
    judgement = Judgement.of(loss, outputs, targets)
    return None if judgement is None else {"count_correct": accuracy, "count_signs": binary_accuracy}[judgement.kernel]


class Means:
    """The mean loss and metrics over the batches of one pass, whatever their sizes.

    The mean loss is the sum of all losses over the sum of their weights (see `nn.loss.Measured`). A metric is a mean
    over the samples that count: those that the loss ignores are left out, where a sample has one target.

    Arguments:
        loss: the loss that is measured.
        metrics: functions or names; None for accuracy where it has a meaning. Names are resolved by the first batch.

    Attributes:
        samples: how many there have been.
    """

    criterion: Loss
    samples: int

    def __init__(self, loss: Loss, metrics: Metrics | None) -> None:
        self.criterion, self._metrics = loss, metrics
        self.samples = 0
        self._loss = self._weight = 0.0
        self._resolved: dict[str, Metric] | None = None
        self._sums: dict[str, float] = {}
        self._counted = 0

    def add(self, measured: Measured, outputs: Array, targets: Array) -> None:
        """Add a batch."""
        self.samples += len(targets)
        self._loss += measured.total
        self._weight += measured.weight
        counted = self.criterion.counted(targets)
        if counted is not None:
            outputs, targets = outputs[counted], targets[counted]
        if self._resolved is None:
            self._resolved = resolve(self._metrics, self.criterion, outputs, targets)
        self._counted += len(targets)
        for name, metric in self._resolved.items():
            value = float(metric(outputs, targets)) if len(targets) else 0.0
            self._sums[name] = self._sums.get(name, 0.0) + value * len(targets)

    def add_epoch(self, result: EpochResult) -> None:
        """Add batches of which only this is known. The metrics are functions that it counts."""
        self.samples += int(result.samples.sum())
        self._loss += float(result.totals.sum())
        self._weight += float(result.weights.sum())
        self._counted += result.counted
        for name in named(self._metrics or {}):
            self._sums[name] = self._sums.get(name, 0.0) + (result.correct or 0)

    @property
    def loss(self) -> float:
        """The mean loss so far; NaN where nothing counts."""
        return self._loss / self._weight if self._weight else math.nan

    def result(self) -> dict[str, float]:
        """Return all means by name."""
        counted = self._counted or math.nan
        return {"loss": self.loss} | {name: total / counted for name, total in self._sums.items()}


def _check(metric: str, outputs: Array, targets: Array) -> None:
    if outputs.ndim != 2 or targets.shape != outputs.shape[:1] or targets.dtype.kind not in "iu":
        raise ValueError(
            f"{metric}: want outputs (N, C) and integer targets (N,), "
            f"got {outputs.shape} and {targets.dtype} {targets.shape}"
        )
