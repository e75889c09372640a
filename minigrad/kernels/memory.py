"""Memory as kernels like it best."""

from typing import Any

import numpy as np
import numpy.typing as npt

LINE = 64  # bytes of a cache line


def aligned(size: int, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Return a vector, not set, that begins with a cache line: none of its vectors of 64 bytes lies in two lines.

    >>> aligned(3, "float32").ctypes.data % LINE
    0
    """
    nbytes = size * np.dtype(dtype).itemsize
    memory = np.empty(nbytes + LINE, np.uint8)
    start = -memory.ctypes.data % LINE
    return memory[start : start + nbytes].view(dtype)
