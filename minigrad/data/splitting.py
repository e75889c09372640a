"""Dividing a data set."""

from typing import Any, overload

import numpy as np
import numpy.typing as npt

from minigrad.data.arrays import ArrayDataset
from minigrad.data.samples import Samples, Subset, as_dataset, item

Array = npt.NDArray[Any]


@overload
def split(
    dataset: ArrayDataset | tuple[npt.ArrayLike, npt.ArrayLike],
    validation: float = 0.1,
    seed: int = 0,
    stratify: bool = False,
) -> tuple[ArrayDataset, ArrayDataset]: ...
@overload
def split(
    dataset: Samples, validation: float = 0.1, seed: int = 0, stratify: bool = False
) -> tuple[Subset, Subset]: ...
def split(
    dataset: ArrayDataset | tuple[npt.ArrayLike, npt.ArrayLike] | Samples,
    validation: float = 0.1,
    seed: int = 0,
    stratify: bool = False,
) -> tuple[ArrayDataset, ArrayDataset] | tuple[Subset, Subset]:
    """Divide a data set at random into `(train, validation)`; both keep the order of the original.

    Arguments:
        dataset: what to divide: an ArrayDataset or a pair (x, y) of arrays, lists or frames, whose parts are
            ArrayDatasets; or any data set of pairs (sample, label), whose parts are `Subset`s.
        validation: how many samples to set aside: an integer is a number of samples, a float a fraction of all.
        seed: of the choice. The same seed gives the same parts.
        stratify: whether to take from each class in proportion to its size (to the nearest sample).

    Raises:
        ValueError: if either part would be empty.
        TypeError: if `validation` is no number, or to stratify by labels that are not integers, one for a sample;
            for what is no data set.

    >>> train, validation = split(ArrayDataset(np.arange(10.0), np.arange(10) % 2), validation=4, stratify=True)
    >>> len(train), validation.y.tolist().count(1)
    (6, 2)
    """
    data = as_dataset("split", dataset)
    count = _validation_count(len(data), validation)
    rng = np.random.default_rng(seed)
    if stratify:
        chosen = _stratified(_labels(data), count, rng)
    else:
        chosen = rng.permutation(len(data))[:count]
    mask = np.zeros(len(data), bool)
    mask[chosen] = True
    if isinstance(data, ArrayDataset) and len(data) == len(data.x):
        return data.subset(~mask), data.subset(mask)
    return Subset(data, np.flatnonzero(~mask)), Subset(data, np.flatnonzero(mask))


def _labels(data: ArrayDataset | Samples) -> Array:
    if isinstance(data, ArrayDataset) and len(data) == len(data.x):
        return data.y
    return np.array([item(data, i)[1] for i in range(len(data))])


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
