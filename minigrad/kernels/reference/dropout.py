"""Dropout: a mask computed from a key and the element's number."""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def dropout(x: Array, key0: int, key1: int, threshold: int, scale: float, first: int, y: Array) -> None:
    """y_i = scale x_i where hash(first + i; key0, key1) >= threshold, else 0. Keys and threshold are 32-bit.

    The hash is two rounds of a 32-bit mixer (Wellons' "lowbias32"), each after one half of the key.
    """
    i = np.arange(first, first + x.size).astype(np.uint32)
    keep = _mix(_mix(i ^ np.uint32(key0)) ^ np.uint32(key1)) >= threshold
    y[...] = np.where(keep, x * x.dtype.type(scale), 0)


def relu_dropout_forward(x: Array, key0: int, key1: int, threshold: int, scale: float, first: int, y: Array) -> None:
    """y = dropout(max(x, 0)), in one pass."""
    dropout(np.maximum(x, 0), key0, key1, threshold, scale, first, y)


def relu_dropout_backward(dy: Array, y: Array, scale: float, dx: Array) -> None:
    """Dx = scale dy where y > 0: what was dropped is 0 like what was negative, so no mask is needed."""
    dx[...] = np.where(y <= 0, 0, dy * dy.dtype.type(scale))


def _mix(h: Array) -> Array:
    h = (h ^ (h >> np.uint32(16))) * np.uint32(0x7FEB352D)
    h = (h ^ (h >> np.uint32(15))) * np.uint32(0x846CA68B)
    mixed: Array = h ^ (h >> np.uint32(16))
    return mixed
