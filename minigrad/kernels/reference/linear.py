"""A fully connected layer: its three matrix products, and the sums of its bias's gradient."""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def linear_forward(x: Array, w: Array, b: Array, first: int, last: int, y: Array) -> None:
    """y[:, first:last] = x @ w[first:last].T + b[first:last]; x (M, D), w (K, D), b (K,) or empty, y (M, K)."""
    y[:, first:last] = x @ w[first:last].T
    if b.size:
        y[:, first:last] += b[first:last]


def linear_backward_input(dy: Array, w: Array, first: int, last: int, dx: Array) -> None:
    """dx[:, first:last] = dy @ w[:, first:last]; dy (M, K), w (K, D), dx (M, D)."""
    dx[:, first:last] = dy @ w[:, first:last]


def linear_backward_weight(dy: Array, x: Array, first: int, last: int, accumulate: bool, dw: Array) -> None:
    """dw = dy[:, first:last].T @ x, or dw plus that; dy (M, K), x (M, D), dw (last - first, D)."""
    product = dy[:, first:last].T @ x
    dw[...] = dw + product if accumulate else product


def column_sums(dy: Array, first: int, last: int, accumulate: bool, db: Array) -> None:
    """db[first:last] = the sums of these columns of dy (M, K), or db plus them; in float64."""
    sums = dy[:, first:last].sum(axis=0, dtype=np.float64)
    db[first:last] = db[first:last] + sums if accumulate else sums
