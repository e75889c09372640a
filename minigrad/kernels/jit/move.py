"""Arrays that are copied, added, or laid out in another order."""

from typing import Any

import numpy.typing as npt

from minigrad.kernels.jit._jit import jit
from minigrad.kernels.jit._product import transpose_into
from minigrad.kernels.jit._tile import at

Array = npt.NDArray[Any]


@jit()
def clear(x: Array) -> None:
    """X = 0."""
    for i in range(x.size):
        x[i] = 0


@jit()
def add(a: Array, b: Array, y: Array) -> None:
    """y = a + b."""
    for i in range(y.size):
        y[i] = a[i] + b[i]


@jit()
def accumulate(x: Array, total: Array) -> None:
    """Total += x."""
    for i in range(x.size):
        total[i] += x[i]


@jit()
def swap_axes(x: Array, first: int, last: int, y: Array) -> None:
    """y (A, C, B) = x (A, B, C) with its last two axes exchanged, the vectors [first, last) of the A C of y."""
    _, B, C = x.shape
    for a in range(first // C, (last - 1) // C + 1):
        start, end = max(first - a * C, 0), min(last - a * C, C)
        transpose_into(at(x[a], 0, start), B, end - start, False, at(y[a], start, 0))


@jit()
def put_columns(x: Array, column: int, y: Array) -> None:
    """y[:, column:] = x, as many columns as x has; both are matrices."""
    M, N = x.shape
    for m in range(M):
        for n in range(N):
            y[m, column + n] = x[m, n]


@jit()
def take_columns(x: Array, column: int, y: Array) -> None:
    """y = x[:, column:], as many columns as y has; both are matrices."""
    M, N = y.shape
    for m in range(M):
        for n in range(N):
            y[m, n] = x[m, column + n]


@jit()
def take_rows(x: Array, index: Array, y: Array) -> None:
    """y_b = x[index_b]; x and y are matrices of one dtype."""
    for b in range(index.size):
        row, target = x[index[b]], y[b]
        for j in range(row.size):
            target[j] = row[j]
