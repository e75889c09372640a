"""A fully connected layer: its three matrix products on register tiles, and the sums of its bias's gradient.

Each element of a product is summed in one order, whatever the range and the other rows and columns are.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from minigrad.kernels.jit._dots import HEIGHT, add_dots
from minigrad.kernels.jit._dots import WIDTH as DOTS
from minigrad.kernels.jit._jit import jit
from minigrad.kernels.jit._product import MANY, product, tile_into, transpose_into
from minigrad.kernels.jit._stack import room
from minigrad.kernels.jit._tile import ROWS, VECTOR_BYTES, VECTORS, at, scratch, tile

Array = npt.NDArray[Any]

TRANSPOSED_DEPTH = (
    1024  # of a sum taken at a time where an operand is transposed, which costs time: in the second cache
)
FEW = 16  # rows of x or of w, below which tiles would be mostly empty
WIDTH = VECTORS * VECTOR_BYTES  # of a tile


@jit(inline="always")
def _add_dots(height: int, x: Array, w: Array, first: int, last: int, y: Array) -> None:
    """y[:, first:last] += x @ w[first:last].T, `height` rows at a time (a literal)."""
    right = w[:last]
    for k in range(first, last, DOTS):
        for m in range(0, len(x), height):
            add_dots(height, at(x, m, 0), at(right, k, 0), at(y, m, k))


@jit(inline="always")
def _add_product(x: Array, w: Array, first: int, last: int, rows: int, y: Array) -> None:
    """y[:rows, first:last] += x[:rows] @ w[first:last].T."""
    D = x.shape[1]
    panel, sums = scratch(TRANSPOSED_DEPTH, x.dtype), scratch(ROWS, x.dtype)
    for k in range(first, last, panel.shape[1]):
        columns = min(panel.shape[1], last - k)
        for d in range(0, D, TRANSPOSED_DEPTH):
            depth = min(TRANSPOSED_DEPTH, D - d)
            panel[:depth, columns:] = 0
            transpose_into(at(w, k, d), columns, depth, False, panel)
            for m in range(0, rows, ROWS):
                tile_into(at(x, m, d), panel, depth, True, rows - m, columns, sums, at(y, m, k))


@jit(inline="always")
def _add_transposed(x: Array, w: Array, first: int, last: int, y: Array) -> None:
    """y.T[first:last] += w[first:last] @ x.T."""
    M, D = x.shape
    panel, sums = scratch(TRANSPOSED_DEPTH, x.dtype), scratch(ROWS, x.dtype)
    for m in range(0, M, panel.shape[1]):
        columns = min(panel.shape[1], M - m)
        for d in range(0, D, TRANSPOSED_DEPTH):
            depth = min(TRANSPOSED_DEPTH, D - d)
            panel[:depth, columns:] = 0
            transpose_into(at(x, m, d), columns, depth, False, panel)
            for k in range(first, last, ROWS):
                tile(VECTORS, at(w, k, d), panel, depth, False, sums)
                transpose_into(sums, min(ROWS, last - k), columns, True, at(y, m, k))


@jit()
def linear_forward(x: Array, w: Array, b: Array, first: int, last: int, y: Array) -> None:
    """y[:, first:last] = x @ w[first:last].T + b[first:last]; x (M, D), w (K, D), b (K,) or empty, y (M, K).

    Both operands lie along the sum. Where neither has few rows, the smaller one is transposed.
    """
    M = len(x)
    bias = b[first:last]
    for m in range(M):
        row = y[m, first:last]
        for k in range(row.size):
            row[k] = bias[k] if b.size else 0
    if M == 1:
        _add_dots(1, x, w, first, last, y)
    elif M < FEW or len(w) < FEW:
        _add_dots(HEIGHT, x, w, first, last, y)
    elif WIDTH // x.itemsize <= last - first < M:
        for m in range(0, M, MANY):
            _add_product(at(x, m, 0), w, first, last, min(MANY, M - m), at(y, m, 0))
    else:
        _add_transposed(x, w, first, last, y)


@jit()
def linear_backward_input(dy: Array, w: Array, first: int, last: int, dx: Array) -> None:
    """dx[:, first:last] = dy @ w[:, first:last]; dy (M, K), w (K, D), dx (M, D)."""
    product(dy, w, first, last, False, dx)


@jit()
def linear_backward_weight(dy: Array, x: Array, first: int, last: int, accumulate: bool, dw: Array) -> None:
    """dw = dy[:, first:last].T @ x, or dw plus that; dy (M, K), x (M, D), dw (last - first, D)."""
    product(at(dy.T, first, 0), x, 0, x.shape[1], accumulate, dw)


@jit()
def column_sums(dy: Array, first: int, last: int, accumulate: bool, db: Array) -> None:
    """db[first:last] = the sums of these columns of dy (M, K), or db plus them; in float64."""
    sums = room(np.float64)
    for k in range(first, last, sums.size):
        columns = min(sums.size, last - k)
        for j in range(columns):
            sums[j] = db[k + j] if accumulate else 0
        for m in range(dy.shape[0]):
            row = dy[m, k : k + columns]  # Numba makes vector code of row[j], not of dy[m, k + j]
            for j in range(columns):
                sums[j] += row[j]
        for j in range(columns):
            db[k + j] = sums[j]
