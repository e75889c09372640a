"""What else looks at an image through windows: pooling, interpolation, padding. Images and tables as in `conv`.

The images and channels of a pixel lie side by side, so every loop runs over all of them.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from minigrad.kernels.jit._jit import jit

Array = npt.NDArray[Any]


@jit()
def max_pool_forward(x: Array, table: Array, index: Array, y: Array) -> None:
    """y[p, n, c] = the largest of x[table[p], n, c], NaN before all; its tap goes to index, the first of equal ones.

    x (S, N, C), index and y (P, N, C). A window that sees nothing gives -inf.
    """
    P, T = table.shape
    for p in range(P):
        best, taps = y[p].reshape(-1), index[p].reshape(-1)
        start = 0
        while start < T and table[p, start] < 0:
            start += 1
        best[:], taps[:] = -np.inf, start % T
        for t in range(start, T):
            if table[p, t] >= 0:
                values = x[table[p, t]].reshape(-1)
                for j in range(best.size):
                    is_larger = values[j] > best[j] or np.isnan(values[j])
                    best[j] = values[j] if is_larger else best[j]
                    taps[j] = t if is_larger else taps[j]


@jit()
def max_pool_backward(dy: Array, index: Array, table: Array, dx: Array) -> None:
    """Dx[s, n, c] = the sum of dy[p, n, c] over all t with index[p, n, c] = t, p being table[s, t].

    The table says which output sees a pixel through a tap; dy and index (P, N, C), table (S, T), dx (S, N, C).
    """
    zero = dx.dtype.type(0)
    for s in range(len(table)):
        target = dx[s].reshape(-1)
        target[:] = 0
        for t in range(table.shape[1]):
            if table[s, t] >= 0:
                values, taps = dy[table[s, t]].reshape(-1), index[table[s, t]].reshape(-1)
                for j in range(target.size):
                    target[j] += values[j] if taps[j] == t else zero


@jit()
def window_sums(x: Array, table: Array, weight: Array, y: Array) -> None:
    """y[p, n, c] = the sum over t of weight[p, t] x[table[p, t], n, c]; x (S, N, C), weight (P, T), y (P, N, C)."""
    for p in range(len(table)):
        target = y[p].reshape(-1)
        target[:] = 0
        for t in range(table.shape[1]):
            if table[p, t] >= 0:
                values, factor = x[table[p, t]].reshape(-1), weight[p, t]
                for j in range(target.size):
                    target[j] += factor * values[j]


@jit()
def scale_channels(x: Array, factor: Array, y: Array) -> None:
    """y[s, n, c] = x[s, n, c] factor[n, c]; x and y are (S, N, C)."""
    factors = factor.reshape(-1)
    for s in range(len(x)):
        values, target = x[s].reshape(-1), y[s].reshape(-1)
        for j in range(target.size):
            target[j] = values[j] * factors[j]
