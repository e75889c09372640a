"""TrainingProgram: the instructions of a training step for batches of one form."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from minigrad.data.augmentation import STILL
from minigrad.data.preparation import FLOATS, Preparation, as_images
from minigrad.engine.base import Judgement
from minigrad.engine.listing import listing
from minigrad.engine.losses import lower_loss
from minigrad.engine.memory import Array, Buffer, Cell, Memory, Slot, cut
from minigrad.engine.program import Program
from minigrad.engine.registry import Lowering
from minigrad.engine.trial import rewinding
from minigrad.engine.updates import Updates, lower_clipping
from minigrad.optim import LRScheduler

if TYPE_CHECKING:
    from minigrad.engine.step import CompiledStep

Batch = tuple[Array, Array]


class Source:
    """The samples of an epoch, how a batch of them is made, and the number of the epoch."""

    x: Array
    y: Array
    preparation: Preparation
    number: int
    shape: tuple[int, ...]

    def __init__(self, x: Array, y: Array, preparation: Preparation, number: int) -> None:
        self.x, self.y, self.preparation, self.number = x, y, preparation, number
        self.shape = preparation.shape(x)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of a batch."""
        return np.dtype(np.float32) if self.x.dtype == np.uint8 else self.x.dtype

    def form(self, size: int) -> tuple[Any, ...]:
        """Return what a program for batches of so many samples depends on."""
        arrays = (self.x.shape[1:], self.x.dtype, self.y.shape[1:], self.y.dtype)
        return size, *arrays, self.preparation.fixed, self.preparation.wants_images

    def batch(self, index: Array) -> Batch:
        """Return a batch, not normalised, for a trial; black images where they are changed."""
        if self.preparation.wants_images:
            return np.zeros((len(index), *self.shape), self.dtype), self.y[index]
        return self.x[index].astype(self.dtype), self.y[index]

    def moves(self, order: Array) -> Array:
        """Return what is done to the images of these numbers; nothing where nothing can be."""
        if not self.preparation.wants_images:
            return np.empty(0)
        return self.preparation.moves(self.x, order, self.number)


