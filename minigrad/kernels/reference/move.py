"""Arrays that are copied, added, or laid out in another order."""

from typing import Any

import numpy.typing as npt

Array = npt.NDArray[Any]


def clear(x: Array) -> None:
    """X = 0."""
    x[...] = 0


def add(a: Array, b: Array, y: Array) -> None:
    """y = a + b."""
    y[...] = a + b


def accumulate(x: Array, total: Array) -> None:
    """Total += x."""
    total += x


def swap_axes(x: Array, first: int, last: int, y: Array) -> None:
    """y (A, C, B) = x (A, B, C) with its last two axes exchanged, the vectors [first, last) of the A C of y."""
    B = x.shape[1]
    y.reshape(-1, B)[first:last] = x.swapaxes(1, 2).reshape(-1, B)[first:last]


def put_columns(x: Array, column: int, y: Array) -> None:
    """y[:, column:] = x, as many columns as x has; both are matrices."""
    y[:, column : column + x.shape[1]] = x


def take_columns(x: Array, column: int, y: Array) -> None:
    """y = x[:, column:], as many columns as y has; both are matrices."""
    y[...] = x[:, column : column + y.shape[1]]


def take_rows(x: Array, index: Array, y: Array) -> None:
    """y_b = x[index_b]; x and y are matrices of one dtype."""
    y[...] = x[index]
