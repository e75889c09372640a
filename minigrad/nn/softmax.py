"""Softmax and LogSoftmax: activations that couple the values along an axis."""

from typing import ClassVar

import numpy as np

from minigrad import kernels
from minigrad.nn.module import Module
from minigrad.nn.parameter import Array
from minigrad.nn.rows import from_rows, to_rows


class _AlongAxis(Module):
    """A function of the vectors along one axis. A scalar is a vector of one."""

    kernel: ClassVar[str]

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        self.dim = dim

    def _forward(self, x: Array) -> tuple[Array, Array]:
        rank = max(x.ndim, 1)
        x = self._input(x, f"with an axis {self.dim}", -rank <= self.dim < rank)
        vectors = np.atleast_1d(x)
        rows = to_rows(vectors, self.dim)
        y = np.empty_like(rows)
        getattr(kernels, f"{self.kernel}_forward")(rows, y)
        return from_rows(y, vectors.shape, self.dim).reshape(x.shape), y

    def _backward(self, y: Array, dy: Array) -> Array:
        vectors = np.atleast_1d(dy)
        rows = to_rows(vectors, self.dim)
        dx = np.empty_like(rows)
        getattr(kernels, f"{self.kernel}_backward")(rows, y, dx)
        return from_rows(dx, vectors.shape, self.dim).reshape(dy.shape)

    def extra_repr(self) -> str:
        """Return the axis."""
        return f"dim={self.dim}"


class Softmax(_AlongAxis):
    r"""y_i = e^(x_i) / Σ_j e^(x_j) along one axis.

    Arguments:
        dim: the axis, the last by default.

    Backward: ∂y_i/∂x_j = y_i (δ_ij - y_j), so dx_j = y_j (dy_j - Σ_i y_i dy_i).

    Saved: y.

    >>> Softmax()(np.zeros((1, 4))).tolist()
    [[0.25, 0.25, 0.25, 0.25]]
    """

    kernel = "softmax"


class LogSoftmax(_AlongAxis):
    r"""y_i = x_i - log Σ_j e^(x_j) along one axis.

    Arguments:
        dim: the axis, the last by default.

    Backward: ∂y_i/∂x_j = δ_ij - e^(y_j), so dx_j = dy_j - e^(y_j) Σ_i dy_i.

    Saved: y.

    >>> LogSoftmax()(np.zeros((1, 4))).round(4).tolist()
    [[-1.3863, -1.3863, -1.3863, -1.3863]]
    """

    kernel = "log_softmax"
