"""Linear and Embedding: a matrix product, and its special case for one-hot rows."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from minigrad import kernels
from minigrad.nn import init
from minigrad.nn.errors import LayerError
from minigrad.nn.module import Module
from minigrad.nn.parameter import Array, Parameter
from minigrad.nn.rng import generator


class Linear(Module):
    r"""y = x Wᵀ + b.

    Arguments:
        in_features: size D of the last axis of the input.
        out_features: size K of the last axis of the output.
        bias: whether to add b.
        rng: generator or seed for the initial weights.

    Shape:
        x: (*, D), y: (*, K).

    Parameters:
        weight: (K, D), uniform in ±1/√D. bias: (K,), the same.

    Backward: with x and dy as matrices of rows,
        y_nk = Σ_d x_nd w_kd + b_k   gives
        dx = dy W,  dw = dyᵀ x,  db = Σ_n dy_n.

    Saved: x.

    >>> layer = Linear(3, 2, rng=0)
    >>> layer(np.ones((4, 3), np.float32)).shape
    (4, 2)
    """

    bias: Parameter | Any
    in_features: int
    out_features: int
    weight: Parameter

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        rng: np.random.Generator | int | None = None,
    ) -> None:
        super().__init__()
        if in_features < 1 or out_features < 1:
            raise ValueError(f"Linear: want positive sizes, got {in_features} and {out_features}")
        self.in_features, self.out_features = in_features, out_features
        rng = generator(rng)
        bound = in_features**-0.5
        self.weight = Parameter(rng.uniform(-bound, bound, (out_features, in_features)).astype(np.float32))
        self.bias = Parameter(rng.uniform(-bound, bound, out_features).astype(np.float32)) if bias else None

    def _forward(self, x: Array) -> tuple[Array, Array]:
        x = self._input(x, f"(*, {self.in_features})", x.ndim >= 1 and x.shape[-1] == self.in_features)
        self._want_shape((self.out_features, self.in_features), "weight")
        self._want_shape((self.out_features,), "bias")
        y = x @ self.weight.data.T
        if self.bias is not None:
            y += self.bias.data
        return y, x

    def _backward(self, x: Array, dy: Array) -> Array:
        self._backward_parameters(x, dy)
        return dy @ self.weight.data

    def _backward_parameters(self, x: Array, dy: Array) -> None:
        rows, dy_rows = x.reshape(-1, self.in_features), dy.reshape(-1, self.out_features)
        if self.weight.requires_grad:
            self.weight.add_product(dy_rows.T, rows)
        if self.bias is not None and self.bias.requires_grad:
            self.bias.grad += dy_rows.sum(axis=0)

    def multiply_adds(self, x_shape: tuple[int, ...], y_shape: tuple[int, ...]) -> int:
        """Return N * D * K."""
        return int(np.prod(y_shape)) * self.in_features

    def extra_repr(self) -> str:
        """Return the sizes."""
        return f"{self.in_features}, {self.out_features}, bias={self.bias is not None}"


class Embedding(Module):
    r"""y = W[x]: row x of a table.

    Arguments:
        num_embeddings: number V of rows.
        embedding_dim: size D of a row.
        padding_idx: a row that starts at zero and gets no gradient; negative counts from the end.
        rng: generator or seed for the initial weights.

    Shape:
        x: any shape *, integers in [0, V); y: (*, D).

    Parameters:
        weight: (V, D), standard normal.

    Backward: y is a product with one-hot rows, so row v of the table gets the sum of dy over all places where
        x = v: dw_v = Σ_{i: x_i = v} dy_i. An integer input has no gradient: dx is zero. The padding row's is zero by
        definition, not by differentiation, so `gradcheck` disagrees where the padding index occurs.

    Saved: x.

    >>> Embedding(10, 3, rng=0)(np.array([[1, 2], [4, 5]])).shape
    (2, 2, 3)
    """

    takes_integers: ClassVar[bool] = True

    num_embeddings: int
    embedding_dim: int
    padding_idx: int | None
    weight: Parameter

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        *,
        rng: np.random.Generator | int | None = None,
    ) -> None:
        super().__init__()
        if num_embeddings < 1 or embedding_dim < 1:
            raise ValueError(f"Embedding: want positive sizes, got {num_embeddings} and {embedding_dim}")
        if padding_idx is not None and not -num_embeddings <= padding_idx < num_embeddings:
            raise ValueError(f"Embedding: want padding_idx within {num_embeddings} rows, got {padding_idx}")
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.padding_idx = None if padding_idx is None else padding_idx % num_embeddings
        self.weight = Parameter(generator(rng).standard_normal((num_embeddings, embedding_dim), dtype=np.float32))
        if self.padding_idx is not None:
            init.zeros_(self.weight.data[self.padding_idx])

    def _forward(self, x: Array) -> tuple[Array, Array]:
        if x.dtype.kind not in "iu":
            raise LayerError(self, f"want integer indices, got {x.dtype} {x.shape}")
        if x.size == 0:
            raise LayerError(self, f"want a non-empty input, got shape {x.shape}")
        if x.min() < 0 or x.max() >= self.num_embeddings:
            raise LayerError(self, f"want indices in [0, {self.num_embeddings}), got {x.min()} to {x.max()}")
        self._want_shape((self.num_embeddings, self.embedding_dim), "weight")
        return self.weight.data[x], x

    def _backward(self, x: Array, dy: Array) -> Array:
        padding = -1 if self.padding_idx is None else self.padding_idx
        rows = x.reshape(-1).astype(np.int64)
        if self.weight.requires_grad:
            kernels.embedding_backward(rows, dy.reshape(-1, self.embedding_dim), padding, self.weight.grad)
        return np.zeros(x.shape, dy.dtype)

    def extra_repr(self) -> str:
        """Return the sizes."""
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}{padding}"
