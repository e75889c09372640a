"""Losses of single elements: `<name>_forward(x, t, ..., losses)` and `<name>_backward(x, t, dlosses, ..., dx)`."""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def mse_forward(x: Array, t: Array, losses: Array) -> None:
    """(x - t)^2."""
    losses[...] = (x - t) ** 2


def mse_backward(x: Array, t: Array, dlosses: Array, dx: Array) -> None:
    """2 (x - t)."""
    dx[...] = 2 * (x - t) * dlosses


def l1_forward(x: Array, t: Array, losses: Array) -> None:
    """|x - t|."""
    losses[...] = np.abs(x - t)


def l1_backward(x: Array, t: Array, dlosses: Array, dx: Array) -> None:
    """sign(x - t), 0 at 0."""
    dx[...] = np.sign(x - t) * dlosses


def huber_forward(x: Array, t: Array, delta: float, scale: float, losses: Array) -> None:
    """Scale times d^2 / 2 where |d| < delta, else delta (|d| - delta / 2); d = x - t."""
    d = np.abs(x - t)
    losses[...] = scale * np.where(d < delta, 0.5 * d * d, delta * (d - 0.5 * delta))


def huber_backward(x: Array, t: Array, dlosses: Array, delta: float, scale: float, dx: Array) -> None:
    """Scale times d where |d| < delta, else delta sign(d); d = x - t."""
    dx[...] = scale * np.clip(x - t, -delta, delta) * dlosses


def bce_with_logits_forward(x: Array, t: Array, weight: Array, positive: Array, losses: Array) -> None:
    """-weight (positive t log(sigmoid(x)) + (1 - t) log(1 - sigmoid(x))), without overflow."""
    softplus = np.log1p(np.exp(-np.abs(x))) + np.maximum(-x, 0)
    losses[...] = weight * ((1 - t) * x + (1 + (positive - 1) * t) * softplus)


def bce_with_logits_backward(x: Array, t: Array, dlosses: Array, weight: Array, positive: Array, dx: Array) -> None:
    """weight ((1 - t) - (1 + (positive - 1) t) sigmoid(-x))."""
    z = np.exp(-np.abs(x))
    sigmoid = np.where(x >= 0, z, 1) / (1 + z)
    dx[...] = weight * ((1 - t) - (1 + (positive - 1) * t) * sigmoid) * dlosses
