"""The steps of an epoch: layer by layer, or as native calls of one step or of many."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from operator import is_
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from minigrad import engine
from minigrad.data import Loader, Preparation
from minigrad.data.arrays import holds_arrays
from minigrad.nn.parameter import Array
from minigrad.optim import LRScheduler, ReduceLROnPlateau
from minigrad.train.callbacks import Callback, LRSchedule
from minigrad.train.metrics import is_counted, named
from minigrad.train.stopping import StopOnNaN

if TYPE_CHECKING:
    from minigrad.train.trainer import Trainer

SECONDS = 0.1  # of one native call, at least: then Ctrl-C and the progress get their turn


def overridden(callbacks: list[Callback], event: str) -> list[Callback]:
    """Return the callbacks that do something at `event`: the others cost nothing in each step."""
    return [callback for callback in callbacks if getattr(type(callback), event) is not getattr(Callback, event)]


def why_eager(trainer: Trainer) -> str:
    """Return why a trainer's steps cannot be compiled, in one line; "" if they can."""
    reason = engine.why_eager(trainer.model, trainer.loss, trainer.optimizer)
    if reason:
        return reason
    for name, metric in named(trainer.metrics or {}).items():
        if not is_counted(metric):
            return f"the metric {name!r} wants the outputs of each batch"
    for callback in overridden(trainer.callbacks, "on_loss"):
        if type(callback).on_loss is not StopOnNaN.on_loss:
            return f"{type(callback).__name__} acts on each loss before the update"
    return ""


class EagerSteps:
    """An epoch's steps, layer by layer.

    Arguments:
        trainer: whose steps they are.
    """

    def __init__(self, trainer: Trainer) -> None:
        self._trainer = trainer

    def run(self, batches: Loader, active: list[Callback]) -> None:
        """Do all steps of an epoch.

        Arguments:
            batches: of the epoch.
            active: what acts in its course.
        """
        trainer = self._trainer
        on_loss = [callback.on_loss for callback in overridden(active, "on_loss")]
        on_step_end = [callback.on_step_end for callback in overridden(active, "on_step_end")]
        step = engine.EagerStep(trainer.model, trainer.loss, trainer.optimizer)
        for trainer.step, (x, y) in enumerate(batches, 1):
            # A callback may have changed them.
            step.model, step.loss, step.optimizer = trainer.model, trainer.loss, trainer.optimizer
            step.clip_norm = trainer.clip_norm
            measured, outputs = step.update(x, y, partial(self._tell, on_loss, x, y))
            trainer.means.add(measured, outputs, y)
            for act in on_step_end:
                act(trainer)

    def _tell(self, on_loss: list[Callable[..., None]], x: Array, y: Array, value: float) -> bool:
        """Let callbacks look at a loss. They stop the training by an exception."""
        for act in on_loss:
            act(self._trainer, x, y, value)
        return True


class Part(NamedTuple):
    """Some samples of an epoch, to be taken in order."""

    x: Array
    y: Array
    order: Array
    preparation: Preparation = Preparation()
    number: int = 0


