"""Dropout: a mask computed from a key and the element's number."""

from typing import Any

import numpy as np
import numpy.typing as npt

from minigrad.kernels.jit._jit import jit

Array = npt.NDArray[Any]


@jit()
def _times(a: np.uint32, b: int) -> np.uint32:
    """The product's lower 32 bits, without an overflow where the JIT is off."""
    return np.uint32((np.uint64(a) * np.uint64(b)) & np.uint64(0xFFFFFFFF))


@jit()
def _mix(h: np.uint32) -> np.uint32:
    h = _times(np.uint32(h ^ (h >> np.uint32(16))), 0x7FEB352D)
    h = _times(np.uint32(h ^ (h >> np.uint32(15))), 0x846CA68B)
    return np.uint32(h ^ (h >> np.uint32(16)))


@jit()
def dropout(x: Array, key0: int, key1: int, threshold: int, scale: float, first: int, y: Array) -> None:
    """y_i = scale x_i where hash(first + i; key0, key1) >= threshold, else 0. Keys and threshold are 32-bit."""
    k0, k1, least = np.uint32(key0), np.uint32(key1), np.uint32(threshold)
    factor, zero = x.dtype.type(scale), x.dtype.type(0)
    for i in range(x.size):
        h = _mix(np.uint32(_mix(np.uint32(np.uint32(first + i) ^ k0)) ^ k1))
        y[i] = x[i] * factor if h >= least else zero


@jit()
def relu_dropout_forward(x: Array, key0: int, key1: int, threshold: int, scale: float, first: int, y: Array) -> None:
    """y = dropout(max(x, 0)), in one pass."""
    k0, k1, least = np.uint32(key0), np.uint32(key1), np.uint32(threshold)
    factor, zero = x.dtype.type(scale), x.dtype.type(0)
    for i in range(x.size):
        h = _mix(np.uint32(_mix(np.uint32(np.uint32(first + i) ^ k0)) ^ k1))
        y[i] = zero if x[i] <= zero or h < least else x[i] * factor


@jit()
def relu_dropout_backward(dy: Array, y: Array, scale: float, dx: Array) -> None:
    """Dx = scale dy where y > 0: what was dropped is 0 like what was negative, so no mask is needed."""
    factor, zero = y.dtype.type(scale), y.dtype.type(0)
    for i in range(y.size):
        dx[i] = zero if y[i] <= zero else dy[i] * factor
