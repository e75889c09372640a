"""What windows see of images."""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def seen(x: Array, table: Array) -> Array:
    """Return what each output sees through each tap: (P, T, N, C)."""
    return np.where(table[..., None, None] >= 0, x[table], 0)
