"""ArrayDataset: samples and labels in memory, and dividing them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
NUMBERS = "biufc"  # NumPy's kinds of dtype that are numbers


@dataclass(frozen=True, eq=False)
class ArrayDataset:
    """Samples `x` and labels `y`, one row of each for a sample.

    Arguments:
        x: samples, (N, *).
        y: labels or targets, (N, *).
        classes: names of the labels 0, 1, ...

    The arrays are kept, not copied, where they are C-contiguous and in this machine's byte order.

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

    def subset(self, indices: Sequence[int] | Array) -> Self:
        """Return the samples of these numbers, or where a mask is true, as a data set of its own (copied)."""
        return type(self)(self.x[indices], self.y[indices], self.classes)


def split(
    dataset: ArrayDataset, validation: float = 0.1, seed: int = 0, stratify: bool = False
) -> tuple[ArrayDataset, ArrayDataset]:
    """Divide a data set at random into `(train, validation)`; both keep the order of the original.

    Arguments:
        dataset: what to divide.
        validation: how many samples to set aside: an integer is a number of samples, a float a fraction of all.
        seed: of the choice. The same seed gives the same parts.
        stratify: whether to take from each class in proportion to its size (to the nearest sample).

    Raises:
        ValueError: if either part would be empty.
        TypeError: if `validation` is no number, or to stratify by labels that are not integers, one for a sample.

    >>> train, validation = split(ArrayDataset(np.arange(10.0), np.arange(10) % 2), validation=4, stratify=True)
    >>> len(train), validation.y.tolist().count(1)
    (6, 2)
    """
    count = _validation_count(len(dataset), validation)
    rng = np.random.default_rng(seed)
    if stratify:
        chosen = _stratified(dataset.y, count, rng)
    else:
        chosen = rng.permutation(len(dataset))[:count]
    mask = np.zeros(len(dataset), bool)
    mask[chosen] = True
    return dataset.subset(~mask), dataset.subset(mask)


def _validation_count(total: int, validation: float) -> int:
    if isinstance(validation, (bool, np.bool_)) or not isinstance(validation, (int, float, np.integer, np.floating)):
        raise TypeError(f"split: want a number of samples or a fraction for validation, got {validation!r}")
    if isinstance(validation, (int, np.integer)):
        count = int(validation)
    elif 0 < validation < 1:
        count = round(total * float(validation))
    else:
        raise ValueError(f"split: want a fraction between 0 and 1 (or an integer) for validation, got {validation}")
    if not 0 < count < total:
        raise ValueError(f"split: validation={validation} of {total} samples leaves {count} and {total - count}")
    return count


def _stratified(y: Array, count: int, rng: np.random.Generator) -> Array:
    """Return numbers of `count` samples: from each class its share, the largest remainders rounded up."""
    if y.ndim != 1 or y.dtype.kind not in "biu":
        raise TypeError(f"split: stratify wants integer labels of shape (N,), got {y.dtype} {y.shape}")
    _, labels, sizes = np.unique(y, return_inverse=True, return_counts=True)
    quota, remainder = np.divmod(sizes * count, len(y))
    quota[np.argsort(-remainder, kind="stable")[: count - quota.sum()]] += 1
    rows = [rng.permutation(np.flatnonzero(labels == label))[:n] for label, n in enumerate(quota)]
    return np.concatenate(rows)


def _as_rows(name: str, value: npt.ArrayLike) -> Array:
    array = np.asarray(value)
    if array.dtype.kind not in NUMBERS:
        raise TypeError(f"ArrayDataset: {name} must hold numbers, got dtype {array.dtype}")
    if array.ndim == 0 or array.size == 0:
        raise ValueError(f"ArrayDataset: {name} must hold at least one sample, got shape {array.shape}")
    return np.asarray(array, dtype=array.dtype.newbyteorder("="), order="C")
