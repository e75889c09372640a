"""Convolution, and what else looks at an image through windows, by a table of what each window sees.

Images lie with their channels last: (N, S, C) for S pixels. `table` (P, T) holds the pixel that output p sees through
tap t of its window, -1 where that lies outside of the image and counts as 0.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def _seen(x: Array, table: Array) -> Array:
    """Return what each output sees through each tap: (N, P, T, C)."""
    return np.where(table[..., None] >= 0, x[:, table], 0)


def _seen_by_group(x: Array, table: Array, groups: int) -> Array:
    """Return the same as one matrix for each group of channels: (G, N P, T C / G)."""
    N, _, C = x.shape
    P, T = table.shape
    seen = _seen(x, table).reshape(N * P, T, groups, C // groups)
    return np.moveaxis(seen, 2, 0).reshape(groups, N * P, T * (C // groups))


def conv_forward(x: Array, w: Array, b: Array, table: Array, y: Array) -> None:
    """y[n, p, g Kg + k] = b[g Kg + k] + the sum over t and c of x[n, table[p, t], g Cg + c] w[g, t Cg + c, k].

    x (N, S, C), w (G, T Cg, Kg) of G groups of channels, Cg = C / G and Kg = K / G; b (K,) or empty, y (N, P, K).
    """
    sums = _seen_by_group(x, table, len(w)) @ w
    y[...] = np.moveaxis(sums, 0, 1).reshape(y.shape) + (b if b.size else 0)


def conv_backward_weight(x: Array, dy: Array, table: Array, first: int, last: int, dw: Array) -> None:
    """dw[g, t Cg + c, k] = the sum over n and p of x[n, table[p, t], g Cg + c] dy[n, p, g Kg + k].

    That for the rows [first, last) of all groups; x (N, S, C), dy (N, P, K), dw (G, T Cg, Kg).
    """
    G, D, Kg = dw.shape
    rows = np.moveaxis(dy.reshape(-1, G, Kg), 1, 0)
    sums = _seen_by_group(x, table, G).swapaxes(1, 2) @ rows
    dw.reshape(G * D, Kg)[first:last] = sums.reshape(G * D, Kg)[first:last]


def max_pool_forward(x: Array, table: Array, index: Array, y: Array) -> None:
    """y[n, p, c] = the largest of x[n, table[p], c], NaN before all; its tap goes to index, the first of equal ones.

    x (N, S, C), index and y (N, P, C). A window that sees nothing gives -inf.
    """
    y[...], index[...] = -np.inf, 0
    index[...] = np.argmax(table >= 0, axis=1)[:, None]
    for t, pixels in enumerate(table.T):
        values, inside = x[:, pixels], (pixels >= 0)[:, None]
        is_larger = inside & ((values > y) | np.isnan(values))
        y[is_larger], index[is_larger] = values[is_larger], t


def max_pool_backward(dy: Array, index: Array, table: Array, dx: Array) -> None:
    """Dx[n, table[p, index[n, p, c]], c] = the sum of those dy[n, p, c]."""
    N, P, C = dy.shape
    pixels = table[np.arange(P)[:, None], index]
    n, c = np.arange(N)[:, None, None], np.arange(C)
    dx[...] = 0
    np.add.at(dx, (n, np.maximum(pixels, 0), c), np.where(pixels >= 0, dy, 0))


def window_forward(x: Array, table: Array, weight: Array, y: Array) -> None:
    """y[n, p, c] = the sum over t of weight[p, t] x[n, table[p, t], c]; x (N, S, C), weight (P, T), y (N, P, C)."""
    y[...] = (weight[..., None] * _seen(x, table)).sum(axis=2)


def window_backward(dy: Array, table: Array, weight: Array, dx: Array) -> None:
    """Dx[n, s, c] = the sum of weight[p, t] dy[n, p, c] over all p and t where table[p, t] is s."""
    dx[...] = 0
    for t, pixels in enumerate(table.T):
        inside = pixels >= 0
        part = weight[inside, t, None] * dy[:, inside]
        np.add.at(dx.swapaxes(0, 1), pixels[inside], part.swapaxes(0, 1))


def scale_channels(x: Array, factor: Array, y: Array) -> None:
    """y[n, s, c] = x[n, s, c] factor[n, c]; x and y are (N, S, C)."""
    y[...] = x * factor[:, None]
