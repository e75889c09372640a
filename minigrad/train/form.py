"""Form: what a model and a loss take, and data brought to it, once, at the door."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from minigrad.data import Loader, Preparation
from minigrad.engine.trial import evaluate
from minigrad.nn import Composite, Conv2d, Loss, Module
from minigrad.nn.parameter import Array

INDEX = np.dtype(np.int64)


class Form:
    """Brings samples and targets to what a model and a loss take; what fits stays the array that it is.

    Numbers become the model's float type. Bytes stay, as a Loader divides them by 255; integers stay where a layer
    takes them (`Module.takes_integers`). Images (N, H, W) and (N, H, W, C) become (N, C, H, W) where the first layer, a
    Conv2d, says which axis is C. Targets follow `Loss.targets`: classes become integers (N,), rows of 0 and 1 for the
    classes floats, values floats of the outputs' shape.

    Arguments:
        model: any module.
        loss: of the training; None where there are no targets.
    """

    def __init__(self, model: Module, loss: Loss | None) -> None:
        self._model, self._loss = model, loss
        self._of_sample: tuple[int, ...] | None = None

    # Each is asked for only where the data make it matter: walking a small model takes as long as its forward.
    @cached_property
    def _dtype(self) -> np.dtype[Any]:
        dtypes = (parameter.dtype for parameter in self._model.parameters())
        return next((dtype for dtype in dtypes if dtype.kind == "f"), np.dtype(np.float32))

    @cached_property
    def _takes_integers(self) -> bool:
        return any(module.takes_integers for module in self._model.modules())

    @cached_property
    def _channels(self) -> int | None:
        first = _first_layer(self._model)
        return first.in_channels if isinstance(first, Conv2d) else None

    def of(self, batches: Loader) -> Loader:
        """Return a Loader of the same data in this form; the same Loader where nothing is to be changed."""

        def convert(x: Array, y: Array) -> tuple[Array, Array]:
            x = self.samples(x)
            return x, self._targets(y, x, batches.preparation)

        return batches.converted(convert)

    def samples(self, x: Array) -> Array:
        """Return samples as the model takes them."""
        if x.dtype.kind in "biu" and self._takes_integers:
            return x.astype(INDEX) if x.dtype in (np.uint8, bool) else x
        if x.dtype != np.uint8 and x.dtype != self._dtype:
            x = self._floats("x", x)
        if x.ndim == 3 and self._channels == 1:
            return x[:, None]
        if x.ndim == 4 and x.shape[1] not in (1, self._channels) and x.shape[3] == self._channels:
            return np.ascontiguousarray(x.transpose(0, 3, 1, 2))
        return x

    def _floats(self, name: str, array: Array) -> Array:
        try:
            with np.errstate(over="raise"):
                return array.astype(self._dtype)
        except FloatingPointError:
            raise ValueError(f"{name} holds numbers that {self._dtype} cannot: scale them, or take them out") from None

    def takes_one(self, x: Array) -> bool:
        """Return whether x is one sample, without the axis of samples: the model takes x[None]."""
        if x.ndim == 0 or (x.dtype.kind in "biu" and self._takes_integers):
            return False
        try:
            batch = Preparation().batch(self.samples(x[None]), np.arange(1), np.arange(1), 0)
            return len(evaluate(self._model, batch)) == 1
        except (ValueError, TypeError, IndexError):
            return False

    # ---------------------------------------------------------------------------------------------------- targets

    def _targets(self, y: Array, x: Array, preparation: Preparation) -> Array:
        if self._loss is None or self._loss.targets == "any":
            return y
        if self._loss.targets == "values":
            y = y if y.dtype == self._dtype else self._floats("y", y)
            return y[:, None] if y.ndim == 1 and self._outputs(x, preparation) == (1,) else y
        return self._classes(y, x, preparation)

    def _classes(self, y: Array, x: Array, preparation: Preparation) -> Array:
        if y.ndim == 2 and y.dtype.kind in "biuf":
            outputs = self._outputs(x, preparation)
            if len(outputs) == 1 and y.shape[1] == 1 < outputs[0]:
                y = y[:, 0]
            elif y.shape[1:] == outputs and y.dtype != self._dtype:
                return y.astype(self._dtype)
        if y.ndim == 1 and y.dtype.kind == "f":
            broken = y[y != np.floor(y)]
            if len(broken) or not np.isfinite(y).all():
                got = broken[0] if len(broken) else y[~np.isfinite(y)][0]
                raise ValueError(
                    f"{type(self._loss).__name__} wants classes 0, 1, ..., got targets that are no whole numbers, for "
                    f"instance {got:g}: for numbers take a loss such as MSELoss, for classes give integers"
                )
            return y.astype(INDEX)
        return y.astype(INDEX) if y.dtype == bool else y

    def _outputs(self, x: Array, preparation: Preparation) -> tuple[int, ...]:
        """Return the shape of the outputs for one sample."""
        if self._of_sample is None:
            batch = preparation.fixed.batch(x[:1], np.arange(1), np.arange(1), 0)
            self._of_sample = evaluate(self._model, batch).shape[1:]
        return self._of_sample


def _first_layer(module: Module) -> Module | None:
    """Return the first module with parameters of its own, in the order in which x goes through them."""
    if module.own_parameters():
        return module
    children = [module.compose()] if isinstance(module, Composite) else [child for _, child in module.named_children()]
    found = (_first_layer(child) for child in children)
    return next((layer for layer in found if layer is not None), None)
