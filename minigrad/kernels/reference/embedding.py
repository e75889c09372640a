"""Embedding: the gradient of a table from the gradients of its rows' uses."""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def embedding_backward(rows: Array, dy: Array, padding: int, dw: Array) -> None:
    """dw[rows[i]] += dy[i] for every i, but for the row `padding`. dw is (V, D), dy (N, D), rows (N,) int64."""
    keep = rows != padding
    np.add.at(dw, rows[keep], dy[keep])
