"""Data sets that are indexed: their items one by one, and stacked into a batch."""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from minigrad.data.arrays import ArrayDataset
from minigrad.data.conversion import NUMBERS, as_array, is_bare
from minigrad.data.pictures import is_picture, pixels
from minigrad.showing import briefly

Array = npt.NDArray[Any]
Columns = tuple[Any, Any]
CHANNELS = (1, 3, 4)  # of a picture of bytes
SCALARS = (int, float, np.integer, np.floating)
BYTES = np.dtype(np.uint8).char


class Samples(Protocol):
    """Any data set whose item i is the pair (sample, label), both something that `np.asarray` takes, or a picture."""

    def __len__(self) -> int:
        """Return the number of samples."""

    def __getitem__(self, index: int, /) -> Any:
        """Return one sample and its label."""


class Subset:
    """Some samples of a data set, as in PyTorch: the data set is asked for each when it is wanted.

    Arguments:
        dataset: any data set with a length whose items are pairs (sample, label).
        indices: which of them.

    >>> pairs = [([1.0], 0), ([2.0], 1), ([3.0], 1)]
    >>> Subset(pairs, [2, 0])[0]
    ([3.0], 1)
    """

    indices: Array
    dataset: Samples

    def __init__(self, dataset: Samples, indices: Array | list[int]) -> None:
        self.dataset, self.indices = dataset, np.asarray(indices)

    def __repr__(self) -> str:
        return f"Subset({len(self)} of {briefly(self.dataset)})"

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Any:
        return self.dataset[int(self.indices[index])]


def as_dataset(what: str, data: Any) -> ArrayDataset | Samples:
    """Return what a user gave as a data set: a pair of arrays as an ArrayDataset, all else as it is.

    Arguments:
        what: who wants it, for errors.
        data: an `ArrayDataset`, a pair (x, y), or what has a length and items.

    Raises:
        TypeError: if it is none of these, with a remedy.
        ValueError: if it is empty.
    """
    if isinstance(data, ArrayDataset):
        return data
    if isinstance(data, tuple) and len(data) == 2:
        return ArrayDataset(*data)
    known = hasattr(data, "__len__") and hasattr(data, "__getitem__")
    if isinstance(data, (tuple, str, bytes, Mapping)) or is_bare(data) or not known:
        raise TypeError(
            f"{what}: want an ArrayDataset, a tuple (x, y) of arrays, or a data set with a length and items (sample, "
            f"label), got {type(data).__name__}{_remedy(data)}"
        )
    if len(data) == 0:
        raise ValueError(f"{what}: {type(data).__name__} has no samples")
    dataset: Samples = data
    return dataset


def _remedy(data: Any) -> str:
    if isinstance(data, Mapping):
        return f" with the keys {', '.join(map(repr, list(data)[:5]))}: give its arrays as one pair (x, y)"
    if is_bare(data):
        return ": give samples and labels as one pair, (x, y)"
    if hasattr(data, "dataset"):
        return ", which makes batches itself: give its data set, Loader(loader.dataset, batch_size=...)"
    if hasattr(data, "__iter__") and not isinstance(data, (tuple, str, bytes)):
        return ": make it a list of pairs first, list(...)"
    return ""


def item(data: Samples, i: int, columns: Columns | None = None) -> tuple[Array, Any]:
    """Return the sample and the label of one item; pictures as bytes (C, H, W), a label as a number or an array.

    Arguments:
        data: the data set.
        i: number of the item.
        columns: names, or numbers, of the two in an item that has others.

    Raises:
        TypeError: if the item is no pair, or holds something else than numbers and pictures.
    """
    found = data[i]
    if columns is not None or not isinstance(found, (tuple, list)) or len(found) != 2:
        found = _pair(data, i, found, columns)
    x, y = found
    try:
        return _as_sample(x), y if isinstance(y, SCALARS) else as_array("y", y)
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"Loader: item {i} of {type(data).__name__}: {error}") from None


def _pair(data: Samples, i: int, found: Any, columns: Columns | None) -> tuple[Any, Any]:
    name = f"Loader: item {i} of {type(data).__name__}"
    if columns is not None:
        try:
            return found[columns[0]], found[columns[1]]
        except (KeyError, IndexError, TypeError):
            has = f"the keys {_keys(found)}" if isinstance(found, Mapping) else f"a {type(found).__name__}"
            raise TypeError(f"{name} has no columns {columns!r}, it has {has}") from None
    if isinstance(found, Mapping):
        raise TypeError(
            f"{name} must be (sample, label), got dict with the keys {_keys(found)}: name the two, for instance "
            f"Loader(data, columns=({_keys(found, 2)}))"
        )
    got = type(found).__name__ + (f" of {len(found)}" if isinstance(found, (tuple, list)) else "")
    raise TypeError(f"{name} must be (sample, label), got {got}")


def _as_sample(value: Any) -> Array:
    # Most samples are arrays, of which little need be asked.
    if type(value) is np.ndarray and value.dtype.kind in NUMBERS:
        return value if value.dtype.char != BYTES else _channels_first(value)
    return sample("x", value)


def sample(what: str, value: Any) -> Array:
    """Return one sample as an array: a picture, or bytes (H, W) and (H, W, C) that can only be one, as (C, H, W)."""
    if is_picture(value):
        return pixels(value)
    array = as_array(what, value)
    return _channels_first(array) if array.dtype.char == BYTES else array


def _channels_first(array: Array) -> Array:
    if array.ndim == 2:
        return array[None]
    if array.ndim == 3 and array.shape[2] in CHANNELS and array.shape[0] not in CHANNELS:
        return np.ascontiguousarray(array.transpose(2, 0, 1))
    return array


def stack(what: str, arrays: list[Array], index: Array) -> Array:
    """Return arrays as one.

    Raises:
        ValueError: if their shapes differ, with the numbers of two.
    """
    shapes = {array.shape: i for array, i in zip(arrays, index, strict=True)}
    if len(shapes) > 1:
        examples = ", ".join(f"{shape} (number {i})" for shape, i in list(shapes.items())[:2])
        remedy = ": Loader(size=(height, width)) brings images to one size, channels=3 to one number of channels"
        is_image = what == "samples" and all(len(shape) == 3 for shape in shapes)
        raise ValueError(f"Loader: {what} of one batch have different shapes: {examples}{remedy if is_image else ''}")
    return np.stack(arrays)


def stack_labels(labels: list[Any], index: Array) -> Array:
    """Return labels, numbers or arrays, as one array."""
    if any(isinstance(label, np.ndarray) for label in labels):
        return stack("labels", [np.asarray(label) for label in labels], index)
    return as_array("Loader: y", labels)


def _keys(mapping: Mapping[Any, Any], count: int = 9) -> str:
    return ", ".join(map(repr, list(mapping)[:count]))
