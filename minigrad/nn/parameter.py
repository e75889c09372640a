"""A trainable array and its gradient."""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def for_kernels(x: Array) -> Array:
    """Return `x` as a kernel wants it: contiguous, and writeable, as Numba compiles anew for what may only be read."""
    return x if x.flags.c_contiguous and x.flags.writeable else np.array(x, order="C")


class Parameter:
    """A trainable array `data` and its gradient `grad`, of one dtype and shape.

    `grad` is allocated once and only added to: a layer's backward does `weight.grad += dw`, an optimizer reads it,
    `zero_grad()` clears it. An optimizer may move both into its flat memory; the object stays the same.

    Arguments:
        data: the initial value, float32 or float64. It is copied.
        requires_grad: whether it is trained. One that is frozen (False) gets no gradient from its layer and no update
            from an optimizer, whose state for it stays as it is. It may be changed at any time.
    """

    requires_grad: bool

    __slots__ = ("_grad", "_is_cleared", "data", "requires_grad")

    def __init__(self, data: npt.ArrayLike, requires_grad: bool = True) -> None:
        self.data: Array = np.array(data, order="C")
        if self.data.dtype not in (np.float32, np.float64):
            raise TypeError(f"Parameter: want float32 or float64 data, got {self.data.dtype}")
        self._grad: Array = np.zeros_like(self.data)
        self._is_cleared = False  # zero by now, but its memory not yet
        self.requires_grad = requires_grad

    @property
    def grad(self) -> Array:
        """The gradient, of the shape and dtype of `data`."""
        if self._is_cleared:
            self._grad.fill(0)
            self._is_cleared = False
        return self._grad

    @grad.setter
    def grad(self, value: Array) -> None:
        self._grad, self._is_cleared = value, False

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of `data`."""
        return self.data.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of `data`."""
        return self.data.dtype

    @property
    def size(self) -> int:
        """The number of elements."""
        return self.data.size

    def zero_grad(self) -> None:
        """Set the gradient to zero. Its memory is written when somebody looks at `grad`, or by `add_product`."""
        self._is_cleared = True

    def add_product(self, a: Array, b: Array) -> None:
        """Do grad += a @ b, in one pass over its memory where the gradient is zero."""
        if self._is_cleared:
            np.matmul(a, b, out=self._grad)
            self._is_cleared = False
        else:
            self._grad += a @ b

    def __repr__(self) -> str:
        return f"Parameter(shape={self.shape}, dtype={self.dtype})"
