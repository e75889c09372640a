"""Layers that move nothing but the shape."""

import math
from collections.abc import Sequence
from typing import Any

from minigrad.nn.errors import LayerError
from minigrad.nn.module import Module
from minigrad.nn.parameter import Array


class Identity(Module):
    r"""y = x. Returns its input itself. Takes and ignores any arguments, so that it can stand for any layer.

    Backward: dx = dy.

    Saved: nothing.

    >>> import numpy as np
    >>> Identity()(np.ones(3, np.float32)).shape
    (3,)
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()

    def _forward(self, x: Array) -> tuple[Array, None]:
        return x, None

    def _backward(self, saved: None, dy: Array) -> Array:
        return dy


class Flatten(Module):
    r"""Join the axes from `start_dim` to `end_dim` into one. Returns a view where it can.

    Arguments:
        start_dim: first axis to join; 1, what follows the batch, by default.
        end_dim: last axis to join; negative counts from the end.

    Shape:
        x: (N, *), y: (N, product of *).

    Backward: the elements keep their order, so dx is dy in the shape of x.

    Saved: the shape of x.

    >>> import numpy as np
    >>> Flatten()(np.ones((4, 1, 28, 28), np.float32)).shape
    (4, 784)
    """

    start_dim: int
    end_dim: int

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim, self.end_dim = start_dim, end_dim

    def output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape that an input of `shape` gets."""
        rank = len(shape)
        start, end = (dim + rank if dim < 0 else dim for dim in (self.start_dim, self.end_dim))
        if not 0 <= start <= end < rank:
            raise LayerError(self, f"want axes {self.start_dim} to {self.end_dim} of the input, got {shape}")
        return (*shape[:start], math.prod(shape[start : end + 1]), *shape[end + 1 :])

    def _forward(self, x: Array) -> tuple[Array, tuple[int, ...]]:
        return x.reshape(self.output_shape(x.shape)), x.shape

    def _backward(self, saved: tuple[int, ...], dy: Array) -> Array:
        return dy.reshape(saved)

    def extra_repr(self) -> str:
        """Return the axes."""
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    r"""Split one axis into several. Returns a view where it can.

    Arguments:
        dim: the axis; negative counts from the end.
        unflattened_size: the lengths in its place; one may be -1 for what is left.

    Shape:
        x: (*, product of unflattened_size, *), y: (*, *unflattened_size, *).

    Backward: the elements keep their order, so dx is dy in the shape of x.

    Saved: the shape of x.

    >>> import numpy as np
    >>> Unflatten(1, (1, 28, 28))(np.ones((4, 784), np.float32)).shape
    (4, 1, 28, 28)
    """

    dim: int
    unflattened_size: tuple[int, ...]

    def __init__(self, dim: int, unflattened_size: Sequence[int]) -> None:
        super().__init__()
        sizes = tuple(unflattened_size)
        if not sizes or sizes.count(-1) > 1 or any(size < 1 and size != -1 for size in sizes):
            raise ValueError(f"Unflatten: want positive sizes, one of them perhaps -1, got {unflattened_size}")
        self.dim, self.unflattened_size = dim, sizes

    def output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape that an input of `shape` gets."""
        rank, sizes = len(shape), self.unflattened_size
        if not -rank <= self.dim < rank:
            raise LayerError(self, f"want an axis {self.dim} of the input, got {shape}")
        dim = self.dim % rank
        known = math.prod(size for size in sizes if size != -1)
        if shape[dim] % known or (-1 not in sizes and shape[dim] != known):
            raise LayerError(self, f"want axis {self.dim} to be of size {sizes}, got {shape}")
        return (*shape[:dim], *(shape[dim] // known if size == -1 else size for size in sizes), *shape[dim + 1 :])

    def _forward(self, x: Array) -> tuple[Array, tuple[int, ...]]:
        return x.reshape(self.output_shape(x.shape)), x.shape

    def _backward(self, saved: tuple[int, ...], dy: Array) -> Array:
        return dy.reshape(saved)

    def extra_repr(self) -> str:
        """Return the axis and its new lengths."""
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"
