"""ArrayDataset: samples and labels in memory."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeGuard

import numpy as np
import numpy.typing as npt

from minigrad.data.conversion import as_array

Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class ArrayDataset:
    """Samples `x` and labels `y`, one row of each for a sample.

    Arguments:
        x: samples, (N, *): an array, a list, a tensor or a frame of numbers.
        y: labels or targets, (N, *), the same.
        classes: names of the labels 0, 1, ...

    The arrays are kept, not copied, where they are C-contiguous and in this machine's byte order. Missing values
    become NaN. A class derived from this one may have an `__getitem__` of its own: a Loader then takes the samples one
    by one, which is much slower.

    Raises:
        ValueError: if there is no sample, or the lengths differ.
        TypeError: if an array does not hold numbers.

    >>> data = ArrayDataset(np.zeros((5, 3), np.float32), np.arange(5))
    >>> len(data), data[4][1], data.subset([0, 2]).y
    (5, np.int64(4), array([0, 2]))
    """

    x: Array
    y: Array
    classes: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        for name in ("x", "y"):
            object.__setattr__(self, name, _as_rows(name, getattr(self, name)))
        if len(self.x) != len(self.y):
            raise ValueError(f"ArrayDataset: x has {len(self.x)} samples {self.x.shape}, y has {len(self.y)}")
        if self.classes is not None:
            object.__setattr__(self, "classes", tuple(self.classes))

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return self.x[index], self.y[index]

    def __repr__(self) -> str:
        return f"ArrayDataset(x={self.x.dtype} {self.x.shape}, y={self.y.dtype} {self.y.shape})"

    def subset(self, indices: Sequence[int] | Array | slice) -> Self:
        """Return the samples of these numbers, or where a mask is true, as a data set of its own (copied)."""
        part = copy.copy(self)
        object.__setattr__(part, "x", _as_rows("x", self.x[indices]))
        object.__setattr__(part, "y", _as_rows("y", self.y[indices]))
        return part


def holds_arrays(data: object) -> TypeGuard[ArrayDataset]:
    """Return whether a data set is its arrays and nothing else, so that whole batches can be taken from them."""
    if type(data) is ArrayDataset:
        return True
    kind: Any = type(data)
    return (
        isinstance(data, ArrayDataset)
        and kind.__getitem__ is ArrayDataset.__getitem__
        and kind.__len__ is ArrayDataset.__len__
    )


def _as_rows(name: str, value: npt.ArrayLike) -> Array:
    array = as_array(f"ArrayDataset: {name}", value)
    if array.ndim == 0 or array.size == 0:
        raise ValueError(f"ArrayDataset: {name} must hold at least one sample, got shape {array.shape}")
    return np.asarray(array, dtype=array.dtype.newbyteorder("="), order="C")
