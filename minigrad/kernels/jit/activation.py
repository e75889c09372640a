"""Activations: `<name>_forward(x, ..., y)` writes y = f(x), `<name>_backward(dy, ..., x or y, dx)` dx = f'(x) dy."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from minigrad.kernels.jit._jit import jit
from minigrad.kernels.jit._math import erf, exp, expm1, log1p, tanh
from minigrad.kernels.jit._stack import SIZE, room

Array = npt.NDArray[Any]


@jit()
def relu_forward(x: Array, y: Array) -> None:
    """y = max(x, 0); NaN stays."""
    zero = x.dtype.type(0)
    for i in range(x.size):
        y[i] = zero if x[i] <= zero else x[i]


@jit()
def relu_backward(dy: Array, y: Array, dx: Array) -> None:
    """Dx = dy where y > 0."""
    zero = y.dtype.type(0)
    for i in range(y.size):
        g = dy[i]  # read in any case: a load under a condition is not packed on every machine
        dx[i] = zero if y[i] <= zero else g


@jit()
def leaky_relu_forward(x: Array, slope: float, y: Array) -> None:
    """y = x where x > 0, else slope x."""
    slope = x.dtype.type(slope)
    for i in range(x.size):
        y[i] = x[i] if x[i] > 0 else slope * x[i]


@jit()
def leaky_relu_backward(dy: Array, slope: float, x: Array, dx: Array) -> None:
    """Dx = dy where x > 0, else slope dy."""
    slope = x.dtype.type(slope)
    for i in range(x.size):
        dx[i] = dy[i] if x[i] > 0 else slope * dy[i]


@jit()
def prelu_forward(x: Array, w: Array, y: Array) -> None:
    """y = x where x > 0, else w_c x; x and y are (N, C, S)."""
    N, C, S = x.shape
    for n in range(N):
        if S == 1:  # then the loop over channels is the long one
            for c in range(C):
                y[n, c, 0] = x[n, c, 0] if x[n, c, 0] > 0 else w[c] * x[n, c, 0]
        else:
            for c in range(C):
                slope = w[c]
                for s in range(S):
                    y[n, c, s] = x[n, c, s] if x[n, c, s] > 0 else slope * x[n, c, s]


@jit()
def prelu_backward(dy: Array, w: Array, x: Array, dw: Array, dx: Array) -> None:
    """Dx = dy where x > 0, else w_c dy; dw_c += sum of x dy where x <= 0."""
    N, C, S = x.shape
    if S == 1:
        _prelu_columns_backward(dy.reshape(N, C), w, x.reshape(N, C), dw, dx.reshape(N, C))
        return
    for c in range(C):
        slope, total = w[c], 0.0
        for n in range(N):
            for s in range(S):
                v, g = x[n, c, s], dy[n, c, s]
                dx[n, c, s] = g if v > 0 else slope * g
                total += 0.0 if v > 0 else v * g
        dw[c] += x.dtype.type(total)


@jit()
def _prelu_columns_backward(dy: Array, w: Array, x: Array, dw: Array, dx: Array) -> None:
    """The same for (N, C), row by row, a block of columns at a time."""
    N, C = x.shape
    sums = room(np.float64)
    for first in range(0, C, SIZE):
        last = min(first + SIZE, C)
        slopes, totals = w[first:last], sums[: last - first]
        totals[:] = 0
        for n in range(N):
            values, given, result = x[n, first:last], dy[n, first:last], dx[n, first:last]
            for c in range(totals.size):
                v, g = values[c], given[c]
                result[c] = g if v > 0 else slopes[c] * g
                totals[c] += 0.0 if v > 0 else v * g
        for c in range(totals.size):
            dw[first + c] += x.dtype.type(totals[c])


@jit()
def elu_forward(x: Array, alpha: float, scale: float, y: Array) -> None:
    """y = scale x where x > 0, else scale alpha (exp(x) - 1)."""
    positive, negative = x.dtype.type(scale), x.dtype.type(scale * alpha)
    for i in range(x.size):
        y[i] = positive * x[i] if x[i] > 0 else negative * expm1(x[i])


@jit()
def elu_backward(dy: Array, alpha: float, scale: float, x: Array, dx: Array) -> None:
    """Dx = scale dy where x > 0, else scale alpha exp(x) dy."""
    positive, negative = x.dtype.type(scale), x.dtype.type(scale * alpha)
    for i in range(x.size):
        dx[i] = dy[i] * (positive if x[i] > 0 else negative * exp(x[i]))


@jit()
def gelu_forward(x: Array, y: Array) -> None:
    """y = x (1 + erf(x / sqrt 2)) / 2."""
    half, one, root = x.dtype.type(0.5), x.dtype.type(1), x.dtype.type(math.sqrt(0.5))
    for i in range(x.size):
        y[i] = half * x[i] * (one + erf(x[i] * root))


@jit()
def gelu_backward(dy: Array, x: Array, dx: Array) -> None:
    """Dx = (Phi(x) + x phi(x)) dy."""
    half, one, root = x.dtype.type(0.5), x.dtype.type(1), x.dtype.type(math.sqrt(0.5))
    density = x.dtype.type(1 / math.sqrt(2 * math.pi))
    for i in range(x.size):
        v = x[i]
        dx[i] = dy[i] * (half * (one + erf(v * root)) + v * density * exp(-half * v * v))


@jit()
def gelu_tanh_forward(x: Array, y: Array) -> None:
    """y = x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) / 2."""
    half, one = x.dtype.type(0.5), x.dtype.type(1)
    root, cubic = x.dtype.type(math.sqrt(2 / math.pi)), x.dtype.type(0.044715)
    for i in range(x.size):
        v = x[i]
        y[i] = half * v * (one + tanh(root * (v + cubic * v * v * v)))


@jit()
def gelu_tanh_backward(dy: Array, x: Array, dx: Array) -> None:
    """Dx = (1 + t + x (1 - t^2) sqrt(2/pi) (1 + 3 * 0.044715 x^2)) / 2 dy."""
    half, one, three = x.dtype.type(0.5), x.dtype.type(1), x.dtype.type(3)
    root, cubic = x.dtype.type(math.sqrt(2 / math.pi)), x.dtype.type(0.044715)
    for i in range(x.size):
        v = x[i]
        t = tanh(root * (v + cubic * v * v * v))
        dx[i] = dy[i] * half * (one + t + v * (one - t * t) * root * (one + three * cubic * v * v))


@jit()
def silu_forward(x: Array, y: Array) -> None:
    """y = x sigmoid(x)."""
    one = x.dtype.type(1)
    for i in range(x.size):
        y[i] = x[i] / (one + exp(-x[i]))


@jit()
def silu_backward(dy: Array, x: Array, dx: Array) -> None:
    """Dx = s (1 + x (1 - s)) dy with s = sigmoid(x)."""
    one = x.dtype.type(1)
    for i in range(x.size):
        s = one / (one + exp(-x[i]))
        dx[i] = dy[i] * s * (one + x[i] * (one - s))


@jit()
def tanh_forward(x: Array, y: Array) -> None:
    """y = tanh(x)."""
    for i in range(x.size):
        y[i] = tanh(x[i])


@jit()
def tanh_backward(dy: Array, y: Array, dx: Array) -> None:
    """Dx = (1 - y^2) dy."""
    one = y.dtype.type(1)
    for i in range(y.size):
        dx[i] = dy[i] * (one - y[i] * y[i])


@jit()
def sigmoid_forward(x: Array, y: Array) -> None:
    """y = 1 / (1 + exp(-x))."""
    one = x.dtype.type(1)
    for i in range(x.size):
        y[i] = one / (one + exp(-x[i]))


@jit()
def sigmoid_backward(dy: Array, y: Array, dx: Array) -> None:
    """Dx = y (1 - y) dy."""
    one = y.dtype.type(1)
    for i in range(y.size):
        dx[i] = dy[i] * y[i] * (one - y[i])


@jit()
def hardtanh_forward(x: Array, low: float, high: float, y: Array) -> None:
    """y = x clipped to [low, high]; NaN stays."""
    low, high = x.dtype.type(low), x.dtype.type(high)
    for i in range(x.size):
        y[i] = low if x[i] < low else (high if x[i] > high else x[i])


@jit()
def hardtanh_backward(dy: Array, low: float, high: float, x: Array, dx: Array) -> None:
    """Dx = dy where low < x < high."""
    low, high, zero = x.dtype.type(low), x.dtype.type(high), x.dtype.type(0)
    for i in range(x.size):
        g = dy[i]
        dx[i] = zero if x[i] <= low or x[i] >= high else g


@jit()
def hardswish_forward(x: Array, y: Array) -> None:
    """y = x min(max(x + 3, 0), 6) / 6."""
    three, six, zero, sixth = x.dtype.type(3), x.dtype.type(6), x.dtype.type(0), x.dtype.type(1 / 6)
    for i in range(x.size):
        z = x[i] + three
        y[i] = x[i] * (zero if z < zero else (six if z > six else z)) * sixth


@jit()
def hardswish_backward(dy: Array, x: Array, dx: Array) -> None:
    """Dx = 0 where x <= -3, dy where x >= 3, else (x / 3 + 1 / 2) dy."""
    low, high, zero = x.dtype.type(-3), x.dtype.type(3), x.dtype.type(0)
    third, half = x.dtype.type(1 / 3), x.dtype.type(0.5)
    for i in range(x.size):
        g = dy[i]
        inner = (x[i] * third + half) * g
        dx[i] = zero if x[i] <= low else (g if x[i] >= high else inner)


@jit()
def softplus_forward(x: Array, beta: float, threshold: float, y: Array) -> None:
    """y = log(1 + exp(beta x)) / beta, or x where beta x > threshold."""
    beta, threshold = x.dtype.type(beta), x.dtype.type(threshold)
    for i in range(x.size):
        z = beta * x[i]
        y[i] = x[i] if z > threshold else log1p(exp(z)) / beta


@jit()
def softplus_backward(dy: Array, beta: float, threshold: float, x: Array, dx: Array) -> None:
    """Dx = sigmoid(beta x) dy, or dy where beta x > threshold."""
    beta, threshold, one = x.dtype.type(beta), x.dtype.type(threshold), x.dtype.type(1)
    for i in range(x.size):
        z = beta * x[i]
        dx[i] = dy[i] if z > threshold else dy[i] / (one + exp(-z))
