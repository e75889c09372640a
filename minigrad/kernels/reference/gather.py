"""Gathering a batch: rows of an array by number, scaled on the way."""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def gather_uint8(x: Array, index: Array, scale: float, shift: float, out: Array) -> None:
    """out_bj = x[index_b, j] * scale + shift, in float32, from bytes.

    x: (N, D) uint8. index: (B,) int64, each in 0..N-1. out: (B, D) float32.
    """
    np.multiply(x[index], np.float32(scale), out=out)
    out += np.float32(shift)


def gather_float(x: Array, index: Array, scale: float, shift: float, out: Array) -> None:
    """out_bj = x[index_b, j] * scale + shift, in the dtype of x.

    x: (N, D) float32 or float64. index: (B,) int64, each in 0..N-1. out: (B, D) of the dtype of x.
    """
    np.multiply(x[index], x.dtype.type(scale), out=out)
    out += x.dtype.type(shift)
