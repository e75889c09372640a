"""Vectors along one axis as the rows of a matrix, which is what kernels take, and back."""

from typing import Any

import numpy as np

from minigrad.nn.parameter import Array


def to_rows(x: Array, axis: int) -> Array:
    """Return the vectors of x along `axis` as the rows of a contiguous matrix."""
    last = x if axis in (-1, x.ndim - 1) else np.moveaxis(x, axis, -1)
    return np.ascontiguousarray(last).reshape(-1, x.shape[axis])


def from_rows(rows: Array, shape: tuple[int, ...], axis: int) -> Array:
    """Return the contiguous array of `shape` of which `rows` is `to_rows(..., axis)`."""
    axis %= len(shape)
    if axis == len(shape) - 1:
        return rows.reshape(shape)
    last = rows.reshape(*shape[:axis], *shape[axis + 1 :], shape[axis])
    array: np.ndarray[Any, Any] = np.ascontiguousarray(np.moveaxis(last, -1, axis))
    return array
