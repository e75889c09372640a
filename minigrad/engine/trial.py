"""Trying a batch on the layers themselves: what does not fit is refused in their words."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from minigrad import kernels
from minigrad.engine.memory import Array
from minigrad.nn import Loss, Module, no_grad


@contextmanager
def in_mode(model: Module, training: bool) -> Iterator[None]:
    """Train or evaluate inside the block; afterwards each module is in the mode in which it was."""
    modes = [(module, module.training) for module in model.modules()]
    model.train(training)
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


@contextmanager
def evaluating(model: Module) -> Iterator[None]:
    """Evaluate inside the block: evaluation mode, and nothing kept for a backward."""
    with in_mode(model, training=False), no_grad():
        yield


def try_model(model: Module, x: Array) -> Array:
    """Return the outputs in evaluation mode; nothing is changed by it.

    Raises:
        ValueError: what the layers raise for a batch that does not fit.
    """
    with evaluating(model), kernels.trying(), np.errstate(all="ignore"):
        return model(x)


def try_batch(model: Module, loss: Loss, x: Array, y: Array) -> None:
    """Do the same with a loss behind the model."""
    outputs = try_model(model, x)
    with kernels.trying(), np.errstate(all="ignore"):
        loss.vjp(outputs, y)
