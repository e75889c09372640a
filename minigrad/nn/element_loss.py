"""Losses of single elements, against a target of the same shape."""

from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from minigrad import kernels
from minigrad.nn.loss import Loss
from minigrad.nn.parameter import Array, for_kernels


class _PerElement(Loss):
    """A loss of single elements against a target of the same shape. A class names its kernels and arguments."""

    kernel: str
    targets: ClassVar[Literal["any", "classes", "values"]] = "values"

    def _arguments(self, x: Array) -> tuple[Any, ...]:
        return ()

    def _forward(self, x: Array, target: Array) -> tuple[Array, Array | None, Any]:
        if target.shape != x.shape or target.dtype.kind not in "fiub":
            raise self._error(f"want a target of shape {x.shape}, got {target.dtype} {target.shape}")
        t = for_kernels(np.asarray(target, x.dtype)).reshape(-1)
        losses, arguments = np.empty_like(x), self._arguments(x)
        getattr(kernels, f"{self.kernel}_forward")(x.reshape(-1), t, *arguments, losses.reshape(-1))
        return losses, None, (x, t, arguments)

    def _backward(self, saved: Any, dlosses: Array) -> Array:
        x, t, arguments = saved
        dx: Array = np.empty_like(x)
        backward = getattr(kernels, f"{self.kernel}_backward")
        backward(x.reshape(-1), t, dlosses.reshape(-1), *arguments, dx.reshape(-1))
        return dx


class MSELoss(_PerElement):
    r"""l = (x - t)².

    Arguments:
        reduction: "mean", "sum" or "none".

    Shape:
        x, target: the same, any.

    Backward: dx = 2 (x - t) dl.

    Saved: x and t.

    >>> MSELoss()(np.array([1.0, 3.0]), [1.0, 1.0])
    2.0
    """

    kernel = "mse"


class L1Loss(_PerElement):
    r"""l = |x - t|.

    Arguments:
        reduction: "mean", "sum" or "none".

    Shape:
        x, target: the same, any.

    Backward: dx = sign(x - t) dl, 0 where x = t.

    Saved: x and t.

    >>> L1Loss()(np.array([1.0, 3.0]), [1.0, 1.0])
    1.0
    """

    kernel = "l1"


class HuberLoss(_PerElement):
    r"""l = d² / 2 where |d| < δ, else δ (|d| - δ / 2), with d = x - t.

    Arguments:
        reduction: "mean", "sum" or "none".
        delta: δ > 0.

    Shape:
        x, target: the same, any.

    Backward: dx = max(-δ, min(d, δ)) dl.

    Saved: x and t.

    >>> HuberLoss()(np.array([1.0, 4.0]), [1.0, 1.0])
    1.25
    """

    kernel = "huber"

    def __init__(self, reduction: str = "mean", delta: float = 1.0) -> None:
        super().__init__(reduction)
        if not np.isrealobj(delta):
            raise TypeError(f"HuberLoss: want a real delta, got {delta!r}")
        if delta <= 0:
            raise self._error(f"want delta > 0, got {delta}")
        self.delta = delta

    def _arguments(self, x: Array) -> tuple[float, float]:
        return self.delta, 1.0


class SmoothL1Loss(_PerElement):
    r"""l = d² / (2 β) where |d| < β, else |d| - β / 2, with d = x - t. With β = 0 the L1 loss.

    Arguments:
        reduction: "mean", "sum" or "none".
        beta: β ≥ 0.

    Shape:
        x, target: the same, any.

    Backward: dx = max(-1, min(d / β, 1)) dl.

    Saved: x and t.

    >>> SmoothL1Loss()(np.array([1.0, 4.0]), [1.0, 1.0])
    1.25
    """

    def __init__(self, reduction: str = "mean", beta: float = 1.0) -> None:
        super().__init__(reduction)
        if beta < 0:
            raise self._error(f"want beta >= 0, got {beta}")
        self.beta = beta
        self.kernel = "huber" if beta else "l1"

    def _arguments(self, x: Array) -> tuple[float, ...]:
        return (self.beta, 1 / self.beta) if self.beta else ()


class BCEWithLogitsLoss(_PerElement):
    r"""l = -w (p t log σ(x) + (1 - t) log(1 - σ(x))), with σ the sigmoid.

    Arguments:
        weight: w, of a shape that broadcasts with x. It does not count in the divisor of a mean.
        reduction: "mean", "sum" or "none".
        pos_weight: p, the weight of positive targets, of a shape that broadcasts with x.

    Shape:
        x, target: the same, any.

    Backward: (log σ)' = 1 - σ and (log(1 - σ))' = -σ, so dx = w ((1 - t) - (1 + (p - 1) t) σ(-x)) dl.

    Saved: x and t.

    >>> BCEWithLogitsLoss()(np.zeros(2), [0.0, 1.0])
    0.6931471805599453
    """

    weight: Array | Any
    pos_weight: Array | Any

    kernel = "bce_with_logits"

    def __init__(
        self,
        weight: npt.ArrayLike | None = None,
        reduction: str = "mean",
        pos_weight: npt.ArrayLike | None = None,
    ) -> None:
        super().__init__(reduction)
        self.weight = None if weight is None else np.asarray(weight)
        self.pos_weight = None if pos_weight is None else np.asarray(pos_weight)

    def _like(self, name: str, value: Array | None, x: Array) -> Array:
        try:
            return np.array(np.broadcast_to(1.0 if value is None else value, x.shape), x.dtype)
        except ValueError as error:
            raise self._error(f"want a {name} that broadcasts with {x.shape}: {error}") from None

    def _arguments(self, x: Array) -> tuple[Array, Array]:
        return (
            self._like("weight", self.weight, x).reshape(-1),
            self._like("pos_weight", self.pos_weight, x).reshape(-1),
        )
