"""Convolution, by a table of what each window sees.

Images lie pixel by pixel, channels last: (S, N, C) for S pixels of N images. `table` (P, T) holds the pixel that output
p sees through tap t of its window, -1 where that lies outside of the image and counts as 0.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from minigrad.kernels.reference._seen import seen

Array = npt.NDArray[Any]


def _seen_by_group(x: Array, table: Array, groups: int) -> Array:
    """Return the same as one matrix for each group of channels: (G, P N, T C / G)."""
    P, T = table.shape
    _, N, C = x.shape
    by_group = seen(x, table).reshape(P, T, N, groups, C // groups)
    return by_group.transpose(3, 0, 2, 1, 4).reshape(groups, P * N, T * (C // groups))


def conv_forward(x: Array, w: Array, b: Array, table: Array, add: bool, y: Array) -> None:
    """y[p, n, g Kg + k] = b[g Kg + k] + the sum over t and c of x[table[p, t], n, g Cg + c] w[g, t Cg + c, k].

    x (S, N, C), w (G, T Cg, Kg) of G groups of channels, Cg = C / G and Kg = K / G; b (K,) or empty, y (P, N, K). With
    `add` it is added to y, without b.
    """
    sums = _seen_by_group(x, table, len(w)) @ w
    y[...] = np.moveaxis(sums, 0, 1).reshape(y.shape) + (y if add else b if b.size else 0)


def conv_backward_weight(x: Array, dy: Array, table: Array, first: int, last: int, dw: Array) -> None:
    """dw[i, g, t Cg + c, k] = the sum over p in part i and n of x[table[p, t], n, g Cg + c] dy[p, n, g Kg + k].

    That for the rows [first, last) of all groups of all parts; x (S, N, C), dy (P, N, K), dw (parts, G, T Cg, Kg).
    """
    (parts, G, _, Kg), P = dw.shape, len(dy)
    sums = np.empty_like(dw)
    for i in range(parts):
        part = slice(i * P // parts, (i + 1) * P // parts)
        rows = np.moveaxis(dy[part].reshape(-1, G, Kg), 1, 0)
        sums[i] = _seen_by_group(x, table[part], G).swapaxes(1, 2) @ rows
    dw.reshape(-1, Kg)[first:last] = sums.reshape(-1, Kg)[first:last]


def conv_weight_gradient(dw: Array, first: int, last: int, target: Array) -> None:
    """target[g Kg + k, c, t] = the sum over parts i of dw[i, g, t Cg + c, k]: the gradient in the form of the weights.

    That for the channels [first, last), which are the Cg of all groups; dw (parts, G, T Cg, Kg), target (G Kg, Cg, T).
    """
    G, (_, C, T) = dw.shape[1], target.shape
    by_tap = dw.sum(axis=0).reshape(G, T, C, -1)
    by_group = target.reshape(G, -1, C, T)
    for channel in range(first, last):
        g, c = divmod(channel, C)
        by_group[g, :, c] = by_tap[g, :, c].T
