"""CompiledStep: a training step, or a whole epoch, as one native call."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from minigrad.data.preparation import Preparation
from minigrad.engine.base import EpochResult, TrainingStep, lock_of
from minigrad.engine.memory import Array
from minigrad.engine.program import keep_last
from minigrad.engine.threads import get_num_threads
from minigrad.engine.training import Batch, Source, TrainingProgram
from minigrad.engine.trial import try_batch
from minigrad.nn import CrossEntropyLoss, Loss, Module, NLLLoss
from minigrad.optim import LRScheduler, Optimizer

# Options of a group that decide which state there is.
STRUCTURE = ("momentum", "amsgrad", "centered")


class CompiledStep(TrainingStep):
    """A training step compiled for one model, loss and optimizer, all of which have a lowering.

    The parameters stay the model's own, so evaluation, `state_dict` and everything else see them as they are after
    each step. What belongs to the training goes on as in the eager step: running statistics, dropout masks, the
    optimizer's state, and its options, which are read anew at each call. Options of layers and loss are those at the
    first call. What lies in the gradients is not defined.

    `print` shows the programs made so far: one for each form that a batch has had.
    """

    def __init__(
        self, model: Module, loss: Loss, optimizer: Optimizer, batch_size: int = 64, clip_norm: float | None = None
    ) -> None:
        super().__init__(model, loss, optimizer, batch_size, clip_norm)
        self._modules = list(model.modules())
        self._tracking: list[Any] = [m for m in self._modules if getattr(m, "track_running_stats", False)]
        self._programs: dict[Any, TrainingProgram] = {}
        self._model_lock, self._optimizer_lock = lock_of(model), lock_of(optimizer)

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
        program = self._programs.get((form, self._fingerprint()))
        if program is None:
            x, y = batch()
            self.optimizer._gather()
            try_batch(self.model, self.loss, x, y)
            program = TrainingProgram(self, x, y, source)
            # Only now: the optimizer's state is made with its first program.
            program.arrays = self._arrays()
            keep_last(self._programs, (form, self._fingerprint()), program)
        return program

    def _arrays(self) -> list[Array]:
        """Return the arrays whose places are in a program."""
        blocks = [block for blocks in self.optimizer._blocks for block in blocks]
        arrays = [parameter.data for parameter in self.parameters]
        for norm in self._tracking:
            arrays += [norm.running_mean, norm.running_var, norm.num_batches_tracked]
        return arrays + [array for block in blocks for array in (block.data, *block.state.values())]

    def _fingerprint(self) -> tuple[Any, ...]:
        """Return what a program depends on: where parameters and state lie, the modes of the layers, what is frozen."""
        return (
            *map(id, self._arrays()),
            *[module.training for module in self._modules],
            *[parameter.requires_grad for parameter in self.parameters],
            *[bool(group.get(name)) for group in self.optimizer.param_groups for name in STRUCTURE],
        )

    def _target(self, x: Array, y: Array) -> Array:
        """Return the target as the kernels read it: class indices as int64, all else in the dtype of the outputs."""
        if y.dtype.kind in "iu" and isinstance(self.loss, (NLLLoss, CrossEntropyLoss)):
            return _readable(_wide(y))
        floats = x.dtype if x.dtype.kind == "f" or not self.parameters else self.parameters[0].dtype
        return _readable(y.astype(floats, copy=False)) if y.dtype.kind in "fiub" else y

    def __getstate__(self) -> tuple[Any, ...]:
        return self.model, self.loss, self.optimizer, self.batch_size, self.clip_norm

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        CompiledStep.__init__(self, *state)  # a copy makes its own programs

    def __repr__(self) -> str:
        if not self._programs:
            return f"CompiledStep(batch_size={self.batch_size}), no program yet: it is made for the first batch"
        return "\n\n".join(str(program) for program in self._programs.values())


def _wide(x: Array) -> Array:
    """Return integers as int64, which is what kernels take for indices, and all else as it is."""
    return x.astype(np.int64, copy=False) if x.dtype.kind in "iu" else x


def _readable(array: Array) -> Array:
    """Return the array as a kernel reads it: in C order and aligned."""
    return array if array.flags.c_contiguous and array.flags.aligned else np.array(array, order="C")
