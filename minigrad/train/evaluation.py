"""One pass over data without training."""

from collections.abc import Callable
from functools import partial
from math import prod
from typing import Any

import numpy as np

from minigrad import engine
from minigrad.data import Loader
from minigrad.data.arrays import holds_arrays
from minigrad.engine.trial import evaluate
from minigrad.nn import Loss, Module, no_grad
from minigrad.nn.module import count_parameters
from minigrad.nn.observe import multiply_adds
from minigrad.nn.parameter import Array
from minigrad.train.form import Form
from minigrad.train.metrics import Means, Metrics

# Multiply-adds for each module from which on a program for a single batch pays. To make it takes some 1 ms for each; in
# that time the eager forward does 3e6 (convolutions) to 4e7 (products of matrices), and a program up to three
# times as many.
WORTH = 7e7
FEW = 8  # samples, for which it never does


class Forward:
    """A model in evaluation mode: compiled where that can be and pays, and once for all evaluations from then on.

    Arguments:
        compiled: whether that is wanted.
    """

    def __init__(self, compiled: bool = True) -> None:
        self.compiled = compiled
        self._made: Any = None

    def of(self, model: Module, batches: Loader) -> Callable[[Array], Array]:
        """Return a function x -> outputs for these batches."""
        is_made = self._made is not None and self._made.model is model
        pays = is_made or len(batches) > 1 or _is_worth_a_program(model, batches)
        if not self.compiled or not pays or engine.why_eager(model):
            return partial(evaluate, model)
        if not is_made:
            self._made = model.compiled()
        outputs_of: Callable[[Array], Array] = self._made
        return outputs_of


def _is_worth_a_program(model: Module, batches: Loader) -> bool:
    """Return whether a single batch is so much work that making a program for it takes less."""
    samples = len(batches.data)
    if samples <= FEW:
        return False
    modules = sum(1 for _ in model.modules())
    shape, dtype = _form_of_one(batches)
    places = prod(shape) if dtype.kind in "iu" or len(shape) < 2 else prod(shape) // shape[1]
    if samples * places * count_parameters(model.parameters()) < WORTH * modules:  # each weight once for each place
        return False
    try:
        work = samples * multiply_adds(model, shape, dtype)
    except ValueError:  # what no layer takes, in whose words it is to be refused
        return False
    return work >= WORTH * modules


def _form_of_one(batches: Loader) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Return shape and dtype of a batch of one sample. Where the samples are arrays none is made for it."""
    data = batches.data
    if not holds_arrays(data):
        x, _ = batches.batch(np.arange(1))
        return x.shape, x.dtype
    return (1, *batches.preparation.shape(data.x)), np.dtype(np.float32) if data.x.dtype == np.uint8 else data.x.dtype


def measure(
    model: Module, loss: Loss, metrics: Metrics | None, batches: Loader, forward: Forward | None = None
) -> dict[str, float]:
    """Return the means of the loss and the metrics."""
    means, outputs_of = Means(loss, metrics), (forward or Forward()).of(model, batches)
    with no_grad():
        for x, y in batches:
            outputs = outputs_of(x)
            means.add(loss.measure(outputs, y), outputs, y)
    return means.result()


def apply(model: Module, batches: Loader, forward: Forward | None = None) -> Array:
    """Return the outputs for all samples, in numbers that the model takes.

    Raises:
        ValueError: if the data are one sample.
    """
    form, data = Form(model, None), batches.data
    one = data.x if holds_arrays(data) else None
    if one is not None and one.ndim == 1 and form.takes_one(one):
        raise _is_one_sample(one)
    batches = form.of(batches)
    outputs_of = (forward or Forward()).of(model, batches)
    try:
        return np.concatenate([outputs_of(x) for x, _ in batches])
    except ValueError:
        if one is not None and form.takes_one(one):
            raise _is_one_sample(one) from None
        raise


def _is_one_sample(x: Array) -> ValueError:
    return ValueError(f"predict: got one sample of shape {x.shape}, want samples (N, *): give x[None]")