class CompiledSteps:
    """An epoch's steps as native calls.

    A call does as many steps as take about 0.1 to 0.2 seconds, or a single one where a callback acts after each step,
    or the batches are made in Python.

    Arguments:
        trainer: whose steps they are.
    """

    def __init__(self, trainer: Trainer) -> None:
        self._trainer = trainer
        self._step: engine.TrainingStep | None = None
        self._at_once = 1

    def run(self, batches: Loader, active: list[Callback]) -> None:
        """Do all steps of an epoch.

        Arguments:
            batches: of the epoch.
            active: what acts in its course.
        """
        trainer, schedule = self._trainer, None
        self._batch_size, self._stops = batches.batch_size, bool(overridden(trainer.callbacks, "on_loss"))
        is_native = type(batches) is Loader and holds_arrays(batches.data)
        schedules = _schedules(overridden(trainer.callbacks, "on_step_end"))
        self._is_single = not is_native or schedules is None or len(schedules) > 1
        if not self._is_single:
            schedule = schedules[0] if schedules else None
            active = [callback for callback in active if callback not in trainer.callbacks]
        on_step_end = [callback.on_step_end for callback in overridden(active, "on_step_end")]
        trainer.step = 0
        for part in self._gathered(batches) if is_native else _iterated(batches):
            self._run_part(part, schedule)
            for act in on_step_end:
                act(trainer)

    def _gathered(self, batches: Loader) -> Iterator[Part]:
        """Yield the samples of the epoch, as many at a time as one call is to take."""
        data, (x, y) = batches.data, _arrays(batches)
        epoch, size = batches.epoch, batches.batch_size
        order, start = batches.order(epoch)[: len(batches) * size], 0
        while start < len(order):
            if batches.data is not data:  # a callback has changed it
                data, (x, y) = batches.data, _arrays(batches)
            end = start + size * self._at_once
            yield Part(x, y, order[start:end], batches.preparation, epoch)
            start = end
        batches.epoch = epoch + 1

    def _run_part(self, part: Part, schedule: LRScheduler | None) -> None:
        step = self._current_step()
        trainer, start = self._trainer, perf_counter()
        result = step.run_epoch(**part._asdict(), schedule=schedule, stop_on_nan=self._stops)
        self._adapt(len(result.losses), perf_counter() - start)
        trainer.step += len(result.losses)
        if self._stops and not math.isfinite(result.totals[-1]):
            self._tell_of_nan(part, result)
        trainer.means.add_epoch(result)

    def _current_step(self) -> engine.TrainingStep:
        """Return a step for what the trainer has now: callbacks may have changed it."""
        trainer, step = self._trainer, self._step
        parts = trainer.model, trainer.loss, trainer.optimizer
        if step is None or not all(map(is_, parts, (step.model, step.loss, step.optimizer))):
            self._step = step = engine.compile(*parts, self._batch_size)
        step.batch_size, step.clip_norm = self._batch_size, trainer.clip_norm
        return step

    def _adapt(self, steps: int, seconds: float) -> None:
        """Choose how many steps the next call does, after one of so many that took so long."""
        if self._is_single or seconds > 2 * SECONDS:
            self._at_once = max(1, self._at_once // 2)
        elif seconds < SECONDS and steps == self._at_once:
            self._at_once *= 2

    def _tell_of_nan(self, part: Part, result: engine.EpochResult) -> None:
        """Let callbacks look at the last batch. The model is as it was before."""
        end = result.samples.sum()
        index = part.order[end - result.samples[-1] : end]
        x, y = part.preparation.batch(part.x, index, index, part.number), part.y[index]
        for callback in overridden(self._trainer.callbacks, "on_loss"):
            callback.on_loss(self._trainer, x, y, float(result.losses[-1]))


def _schedules(acting: list[Callback]) -> list[LRScheduler] | None:
    """Return the schedules that go on after each step; None where something else happens then."""
    schedules = []
    for callback in acting:
        if not isinstance(callback, LRSchedule) or type(callback).on_step_end is not LRSchedule.on_step_end:
            return None
        if callback.every == "step" and not isinstance(callback.scheduler, ReduceLROnPlateau):
            schedules.append(callback.scheduler)
    return schedules


def _arrays(batches: Loader) -> tuple[Array, Array]:
    """Return samples and targets. Integers become what programs take as indices, once and not in each call."""
    assert holds_arrays(batches.data)
    x, y = batches.data.x, batches.data.y
    x = x.astype(np.int64, copy=False) if x.dtype.kind in "iu" and x.dtype != np.uint8 else x
    return x, y.astype(np.int64, copy=False) if y.dtype.kind in "iu" else y


def _iterated(batches: Loader) -> Iterator[Part]:
    for x, y in batches:
        yield Part(x, y, np.arange(len(x)))


_said_in_this_process: set[str] = set()


def make_steps(trainer: Trainer, last: EagerSteps | CompiledSteps | None) -> EagerSteps | CompiledSteps:
    """Return the compiled steps where there can be any; elsewhere the others, and a line says why, once.

    Arguments:
        trainer: whose steps they are.
        last: the steps of the last epoch, which go on where they can.
    """
    reason = why_eager(trainer) if trainer.compiled else ""
    if trainer.compiled and not reason:
        return last if isinstance(last, CompiledSteps) else CompiledSteps(trainer)
    said = _said_in_this_process if reason == engine.why_nothing() else trainer.reasons_said
    if reason and reason not in said:
        said.add(reason)
        trainer.note(f"{reason}, so each step runs eagerly")
    return EagerSteps(trainer)
