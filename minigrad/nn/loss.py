"""Loss: what every loss is. `value = loss(output, target)`, `doutput = loss.backward()`."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, Literal, NamedTuple, final

import numpy as np
import numpy.typing as npt

from minigrad.nn.module import FLOATS
from minigrad.nn.parameter import Array, for_kernels
from minigrad.nn.recording import SavedStack, is_recording, note_failure

Value = float | Array


class Measured(NamedTuple):
    """What a loss says of a batch.

    Arguments:
        value: the loss, as `loss(x, target)` returns it.
        total: Σ s_i l_i, of which means over several batches are made: the totals' sum over that of the weights.
        weight: what belongs to it: Σ s_i w_i for "mean"; for "sum" and "none" the number of samples.
        pullback: `dvalue -> dx`.
    """

    value: Value
    total: float
    weight: float
    pullback: Callable[..., Array]


class Loss(ABC):
    r"""A number that says how far an output is from its target, and its gradient.

    With losses l_i, the class's own weights w_i (1 where it has none) and sample weights s_i:
    "sum" is Σ s_i l_i, "mean" is Σ s_i l_i / Σ s_i w_i, "none" is the array s_i l_i. A mean over nothing (all targets
    ignored, all weights 0) is NaN, as in PyTorch, and its gradient is 0.

    The author of a loss writes `_forward(x, target) -> (losses, weights, saved)` (weights None for ones) and
    `_backward(saved, dlosses) -> dx`.

    Arguments:
        reduction: "mean", "sum" or "none".
    """

    targets: ClassVar[Literal["any", "classes", "values"]] = "any"
    """What a Trainer makes of targets: integers that number classes, floats of the outputs' shape, or nothing."""

    def __init__(self, reduction: str = "mean") -> None:
        if reduction not in ("mean", "sum", "none"):
            raise ValueError(f"{type(self).__name__}: want reduction 'mean', 'sum' or 'none', got {reduction!r}")
        self.reduction = reduction
        self._saved = SavedStack()

    @abstractmethod
    def _forward(self, x: Array, target: Array, /) -> tuple[Array, Array | None, Any]:
        """Return the losses, their weights in a mean, and what `_backward` needs."""

    @abstractmethod
    def _backward(self, saved: Any, dlosses: Array, /) -> Array:
        """Return the gradient with respect to x."""

    @final
    def __call__(self, x: Array, target: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None) -> Value:
        """Return the loss: a float, or an array where the reduction is "none".

        Arguments:
            x: the model's output.
            target: what it should be.
            sample_weight: a weight for each sample, (N,).
        """
        try:
            value, _, _, saved = self._evaluate(x, target, sample_weight)
        except Exception:
            note_failure(x)
            raise
        if is_recording():
            self._saved.push(type(self).__name__, x, saved)
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
        measured = self.measure(x, target, sample_weight)
        return measured.value, measured.pullback

    @final
    def measure(self, x: Array, target: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None) -> Measured:
        """Return the loss, the two sums that means over several batches are made of, and its pullback.

        >>> from minigrad import nn
        >>> loss = nn.CrossEntropyLoss(weight=[1.0, 3.0])
        >>> measured = loss.measure(np.zeros((3, 2)), [0, 1, -100])
        >>> measured.weight, measured.value == measured.total / measured.weight
        (4.0, True)
        """
        value, total, weight, saved = self._evaluate(x, target, sample_weight)
        return Measured(value, total, weight, lambda dvalue=1.0: self._pull(saved, dvalue))

    def counted(self, target: Array) -> Array | None:
        """Return which samples count, (N,) booleans; None for all of them. Metrics leave the others out."""
        return None

    def _evaluate(
        self, x: Array, target: npt.ArrayLike, sample_weight: npt.ArrayLike | None
    ) -> tuple[Value, float, float, Any]:
        if not isinstance(x, np.ndarray) or x.dtype not in FLOATS or x.size == 0:
            got = f"{x.dtype} {x.shape}" if isinstance(x, np.ndarray) else type(x).__name__
            raise self._error(f"want a non-empty float32 or float64 array, got {got}")
        losses, weights, saved = self._forward(for_kernels(x), np.asarray(target))
        factor: Any = 1.0
        if sample_weight is not None:
            factor = self._sample_factor(sample_weight, losses)
            losses = losses * factor
        total, samples = float(losses.sum(dtype=np.float64)), float(len(losses) if losses.ndim else 1)
        if self.reduction == "none":
            return losses.copy(), total, samples, (saved, losses, factor)
        if self.reduction == "sum":
            return total, total, samples, (saved, losses, factor)
        weight = self._weight(losses, weights, factor)
        if not weight:
            return math.nan, total, 0.0, (saved, losses, 0.0)
        return total / weight, total, weight, (saved, losses, factor / weight)

    @staticmethod
    def _weight(losses: Array, weights: Array | None, factor: Any) -> float:
        """Return what the mean divides by."""
        if weights is None:  # each sample's factor holds for all its elements
            return losses.size * float(np.mean(factor, dtype=np.float64))
        return float(np.sum(weights * factor, dtype=np.float64))

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
