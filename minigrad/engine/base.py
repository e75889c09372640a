"""TrainingStep: what a training step is, compiled or not."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock, RLock
from typing import Any, NamedTuple, Self
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from minigrad import kernels
from minigrad.data.augmentation import Augmentation
from minigrad.data.preparation import Numbers, Preparation
from minigrad.nn import BCEWithLogitsLoss, Loss, Module
from minigrad.nn.parameter import Array, Parameter, for_kernels
from minigrad.optim import LRScheduler, Optimizer
from minigrad.showing import ShownAsCall

AS_THEY_ARE = Preparation()
NOT_IGNORED = -(2**63)  # no class

_locks: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()
_lock_of_locks = Lock()


def lock_of(part: Any) -> Any:
    """Return the lock of a model or an optimizer, held by who does a step with it: other threads wait."""
    with _lock_of_locks:
        return _locks.setdefault(part, RLock())


class EpochResult(NamedTuple):
    """What an epoch, or a part of one, came to.

    Arguments:
        losses: of each step.
        samples: in each step.
        correct: how many of those that count were right: had the largest output at their class, or an output of a
            BCEWithLogitsLoss on the right side of 0. None where that has no meaning.
        totals: sum of the losses in each step, and
        weights: what belongs to it; see `nn.loss.Measured`.
        counted: how many samples, or outputs, count in `correct`.
    """

    losses: Array
    samples: Array
    correct: int | None
    totals: Array
    weights: Array
    counted: int


class Judgement:
    """How outputs are judged right or wrong by the target of a loss, and how many were.

    Arguments:
        kernel: that counts.
        options: of the kernel.
    """

    correct: Array
    counted: Array
    kernel: str
    options: tuple[int, ...]

    def __init__(self, kernel: str, *options: int) -> None:
        self.kernel, self.options = kernel, options
        self.correct, self.counted = np.zeros(1, np.int64), np.zeros(1, np.int64)

    @classmethod
    def of(cls, loss: Loss, outputs: Any, target: Any) -> Self | None:
        """Return how these are judged; None where that has no meaning.

        Arguments:
            loss: which may ignore some targets.
            outputs: anything with the shape and dtype of the outputs.
            target: the same of the target.
        """
        if len(outputs.shape) == 2 and len(target.shape) == 1 and target.dtype.kind in "iu":
            return cls("count_correct", getattr(loss, "ignore_index", NOT_IGNORED))
        return cls("count_signs") if isinstance(loss, BCEWithLogitsLoss) else None

    def add(self, outputs: Array, target: Array) -> None:
        """Count the outputs of a batch."""
        if self.kernel == "count_signs":
            outputs, target = outputs.reshape(-1), target.reshape(-1).astype(outputs.dtype, copy=False)
        else:
            target = target.astype(np.int64, copy=False)
        kernel = getattr(kernels, self.kernel)
        kernel(for_kernels(outputs), for_kernels(target), *self.options, self.correct, self.counted)

    def clear(self) -> None:
        """Begin anew."""
        self.correct[0] = self.counted[0] = 0

    @property
    def counts(self) -> tuple[int, int]:
        """How many were right, and of how many."""
        return int(self.correct[0]), int(self.counted[0])


def check_reduction(loss: Loss) -> None:
    """Raise ValueError for a loss that is no number."""
    if loss.reduction not in ("mean", "sum"):
        raise ValueError(f"compile: want a loss with reduction 'mean' or 'sum', got {loss.reduction!r}")


class TrainingStep(ShownAsCall, ABC):
    """A training step of one model, with one loss and one optimizer.

    Its parts and options, and theirs, may be changed at any time; that holds from the next step on.

    Arguments:
        model: to train, in the modes in which its layers are.
        loss: of reduction "mean" or "sum".
        optimizer: over parameters of the model.
        batch_size: samples in a step of an epoch.
        clip_norm: if given, the largest joint L2 norm of the gradients of what the optimizer trains.

    Raises:
        ValueError: for a loss without a reduction, or numbers out of range.
    """

    model: Module
    loss: Loss
    optimizer: Optimizer
    batch_size: int
    clip_norm: float | None

    def __init__(
        self, model: Module, loss: Loss, optimizer: Optimizer, batch_size: int = 64, clip_norm: float | None = None
    ) -> None:
        self.loss, self.model, self.optimizer = loss, model, optimizer
        self.batch_size, self.clip_norm = batch_size, clip_norm

    def __setattr__(self, name: str, value: Any) -> None:
        """Take a part or an option, which holds from the next step on."""
        if name == "loss":
            check_reduction(value)
        if name == "batch_size" and value < 1:
            raise ValueError(f"compile: want a batch_size of at least 1, got {value}")
        if name == "clip_norm" and value is not None and not value > 0:
            raise ValueError(f"compile: want a positive clip_norm, got {value}")
        super().__setattr__(name, value)

    @property
    def parameters(self) -> list[Parameter]:
        """The model's parameters."""
        return list(self.model.parameters())

    @property
    def trained(self) -> list[Parameter]:
        """The parameters that the optimizer changes: only their gradients count, and are clipped."""
        listed = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
        return [parameter for parameter in listed if parameter.requires_grad]

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Do a step inside the block, while no other step changes the model or the optimizer."""
        with lock_of(self.model), lock_of(self.optimizer):
            yield

    @abstractmethod
    def __call__(self, x: Array, y: npt.ArrayLike) -> float:
        """Do one step on a batch of any size, and return its loss.

        Arguments:
            x: what the model takes.
            y: what the loss takes as its target.
        """

    @abstractmethod
    def _run_epoch(
        self,
        x: Array,
        y: Array,
        order: Array,
        preparation: Preparation,
        number: int,
        schedule: LRScheduler | None,
        stops: bool,
    ) -> EpochResult:
        """Train on the samples `order` of x and y."""

    def _result(self, sums: Array, samples: Array, judged: tuple[int, int] | None) -> EpochResult:
        """Return what an epoch came to.

        Arguments:
            sums: of the losses of each step, and what belongs to it, (steps, 2).
            samples: in each step.
            judged: how many were right, and how many of how many; None where that has no meaning.
        """
        totals, weights = sums.T
        correct, counted = judged or (None, 0)
        if self.loss.reduction == "sum":
            return EpochResult(totals, samples, correct, totals, samples.astype(np.float64), counted)
        losses = np.divide(totals, weights, out=np.full(len(totals), np.nan), where=weights != 0)
        return EpochResult(losses, samples, correct, totals, weights, counted)

    def epoch(
        self,
        x: Array,
        y: npt.ArrayLike,
        order: npt.ArrayLike | None = None,
        *,
        mean: Numbers = 0.0,
        std: Numbers = 1.0,
        augment: Augmentation | None = None,
        size: tuple[int, int] | None = None,
        channels: int | None = None,
        seed: int = 0,
        number: int = 0,
        schedule: LRScheduler | None = None,
    ) -> float:
        """Train on all samples once, and return the mean loss: the sum of all losses over that of their weights.

        Each batch is gathered, converted, augmented and normalised as a `data.Loader` does it.

        Arguments:
            x: samples in memory: bytes, which become floats (x/255 - mean)/std, or floats.
            y: their targets.
            order: the numbers of the samples in the order in which they are taken; by default as they lie.
            mean, std, augment, size, channels: as those of the Loader.
            seed, number: of the augmentation, and of the epoch: in each one it is another.
            schedule: if given, stepped after each step.

        Raises:
            ValueError: for samples and targets that differ in number, or an order that leads out of them.
        """
        preparation = Preparation(mean, std, size, channels, augment, seed)
        result = self.run_epoch(x, y, order, preparation, number, schedule=schedule)
        weight = result.weights.sum()
        return float(result.totals.sum() / weight) if weight else math.nan

    def run_epoch(
        self,
        x: Array,
        y: npt.ArrayLike,
        order: npt.ArrayLike | None = None,
        preparation: Preparation = AS_THEY_ARE,
        number: int = 0,
        *,
        schedule: LRScheduler | None = None,
        stop_on_nan: bool = False,
    ) -> EpochResult:
        """Do what `epoch` does, and return what came of each step.

        With `stop_on_nan`, a loss that is NaN or infinite ends it before its update: that loss is the last one.
        """
        x, y = np.ascontiguousarray(x), np.asarray(y)
        order = np.arange(len(x)) if order is None else np.ascontiguousarray(order, np.int64)
        if len(x) != len(y):
            raise ValueError(f"epoch: want as many targets as samples, got {len(y)} and {len(x)}")
        if order.ndim != 1 or order.size == 0 or order.min() < 0 or order.max() >= len(x):
            raise ValueError(f"epoch: want an order of numbers in [0, {len(x)}), not empty")
        preparation.shape(x)
        return self._run_epoch(x, y, order, preparation, number, schedule, stop_on_nan)
