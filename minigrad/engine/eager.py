"""The same without compiling, for layers of one's own, and where there is no Numba."""

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from minigrad.data.arrays import ArrayDataset
from minigrad.data.preparation import Preparation
from minigrad.engine.base import EpochResult, Judgement, TrainingStep, check_reduction
from minigrad.engine.trial import evaluate, forward_state
from minigrad.nn import Module
from minigrad.nn.loss import Measured
from minigrad.nn.parameter import Array
from minigrad.optim import LRScheduler, clip_grad_norm_
from minigrad.showing import ShownAsCall


class EagerStep(TrainingStep):
    """A training step, layer by layer."""

    def __call__(self, x: Array, y: npt.ArrayLike) -> float:
        """Do one step on a batch of any size, and return its loss."""
        return float(self.update(x, np.asarray(y))[0].value)

    def update(self, x: Array, y: Array, goes_on: Callable[[float], bool] | None = None) -> tuple[Measured, Array]:
        """Do one step; return what the loss says, and the outputs.

        Nothing is updated where `goes_on` denies it for the loss. It is not asked where no sample counts. About a loss
        that is not finite it is asked when the model is as it was before the batch.
        """
        with self._alone():
            return self._update(x, y, goes_on)

    def _update(self, x: Array, y: Array, goes_on: Callable[[float], bool] | None) -> tuple[Measured, Array]:
        check_reduction(self.loss)
        self.optimizer.zero_grad()
        put_back = None if goes_on is None else forward_state(self.model)
        outputs, pull_model = self.model.vjp(x)
        measured = self.loss.measure(outputs, y)
        is_spoilt = put_back is not None and not math.isfinite(measured.total)
        if put_back is not None and is_spoilt:
            put_back()
        if goes_on is not None and measured.weight and not goes_on(float(measured.value)):
            return measured, outputs
        if is_spoilt:
            outputs, pull_model = self.model.vjp(x)
        pull_model(measured.pullback(), input_grad=False)
        if self.clip_norm is not None:
            clip_grad_norm_(self.trained, self.clip_norm)
        self.optimizer.step()
        return measured, outputs

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
        data, batches, samples, judgement = ArrayDataset(x, y), [], [], None
        for start in range(0, len(order), self.batch_size):
            index = order[start : start + self.batch_size]
            x_batch, y_batch = preparation.batch(data.x, index, index, number), data.y[index]
            measured, outputs = self.update(x_batch, y_batch, math.isfinite if stops else None)
            judgement = judgement or Judgement.of(self.loss, outputs, y_batch)
            if judgement is not None:
                judgement.add(outputs, y_batch)
            batches.append(measured)
            samples.append(len(x_batch))
            if stops and not math.isfinite(measured.total):
                break
            if schedule is not None:
                schedule.step()
        sums = np.array([(batch.total, batch.weight) for batch in batches])
        return self._result(sums, np.array(samples), judgement.counts if judgement else None)


class EagerModel(ShownAsCall):
    """A model's outputs in evaluation mode, layer by layer.

    Arguments:
        model: any module.
        batch_size: samples at a time; by default 1024.
    """

    model: Module
    batch_size: int

    def __init__(self, model: Module, batch_size: int | None = None) -> None:
        self.model, self.batch_size = model, batch_size or 1024

    def __call__(self, x: Array) -> Array:
        """Return the outputs for the samples of x, in a new array."""
        starts = range(0, max(len(x), 1), self.batch_size)
        return np.concatenate([evaluate(self.model, x[start : start + self.batch_size]) for start in starts])
