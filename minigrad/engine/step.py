"""CompiledStep: a training step, or a whole epoch, as one native call."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from minigrad.data.preparation import Preparation
from minigrad.engine.base import EpochResult, TrainingStep, check_reduction, lock_of
from minigrad.engine.memory import Array
from minigrad.engine.support import why_eager
from minigrad.engine.threads import get_num_threads
from minigrad.engine.training import Batch, Source, TrainingProgram
from minigrad.engine.trial import try_batch
from minigrad.engine.watch import Programs, Watch
from minigrad.nn import CrossEntropyLoss, Loss, Module, NLLLoss
from minigrad.optim import LRScheduler, Optimizer

# Options of a group that decide which state there is.
STRUCTURE = ("momentum", "amsgrad", "centered")


class CompiledStep(TrainingStep):
    """A training step compiled for one model, loss and optimizer, all of which have a lowering.

    The parameters stay the model's own, so evaluation, `state_dict` and everything else see them as they are after
    each step. What belongs to the training goes on as in the eager step: running statistics, dropout masks, the
    optimizer's state, and all options, of the layers and the loss too: where one has changed, a program for it is made.
    What lies in the gradients is not defined.

    `print` shows the programs made so far: one for each form that a batch has had.
    """

    _model_lock: Any
    _optimizer_lock: Any

    def __init__(
        self, model: Module, loss: Loss, optimizer: Optimizer, batch_size: int = 64, clip_norm: float | None = None
    ) -> None:
        self._programs: Programs[TrainingProgram] = Programs(self._look)
        super().__init__(model, loss, optimizer, batch_size, clip_norm)

    def __setattr__(self, name: str, value: Any) -> None:
        is_same = vars(self).get(name) is value
        super().__setattr__(name, value)
        if not is_same:
            self._programs.watch = None
        if name in ("model", "optimizer"):
            super().__setattr__(f"_{name}_lock", lock_of(value))

    def __call__(self, x: Array, y: npt.ArrayLike) -> float:
        """Do one step on a batch of any size, and return its loss."""
        x, y = _readable(_wide(np.asarray(x))), self._target(x, np.asarray(y))
        form = x.shape, x.dtype, y.shape, y.dtype
        with self._model_lock, self._optimizer_lock:
            total, weight = self._program(form, lambda: (x, y)).step(x, y, get_num_threads())
        if self.loss.reduction == "sum":
            return total
        return total / weight if weight else math.nan

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
        target, x = self._target(x, y), _readable(x if x.dtype == np.uint8 else _wide(x))
        source = Source(x, target, preparation, number)
        sums: list[Array] = []
        samples, judged = [], []
        full, rest = divmod(len(order), self.batch_size)
        for size, steps in ((self.batch_size, full), (rest, min(rest, 1))):
            if steps and not (stops and sums and not np.isfinite(sums[0][-1, 0])):
                part, order = order[: size * steps], order[size * steps :]
                with self._model_lock, self._optimizer_lock:
                    program = self._program(source.form(size), partial(source.batch, part[:size]), source)
                    sums.append(program.epoch(source, part, steps, schedule, stops, get_num_threads()))
                    if program.judgement is not None:
                        judged.append(program.judgement.counts)
                samples.append(np.full(len(sums[-1]), size))
        counts = (sum(right for right, _ in judged), sum(of for _, of in judged)) if judged else None
        return self._result(np.concatenate(sums), np.concatenate(samples), counts)

    def _program(self, form: Any, batch: Callable[[], Batch], source: Source | None = None) -> TrainingProgram:
        """Return the program for batches of this form, of which `batch` makes one, and for all else as it is now."""
        program = self._programs.get(form)
        if program is None:
            x, y = batch()
            try_batch(self.model, self.loss, x, y)
            program = self._programs.add(form, TrainingProgram(self, x, y, source))
        return program

    def _look(self) -> Watch:
        """Return a watch of what a program depends on, with all parameters where the optimizer wants them."""
        reason = why_eager(self.model, self.loss, self.optimizer)
        if reason:
            raise ValueError(f"compiled step: {reason} since it was changed; make a step anew by minigrad.compile")
        check_reduction(self.loss)
        self.optimizer._gather()
        groups, blocks = self.optimizer.param_groups, self.optimizer._blocks
        parts = [self.model, self.loss, self.optimizer, self.clip_norm is None]
        held = [parameter for group in groups for parameter in group["params"]]
        states = [block.state.values() for group in blocks for block in group]
        lists = [parts, vars(self.optimizer).values(), groups, *[group["params"] for group in groups], blocks, *blocks]
        flags = [(group, name) for group in groups for name in STRUCTURE if name in group]
        return Watch([self.model, self.loss], held, lists=[*lists, *states], flags=flags, trains=True)

    def _target(self, x: Array, y: Array) -> Array:
        """Return the target as the kernels read it: class indices as int64, all else in the dtype of the outputs."""
        if y.dtype.kind in "iu" and isinstance(self.loss, (NLLLoss, CrossEntropyLoss)):
            return _readable(_wide(y))
        parameter = next(self.model.parameters(), None) if x.dtype.kind != "f" else None
        floats = x.dtype if parameter is None else parameter.dtype
        return _readable(y.astype(floats, copy=False)) if y.dtype.kind in "fiub" else y

    def __getstate__(self) -> tuple[Any, ...]:
        return self.model, self.loss, self.optimizer, self.batch_size, self.clip_norm

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        CompiledStep.__init__(self, *state)  # a copy makes its own programs

    def __repr__(self) -> str:
        listings = "\n\n".join(map(str, self._programs))
        return listings or f"CompiledStep(batch_size={self.batch_size}), no program yet: it is made for the first batch"


def _wide(x: Array) -> Array:
    """Return integers as int64, which is what kernels take for indices, and all else as it is."""
    return x.astype(np.int64, copy=False) if x.dtype.kind in "iu" else x


def _readable(array: Array) -> Array:
    """Return the array as a kernel reads it: in C order and aligned."""
    return array if array.flags.c_contiguous and array.flags.aligned else np.array(array, order="C")
