"""One pass over data without training."""

from collections.abc import Callable
from functools import partial

import numpy as np

from minigrad import engine
from minigrad.data import Loader
from minigrad.data.arrays import holds_arrays
from minigrad.engine.trial import evaluate
from minigrad.nn import Loss, Module, no_grad
from minigrad.nn.parameter import Array
from minigrad.train.form import Form
from minigrad.train.metrics import Means, Metrics


def forward(model: Module, batches: Loader, compiled: bool = True) -> Callable[[Array], Array]:
    """Return a function x -> outputs in evaluation mode; compiled if that can be, and pays: for more than one batch."""
    if compiled and len(batches) > 1 and not engine.why_eager(model):
        outputs_of: Callable[[Array], Array] = model.compiled()
        return outputs_of
    return partial(evaluate, model)


def measure(
    model: Module, loss: Loss, metrics: Metrics | None, batches: Loader, compiled: bool = True
) -> dict[str, float]:
    """Return the means of the loss and the metrics."""
    means, outputs_of = Means(loss, metrics), forward(model, batches, compiled)
    with no_grad():
        for x, y in batches:
            outputs = outputs_of(x)
            means.add(loss.measure(outputs, y), outputs, y)
    return means.result()


def apply(model: Module, batches: Loader, compiled: bool = True) -> Array:
    """Return the outputs for all samples, in numbers that the model takes.

    Raises:
        ValueError: if the data are one sample.
    """
    form, data = Form(model, None), batches.data
    one = data.x if holds_arrays(data) else None
    if one is not None and one.ndim == 1 and form.takes_one(one):
        raise _is_one_sample(one)
    batches = form.of(batches)
    outputs_of = forward(model, batches, compiled)
    try:
        return np.concatenate([outputs_of(x) for x, _ in batches])
    except ValueError:
        if one is not None and form.takes_one(one):
            raise _is_one_sample(one) from None
        raise


def _is_one_sample(x: Array) -> ValueError:
    return ValueError(f"predict: got one sample of shape {x.shape}, want samples (N, *): give x[None]")
