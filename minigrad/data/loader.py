"""Loader: a data set in batches, each gathered, converted, augmented and normalised in one pass."""

import copy
from collections.abc import Callable, Iterator
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from minigrad.data.arrays import ArrayDataset, holds_arrays
from minigrad.data.augmentation import Augmentation
from minigrad.data.preparation import Numbers, Preparation
from minigrad.data.samples import Columns, Samples, as_dataset, item, stack, stack_labels
from minigrad.numbers import whole
from minigrad.showing import as_call

Array = npt.NDArray[Any]
Convert = Callable[[Array, Array], tuple[Array, Array]]


class Loader:
    r"""Batches of a data set: an iterable of pairs (x, y) of fresh arrays.

    Images of bytes become floats, x ↦ (x/255 - mean)/std in float32; float32 and float64 stay what they are,
    x ↦ (x - mean)/std; integers of other types, and labels, are passed on unchanged. A Trainer converts them to what
    its model takes.

    Arguments:
        data: an `ArrayDataset`; a tuple of two arrays, lists or frames; or any data set with a length whose items are
            pairs (sample, label), for instance one of torchvision. The samples of the last kind are taken one by one
            and stacked, which is much slower. Pictures of Pillow, and bytes (H, W) or (H, W, C), become (C, H, W).
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
        columns: the keys, or numbers, of sample and label in items that hold more than the two, for instance
            ("image", "label").

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

    data: ArrayDataset | Samples
    batch_size: int
    shuffle: bool
    seed: int
    drop_last: bool
    columns: Columns | None
    preparation: Preparation
    epoch: int

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
        columns: Columns | None = None,
    ) -> None:
        self.data = as_dataset("Loader", data)
        self.batch_size = whole("Loader", "batch_size", batch_size, least=1)
        self.shuffle, self.seed, self.drop_last = shuffle, whole("Loader", "seed", seed, least=0), drop_last
        self.columns = _checked(columns)
        self._convert: Convert | None = None
        self.preparation = Preparation(mean, std, size, channels, augment, seed)
        self.epoch = 0
        if len(self) == 0:
            raise ValueError(f"Loader: {len(self.data)} samples fill no batch of {batch_size}, and drop_last is set")
        if holds_arrays(self.data):
            self.preparation.shape(self.data.x)

    def __repr__(self) -> str:
        return as_call(self, **vars(self.preparation))

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
        if holds_arrays(self.data):
            return self.preparation.batch(self.data.x, index, index, self.epoch), self.data.y[index]
        samples, labels = zip(*(item(self.data, int(i), self.columns) for i in index), strict=True)
        y = stack_labels(list(labels), index)
        if self.preparation.wants_images and len({sample.shape for sample in samples}) > 1:
            return self._of_many_sizes(samples, y, index)
        return self._prepared(stack("samples", list(samples), index), y, index)

    def _of_many_sizes(self, samples: tuple[Array, ...], y: Array, index: Array) -> tuple[Array, Array]:
        """Return a batch of images of different sizes: each is prepared by itself."""
        parts = [self._prepared(x[None], y[[i]], index[[i]]) for i, x in enumerate(samples)]
        return stack("samples", [x[0] for x, _ in parts], index), np.concatenate([part for _, part in parts])

    def _prepared(self, x: Array, y: Array, index: Array) -> tuple[Array, Array]:
        if self._convert is not None:
            x, y = self._convert(x, y)
        return self.preparation.batch(x, np.arange(len(x)), index, self.epoch), y

    def in_order(self) -> Self:
        """Return a Loader of the same samples as they are to be evaluated: all, as they lie, and not augmented.

        What a derived class does to the order is left alone.
        """
        other = copy.copy(self)
        other.preparation, other.shuffle, other.drop_last = self.preparation.fixed, False, False
        return other

    def converted(self, convert: Convert) -> Self:
        """Return a Loader whose samples and labels are what a function makes of them; this one where that is no change.

        Arrays are converted once and for all, the samples of other data sets in each batch.

        Arguments:
            convert: (x, y) -> (x, y) of any number of samples. What it need not change it returns as it is.
        """
        before = (self.data.x, self.data.y) if holds_arrays(self.data) else _first(self.data, self.columns)
        x, y = convert(*before)
        if x is before[0] and y is before[1]:
            return self
        other = copy.copy(self)
        if holds_arrays(self.data):
            other.data = ArrayDataset(x, y, self.data.classes)
        else:
            other._convert = convert
        return other


def _first(data: Samples, columns: Columns | None) -> tuple[Array, Array]:
    x, y = item(data, 0, columns)
    return x[None], np.asarray(y)[None]


def _checked(columns: Columns | None) -> Columns | None:
    if columns is not None and (isinstance(columns, str) or len(columns) != 2):
        raise ValueError(f"Loader: want the names of two columns, (sample, label), got {columns!r}")
    return columns if columns is None else tuple(columns)
