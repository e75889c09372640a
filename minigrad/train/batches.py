"""Whatever data a user has, as a Loader."""

import numpy.typing as npt

from minigrad.data import ArrayDataset, Loader, Preparation
from minigrad.data.samples import Samples

Data = Loader | ArrayDataset | tuple[npt.ArrayLike, npt.ArrayLike] | Samples


def training_batches(data: Data, batch_size: int, seed: int, epochs_done: int) -> Loader:
    """Return the batches of a training run that has done some epochs already."""
    if isinstance(data, Loader):
        return data
    batches = _loader("training data", data, batch_size, shuffle=True, seed=seed)
    batches.epoch = epochs_done
    # BatchNorm cannot train on a batch of one sample.
    batches.drop_last = len(batches) > 1 and len(batches.data) % batch_size == 1
    return batches


def evaluation_batches(data: Data, batch_size: int, what: str = "data") -> Loader:
    """Return the batches of an evaluation, never augmented. `what` names the data in errors."""
    return data.in_order() if isinstance(data, Loader) else _loader(what, data, batch_size)


def validation_batches(data: Data, training: Loader) -> Loader:
    """Return the batches of a validation beside a training."""
    fixed = training.preparation.fixed
    if not isinstance(data, Loader) and fixed != Preparation():
        does = f"normalises (mean {fixed.mean}, std {fixed.std})"
        if (fixed.size, fixed.channels) != (None, None):
            does += f" and brings images to a form (size {fixed.size}, channels {fixed.channels})"
        raise ValueError(f"validation data: the training data's Loader {does}, so give a Loader here, too")
    return evaluation_batches(data, 1000, "validation data")


def _loader(what: str, data: Data, batch_size: int, shuffle: bool = False, seed: int = 0) -> Loader:
    assert not isinstance(data, Loader)
    try:
        return Loader(data, batch_size, shuffle, seed)
    except (ValueError, TypeError) as error:
        raise type(error)(f"{what}: {error}") from None
