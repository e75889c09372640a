"""What else looks at an image through windows: pooling, interpolation, padding. Images and tables as in `conv`."""

from typing import Any

import numpy as np
import numpy.typing as npt

from minigrad.kernels.reference._seen import seen

Array = npt.NDArray[Any]


def max_pool_forward(x: Array, table: Array, index: Array, y: Array) -> None:
    """y[p, n, c] = the largest of x[table[p], n, c], NaN before all; its tap goes to index, the first of equal ones.

    x (S, N, C), index and y (P, N, C). A window that sees nothing gives -inf.
    """
    y[...], index[...] = -np.inf, np.argmax(table >= 0, axis=1)[:, None, None]
    for t, pixels in enumerate(table.T):
        values = x[pixels]
        is_larger = (pixels >= 0)[:, None, None] & ((values > y) | np.isnan(values))
        y[is_larger], index[is_larger] = values[is_larger], t


def max_pool_backward(dy: Array, index: Array, table: Array, dx: Array) -> None:
    """Dx[s, n, c] = the sum of dy[p, n, c] over all t with index[p, n, c] = t, p being table[s, t].

    The table says which output sees a pixel through a tap; dy and index (P, N, C), table (S, T), dx (S, N, C).
    """
    dx[...] = 0
    for t, outputs in enumerate(table.T):
        has_given = (outputs >= 0)[:, None, None] & (index[outputs] == t)
        dx += np.where(has_given, dy[outputs], 0)


def window_sums(x: Array, table: Array, weight: Array, y: Array) -> None:
    """y[p, n, c] = the sum over t of weight[p, t] x[table[p, t], n, c]; x (S, N, C), weight (P, T), y (P, N, C)."""
    y[...] = (weight[..., None, None] * seen(x, table)).sum(axis=1)


def scale_channels(x: Array, factor: Array, y: Array) -> None:
    """y[s, n, c] = x[s, n, c] factor[n, c]; x and y are (S, N, C)."""
    y[...] = x * factor
