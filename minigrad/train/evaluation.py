"""One pass over data without training."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import numpy as np

from minigrad import engine
from minigrad.data import Loader
from minigrad.engine.trial import evaluating
from minigrad.nn import Loss, Module
from minigrad.nn.parameter import Array
from minigrad.train.metrics import Means, Metric


@contextmanager
def forward(model: Module, batches: Loader, compiled: bool = True) -> Iterator[Callable[[Array], Array]]:
    """Give a function x -> outputs in evaluation mode; compiled if that can be, and pays: for more than one batch."""
    with evaluating(model):
        yield model.compiled() if compiled and len(batches) > 1 and not engine.why_eager(model) else model


def measure(
    model: Module, loss: Loss, metrics: Mapping[str, Metric] | None, batches: Loader, compiled: bool = True
) -> dict[str, float]:
    """Return the means of the loss and the metrics."""
    means = Means(loss, metrics)
    with forward(model, batches, compiled) as outputs_of:
        for x, y in batches:
            outputs = outputs_of(x)
            means.add(float(loss(outputs, y)), outputs, y)
    return means.result()


def apply(model: Module, batches: Loader, compiled: bool = True) -> Array:
    """Return the outputs for all samples."""
    with forward(model, batches, compiled) as outputs_of:
        return np.concatenate([outputs_of(x) for x, _ in batches])
