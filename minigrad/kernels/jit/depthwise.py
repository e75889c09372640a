"""Depthwise convolution, every channel by itself. Images and tables are those of `conv`.

The channels of an image's pixel are multiplied with those of a tap's weights, vector by vector, and added in registers:
of some outputs side by side in the forward, so that each weight is read once for all of them, and of some taps in the
gradient of the weights, so that dy is. Channels that do not fill a vector go one by one.
"""

from typing import Any

import numpy.typing as npt

from minigrad.kernels.jit._jit import jit
from minigrad.kernels.jit._lanes import tap_products, weighted_taps
from minigrad.kernels.jit._tile import VECTOR_BYTES, at, scratch

Array = npt.NDArray[Any]

OUTPUTS, TAPS, WIDE = 4, 5, 2  # outputs or taps at a time, and vectors of channels
BLOCK = 64  # outputs whose part in the gradient of the weights is taken at a time, so that they stay in the cache


@jit()
def depthwise_forward(x: Array, w: Array, b: Array, table: Array, y: Array) -> None:
    """y[p, n, c] = b[c] + the sum over t of x[table[p, t], n, c] w[t, c].

    x (S, N, C), w (T, C), b (C,) or empty, y (P, N, C).
    """
    (P, T), (_, N, C), lanes = table.shape, x.shape, VECTOR_BYTES // x.itemsize
    shift, zero, whole = b.reshape(1, b.size), scratch(1, x.dtype), C // lanes * lanes
    zero[:] = 0
    for p in range(0, P, OUTPUTS):
        seen, target = at(table, p, 0), y[p : p + OUTPUTS]
        for n in range(N):
            c = 0
            while c < whole:
                start = at(shift, 0, c) if b.size else at(zero, 0, 0)
                if c + WIDE * lanes <= whole:
                    weighted_taps(OUTPUTS, WIDE, start, at(x, n, c), at(w, 0, c), zero, seen, at(target, n, c))
                    c += WIDE * lanes
                else:
                    weighted_taps(OUTPUTS, 1, start, at(x, n, c), at(w, 0, c), zero, seen, at(target, n, c))
                    c += lanes
            for c in range(whole, C):
                for i in range(len(target)):
                    target[i, n, c] = b[c] if b.size else 0
                    for t in range(T):
                        if table[p + i, t] >= 0:
                            target[i, n, c] += x[table[p + i, t], n, c] * w[t, c]


@jit()
def depthwise_backward_weight(x: Array, dy: Array, table: Array, first: int, last: int, dw: Array) -> None:
    """dw[t, c] = the sum over p and n of x[table[p, t], n, c] dy[p, n, c], for the channels [first, last).

    x (S, N, C), dy (P, N, C), dw (T, C).
    """
    (P, T), N, lanes = table.shape, x.shape[1], VECTOR_BYTES // x.itemsize
    zero, whole = scratch(1, x.dtype), first + (last - first) // lanes * lanes
    zero[:] = 0
    dw[:, first:last] = 0
    for p in range(0, P, BLOCK):
        rows, given = table[p : p + BLOCK], dy[p : p + BLOCK]
        for t in range(0, T, TAPS):
            seen, c = at(rows, 0, t), first
            while c < whole:
                if c + WIDE * lanes <= whole:
                    tap_products(TAPS, WIDE, at(x, 0, c), at(given, 0, c), zero, seen, at(dw, t, c))
                    c += WIDE * lanes
                else:
                    tap_products(TAPS, 1, at(x, 0, c), at(given, 0, c), zero, seen, at(dw, t, c))
                    c += lanes
        for c in range(whole, last):
            for t in range(T):
                for i in range(len(rows)):
                    if rows[i, t] >= 0:
                        for n in range(N):
                            dw[t, c] += x[rows[i, t], n, c] * given[i, n, c]
