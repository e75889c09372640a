"""Loader: a data set in batches, each gathered, converted, augmented and normalised in one pass."""

import copy
from collections.abc import Iterator
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt

from minigrad.data.arrays import ArrayDataset
from minigrad.data.augmentation import Augmentation
from minigrad.data.preparation import Numbers, Preparation

Array = npt.NDArray[Any]


class Samples(Protocol):
    """Any data set whose item i is the pair (sample, label), both something that `np.asarray` takes."""

    def __len__(self) -> int:
        """Return the number of samples."""

    def __getitem__(self, index: int, /) -> Any:
        """Return one sample and its label."""


class Loader:
    r"""Batches of a data set: an iterable of pairs (x, y) of fresh arrays.

    Images of bytes become floats, x ↦ (x/255 - mean)/std in float32; float32 and float64 stay what they are,
    x ↦ (x - mean)/std; integers of other types, and labels, are passed on unchanged.

    Arguments:
        data: an `ArrayDataset`; a tuple of two arrays; or any data set with a length whose items are pairs (sample,
            label), for instance one of torchvision. The samples of the last kind are taken one by one and stacked,
            which is much slower.
        batch_size: samples in a batch. The last one is smaller if they do not come out even.
        shuffle: whether to draw a new order for each epoch; otherwise the samples come as they lie.
        seed: of the orders and of the augmentation. The order of epoch e depends on `seed` and e, and on nothing else.
        drop_last: whether to leave out a last batch that is smaller.
        mean: subtracted from x, of bytes in units of full scale (0 to 1); a number, or one for each channel.
        std: then divided by; the same.
        augment: changes images (N, H, W) or (N, C, H, W) at random, each anew in each epoch. What is done to an image
            depends on `seed`, the epoch and the image's number in the data set, and on nothing else.
        size: height and width to which images are brought, bilinearly, before they are augmented.
        channels: of the images of a batch; grey ones are repeated.

    `epoch` counts the iterations that ran to their end; set it to continue a training where it stopped. One that is
    broken off does not count: the next iteration gives the same order again.

    Raises:
        ValueError: for an empty data set, lengths that differ, a batch size below 1, a `std` that is not positive,
            if no batch would remain, or for what wants images and gets other samples.
        TypeError: for data of other kinds, or of dtypes that do not hold numbers.

    >>> x, y = np.arange(5, dtype=np.uint8).reshape(5, 1), np.arange(5)
    >>> [yb.tolist() for xb, yb in Loader((x, y), batch_size=2)]
    [[0, 1], [2, 3], [4]]
    """

    def __init__(
        self,
        data: ArrayDataset | tuple[npt.ArrayLike, npt.ArrayLike] | Samples,
        batch_size: int = 64,
        shuffle: bool = False,
        seed: int = 0,
        drop_last: bool = False,
        mean: Numbers = 0.0,
        std: Numbers = 1.0,
        augment: Augmentation | None = None,
        size: tuple[int, int] | None = None,
        channels: int | None = None,
    ) -> None:
        self.data = _as_dataset(data)
        if batch_size < 1 or seed < 0:
            raise ValueError(f"Loader: want batch_size >= 1 and seed >= 0, got {batch_size} and {seed}")
        self.batch_size, self.shuffle, self.seed, self.drop_last = batch_size, shuffle, seed, drop_last
        self.preparation = Preparation(mean, std, size, channels, augment, seed)
        self.epoch = 0
        if len(self) == 0:
            raise ValueError(f"Loader: {len(self.data)} samples fill no batch of {batch_size}, and drop_last is set")
        if isinstance(self.data, ArrayDataset):
            self.preparation.shape(self.data.x)

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        full, rest = divmod(len(self.data), self.batch_size)
        return full + (rest > 0 and not self.drop_last)

    def __iter__(self) -> Iterator[tuple[Array, Array]]:
        epoch = self.epoch
        order = self.order(epoch)
        for batch in range(len(self)):
            yield self.batch(order[batch * self.batch_size : (batch + 1) * self.batch_size])
        self.epoch = epoch + 1

    def order(self, epoch: int) -> Array:
        """Return the numbers of the samples in the order in which an epoch takes them."""
        if not self.shuffle:
            return np.arange(len(self.data))
        seeds = np.random.SeedSequence(self.seed, spawn_key=(epoch,))
        return np.random.default_rng(seeds).permutation(len(self.data))

    def batch(self, index: Array) -> tuple[Array, Array]:
        """Return the batch of the samples with these numbers, as in the current epoch."""
        if isinstance(self.data, ArrayDataset):
            return self.preparation.batch(self.data.x, index, index, self.epoch), self.data.y[index]
        batch = _stack(self.data, index)
        return self.preparation.batch(batch.x, np.arange(len(batch)), index, self.epoch), batch.y

    def without_augmentation(self) -> Self:
        """Return a Loader of the same batches as they are to be evaluated."""
        other = copy.copy(self)
        other.preparation = self.preparation.fixed
        return other


def _as_dataset(data: Any) -> ArrayDataset | Samples:
    if isinstance(data, ArrayDataset):
        return data
    if isinstance(data, tuple) and len(data) == 2:
        return ArrayDataset(*data)
    if isinstance(data, (tuple, np.ndarray)) or not (hasattr(data, "__len__") and hasattr(data, "__getitem__")):
        raise TypeError(
            "Loader: want an ArrayDataset, a tuple (x, y) of arrays, or a data set with a length and items (sample, "
            f"label), got {type(data).__name__}"
        )
    if len(data) == 0:
        raise ValueError(f"Loader: {type(data).__name__} has no samples")
    dataset: Samples = data
    return dataset


def _stack(data: Samples, index: Array) -> ArrayDataset:
    pairs = [_pair(data, int(i)) for i in index]
    for part, name in enumerate(("samples", "labels")):
        shapes = {pair[part].shape: i for pair, i in zip(pairs, index, strict=True)}
        if len(shapes) > 1:
            examples = ", ".join(f"{shape} (number {i})" for shape, i in list(shapes.items())[:2])
            raise ValueError(f"Loader: {name} of one batch have different shapes: {examples}")
    x, y = zip(*pairs, strict=True)
    return ArrayDataset(np.stack(x), np.stack(y))


def _pair(data: Samples, i: int) -> tuple[Array, Array]:
    item = data[i]
    if not isinstance(item, (tuple, list)) or len(item) != 2:
        raise TypeError(f"Loader: item {i} of {type(data).__name__} must be (sample, label), got {type(item).__name__}")
    return np.asarray(item[0]), np.asarray(item[1])
