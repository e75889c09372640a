"""Trying a batch on the layers themselves: what does not fit is refused in their words."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from minigrad import kernels
from minigrad.engine.memory import Array
from minigrad.nn import Loss, Module
from minigrad.nn.recording import evaluating
from minigrad.optim import LRScheduler


@contextmanager
def in_training(model: Module) -> Iterator[None]:
    """Have the model in training mode inside the block; afterwards each module is in the mode in which it was."""
    modes = [(module, module.training) for module in model.modules()]
    model.train()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


def evaluate(model: Module, x: Array) -> Array:
    """Return the outputs in evaluation mode, layer by layer; nothing is changed by it."""
    with evaluating():
        return model(x)


def random_layers(model: Module) -> dict[str, Any]:
    """Return the layers that draw a mask from (seed, step), by their dotted names."""
    return {name: each for name, each in model.named_modules() if hasattr(each, "seed") and hasattr(each, "step")}


def forward_state(model: Module) -> Callable[[], None]:
    """Return what puts back all that a training forward changes: buffers, and the counters of masks."""
    buffers = [(array, array.copy()) for _, array in model.named_buffers()]
    steps = [(layer, layer.step) for layer in random_layers(model).values()]

    def put_back() -> None:
        for array, before in buffers:
            array[...] = before
        for layer, step in steps:
            layer.step = step

    return put_back


def rewinding(schedule: LRScheduler) -> Callable[[int], None]:
    """Return what puts a schedule a number of steps behind where it is now, and its optimizer's options with it."""
    state, groups = schedule.state_dict(), [dict(group) for group in schedule.optimizer.param_groups]

    def rewind(steps: int) -> None:
        schedule.load_state_dict(state)
        for group, before in zip(schedule.optimizer.param_groups, groups, strict=True):
            group.update(before)
        for _ in range(steps):
            schedule.step()

    return rewind


def try_model(model: Module, x: Array) -> Array:
    """Do the same without compiling a kernel.

    Raises:
        ValueError: what the layers raise for a batch that does not fit.
    """
    with kernels.trying(), np.errstate(all="ignore"):
        return evaluate(model, x)


def try_batch(model: Module, loss: Loss, x: Array, y: Array) -> None:
    """Do the same with a loss behind the model."""
    outputs = try_model(model, x)
    with kernels.trying(), np.errstate(all="ignore"):
        loss.vjp(outputs, y)