class TrainingProgram:
    """The instructions of a step, and, for an epoch, those before and after it.

    Arguments:
        owner: the compiled step.
        x: a batch, for its form.
        y: its targets, for their form.
        source: of the batches in an epoch; None where a batch is given for each step.
    """

    judgement: Judgement | None
    program: Program

    def __init__(self, owner: CompiledStep, x: Array, y: Array, source: Source | None) -> None:
        self._lowered = b = Lowering(owner.model, owner.trained, len(owner.optimizer.param_groups))
        self._total, self._weight, self._stops = Cell(0.0), Cell(0.0), Cell(0)
        self._x, self._y = Slot(x.shape, x.dtype, "x"), Slot(y.shape, y.dtype, "y")
        inputs: tuple[Memory, Memory] = (self._x, self._y) if source is None else self._emit_gathering(source)
        value, pull = b.lower(owner.model, inputs[0])
        outputs = b.plain(value)
        dy = lower_loss(b, owner.loss, outputs, inputs[1], self._total, self._weight)
        self.judgement = None if source is None else Judgement.of(owner.loss, outputs, y)
        if self.judgement is not None:
            self._emit_judging(self.judgement, outputs, inputs[1])
        if source is not None:
            b.emit("note_loss", self._total.array, self._weight.array, self._position.array, self._sums)
            b.end_unless_finite(self._total, self._stops)
        for emit in b.once_finite:
            emit()
        updates = Updates(b, owner.optimizer)
        if owner.clip_norm is None:
            b.chain_update = updates.chain
        pull(dy, False)
        b.clear_others()
        if owner.clip_norm is not None:
            max_norm = b.options.cell(lambda: float(owner.clip_norm or math.inf), "clip_norm")
            lower_clipping(b, owner.trained, max_norm)
        updates.finish()
        self.program = Program(b.instructions)

    def _emit_gathering(self, source: Source) -> tuple[Buffer, Buffer]:
        """Emit what is done before each step of an epoch; return the batch."""
        b, N = self._lowered, self._x.shape[0]
        self._begin, self._position = Cell(0), Cell(0)
        self._order, self._sums = Slot((0,), np.int64, "order"), Slot((0,), np.float64, "sums")
        self._table, self._moves = Slot((0,), np.float64, "options"), Slot((0,), np.float64, "moves")
        x = b.buffer(self._x.shape, self._x.dtype, "x")
        y = b.buffer(self._y.shape, self._y.dtype, "y")
        index = b.buffer((N,), np.int64, "index")
        b.emit("take_row", self._table, self._position.array, b.options.row)
        b.emit("take_batch", self._order, self._begin.array, index)
        self._samples = self._emit_samples(source, index, x)
        self._targets = Slot((0, y.size // N), source.y.dtype, "targets")
        b.emit("take_rows", self._targets, cut(index), cut(y.reshape(N, -1)))
        return x, y

    def _emit_samples(self, source: Source, index: Buffer, x: Buffer) -> Slot:
        """Emit what makes a batch of samples; return their slot."""
        b, N, preparation, dtype = self._lowered, x.shape[0], source.preparation, source.x.dtype
        if preparation.wants_images:
            samples = Slot((0, *as_images(source.x).shape[1:]), dtype, "samples")
            moves = b.buffer((N, len(STILL)), np.float64, "moves")
            b.emit("take_row", self._moves, self._position.array, moves.reshape(-1))
            factors = preparation.image_factors(source.x)
            images = cut(x.reshape(N, -1, *source.shape[-2:]))
            b.emit("gather_images", samples, cut(index), cut(moves), *factors, images)
            return samples
        samples, rows = Slot((0, x.size // N), dtype, "samples"), (cut(index), cut(x.reshape(N, -1)))
        scale, shift = (float(factor) for factor in preparation.factors(dtype))
        if dtype == np.uint8:
            b.emit("gather_uint8", samples, rows[0], scale, shift, rows[1])
        elif dtype in FLOATS and (scale, shift) != (1, 0):
            b.emit("gather_float", samples, rows[0], scale, shift, rows[1])
        else:
            b.emit("take_rows", samples, *rows)
        return samples

    def _emit_judging(self, judgement: Judgement, outputs: Memory, target: Memory) -> None:
        if judgement.kernel == "count_signs":
            outputs, target = outputs.reshape(-1), target.reshape(-1)
        self._lowered.emit(judgement.kernel, outputs, target, *judgement.options, judgement.correct, judgement.counted)

    def step(self, x: Array, y: Array, threads: int) -> tuple[float, float]:
        """Do a step on a batch; return the sum of its losses, and what belongs to it."""
        for check in self._lowered.checks:
            check(x if check.name == "x" else y)
        self._x.fill(x)
        self._y.fill(y)
        self._run(threads, 1)
        return float(self._total.array[0]), float(self._weight.array[0])

    def epoch(
        self, source: Source, order: Array, steps: int, schedule: LRScheduler | None, stops: bool, threads: int
    ) -> Array:
        """Do a number of steps, if it `stops` none behind a loss that is not finite; return the two sums of each."""
        for check in self._lowered.checks:
            check((source.x if check.name == "x" else source.y)[order])
        rewind = rewinding(schedule) if stops and schedule is not None else None
        sums, table = np.empty((steps, 2)), self._lowered.options.table(steps, schedule)
        given = (source.x, self._samples), (source.y, self._targets), (order, self._order)
        moves = source.moves(order)
        for array, slot in (*given, (moves, self._moves), (sums, self._sums), (table, self._table)):
            slot.fill(array)
        self._position.array[0] = self._begin.array[0] = 0
        self._stops.array[0] = stops
        if self.judgement is not None:
            self.judgement.clear()
        self._run(threads, steps)
        done = int(self._position.array[0])
        if rewind is not None and done and not np.isfinite(sums[done - 1, 0]):
            rewind(done - 1)
        return sums[:done]

    def _run(self, threads: int, steps: int) -> None:
        for read in self._lowered.before:
            read()
        self.program.run(threads, steps)
        for write in self._lowered.after:
            write()

    def __str__(self) -> str:
        return listing(self.program, self._lowered.model)
