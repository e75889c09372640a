"""Data sets and how a training gets at them: IDX files, MNIST and Fashion-MNIST, splitting, batches."""

from minigrad.data.arrays import ArrayDataset
from minigrad.data.augmentation import Augmentation
from minigrad.data.catalog import CATALOG, File, Source
from minigrad.data.datasets import fashion_mnist, load, mnist
from minigrad.data.download import fetch
from minigrad.data.errors import DatasetError, IdxError
from minigrad.data.idx import read_idx, write_idx
from minigrad.data.loader import Loader
from minigrad.data.preparation import Preparation
from minigrad.data.samples import Samples, Subset
from minigrad.data.splitting import split
from minigrad.data.store import FileCheck, Place, find, verify, where

__all__ = [
    "CATALOG",
    "ArrayDataset",
    "Augmentation",
    "DatasetError",
    "File",
    "FileCheck",
    "IdxError",
    "Loader",
    "Place",
    "Preparation",
    "Samples",
    "Source",
    "Subset",
    "fashion_mnist",
    "fetch",
    "find",
    "load",
    "mnist",
    "read_idx",
    "split",
    "verify",
    "where",
    "write_idx",
]
