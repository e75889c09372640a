"""The data sets as arrays: found or downloaded, verified, read."""

from pathlib import Path

import numpy as np

from minigrad.data.arrays import ArrayDataset
from minigrad.data.catalog import File, Source, source
from minigrad.data.download import fetch
from minigrad.data.errors import DatasetError
from minigrad.data.idx import parse_idx
from minigrad.data.store import FilePath, find, not_found, read_verified

Parts = tuple[ArrayDataset, ArrayDataset]


def fashion_mnist(root: FilePath | None = None) -> Parts:
    """Return Fashion-MNIST, 60,000 images to train on and 10,000 to test on, of 10 kinds of clothes.

    It is looked for in `root`, the folder that `MINIGRAD_DATA` names, the user's cache and where Debian's package
    `dataset-fashion-mnist` puts it, and downloaded into the cache if it is in none of them. The content is verified.

    Arguments:
        root: a folder to look in first, itself or its sub-folder `fashion-mnist`.

    Shape:
        x: (N, 1, 28, 28) uint8, 0 is background. y: (N,) int64.

    Raises:
        DatasetError: if it is nowhere to be had, with every place tried; or if a file has the wrong content.
    """
    return load("fashion-mnist", root)


def mnist(root: FilePath | None = None) -> Parts:
    """Return MNIST, 60,000 handwritten digits to train on and 10,000 to test on. Otherwise as `fashion_mnist`."""
    return load("mnist", root)


def load(name: str, root: FilePath | None = None) -> Parts:
    """Return the data set of this name as `(train, test)`. See `fashion_mnist`."""
    wanted = source(name)
    folder = find(name, root) or _fetch(wanted, root)
    return _read(wanted, folder, *wanted.train), _read(wanted, folder, *wanted.test)


def _fetch(wanted: Source, root: FilePath | None) -> Path:
    try:
        return fetch(wanted.name)
    except (DatasetError, OSError) as error:
        raise DatasetError(not_found(wanted, root, downloads=str(error))) from error


def _read(wanted: Source, folder: Path, images: File, labels: File) -> ArrayDataset:
    x, y = (parse_idx(read_verified(wanted, folder, file), folder / file.name) for file in (images, labels))
    return ArrayDataset(x[:, np.newaxis], y.astype(np.int64), wanted.classes)
