"""Loss: what every loss is. `value = loss(output, target)`, `doutput = loss.backward()`."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, final

import numpy as np
import numpy.typing as npt

from minigrad.nn.module import FLOATS
from minigrad.nn.parameter import Array, for_kernels
from minigrad.nn.recording import SavedStack, is_recording

Value = float | Array


class Loss(ABC):
    r"""A number that says how far an output is from its target, and its gradient.

    With losses l_i, the class's own weights w_i (1 where it has none) and sample weights s_i:
    "sum" is Σ s_i l_i, "mean" is Σ s_i l_i / Σ s_i w_i, "none" is the array s_i l_i.

    The author of a loss writes `_forward(x, target) -> (losses, weights, saved)` (weights None for ones) and
    `_backward(saved, dlosses) -> dx`.

    Arguments:
        reduction: "mean", "sum" or "none".
    """

    def __init__(self, reduction: str = "mean") -> None:
        if reduction not in ("mean", "sum", "none"):
            raise ValueError(f"{type(self).__name__}: want reduction 'mean', 'sum' or 'none', got {reduction!r}")
        self.reduction = reduction
        self._saved = SavedStack()

    @abstractmethod
    def _forward(self, x: Array, target: Array) -> tuple[Array, Array | None, Any]:
        """Return the losses, their weights in a mean, and what `_backward` needs."""

    @abstractmethod
    def _backward(self, saved: Any, dlosses: Array) -> Array:
        """Return the gradient with respect to x."""

    @final
    def __call__(self, x: Array, target: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None) -> Value:
        """Return the loss: a float, or an array where the reduction is "none".

        Arguments:
            x: the model's output.
            target: what it should be.
            sample_weight: a weight for each sample, (N,).
        """
        value, saved = self._evaluate(x, target, sample_weight)
        if is_recording():
            self._saved.push(type(self).__name__, saved)
        return value

    @final
    def backward(self, dvalue: float | Array = 1.0) -> Array:
        """Return the gradient of the last loss with respect to x, times `dvalue` (an array for "none")."""
        dx = self._pull(self._saved.last(type(self).__name__), dvalue)
        self._saved.pop()
        return dx

    @final
    def vjp(
        self, x: Array, target: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None
    ) -> tuple[Value, Callable[..., Array]]:
        """Return the loss and its pullback `dvalue -> dx`."""
        value, saved = self._evaluate(x, target, sample_weight)
        return value, lambda dvalue=1.0: self._pull(saved, dvalue)

    def _evaluate(self, x: Array, target: npt.ArrayLike, sample_weight: npt.ArrayLike | None) -> tuple[Value, Any]:
        if not isinstance(x, np.ndarray) or x.dtype not in FLOATS or x.size == 0:
            got = f"{x.dtype} {x.shape}" if isinstance(x, np.ndarray) else type(x).__name__
            raise self._error(f"want a non-empty float32 or float64 array, got {got}")
        losses, weights, saved = self._forward(for_kernels(x), np.asarray(target))
        factor: Any = 1.0
        if sample_weight is not None:
            factor = self._sample_factor(sample_weight, losses)
            losses = losses * factor
        if self.reduction == "none":
            return losses.copy(), (saved, losses, factor)
        total = float(losses.sum(dtype=np.float64))
        if self.reduction == "mean":
            count = self._count(losses, weights, factor)
            total, factor = total / count, factor / count
        return total, (saved, losses, factor)

    @staticmethod
    def _count(losses: Array, weights: Array | None, factor: Any) -> float:
        """Return the divisor of the mean; NaN where everything is ignored, as in PyTorch."""
        if weights is None:  # each sample's factor holds for all its elements
            count = losses.size * float(np.mean(factor, dtype=np.float64))
        else:
            count = float(np.sum(weights * factor, dtype=np.float64))
        return count or math.nan

    def _pull(self, saved: Any, dvalue: float | Array) -> Array:
        inner, losses, factor = saved
        if np.ndim(dvalue) and np.shape(dvalue) != losses.shape:
            raise self._error(f"backward wants a cotangent of shape {losses.shape}, got {np.shape(dvalue)}")
        dlosses = np.empty_like(losses)
        dlosses[...] = factor * dvalue
        return self._backward(inner, dlosses)

    def _sample_factor(self, sample_weight: npt.ArrayLike, losses: Array) -> Array:
        factor = np.asarray(sample_weight, losses.dtype)
        if losses.ndim == 0 or factor.shape != losses.shape[:1]:
            raise self._error(f"want one sample weight for each of {losses.shape[:1]}, got {factor.shape}")
        return factor.reshape(-1, *[1] * (losses.ndim - 1))

    def _error(self, message: str) -> ValueError:
        return ValueError(f"{type(self).__name__}: {message}")

    def __repr__(self) -> str:
        shown = (f"{name}={value!r}" for name, value in vars(self).items() if not name.startswith("_"))
        return f"{type(self).__name__}({', '.join(shown)})"
