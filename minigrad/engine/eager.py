"""The same without compiling, for layers of one's own, and where there is no Numba."""

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from minigrad.data.arrays import ArrayDataset
from minigrad.data.preparation import Preparation
from minigrad.engine.base import EpochResult, TrainingStep
from minigrad.engine.trial import evaluate
from minigrad.nn import Module
from minigrad.nn.parameter import Array
from minigrad.optim import LRScheduler, clip_grad_norm_


class EagerStep(TrainingStep):
    """A training step, layer by layer."""

    def __call__(self, x: Array, y: npt.ArrayLike) -> float:
        """Do one step on a batch of any size, and return its loss."""
        return self.update(x, np.asarray(y))[0]

    def update(self, x: Array, y: Array, goes_on: Callable[[float], bool] | None = None) -> tuple[float, Array]:
        """Do one step; return its loss and the outputs. Nothing is updated where `goes_on` denies it for the loss."""
        with self._alone():
            return self._update(x, y, goes_on)

    def _update(self, x: Array, y: Array, goes_on: Callable[[float], bool] | None) -> tuple[float, Array]:
        self.optimizer.zero_grad()
        outputs, pull_model = self.model.vjp(x)
        result, pull_loss = self.loss.vjp(outputs, y)
        value = float(result)
        if goes_on is not None and not goes_on(value):
            return value, outputs
        pull_model(pull_loss(), input_grad=False)
        if self.clip_norm is not None:
            clip_grad_norm_(self.trained, self.clip_norm)
        self.optimizer.step()
        return value, outputs

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
        data, losses, samples, correct, has_classes = ArrayDataset(x, y), [], [], 0, False
        for start in range(0, len(order), self.batch_size):
            index = order[start : start + self.batch_size]
            x_batch, y_batch = preparation.batch(data.x, index, index, number), data.y[index]
            value, outputs = self.update(x_batch, y_batch, math.isfinite if stops else None)
            has_classes = outputs.ndim == 2 and y_batch.ndim == 1 and y_batch.dtype.kind in "iu"
            correct += int(np.count_nonzero(outputs.argmax(axis=1) == y_batch)) if has_classes else 0
            losses.append(value)
            samples.append(len(x_batch))
            if stops and not math.isfinite(value):
                break
            if schedule is not None:
                schedule.step()
        return EpochResult(np.array(losses), np.array(samples), correct if has_classes else None)


class EagerModel:
    """A model's outputs in evaluation mode, layer by layer.

    Arguments:
        model: any module.
        batch_size: samples at a time; by default 1024.
    """

    def __init__(self, model: Module, batch_size: int | None = None) -> None:
        self.model, self.batch_size = model, batch_size or 1024

    def __call__(self, x: Array) -> Array:
        """Return the outputs for the samples of x, in a new array."""
        starts = range(0, max(len(x), 1), self.batch_size)
        return np.concatenate([evaluate(self.model, x[start : start + self.batch_size]) for start in starts])
