"""Embedding: the gradient of a table from the gradients of its rows' uses."""

from typing import Any

import numpy.typing as npt

from minigrad.kernels.jit._jit import jit

Array = npt.NDArray[Any]


@jit()
def embedding_backward(rows: Array, dy: Array, padding: int, dw: Array) -> None:
    """dw[rows[i]] += dy[i] for every i, but for the row `padding`. dw is (V, D), dy (N, D), rows (N,) int64."""
    N, D = dy.shape
    for n in range(N):
        row = rows[n]
        if row != padding:
            for d in range(D):
                dw[row, d] += dy[n, d]
