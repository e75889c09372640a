"""Losses of single elements: `<name>_forward(x, t, ..., losses)` and `<name>_backward(x, t, dlosses, ..., dx)`."""

from typing import Any

import numpy.typing as npt

from minigrad.kernels.jit._jit import jit
from minigrad.kernels.jit._math import exp, log1p

Array = npt.NDArray[Any]


@jit()
def mse_forward(x: Array, t: Array, losses: Array) -> None:
    """(x - t)^2."""
    for i in range(x.size):
        losses[i] = (x[i] - t[i]) * (x[i] - t[i])


@jit()
def mse_backward(x: Array, t: Array, dlosses: Array, dx: Array) -> None:
    """2 (x - t)."""
    two = x.dtype.type(2)
    for i in range(x.size):
        dx[i] = two * (x[i] - t[i]) * dlosses[i]


@jit()
def l1_forward(x: Array, t: Array, losses: Array) -> None:
    """|x - t|."""
    for i in range(x.size):
        losses[i] = abs(x[i] - t[i])


@jit()
def l1_backward(x: Array, t: Array, dlosses: Array, dx: Array) -> None:
    """sign(x - t), 0 at 0."""
    for i in range(x.size):
        d = x[i] - t[i]
        dx[i] = dlosses[i] if d > 0 else (-dlosses[i] if d < 0 else d * dlosses[i])


@jit()
def huber_forward(x: Array, t: Array, delta: float, scale: float, losses: Array) -> None:
    """Scale times d^2 / 2 where |d| < delta, else delta (|d| - delta / 2); d = x - t."""
    half, bound, factor = x.dtype.type(0.5), x.dtype.type(delta), x.dtype.type(scale)
    for i in range(x.size):
        d = abs(x[i] - t[i])
        losses[i] = factor * (half * d * d if d < bound else bound * (d - half * bound))


@jit()
def huber_backward(x: Array, t: Array, dlosses: Array, delta: float, scale: float, dx: Array) -> None:
    """Scale times d where |d| < delta, else delta sign(d); d = x - t."""
    bound, factor = x.dtype.type(delta), x.dtype.type(scale)
    for i in range(x.size):
        d = x[i] - t[i]
        dx[i] = factor * dlosses[i] * (bound if d > bound else (-bound if d < -bound else d))


@jit()
def bce_with_logits_forward(x: Array, t: Array, weight: Array, positive: Array, losses: Array) -> None:
    """-weight (positive t log(sigmoid(x)) + (1 - t) log(1 - sigmoid(x))), without overflow."""
    one, zero = x.dtype.type(1), x.dtype.type(0)
    for i in range(x.size):
        softplus = log1p(exp(-abs(x[i]))) + (-x[i] if x[i] < zero else zero)
        losses[i] = weight[i] * ((one - t[i]) * x[i] + (one + (positive[i] - one) * t[i]) * softplus)


@jit()
def bce_with_logits_backward(x: Array, t: Array, dlosses: Array, weight: Array, positive: Array, dx: Array) -> None:
    """weight ((1 - t) - (1 + (positive - 1) t) sigmoid(-x))."""
    one = x.dtype.type(1)
    for i in range(x.size):
        sigmoid = one / (one + exp(x[i]))
        dx[i] = weight[i] * ((one - t[i]) - (one + (positive[i] - one) * t[i]) * sigmoid) * dlosses[i]
