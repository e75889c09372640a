"""`minigrad.compile`: the step that a model gets."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from minigrad.engine.base import TrainingStep
from minigrad.engine.eager import EagerModel, EagerStep
from minigrad.engine.support import why_eager
from minigrad.nn import Loss, Module
from minigrad.optim import Optimizer

if TYPE_CHECKING:
    from minigrad.engine.inference import CompiledModel


def compile(
    model: Module, loss: Loss, optimizer: Optimizer, batch_size: int = 64, *, clip_norm: float | None = None
) -> TrainingStep:
    """Return a training step that runs as one native call.

    Nothing is compiled for the model: it becomes a list of instructions, and the kernels are compiled once on a
    machine. Where that cannot be (a layer of one's own, no Numba) the step is an eager one, and a warning says why.

    Arguments:
        model: any module.
        loss: of reduction "mean" or "sum".
        optimizer: over parameters of the model.
        batch_size: samples in a step of an epoch.
        clip_norm: if given, the largest joint L2 norm of the model's gradients.

    >>> import numpy as np
    >>> from minigrad import nn, optim
    >>> model = nn.Sequential(nn.Linear(3, 5, rng=0), nn.ReLU(), nn.Linear(5, 2, rng=1))
    >>> step = compile(model, nn.CrossEntropyLoss(), optim.Adam(model.parameters()), batch_size=4)
    >>> x, y = np.eye(3, dtype=np.float32), np.array([0, 1, 1])
    >>> first, second = step(x, y), step(x, y)
    >>> second < first
    True
    >>> step.epoch(x, y, order=np.array([2, 0, 1])) < second
    True
    """
    reason = why_eager(model, loss, optimizer)
    if reason:
        warnings.warn(f"minigrad.compile: {reason}, so each step runs eagerly", stacklevel=2)
        return EagerStep(model, loss, optimizer, batch_size, clip_norm)
    from minigrad.engine.step import CompiledStep  # loads Numba

    return CompiledStep(model, loss, optimizer, batch_size, clip_norm)


def compile_model(model: Module, batch_size: int | None = None) -> CompiledModel | EagerModel:
    """Return a model's forward in evaluation mode, compiled; eager, with a warning, where that cannot be."""
    if batch_size is not None and batch_size < 1:
        raise ValueError(f"compiled: want a batch_size of at least 1, got {batch_size}")
    reason = why_eager(model)
    if reason:
        warnings.warn(f"{type(model).__name__}.compiled: {reason}, so each batch runs eagerly", stacklevel=3)
        return EagerModel(model, batch_size)
    from minigrad.engine.inference import CompiledModel  # loads Numba

    return CompiledModel(model, batch_size)
