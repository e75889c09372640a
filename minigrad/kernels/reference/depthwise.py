"""Depthwise convolution, every channel by itself. Images and tables are those of `conv`."""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def _seen_through(pixels: Array, x: Array) -> Array:
    """Return what outputs see through one tap: (P, N, C)."""
    return np.where((pixels >= 0)[:, None, None], x[pixels], x.dtype.type(0))


def depthwise_forward(x: Array, w: Array, b: Array, table: Array, y: Array) -> None:
    """y[p, n, c] = b[c] + the sum over t of x[table[p, t], n, c] w[t, c].

    x (S, N, C), w (T, C), b (C,) or empty, y (P, N, C).
    """
    y[...] = b if b.size else 0
    for t, pixels in enumerate(table.T):
        y += _seen_through(pixels, x) * w[t]


def depthwise_backward_weight(x: Array, dy: Array, table: Array, first: int, last: int, dw: Array) -> None:
    """dw[t, c] = the sum over p and n of x[table[p, t], n, c] dy[p, n, c], for the channels [first, last).

    x (S, N, C), dy (P, N, C), dw (T, C).
    """
    for t, pixels in enumerate(table.T):
        dw[t, first:last] = (_seen_through(pixels, x) * dy).sum(axis=(0, 1))[first:last]
