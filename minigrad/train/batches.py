"""Whatever data a user has, as a Loader."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from minigrad.data import ArrayDataset, Loader, Preparation
from minigrad.data.conversion import as_array, is_bare
from minigrad.data.pictures import is_picture
from minigrad.data.samples import Samples, sample, stack

Data = Loader | ArrayDataset | tuple[npt.ArrayLike, npt.ArrayLike] | Samples
X = Data | npt.ArrayLike
UNCHANGED = Preparation()


def training_batches(data: Data, batch_size: int, seed: int, epochs_done: int) -> Loader:
    """Return the batches of a training run that has done some epochs already."""
    if isinstance(data, Loader):
        return data
    batches = _loader("training data", data, batch_size, shuffle=True, seed=seed)
    batches.epoch = epochs_done
    # BatchNorm cannot train on a batch of one sample.
    batches.drop_last = len(batches) > 1 and len(batches.data) % batch_size == 1
    return batches


def evaluation_batches(data: Data, batch_size: int, prepared: Preparation, what: str) -> Loader:
    """Return the batches of an evaluation: all samples, in order, never augmented.

    Arguments:
        data: what is evaluated.
        batch_size: where it is no Loader.
        prepared: how the samples of the training were. Where they were changed, data must come in a Loader.
        what: the data's name in errors.

    Raises:
        ValueError: for samples that nobody prepares.
    """
    if isinstance(data, Loader):
        return data.in_order()
    if prepared != UNCHANGED:
        does = f"normalises (mean {prepared.mean}, std {prepared.std})"
        if (prepared.size, prepared.channels) != (None, None):
            does += f" and brings images to a form (size {prepared.size}, channels {prepared.channels})"
        raise ValueError(f"{what}: the training data's Loader {does}, so give a Loader here, too")
    return _loader(what, data, batch_size)


def refuse_arrays(what: str, data: Any, second: Any = None, example: str = "(X, y)") -> None:
    """Raise what is wrong with samples and labels that came as two arguments, or with samples alone.

    Arguments:
        what: whose argument it is.
        data: the argument.
        second: the next one.
        example: of what should have come.
    """
    if is_bare(data) or _is_list_of_rows(data, second):
        kind = type(data).__name__
        raise TypeError(f"{what}: got samples without labels ({kind}): give both as one pair, {example}")


def _is_list_of_rows(data: Any, second: Any) -> bool:
    if not isinstance(data, list) or not data or isinstance(data[0], (tuple, Mapping)):
        return False
    is_pair = isinstance(data[0], list) and len(data[0]) == 2
    return not is_pair or (isinstance(second, (list, np.ndarray)) and np.ndim(second) == 1)


def samples_of(x: Any) -> Data:
    """Return samples without labels as data; data with labels as they are.

    Raises:
        TypeError: for what holds no numbers, and no pictures.
    """
    is_rows = isinstance(x, list) and bool(x) and not (isinstance(x[0], Mapping) or _is_pair(x[0]))
    if not (is_rows or is_bare(x) or is_picture(x)):
        data: Data = x
        return data
    array = _samples(x)
    if array.ndim == 0 or array.size == 0:
        raise ValueError(f"predict: want samples (N, *), at least one, got shape {array.shape}")
    return array, np.zeros(len(array), np.int64)


def _is_pair(item: Any) -> bool:
    return isinstance(item, tuple) and len(item) == 2 and (is_picture(item[0]) or np.ndim(item[0]) > 0)


def _samples(x: Any) -> npt.NDArray[Any]:
    if isinstance(x, list) and x and is_picture(x[0]):
        return stack("samples", [sample("predict: x", picture) for picture in x], np.arange(len(x)))
    return sample("predict: x", x)[None] if is_picture(x) else as_array("predict: x", x)


def _loader(what: str, data: Data, batch_size: int, shuffle: bool = False, seed: int = 0) -> Loader:
    assert not isinstance(data, Loader)
    try:
        return Loader(data, batch_size, shuffle, seed)
    except (ValueError, TypeError) as error:
        raise type(error)(f"{what}: {error}") from None
