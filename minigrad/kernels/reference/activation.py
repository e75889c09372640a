"""Activations: `<name>_forward(x, ..., y)` writes y = f(x), `<name>_backward(dy, ..., x or y, dx)` dx = f'(x) dy."""

from math import erf, pi, sqrt
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
_erf = np.vectorize(erf, otypes=[np.float64])


def relu_forward(x: Array, y: Array) -> None:
    """y = max(x, 0); NaN stays."""
    y[...] = np.where(x <= 0, 0, x)


def relu_backward(dy: Array, y: Array, dx: Array) -> None:
    """Dx = dy where y > 0."""
    dx[...] = np.where(y <= 0, 0, dy)


def leaky_relu_forward(x: Array, slope: float, y: Array) -> None:
    """y = x where x > 0, else slope x."""
    y[...] = np.where(x > 0, x, slope * x)


def leaky_relu_backward(dy: Array, slope: float, x: Array, dx: Array) -> None:
    """Dx = dy where x > 0, else slope dy."""
    dx[...] = np.where(x > 0, dy, slope * dy)


def prelu_forward(x: Array, w: Array, y: Array) -> None:
    """y = x where x > 0, else w_c x; x and y are (N, C, S)."""
    y[...] = np.where(x > 0, x, w[:, None] * x)


def prelu_backward(dy: Array, w: Array, x: Array, dw: Array, dx: Array) -> None:
    """Dx = dy where x > 0, else w_c dy; dw_c += sum of x dy where x <= 0."""
    dw += np.where(x > 0, 0, x * dy).sum(axis=(0, 2), dtype=np.float64).astype(dw.dtype)
    dx[...] = np.where(x > 0, dy, w[:, None] * dy)


def elu_forward(x: Array, alpha: float, scale: float, y: Array) -> None:
    """y = scale x where x > 0, else scale alpha (exp(x) - 1)."""
    y[...] = scale * np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def elu_backward(dy: Array, alpha: float, scale: float, x: Array, dx: Array) -> None:
    """Dx = scale dy where x > 0, else scale alpha exp(x) dy."""
    dx[...] = scale * np.where(x > 0, dy, alpha * np.exp(np.minimum(x, 0)) * dy)


def gelu_forward(x: Array, y: Array) -> None:
    """y = x (1 + erf(x / sqrt 2)) / 2."""
    y[...] = 0.5 * x * (1 + _erf(x * sqrt(0.5)))


def gelu_backward(dy: Array, x: Array, dx: Array) -> None:
    """Dx = (Phi(x) + x phi(x)) dy."""
    density = np.exp(-0.5 * x * x) / sqrt(2 * pi)
    dx[...] = dy * (0.5 * (1 + _erf(x * sqrt(0.5))) + x * density)


def gelu_tanh_forward(x: Array, y: Array) -> None:
    """y = x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) / 2."""
    y[...] = 0.5 * x * (1 + np.tanh(sqrt(2 / pi) * (x + 0.044715 * x * x * x)))


def gelu_tanh_backward(dy: Array, x: Array, dx: Array) -> None:
    """Dx = (1 + t + x (1 - t^2) sqrt(2/pi) (1 + 3 * 0.044715 x^2)) / 2 dy."""
    t = np.tanh(sqrt(2 / pi) * (x + 0.044715 * x * x * x))
    inner = sqrt(2 / pi) * (1 + 3 * 0.044715 * x * x)
    dx[...] = dy * 0.5 * (1 + t + x * (1 - t * t) * inner)


def _sigmoid(x: Array) -> Array:
    z = np.exp(-np.abs(x))
    sigmoid: Array = np.where(x >= 0, 1, z) / (1 + z)
    return sigmoid


def silu_forward(x: Array, y: Array) -> None:
    """y = x sigmoid(x)."""
    y[...] = x * _sigmoid(x)


def silu_backward(dy: Array, x: Array, dx: Array) -> None:
    """Dx = s (1 + x (1 - s)) dy with s = sigmoid(x)."""
    s = _sigmoid(x)
    dx[...] = dy * s * (1 + x * (1 - s))


def tanh_forward(x: Array, y: Array) -> None:
    """y = tanh(x)."""
    np.tanh(x, out=y)


def tanh_backward(dy: Array, y: Array, dx: Array) -> None:
    """Dx = (1 - y^2) dy."""
    dx[...] = dy * (1 - y * y)


def sigmoid_forward(x: Array, y: Array) -> None:
    """y = 1 / (1 + exp(-x))."""
    y[...] = _sigmoid(x)


def sigmoid_backward(dy: Array, y: Array, dx: Array) -> None:
    """Dx = y (1 - y) dy."""
    dx[...] = dy * y * (1 - y)


def hardtanh_forward(x: Array, low: float, high: float, y: Array) -> None:
    """y = x clipped to [low, high]; NaN stays."""
    np.clip(x, low, high, out=y)


def hardtanh_backward(dy: Array, low: float, high: float, x: Array, dx: Array) -> None:
    """Dx = dy where low < x < high."""
    dx[...] = np.where((x <= low) | (x >= high), 0, dy)


def hardswish_forward(x: Array, y: Array) -> None:
    """y = x min(max(x + 3, 0), 6) / 6."""
    y[...] = x * np.clip(x + 3, 0, 6) / 6


def hardswish_backward(dy: Array, x: Array, dx: Array) -> None:
    """Dx = 0 where x <= -3, dy where x >= 3, else (x / 3 + 1 / 2) dy."""
    dx[...] = np.where(x <= -3, 0, np.where(x >= 3, dy, (x / 3 + 0.5) * dy))


def softplus_forward(x: Array, beta: float, threshold: float, y: Array) -> None:
    """y = log(1 + exp(beta x)) / beta, or x where beta x > threshold."""
    z = beta * x
    y[...] = np.where(z > threshold, x, np.log1p(np.exp(np.minimum(z, threshold))) / beta)


def softplus_backward(dy: Array, beta: float, threshold: float, x: Array, dx: Array) -> None:
    """Dx = sigmoid(beta x) dy, or dy where beta x > threshold."""
    z = beta * x
    dx[...] = np.where(z > threshold, dy, dy * _sigmoid(z))
